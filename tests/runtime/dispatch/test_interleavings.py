"""Random lives: requests, cancellations, slow bindings, traps and closings in any order.

Whatever happens: every request gets exactly one answer, and what has had an effect is not run twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st
from pyworkerd.errors import PyworkerdError
from pyworkerd.runtime import Runtime
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pyworkerd.loaded import LoadedWorker

SOURCE = {
    "worker.py": """
import asyncio
from _pyworkerd import outbox
from workers import Response, WorkerEntrypoint

async def pieces(env, number):
    yield b"begun "
    await env.SLOW(number)
    yield b"ended"

class Default(WorkerEntrypoint):
    async def fetch(self, request, env, ctx):
        _, what, number = request.url.split("worker", 1)[1].split("/")
        if what == "trap":
            while True:
                pass
        if what == "forge":
            outbox.effects.append(["reboot"])
        if what == "raise":
            raise ValueError(number)
        if what == "nap":
            await asyncio.sleep(0)
        if what in ("slow", "slow_trap"):
            await env.SLOW(number)
        if what == "slow_trap":
            while True:
                pass
        if what == "stream":
            return Response(pieces(env, number))
        if what == "later":
            ctx.wait_until(env.SLOW(number))
        if what == "echo":
            return Response(request.body)
        if what == "read":
            return Response(await request.text())
        return Response(number)
"""
}
KINDS = (
    "plain", "nap", "raise", "slow", "later", "stream", "echo", "read", "trap", "forge", "slow_trap",
)  # fmt: skip
FAULTY = frozenset(("trap", "forge", "slow_trap"))

request = st.tuples(st.just("ask"), st.sampled_from(KINDS))
actions = st.lists(
    st.one_of(
        request,
        request,
        st.tuples(st.just("leave"), st.integers(0, 30)),
        st.tuples(st.just("open"), st.integers(1, 5)),
        st.tuples(st.just("turn"), st.integers(1, 4)),
        st.tuples(st.just("settle"), st.just(0)),
    ),
    min_size=5,
    max_size=40,
)
pools = st.builds(
    lambda isolates, concurrency, queue: Limits(
        isolates=isolates, concurrency=concurrency, queue=queue, cpu_ms=20, wall_ms=20_000
    ),
    st.integers(1, 3),
    st.sampled_from((1, 2, 100)),
    st.sampled_from((0, 2, 1000)),
)


class World:
    """One worker, what was asked of it, and what its binding saw."""

    def __init__(self) -> None:
        self.worker: LoadedWorker
        self.tasks: list[asyncio.Task[bytes]] = []
        self.kinds: list[str] = []
        self.left: set[int] = set()
        self.seen: Counter[str] = Counter()
        self.waiting: list[asyncio.Future[None]] = []
        self.open = False

    async def slow(self, number: str) -> None:
        self.seen[number] += 1
        if not self.open:
            future = asyncio.get_running_loop().create_future()
            self.waiting.append(future)
            await future

    async def fetch(self, kind: str, number: int) -> bytes:
        body: Any = None
        if kind in ("echo", "read"):
            body = self.pieces(number) if number % 2 else str(number)
        method = "GET" if body is None else "POST"
        response = await self.worker.fetch(f"/{kind}/{number}", method=method, body=body)
        return await response.read()

    async def pieces(self, number: int) -> AsyncIterator[bytes]:
        for digit in str(number):
            await asyncio.sleep(0)
            yield digit.encode()

    def ask(self, kind: str) -> None:
        self.kinds.append(kind)
        self.tasks.append(asyncio.create_task(self.fetch(kind, len(self.tasks))))

    def leave(self, number: int) -> None:
        if number < len(self.tasks) and not self.tasks[number].done():
            self.left.add(number)
            self.tasks[number].cancel()

    def release(self, count: int) -> None:
        for future in self.waiting[:count]:
            if not future.done():
                future.set_result(None)
        del self.waiting[:count]

    async def perform(self, action: tuple[str, Any]) -> None:
        match action:
            case ("ask", kind):
                self.ask(kind)
            case ("leave", number):
                self.leave(number)
            case ("open", count):
                self.release(count)
            case ("turn", count):
                for _ in range(count):
                    await asyncio.sleep(0)
            case ("settle", _):
                while any(live.stepping for live in self.worker.service._members.values()):
                    await asyncio.sleep(0)


def check(kind: str, number: int, outcome: bytes | BaseException, faults: bool, queues: bool) -> None:
    if isinstance(outcome, bytes):
        expected = b"begun ended" if kind == "stream" else str(number).encode()
        assert outcome == expected
        assert kind not in FAULTY | {"raise"}
        return
    assert isinstance(outcome, PyworkerdError)
    allowed = {
        "trap": {"exceeded_cpu"},
        "slow_trap": {"exceeded_cpu"},
        "forge": {"bad_effect"},
        "raise": {"worker_exception"},
    }.get(kind, set())
    if faults:
        allowed = allowed | {"isolate_lost", "exceeded_cpu", "bad_effect"}
    if not queues:
        allowed = allowed | {"overloaded"}
    assert outcome.code in allowed, (kind, outcome)


@settings(max_examples=60)
@given(actions=actions, limits=pools)
def test_every_request_gets_one_answer(actions: list[tuple[str, Any]], limits: Limits) -> None:
    async def main() -> None:
        failures: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        world = World()
        async with Runtime() as runtime:
            world.worker = await runtime.load(SOURCE, bindings={"SLOW": world.slow}, limits=limits)
            for action in actions:
                await world.perform(action)
            world.open = True
            world.release(len(world.waiting))
            outcomes = await asyncio.gather(*world.tasks, return_exceptions=True)
            faults = any(kind in FAULTY for kind in world.kinds)
            for number, (kind, outcome) in enumerate(zip(world.kinds, outcomes, strict=True)):
                if number in world.left:
                    assert isinstance(outcome, asyncio.CancelledError)
                else:
                    check(kind, number, outcome, faults, limits.queue == 1000)
            assert all(count == 1 for count in world.seen.values()), world.seen
            # Nobody is left behind: all rest, nobody waits.
            while any(live.invocations for live in world.worker.service._members.values()):
                await asyncio.sleep(0)
            assert not world.worker.service._waiting
            assert not any(len(live.bodies) for live in world.worker.service._members.values())
            # The worker serves on.
            assert await world.fetch("plain", 4711) == b"4711"
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert runtime.statistics().isolates == 0
        assert failures == []

    asyncio.run(main())
