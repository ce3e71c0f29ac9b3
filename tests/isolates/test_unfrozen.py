"""Workers that run from their sources: the same rules as with an image, and nothing on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.bundle import Bundle
from pyworkerd_isolates.cache import Cache
from pyworkerd_isolates.errors import (
    CpuExhausted,
    TopLevelEntropy,
    TopLevelRaised,
    TopLevelTooBig,
    TopLevelTooSlow,
)
from pyworkerd_isolates.image import load_frame
from pyworkerd_isolates.isolate import Isolate
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.protocol import Events, Return
from pyworkerd_isolates.slots import Slots
from pyworkerd_isolates.unfrozen import KEPT_GROWTH, Loading
from pyworkerd_isolates.wire import dump_value, load_value

if TYPE_CHECKING:
    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.testing import Sandbox

WORKER = """
import random
from workers import WorkerEntrypoint
loaded = [0]
loaded[0] += 1
class Default(WorkerEntrypoint):
    async def draw(self):
        return [random.getrandbits(64), loaded[0], self.env.NAME]
    async def spin(self):
        while True:
            pass
"""


def loaded(sandbox: Sandbox, source: str, limits: Limits | None = None) -> Image:
    bundle = Bundle.of({"worker.py": source})
    loading = Loading(sandbox.engine, load_frame(bundle), limits or Limits())
    while (image := loading.go_on(4.0)) is None:
        pass
    return image


def drawn(isolate: Isolate, method: str = "draw", budget_ms: float = 5000) -> list[object]:
    events = Events()
    if not isolate.steps:
        events.init((("NAME", "value", dump_value("x")),), {"worker": "w"})
    events.rpc(1, None, {}, method, dump_value([[], {}]))
    effects = isolate.step(events, budget_ms).effects
    (value,) = [load_value(effect.value) for effect in effects if isinstance(effect, Return)]
    assert isinstance(value, list)
    return value


def test_isolates_run_the_top_level_and_draw_other_numbers(sandbox: Sandbox) -> None:
    image = loaded(sandbox, WORKER)
    assert image.handlers == {"": ()}
    first, second, third = (Isolate(sandbox.engine, image, Limits()) for _ in range(3))
    drawings = [drawn(isolate) for isolate in (first, second, third)]
    assert [rest for _, *rest in drawings] == [[1, "x"]] * 3
    assert len({number for number, *_ in drawings}) == 3
    for isolate in (first, second, third):
        isolate.end()


def test_nothing_of_it_is_kept_on_disk(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    monkeypatch.setattr(Cache, "put", lambda _, name, *__: written.append(name))
    image = loaded(sandbox, f"{WORKER}\nonly = 'here'\n")
    assert image.sources is not None
    image.sources.keep(None)
    assert written == []


@pytest.mark.parametrize(
    ("source", "error"),
    [
        ("x = = 1", TopLevelRaised),
        ("1 / 0", TopLevelRaised),
        ("import random\nrandom.random()", TopLevelEntropy),
        ("while True: pass", TopLevelTooSlow),
        ("x = bytearray(100 << 20)", TopLevelTooBig),
    ],
)
def test_top_levels_that_end_badly(sandbox: Sandbox, source: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        loaded(sandbox, f"{source}\n", Limits(startup_ms=300, memory_mb=64))


def test_the_top_level_is_not_paid_for_by_an_invocation(sandbox: Sandbox) -> None:
    image = loaded(sandbox, f"{WORKER}\nsum(range(1_000_000))\n", Limits(startup_ms=10_000))
    assert image.sources is not None
    image.sources.keep(None)
    isolate = Isolate(sandbox.engine, image, Limits(startup_ms=10_000))
    drawn(isolate, budget_ms=30)
    assert isolate.last_step_ms < 30 < isolate.cpu_ns / 1e6
    with pytest.raises(CpuExhausted):
        drawn(isolate, "spin", 30)


def test_an_isolate_with_much_in_its_memory_is_not_kept(sandbox: Sandbox) -> None:
    kept, large = (
        loaded(sandbox, WORKER),
        loaded(sandbox, f"{WORKER}\nx = bytearray({KEPT_GROWTH} + (40 << 20))\n"),
    )
    assert kept.sources is not None
    assert large.sources is not None
    one = kept.sources.take(kept)
    assert one is not None
    one.close()
    assert large.sources.take(large) is None


def test_one_that_is_broken_off_leaves_nothing(sandbox: Sandbox) -> None:
    bundle = Bundle.of({"worker.py": "while True: pass"})
    loading = Loading(sandbox.engine, load_frame(bundle), Limits())
    assert loading.go_on(1.0) is None
    loading.close()
    loading.close()


def test_it_takes_and_leaves_no_slot(sandbox: Sandbox) -> None:
    image, slots = loaded(sandbox, WORKER), Slots()
    for _ in range(3):
        isolate = Isolate(sandbox.engine, image, Limits(), slots)
        assert drawn(isolate)[1:] == [1, "x"]
        isolate.end()
    assert len(slots) == 0
