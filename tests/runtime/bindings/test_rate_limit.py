"""The rate limit as a binding; what its counters promise is in tests/contracts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.bindings.rate_limit import MAX_KEY, InMemoryRateLimits, RateLimits, Window
from pyworkerd.bindings.rate_limit.counters import COMMON, FEW
from pyworkerd.bindings.registry import configure
from pyworkerd.errors import ConfigurationError, WorkerException
from pyworkerd_config import Binding

from tests.runtime.bindings.hosts import StaticHost, ask, built


def limiter(name: str = "LIMITER", limit: int = 1, period: int = 60) -> Any:
    return configure(Binding(name, "rate_limit", {"limit": limit, "period": period}))


def test_uses_beyond_the_limit_fail_until_the_next_window() -> None:
    async def main() -> None:
        host = StaticHost(clock=60.0)
        async with built([limiter(limit=2)], host) as environment:
            for success in (True, True, False):
                assert await ask(environment, "limit", key="me") == {"success": success}
            assert await ask(environment, "limit", "somebody else") == {"success": True}
            host.clock = 120.0
            assert await ask(environment, "limit", "me") == {"success": True}

    asyncio.run(main())


def test_counters_belong_to_worker_and_binding_and_outlive_versions() -> None:
    async def take(host: StaticHost, name: str) -> bool:
        async with built([limiter(name)], host) as environment:
            answer: dict[str, bool] = await ask(environment, "limit", "me")
            return answer["success"]

    async def main() -> None:
        first = StaticHost(worker="first")
        second = StaticHost(worker="second", shared=first.shared)
        assert await take(first, "A")
        assert not await take(first, "A")
        assert await take(first, "B")
        assert await take(second, "A")

    asyncio.run(main())


def test_another_provider_can_be_chosen() -> None:
    class Closed(InMemoryRateLimits):
        async def take(self, window: Window, key: str, now: float) -> bool:
            return False

    async def main() -> None:
        host = StaticHost()
        host.shared.provide(RateLimits, Closed())
        async with built([limiter(limit=100)], host) as environment:
            assert await ask(environment, "limit", "me") == {"success": False}

    asyncio.run(main())


@pytest.mark.parametrize(
    "wrong",
    [
        *(None, 100, {}, {"limit": 1}, {"limit": 1, "period": 60, "burst": 2}),
        *({"limit": value, "period": 60} for value in (0, -1, 1.5, "1", True)),
        *({"limit": 1, "period": value} for value in (0, None, False)),
    ],
)
def test_what_cannot_be_configured(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"write { rate_limit = { limit = 100, period = 60 } }"):
        configure(Binding("LIMITER", "rate_limit", wrong))


@pytest.mark.parametrize("key", [None, 3, b"key", ["key"], "\N{SNOWMAN}" * (MAX_KEY // 3 + 1)])
def test_a_key_is_a_short_text(key: Any) -> None:
    async def main() -> None:
        async with built([limiter()]) as environment:
            with pytest.raises(WorkerException, match=r"'key' must be str|a key may have 512 bytes"):
                await ask(environment, "limit", key)

    asyncio.run(main())


@given(st.lists(st.tuples(st.integers(0, 3), st.text(max_size=2), st.integers(0, 50)), max_size=200))
def test_memory_is_bounded(uses: list[tuple[int, str, int]]) -> None:
    async def main() -> None:
        limits = InMemoryRateLimits(max_keys=5)
        for space, key, now in uses:
            await limits.take(Window(str(space), 3, 10), key, float(now))
            assert limits.size() <= 4 * (5 + COMMON)

    asyncio.run(main())


def test_a_flood_of_keys_costs_no_more_than_the_bound() -> None:
    async def main() -> None:
        limits = InMemoryRateLimits(max_keys=10)
        window = Window("x", 2, 60)
        assert [await limits.take(window, f"key {number}", 1.0) for number in range(10)] == [True] * 10
        for number in range(5 * COMMON):
            await limits.take(window, f"flood {number}", 1.0)
        assert limits.size() <= 10 + COMMON
        assert await limits.take(window, "key 3", 1.0)
        assert not await limits.take(window, "key 3", 1.0)

    asyncio.run(main())


def test_namespaces_that_nobody_uses_are_forgotten() -> None:
    async def main() -> None:
        limits = InMemoryRateLimits()
        for number in range(20 * FEW):
            await limits.take(Window(f"worker {number}", 1, 1), "k", float(number))
        assert limits.size() <= 2 * FEW
        await limits.aclose()
        assert limits.size() == 0

    asyncio.run(main())
