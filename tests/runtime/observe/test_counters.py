"""Counting: single records, their labels, and what a runtime has counted after real requests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.dispatch.fleet import FleetLimits
from pyworkerd.errors import PyworkerdError
from pyworkerd.observe.counters import LIMITS, Meters, WorkerCounters
from pyworkerd.observe.families import OTHERS
from pyworkerd.runtime import RuntimeOptions
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.observe.snapshot import Snapshot
    from pyworkerd.runtime import Runtime


def written(counters: WorkerCounters) -> Snapshot:
    snapshot: Snapshot = {}
    counters.write(snapshot, "w")
    return snapshot


def test_a_record_that_counted_nothing_says_nothing() -> None:
    assert written(WorkerCounters()) == {}


def test_answers_failures_and_calls() -> None:
    counters = WorkerCounters()
    counters.answered(200, 0)
    counters.answered(204, 0)
    counters.answered(404, 0)
    counters.failed(503, "overloaded", 0)
    counters.failed(503, "overloaded", 0)
    counters.failed(0, "cancelled", 0)
    counters.call_failed("no_method")
    counters.calls += 3
    snapshot = written(counters)
    assert snapshot["requests"] == {
        ("w", "2xx", ""): (2,),
        ("w", "4xx", ""): (1,),
        ("w", "5xx", "overloaded"): (2,),
        ("w", "", "cancelled"): (1,),
    }
    assert snapshot["rpc_calls"] == {("w", ""): (3,), ("w", "no_method"): (1,)}


@given(st.lists(st.integers(0, 20_000_000_000)))
def test_a_histogram_loses_nothing(durations: list[int]) -> None:
    counters = WorkerCounters()
    for took in durations:
        counters.answered(200, took)
    (*buckets, total) = written(counters).get("request_duration_seconds", {}).get(("w",), (0, 0))
    assert sum(buckets) == (len(durations) if sum(durations) or durations else 0)
    assert total == sum(durations)


def test_every_limit_has_an_error_of_that_code() -> None:
    def codes(error: type[PyworkerdError]) -> set[str]:
        return {error.code}.union(*map(codes, error.__subclasses__()))

    assert LIMITS.keys() <= codes(PyworkerdError)


def test_versions_of_a_worker_share_a_record_that_outlasts_its_sleep() -> None:
    meters = Meters()
    first, second = meters.take("w"), meters.take("w")
    assert first is second
    meters.give_back("w", first)
    assert meters.take("w") is first
    for _ in range(3):
        meters.give_back("w", first)
    assert meters.label("w") == "w"
    assert meters.take("w") is first


def test_a_label_is_taken_from_whoever_rests_longest() -> None:
    meters = Meters(labelled=3)
    a, b, c = (meters.take(name) for name in "abc")
    for name, record in (("b", b), ("a", a), ("c", c)):
        record.steps += 1
        meters.give_back(name, record)
    assert meters.take("c") is c
    d = meters.take("d")
    assert d not in (a, b, c)
    assert [meters.label(name) for name in "abcd"] == ["a", OTHERS, "c", "d"]
    snapshot: Snapshot = {}
    meters.write(snapshot)
    assert snapshot == {"steps": {("a",): (1,), ("c",): (1,)}}
    assert meters.take("b") is not b
    assert meters.label("a") == OTHERS
    assert meters.take("e") is meters.take("f")


def test_only_so_many_have_a_label_and_the_others_keep_what_they_counted() -> None:
    meters = Meters(labelled=2)
    a, b, c, d = (meters.take(name) for name in "abcd")
    assert c is d is not b
    for record in (a, c, d):
        record.steps += 1
    meters.give_back("c", c)
    snapshot: Snapshot = {}
    meters.write(snapshot)
    assert snapshot == {"steps": {("a",): (1,), (OTHERS,): (2,)}}
    meters.give_back("a", a)
    assert meters.take("e") is not c
    assert [meters.label(name) for name in "abde"] == [OTHERS, "b", OTHERS, "e"]


# a whole runtime -----------------------------------------------------------------------------------------------------

SOURCE = """
import asyncio
from workers import Response, WorkerEntrypoint, fetch

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        what = request.url.rpartition("/")[2]
        if what == "loop":
            while True:
                pass
        if what == "raise":
            raise ValueError
        if what == "memory":
            kept = [bytearray(1 << 20) for _ in range(100)]
        if what == "out":
            try:
                await fetch("http://other/")
            except Exception as error:
                return Response(error.code)
        if what == "log":
            print("x" * 2000)
            print("more")
        if what == "wait":
            await self.env.GATE()
        if what == "body":
            await request.bytes()
        return Response("", status=404 if what == "missing" else 200)

    async def add(self, a, b):
        return a + b
"""
SMALL = Limits(cpu_ms=200, memory_mb=64, subrequests=0, log_kb=1, isolates=1, queue=1, request_body_mb=1)


def test_what_a_runtime_has_counted(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"w.py": SOURCE}, name="w", limits=SMALL, network=True)

        async def ask(what: str, body: Any = None) -> str:
            try:
                return await (await worker.fetch(f"/{what}", method="POST", body=body)).text()
            except PyworkerdError as error:
                return error.code

        async def large() -> Any:
            for _ in range(3):
                yield b"x" * 500_000

        assert runtime.metrics().keys() == {"memory_budget_bytes", "serving_processes"}
        assert [await ask(what) for what in ("", "missing", "raise", "log", "out", "loop")] == [
            "", "", "worker_exception", "", "exceeded_subrequests", "exceeded_cpu",
        ]  # fmt: skip
        assert await ask("body", b"x" * 2_000_000) == "body_too_large"
        await ask("body", large())
        assert await ask("memory") == "exceeded_memory"
        assert await worker.call("add", 1, 2) == 3
        with pytest.raises(PyworkerdError):
            await worker.call("nothing")
        snapshot = runtime.metrics()
        statuses = {labels[1:]: count for labels, (count,) in snapshot["requests"].items()}
        assert statuses == {
            ("2xx", ""): 3,
            ("4xx", ""): 1,
            ("4xx", "body_too_large"): 2,
            ("5xx", "worker_exception"): 1,
            ("5xx", "exceeded_cpu"): 1,
            ("5xx", "exceeded_memory"): 1,
        }
        assert snapshot["rpc_calls"] == {("w", ""): (1,), ("w", "no_method"): (1,)}
        assert {labels[1]: count for labels, (count,) in snapshot["limits_hit"].items()} == {
            "cpu_ms": 1, "memory_mb": 1, "subrequests": 1, "request_body_mb": 2, "log_kb": 1,
        }  # fmt: skip
        assert snapshot["isolate_failures"]["w",] == (1,)
        assert snapshot["cold_starts"]["w",][0] >= 2
        assert snapshot["steps"]["w",][0] >= 10
        assert snapshot["cpu_seconds"]["w",][0] > 200_000_000
        assert snapshot["queue_wait_seconds"]["w",][0] == 10
        assert snapshot["isolates"] == {("w", "idle"): (1,)}
        assert snapshot["isolate_memory_bytes"]["w",] == (worker.service.image.memory_size,)
        await worker.aclose()
        after = runtime.metrics()
        assert after["requests"] == snapshot["requests"]
        assert not after.keys() & {"isolates", "isolate_memory_bytes", "queue_depth"}

    with_runtime(main)


def test_what_waits_and_what_is_turned_away_or_given_up(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        gate = asyncio.Event()
        limits = Limits(isolates=1, concurrency=1, queue=1)
        worker = await runtime.load({"w.py": SOURCE}, name="w", limits=limits, bindings={"GATE": gate.wait})
        waiting = [asyncio.create_task(worker.fetch("/wait")) for _ in range(3)]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        snapshot = runtime.metrics()
        assert snapshot["queue_depth"] == {("w",): (1,)}
        assert snapshot["isolates"] == {("w", "busy"): (1,)}
        assert snapshot["requests"] == {("w", "5xx", "overloaded"): (1,)}
        assert snapshot["limits_hit"] == {("w", "queue"): (1,)}
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        assert runtime.metrics()["requests"]["w", "", "cancelled"] == (2,)

    with_runtime(main)


def test_evictions(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        first = await runtime.load({"w.py": SOURCE}, name="first")
        second = await runtime.load({"w.py": SOURCE}, name="second")
        await (await first.fetch("/")).read()
        await (await second.fetch("/")).read()
        snapshot = runtime.metrics()
        assert snapshot["evictions"] == {("first",): (1,)}
        assert snapshot["isolates"] == {("second", "idle"): (1,)}

    with_runtime(main, options=RuntimeOptions(fleet=FleetLimits(isolates=1)))


def test_ten_thousand_workers_do_not_make_ten_thousand_labels() -> None:
    meters = Meters()
    for number in range(10_000):
        record = meters.take(f"worker-{number}")
        record.answered(200, 1)
        record.limit("exceeded_cpu")
    snapshot: Snapshot = {}
    meters.write(snapshot)
    assert {len(rows) for rows in snapshot.values()} == {1001}
    assert snapshot["requests"][OTHERS, "2xx", ""] == (9000,)
