"""Isolates that are trimmed: they have the same memory and do the same, and take less."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyworkerd_isolates import isolate as isolate_module
from pyworkerd_isolates.capi import assemble
from pyworkerd_isolates.errors import ClosedIsolate, EngineError
from pyworkerd_isolates.heaps import Heaps
from pyworkerd_isolates.isolate import MAX_TRIMMED
from pyworkerd_isolates.native import Instance
from pyworkerd_isolates.pages import PAGES
from pyworkerd_isolates.protocol import Events
from pyworkerd_isolates.slots import Slots

if TYPE_CHECKING:
    from pathlib import Path

    from pyworkerd_isolates.isolate import Isolate
    from pyworkerd_isolates.native import Machine
    from pyworkerd_isolates.testing import Driver, Sandbox

pytestmark = pytest.mark.skipif(PAGES is None, reason="this kernel has no PAGEMAP_SCAN")

PYTHON: Final = """
from workers import WorkerEntrypoint, Response

KEPT = {}
SPARE = [bytes(3000) for _ in range(40)]

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(str(sorted(KEPT.items())))

    async def keep(self, key, size):
        KEPT[key] = "x" * size
        return len(KEPT)

    async def drop(self, key):
        return len(KEPT.pop(key, ""))

    async def look(self):
        return [len(value) for value in list(KEPT.values()) + SPARE]

    async def spread(self, pages):
        KEPT["spread"] = [bytes([1]) * 4000 for _ in range(pages)]
"""
JAVASCRIPT: Final = """
import { WorkerEntrypoint } from "cloudflare:workers";

const kept = new Map();
const spare = Array.from({ length: 40 }, (_, n) => "y".repeat(3000 + n));

export default class extends WorkerEntrypoint {
  fetch(request) { return new Response(JSON.stringify([...kept].sort())); }
  keep(key, size) { kept.set(key, "x".repeat(size)); return kept.size; }
  drop(key) { const found = kept.get(key) ?? ""; kept.delete(key); return found.length; }
  look() { return [...kept.values(), ...spare].map((value) => value.length); }
}
"""
PROGRAMS: Final = {"worker.py": PYTHON, "worker.js": JAVASCRIPT}
STEP: Final = st.one_of(
    st.tuples(st.just("keep"), st.sampled_from("abc"), st.integers(0, 20_000)),
    st.tuples(st.just("drop"), st.sampled_from("abc")),
    st.tuples(st.just("look")),
)


def started(sandbox: Sandbox, main: str = "worker.py") -> Driver:
    return sandbox.start(sandbox.image({main: PROGRAMS[main]}, main))


def own(isolate: Isolate) -> int:
    return sum(end - start for start, end in isolate._live().written() or ())


def as_image(isolate: Isolate) -> int:
    """Bytes of the pages that it has for itself although they are the image's."""
    untouched = isolate._untouched()
    clean, memory = untouched.memory(), isolate.memory()
    untouched.close()
    size = mmap.PAGESIZE
    return sum(
        size
        for start, end in isolate._live().written() or ()
        for at in range(start, end, size)
        if memory[at : at + size] == clean[at : at + size]
    )


@pytest.mark.parametrize("main", PROGRAMS)
@settings(max_examples=12)
@given(script=st.lists(st.tuples(STEP, st.booleans()), max_size=6))
def test_an_isolate_that_is_trimmed_goes_on_as_one_that_is_not(
    sandbox: Sandbox, main: str, script: list[tuple[tuple[str, ...], bool]]
) -> None:
    with started(sandbox, main) as trimmed, started(sandbox, main) as other:
        for (method, *arguments), trim in script:
            answers = [one.call(method, *arguments).value for one in (trimmed, other)]
            assert answers[0] == answers[1]
            if trim:
                before = trimmed.isolate.memory()
                trimmed.isolate.trim()
                assert trimmed.isolate.memory() == before
        assert trimmed.fetch().text == other.fetch().text


@pytest.mark.parametrize("main", PROGRAMS)
def test_it_gives_back_what_is_the_images_and_nothing_else(sandbox: Sandbox, main: str) -> None:
    with started(sandbox, main) as driver:
        driver.call("keep", "a", 5000)
        isolate = driver.isolate
        before, same = own(isolate), as_image(isolate)
        assert same
        assert isolate.trim() == same
        assert own(isolate) == before - same
        assert isolate.trim() == 0, "there is no more"
        assert driver.call("look").value[0] == 5000


def test_javascript_gives_back_much_of_what_a_request_wrote_to(sandbox: Sandbox) -> None:
    with started(sandbox, "worker.js") as driver:
        driver.fetch()
        before = own(driver.isolate)
        assert driver.isolate.trim() > before // 3


def test_what_was_given_back_is_there_again_when_its_next_step_begins(sandbox: Sandbox) -> None:
    with started(sandbox) as driver:
        driver.fetch()
        isolate = driver.isolate
        before, back = own(isolate), isolate.trim()
        events = Events()
        events.fetch(100, None, {}, "GET", "http://x/", (), None)
        isolate.begin(events, 1000)
        have = own(isolate)
        assert have in (before, before - back), "a kernel before 6.14 leaves it to the step's own faults"
        while isolate.go_on(1000) is None:
            pass


def test_whoever_wrote_to_much_is_left_alone(sandbox: Sandbox) -> None:
    with started(sandbox) as driver:
        driver.call("spread", MAX_TRIMMED // 4096)
        assert as_image(driver.isolate)
        assert driver.isolate.trim() == 0


def test_never_while_a_step_runs(sandbox: Sandbox) -> None:
    with started(sandbox) as driver:
        isolate, events = driver.isolate, Events()
        events.init((), {})
        isolate.begin(events, 1000)
        with pytest.raises(ClosedIsolate):
            isolate.trim()
        while isolate.go_on(1000) is None:
            pass
        isolate.end()
        with pytest.raises(ClosedIsolate):
            isolate.trim()


def test_it_stays_as_it_is_where_no_instance_can_be_made_to_compare_with(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise EngineError("cannot map more")

    with started(sandbox) as driver:
        driver.fetch()
        monkeypatch.setattr(isolate_module.Isolate, "_untouched", refuse)
        assert driver.isolate.trim() == 0
        assert driver.fetch().status == 200


def test_a_slot_that_was_trimmed_is_as_good_as_new(sandbox: Sandbox) -> None:
    slots, image = Slots(), sandbox.image(PYTHON)
    first = sandbox.start(image, slots=slots)
    first.call("keep", "a", 100)
    first.isolate.trim()
    first.isolate.end()
    assert len(slots) == 1
    with sandbox.start(image, slots=slots) as second:
        assert len(slots) == 0
        assert second.call("look").value == [3000] * 40
    slots.forget(image)


def test_one_that_was_trimmed_hibernates_and_wakes_as_any_other(sandbox: Sandbox, tmp_path: Path) -> None:
    heaps = Heaps(16 << 20, tmp_path)
    with started(sandbox) as driver:
        driver.call("keep", "a", 7)
        isolate = driver.isolate
        isolate.trim()
        isolate.hibernate(heaps, isolate.put_away(heaps)).close()
        assert isolate.wake()
        assert driver.call("look").value[0] == 7
    heaps.close()


SPARSE: Final = """(module (memory (export "memory") 320)
  (data (i32.const 0) "first") (data (i32.const 20000000) "last"))"""
NOTHING: Final = '(module (import "" "" (memory 320)))'


def test_a_memory_that_is_filled_and_not_mapped_is_left_alone(machine: Machine) -> None:
    """What nobody has mapped would be zeros once it were given back."""
    with (
        machine.mapped(machine.compile(assemble(SPARSE))) as image,
        machine.mapped(machine.compile(assemble(NOTHING))) as engine,
    ):
        untouched, instance = (Instance(engine, image, 32 << 20) for _ in range(2))
        assert instance.written(), "wasmtime maps it: the test needs another image"
        assert instance.trim(untouched, MAX_TRIMMED) == ()
        assert instance.memory()[:5] == b"first"
        assert instance.memory()[20_000_000:20_000_004] == b"last"
        instance.close()
        untouched.close()
