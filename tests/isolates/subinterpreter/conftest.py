"""Isolates of the trusted kind, by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates.bundle import Folder
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.protocol import Events
from pyworkerd_isolates.subinterpreter.interpreters import missing
from pyworkerd_isolates.subinterpreter.program import Programs
from pyworkerd_isolates.subinterpreter.running import left

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pyworkerd_isolates.protocol import Effect
    from pyworkerd_isolates.subinterpreter.isolate import TrustedIsolate

LIMITS = Limits(cpu_ms=5000, startup_ms=30_000)
PATIENCE_MS = 200.0


@pytest.fixture
def programs() -> Iterator[Programs]:
    """Those of one test. Nothing of them may be left."""
    if fault := missing():
        pytest.skip(fault)
    opened = Programs()
    yield opened
    assert opened.close() == 0
    assert left() == 0


@pytest.fixture
def start(programs: Programs, tmp_path: Path) -> Iterator[Callable[..., TrustedIsolate]]:
    """An isolate of a source text; it is ended with the test."""
    started: list[TrustedIsolate] = []

    def begin(source: str, **limits: int) -> TrustedIsolate:
        main = tmp_path / f"worker{len(started)}.py"
        main.write_text(f"from workers import Response, WorkerEntrypoint\n{source}", encoding="utf-8")
        isolate = programs.get(Folder(main, tmp_path), LIMITS).start(Limits(**{"cpu_ms": 5000, **limits}))
        started.append(isolate)
        return isolate

    yield begin
    for isolate in started:
        isolate.stop()


@pytest.fixture
def fetch() -> Callable[..., list[Effect]]:
    """Begin an invocation with one step, and give its effects."""

    def once(isolate: TrustedIsolate, budget_ms: float = 5000, number: int = 1) -> list[Any]:
        events = Events()
        if not isolate.steps:
            events.init([], {})
        events.fetch(number, None, {}, "GET", "http://x/", (), None)
        return step(isolate, events, budget_ms)

    return once


def step(isolate: TrustedIsolate, events: Events, budget_ms: float = 5000) -> list[Effect]:
    """One step to its end."""
    isolate.begin(events, budget_ms)
    while (output := isolate.go_on(PATIENCE_MS)) is None:
        pass
    return output.effects
