"""What the supervisor may ask a serving process while it serves: a table. Answers are bytes, and given at once.

A new question is a row; `Supervisor.ask` collects the answers of all processes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd.observe.snapshot import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyworkerd.serving import Serving


def _collect(serving: Serving, _: bytes) -> bytes:
    """What was counted: a packed `observe.snapshot`."""
    return pack(serving.metrics())


QUESTIONS: Final[Mapping[str, Callable[[Serving, bytes], bytes]]] = {"collect": _collect}
