"""Steps of a subinterpreter: frames like those of the sandbox, and an end whatever happens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.errors import ClosedIsolate, CpuExhausted, HeapError, OutputTooLarge, Trap
from pyworkerd_isolates.lifecycle import State
from pyworkerd_isolates.protocol import Events, Fail, Log, Respond

from .conftest import step

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.protocol import Effect
    from pyworkerd_isolates.subinterpreter.isolate import TrustedIsolate

    Start = Callable[..., TrustedIsolate]
    Fetch = Callable[..., list[Effect]]

HANDLER = "class Default(WorkerEntrypoint):\n  async def fetch(self, request):\n    "


def test_effects_are_those_of_the_sandbox(start: Start, fetch: Fetch) -> None:
    isolate = start(f"{HANDLER}print('said'); return Response('hello')")
    log, respond, *_ = fetch(isolate)
    assert (isinstance(log, Log) and log.message) == "said"
    assert (isinstance(respond, Respond) and respond.body) == b"hello"
    assert isolate.last_step_ms > 0
    assert (isolate.growth, isolate.trim(), isolate.wake()) == (0, 0, True)


@pytest.mark.parametrize(
    ("code", "name"), [("1/0", "ZeroDivisionError"), ("raise SystemExit(3)", "SystemExit")]
)
def test_a_handler_that_raises_ends_nothing(start: Start, fetch: Fetch, code: str, name: str) -> None:
    isolate = start(f"{HANDLER}{code}")
    for number in (1, 2):
        failure = fetch(isolate, number=number)[0]
        assert isinstance(failure, Fail)
        assert failure.type_name == name
        assert 'worker0.py", line 4, in fetch' in failure.traceback


def test_a_step_that_uses_up_its_time_is_given_up_and_told_to_end(start: Start, fetch: Fetch) -> None:
    isolate = start(f"{HANDLER}\n    while True: pass")
    with pytest.raises(CpuExhausted):
        fetch(isolate, 100)
    assert isolate.state is State.DEAD
    with pytest.raises(ClosedIsolate):
        isolate.begin(Events(), 100)


def test_a_step_that_gives_out_too_much(start: Start, fetch: Fetch) -> None:
    isolate = start(f"{HANDLER}return Response('x' * 200_000)", output_bytes=100_000)
    with pytest.raises(OutputTooLarge):
        fetch(isolate)
    assert isolate.state is State.DEAD


def test_an_interpreter_that_ends_by_itself_is_a_trap(start: Start, fetch: Fetch) -> None:
    isolate = start(f"import inside\n{HANDLER}inside._Line.write = None")
    with pytest.raises(Trap, match=r"interpreter has ended: .*TypeError"):
        for number in (1, 2):
            fetch(isolate, number=number)


def test_a_long_answer_is_read_in_a_step_of_its_own(start: Start, fetch: Fetch) -> None:
    isolate = start(f"{HANDLER}\n    for _ in range(900): print('x' * 20)\n    return Response('x')")
    events = Events()
    events.init([], {})
    events.fetch(1, None, {}, "GET", "http://x/", (), None)
    isolate.begin(events, 5000)
    while not isolate.answered:
        assert isolate.go_on(50) is None
    output = isolate.go_on(0)
    assert output is not None
    assert len(output.effects) == 902


def test_one_step_at_a_time_and_none_when_it_has_ended(start: Start) -> None:
    isolate = start(f"{HANDLER}return Response('x')")
    isolate.begin(Events(), 100)
    with pytest.raises(ClosedIsolate, match="a step already"):
        isolate.begin(Events(), 100)
    while isolate.go_on(50) is None:
        pass
    isolate.end()
    isolate.end()
    with pytest.raises(ClosedIsolate, match="has ended"):
        step(isolate, Events())


def test_it_does_not_hibernate(start: Start) -> None:
    isolate = start(f"{HANDLER}return Response('x')")
    with pytest.raises(HeapError):
        isolate.put_away(None)  # type: ignore[arg-type]
    with pytest.raises(ClosedIsolate):
        isolate.hibernate(None, None)  # type: ignore[arg-type]
