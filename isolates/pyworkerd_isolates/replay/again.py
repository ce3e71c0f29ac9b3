"""A recording run once more, and the first thing that is not as it was."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd_isolates import short, wire
from pyworkerd_isolates.errors import IsolateError

from .isolates import ReplayedIsolate
from .telling import effect_fields, line, read_effects
from .tracing import sift

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.limits import Limits

    from .recording import Recording, Step
    from .tracing import Line

PATIENCE: Final = 20.0
"""So many times its CPU time may a step take that came to its end before: a debugger's machine is in no hurry."""
LIMIT: Final = "CpuExhausted"
"""How a step ends that was broken off when its time was up: where exactly, nobody can say."""
_NOTHING: Final = object()


class Difference(NamedTuple):
    """The first thing that is not as it was. `step` and `effect` count from 0."""

    step: int
    effect: int | None
    """Which of the step's effects; None if it is not about one."""
    recorded: str
    now: str


class Again(NamedTuple):
    """One step, as it was and as it is."""

    number: int
    recorded: Step
    now: Step
    difference: Difference | None
    lines: list[Line]
    """Those that ran, where the image is one that is traced."""


def replay(recording: Recording, image: Image, limits: Limits | None = None) -> Iterator[Again]:
    """Run the steps, one at each turn, up to the first that is not as it was. What was broken off is not run.

    Raises `RecordingError` for events that are none, and what a new isolate may raise.
    """
    limits = limits or recording.limits
    isolate = ReplayedIsolate(image, limits, recording.key)
    try:
        for number, step in enumerate(recording.steps):
            if step.answer is None and step.failure is None:
                return
            broken_off = step.failure is not None and step.failure[0] == LIMIT
            answer = isolate.again(step, limits.cpu_ms * (1.0 if broken_off else PATIENCE))
            now, lines = sift(answer, limits)
            difference = compare(number, step, now, limits)
            yield Again(number, step, now, difference, lines)
            if difference is not None or now.failure is not None:
                return
    finally:
        isolate.end()


def compare(number: int, recorded: Step, now: Step, limits: Limits) -> Difference | None:
    """The first difference of two runs of a step. Of failures only the kind is compared."""
    kinds = [None if each.failure is None else each.failure[0] for each in (recorded, now)]
    if kinds[0] != kinds[1]:
        return Difference(number, None, _end(recorded), _end(now))
    if recorded.answer is None or now.answer is None or recorded.answer == now.answer:
        same = recorded.answer == now.answer
        return None if same else Difference(number, None, _end(recorded), _end(now))
    return _compare(number, recorded.answer, now.answer, limits)


def _compare(number: int, recorded: bytes, now: bytes, limits: Limits) -> Difference | None:
    try:
        before, after = read_effects(recorded, limits), read_effects(now, limits)
    except IsolateError:
        return Difference(number, None, "an answer that breaks the protocol", "another one")
    for index, (one, other) in enumerate(zip_longest(before.effects, after.effects, fillvalue=_NOTHING)):
        if one != other:
            return Difference(number, index, _told(one), _told(other))
    if before.wake != after.wake:
        return Difference(number, None, f"wake {before.wake}", f"wake {after.wake}")
    same = _plain(recorded, limits) == _plain(now, limits)  # if so, it is only written in another way
    return None if same else Difference(number, None, "these stubs", "other ones")


def _plain(answer: bytes, limits: Limits) -> object:
    return wire.decode(
        short.spelled_effects(answer), max_header=limits.header_bytes, max_blobs=limits.effects
    )


def _told(effect: Any) -> str:
    return "nothing" if effect is _NOTHING else line(effect_fields(effect))


def _end(step: Step) -> str:
    return "the step came to its end" if step.failure is None else ": ".join(filter(None, step.failure))
