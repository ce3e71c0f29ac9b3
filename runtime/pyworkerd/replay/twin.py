"""A recording without what must not be written down: what its twin did, which never had it.

To replace secrets in what an isolate gave out would leave everything that it made of them: a signature, a header in
base 64, half of a key. So the isolate is run a second time, on the same image, with the same clock, the same entropy
and the same events, but with placeholders in place of what is hidden; what is written down is what this one gave out.
Nothing in it can come from a secret that it never saw. If both did the same, the recording is exact; if not, it says in
which step the real one went another way.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pyworkerd_isolates import short, wire
from pyworkerd_isolates.replay.again import LIMIT
from pyworkerd_isolates.replay.isolates import ReplayedIsolate

from .hiding import Hiding

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.limits import Limits
    from pyworkerd_isolates.replay.recording import Recording, Step

    from .hiding import Hidden

MOST_MS: Final = 5000.0
"""CPU time of all steps of a twin: where the real one did not loop for ever, the twin may."""


def censored(recording: Recording, bindings: Mapping[str, str], image: Image, limits: Limits) -> Recording:
    """The recording with placeholders, and itself if there is nothing to hide. Takes as long as the steps did."""
    hiding = Hiding(bindings)
    for step in recording.steps:
        hiding.look(step.events)
    if not hiding.told:
        return recording
    steps: list[Step] = []
    differs: int | None = None
    left_ms, complete = MOST_MS, recording.complete
    isolate = ReplayedIsolate(image, limits, recording.key)
    try:
        for number, step in enumerate(recording.steps):
            events = step._replace(events=hiding.hide(step.events))
            if step.answer is None and step.failure is None:
                steps.append(events)
                break
            broken_off = step.failure is not None and step.failure[0] == LIMIT
            if left_ms <= 0:
                complete = False
                break
            budget_ms = limits.cpu_ms if broken_off else 2 * limits.cpu_ms
            steps.append(now := isolate.again(events, min(budget_ms, left_ms)))
            left_ms -= isolate.last_step_ms
            if differs is None and not _same(step, now, hiding.hidden, limits):
                differs = number
            if now.failure is not None:
                break
    finally:
        isolate.end()
    return replace(recording, steps=tuple(steps), hidden=hiding.told, differs=differs, complete=complete)


def _same(real: Step, twin: Step, hidden: Hidden, limits: Limits) -> bool:
    """Whether the twin did what the real one did, placeholders aside."""
    if (real.failure and real.failure[0]) != (twin.failure and twin.failure[0]):
        return False
    return _plain(real.answer, limits, hidden) == _plain(twin.answer, limits, hidden)


def _plain(answer: bytes | None, limits: Limits, hidden: Hidden) -> object:
    if answer is None:
        return None
    try:
        read = wire.decode(
            short.spelled_effects(answer), max_header=limits.header_bytes, max_blobs=limits.effects
        )
    except wire.WireError:
        return None
    return hidden.frame(*read)
