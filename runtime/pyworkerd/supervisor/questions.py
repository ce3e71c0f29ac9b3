"""What the supervisor may ask a serving process while it serves: a table. Answers are bytes, and given at once.

A new question is a row; `Supervisor.ask` collects the answers of all processes. What blocks or takes long is a task,
for one of them: `Supervisor.let_one`.
"""

from __future__ import annotations

from errno import EIO
from os import fsdecode
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd.observe.snapshot import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyworkerd.serving import Serving


def _collect(serving: Serving, _: bytes) -> bytes:
    """What was counted: a packed `observe.snapshot`."""
    return pack(serving.metrics())


def _entries(serving: Serving, question: bytes) -> bytes:
    """What workers said and did lately: an `observe.feed.Answer` to a `Question`."""
    from pyworkerd.observe.feed import read_question  # noqa: PLC0415 (start-up time)

    return serving.feed.answer(read_question(question)).pack() if serving.feed is not None else b""


QUESTIONS: Final[Mapping[str, Callable[[Serving, bytes], bytes]]] = {
    "collect": _collect,
    "entries": _entries,
}


def _receive(argument: bytes) -> bytes:
    """Unpack and keep an upload."""
    from pyworkerd.versions.receiving import receive  # noqa: PLC0415 (not before somebody deploys)

    return receive(argument)


def _sync(path: bytes) -> bytes:
    """Have a file of the supervisor's on disk. The number of an error, or 0."""
    from pyworkerd.versions.disk import sync  # noqa: PLC0415 (not before somebody deploys)

    try:
        sync(Path(fsdecode(path)))
    except OSError as error:
        return b"%d" % (error.errno or EIO)
    return b"0"


TASKS: Final[Mapping[str, Callable[[bytes], bytes]]] = {"receive": _receive, "sync": _sync}
"""Done on a thread."""
