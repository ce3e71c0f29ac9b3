"""Which lines of a Python worker a replay runs: a worker with a tracer beside it, and what the tracer says.

The tracer is a module of the worker's bundle, for this replay alone. What it makes the isolate give out is taken out
again before anything is compared, so a traced replay is as equal as another; it takes longer, and more memory.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd_isolates import short, wire
from pyworkerd_isolates.errors import RecordingError

from .tracer import SOURCE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_isolates.bundle import Bundle
    from pyworkerd_isolates.limits import Limits

    from .recording import Step

MAIN: Final = "_pyworkerd_replay_main"
TRACER: Final = "_pyworkerd_replay_tracer"
MEMORY_MB: Final = 128
"""Besides what the worker may have."""
HEADER_BYTES: Final = 64 * 1024 * 1024
EFFECTS: Final = 20_000
_WHERE: Final = re.compile(r"(?P<file>.+):(?P<line>[0-9]{1,6})")
_MAIN_TEXT: Final = """\
import {tracer}
import {main} as _main
from _pyworkerd import files as _files
from _pyworkerd import outbox as _outbox
globals().update({{name: value for name, value in vars(_main).items() if not name.startswith("__")}})
{tracer}.begin(_outbox.effects, _files.ROOT, {wanted!r})
"""


class Line(NamedTuple):
    """One line that is about to run, or what came of it."""

    file: str
    line: int
    function: str
    event: str
    """`line`, `return` or `exception`."""
    names: dict[str, str]
    value: str | None
    """What is returned, or the type of what is raised."""
    frame: int
    """Which run of the function."""


def place_of(text: str) -> tuple[str, int]:
    """File and line of `FILE:LINE`. Raises ValueError."""
    found = _WHERE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not FILE:LINE")
    return found["file"], int(found["line"])


def traced(bundle: Bundle, wanted: Sequence[tuple[str, int]] | None) -> Bundle:
    """The worker with a tracer of these lines, or of all. Raises `RecordingError` for what cannot be traced."""
    if not bundle.language.dotted:
        raise RecordingError(f"only workers in Python can be traced, and this is in {bundle.language.name}")
    for file, _ in wanted or ():
        if file not in bundle.files:
            known = ", ".join(sorted(name for name in bundle.files if name.endswith(".py"))[:5])
            raise RecordingError(f"the worker has no file {file!r}; it has {known}")
    places = None if wanted is None else [list(place) for place in wanted]
    main = _MAIN_TEXT.format(tracer=TRACER, main=bundle.main, wanted=places)
    source = files("pyworkerd_isolates.replay").joinpath("tracer.py").read_bytes()
    added = {f"{MAIN}.py": main.encode(), f"{TRACER}.py": source}
    return replace(bundle, main=MAIN, files={**bundle.files, **added})


def roomier(limits: Limits) -> Limits:
    """The limits of a worker that tells of its lines as well."""
    return replace(
        limits, memory_mb=limits.memory_mb + MEMORY_MB, header_bytes=HEADER_BYTES,
        output_bytes=2 * HEADER_BYTES, effects=EFFECTS,
    )  # fmt: skip


def sift(step: Step, limits: Limits) -> tuple[Step, list[Line]]:
    """A step without what the tracer said in it; and that."""
    if step.answer is None:
        return step, []
    try:
        message, blobs = wire.decode(
            short.spelled_effects(step.answer), max_header=limits.header_bytes, max_blobs=limits.effects
        )
        wake, effects = message
        lines = [line for each in effects if (line := _line_of(each)) is not None]
        rest = [each for each in effects if _line_of(each) is None]
    except (wire.WireError, TypeError, ValueError):
        return step, []
    return step._replace(answer=wire.encode([wake, rest], blobs)), lines


def _line_of(effect: Any) -> Line | None:
    match effect:
        case ["log", 0, "debug", source, str(text)] if source == SOURCE:
            pass
        case _:
            return None
    try:
        match json.loads(text):
            case [
                str(file),
                int(line),
                str(function),
                str(event),
                dict(names),
                None | str() as value,
                int(frame),
            ]:
                return Line(
                    file, line, function, event, {str(k): str(v) for k, v in names.items()}, value, frame
                )
    except ValueError:
        pass
    return None
