"""Real isolates, recorded and run again: the same image, key, clock and events give the same effects."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.errors import ProtocolError, Trap
from pyworkerd_isolates.events import Events
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.protocol import Done, Replied
from pyworkerd_isolates.replay.isolates import RecordedIsolate, ReplayedIsolate, Tape
from pyworkerd_isolates.replay.recording import MAX_STEPS
from pyworkerd_isolates.testing import bundle_of

if TYPE_CHECKING:
    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.images import Images

PYTHON = """
import asyncio, random, secrets, time, uuid
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("loop"):
            while True:
                pass
        if request.url.endswith("deep"):
            return Response(str(len([bytearray(1 << 20) for _ in range(1000)])))
        await asyncio.sleep(0.001)
        numbers = random.random(), secrets.token_hex(), uuid.uuid4(), time.time(), id(request), set("abcdef")
        return Response(str(numbers))
"""
JAVASCRIPT = """
export default {
  async fetch(request) {
    await new Promise((done) => setTimeout(done, 1));
    return new Response(`${Math.random()} ${crypto.randomUUID()} ${Date.now()} ${performance.now()}`);
  },
};
"""
SOURCES = {"python": {"worker.py": PYTHON}, "javascript": {"worker.js": JAVASCRIPT}}
LIMITS = Limits(cpu_ms=5000, startup_ms=10_000)


def record(image: Image, path: str, limits: Limits = LIMITS) -> Tape:
    """Run a fresh isolate until it has answered a request, or failed."""
    tape = Tape()
    isolate = RecordedIsolate(image, limits, tape)
    events = Events()
    events.init([], {"worker": "w", "outbound": False})
    events.fetch(1, None, None, "GET", f"http://w/{path}", (), None)
    with suppress(Trap, ProtocolError):
        while not any(
            isinstance(effect, Done | Replied) for effect in isolate.step(events, limits.cpu_ms).effects
        ):
            events = Events()
    isolate.end()
    return tape


@pytest.mark.parametrize("language", SOURCES)
def test_run_again_it_does_the_same_to_the_byte(language: str, images: Images) -> None:
    image = images.get(bundle_of(SOURCES[language]), LIMITS)
    try:
        tape, other = record(image, ""), record(image, "")
        assert tape.complete
        assert len(tape.steps) > 1
        assert {step.failure for step in tape.steps} == {None}
        assert [step.answer for step in tape.steps] != [step.answer for step in other.steps], (
            "entropy is its own"
        )
        isolate = ReplayedIsolate(image, LIMITS, tape.key)
        for step in tape.steps:
            assert isolate.again(step, 5000) == step
        isolate.end()
    finally:
        images.release(image)


@pytest.mark.parametrize(("path", "failure"), [("loop", "CpuExhausted"), ("deep", None)])
def test_how_it_failed_is_recorded_and_fails_again(path: str, failure: str | None, images: Images) -> None:
    limits = Limits(cpu_ms=300, memory_mb=64, startup_ms=10_000)
    image = images.get(bundle_of(SOURCES["python"]), limits)
    try:
        tape = record(image, path, limits)
        (step,) = tape.steps
        assert (step.failure and step.failure[0]) == failure
        isolate = ReplayedIsolate(image, limits, tape.key)
        now = isolate.again(step, 300)
        assert (now.answer, now.failure) == (step.answer, step.failure)
        isolate.end()
    finally:
        images.release(image)


def test_a_tape_that_is_full_says_so_and_keeps_what_fits() -> None:
    tape = Tape(10)
    tape.begins(1, b"12345")
    tape.ends(b"123")
    tape.begins(2, b"12")
    tape.ends(b"1")
    tape.begins(3, b"")
    tape.fails(Trap("x"))
    assert not tape.complete
    assert [(step.now_ns, step.answer, step.failure) for step in tape.steps] == [(1, b"123", None)]


def test_a_tape_has_room_for_so_many_steps() -> None:
    tape = Tape()
    for number in range(MAX_STEPS + 1):
        tape.begins(number, b"")
        tape.ends(b"")
    assert (len(tape.steps), tape.complete) == (MAX_STEPS, False)
