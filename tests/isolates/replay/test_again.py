"""The first thing that is not as it was: which step, which effect, and what both did."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.replay.again import compare, replay
from pyworkerd_isolates.replay.recording import Step
from pyworkerd_isolates.testing import bundle_of

from tests.isolates.replay.test_isolates import LIMITS, SOURCES, record
from tests.isolates.replay.test_recording import RECORDING

if TYPE_CHECKING:
    from pyworkerd_isolates.images import Images


def step(*effects: list[object], wake: object = None, failure: tuple[str, str] | None = None) -> Step:
    """One that gave out these."""
    return Step(1, b"", wire.encode([wake, list(effects)], [b"a", b"b"]), failure)


DONE, LOG = ["done", 1], ["log", 1, "info", "stdout", "hi"]
NONE = Step(1, b"", None, ("Trap", "here"))
DIFFERENT = {
    "another effect": (step(LOG, DONE), step(LOG, ["done", 2]), 1, "done invocation=1", "done invocation=2"),
    "one less": (step(LOG, DONE), step(LOG), 1, "done invocation=1", "nothing"),
    "one more": (step(), step(DONE), 0, "nothing", "done invocation=1"),
    "other stubs": (
        step(["return", 1, [0, [[True, 1]]]]),
        step(["return", 1, [0, [[True, 2]]]]),
        None,
        "stubs",
        "other",
    ),
    "other bytes": (step(["return", 1, 0]), step(["return", 1, 1]), 0, "'a'", "'b'"),
    "another wake": (step(wake=[1.5, [1]]), step(), None, "Wake", "None"),
    "a failure": (step(DONE), NONE, None, "came to its end", "Trap: here"),
    "another failure": (NONE, NONE._replace(failure=("Refused", "")), None, "Trap: here", "Refused"),
    "no protocol": (step(DONE), step(["nobody"]), None, "breaks the protocol", "another"),
    "no answer": (step(failure=("Trap", "")), Step(1, b"", None, ("Trap", "")), None, "Trap", "Trap"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_a_difference_is_told(what: str) -> None:
    recorded, now, effect, before, after = DIFFERENT[what]
    found = compare(7, recorded, now, Limits())
    assert found is not None
    assert (found.step, found.effect) == (7, effect)
    assert before in found.recorded
    assert after in found.now


def test_what_is_written_in_another_way_is_the_same() -> None:
    one = step(DONE)
    assert one.answer is not None
    spaced = one.answer[4:].replace(b",", b", ", 1)
    other = one._replace(answer=(len(spaced) - 2).to_bytes(4, "little") + spaced)
    assert compare(0, one, other, Limits()) is None
    assert compare(0, NONE, NONE._replace(failure=("Trap", "elsewhere")), Limits()) is None


def test_a_whole_recording_is_equal_and_a_changed_one_is_not(images: Images) -> None:
    image = images.get(bundle_of(SOURCES["python"]), LIMITS)
    try:
        tape = record(image, "")
        whole = replace(RECORDING, key=tape.key, steps=(*tape.steps, Step(9, b"broken off", None)))
        assert [each.difference for each in replay(whole, image, LIMITS)] == [None] * len(tape.steps)
        other = replace(whole, key=bytes(32))
        differences = [each.difference for each in replay(other, image, LIMITS)]
        assert differences[:-1] == [None] * (len(differences) - 1)
        assert differences[-1] is not None
        assert "replied" in differences[-1].recorded
    finally:
        images.release(image)
