"""What every provider of rate limits promises. A new provider is a new row of PROVIDERS."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyworkerd.bindings.rate_limit.counters import InMemoryRateLimits, RateLimits, Window
from pyworkerd.bindings.rate_limit.shared import SharedCounters, SharedRateLimits

if TYPE_CHECKING:
    from collections.abc import Callable

PROVIDERS: dict[str, Callable[[], RateLimits]] = {
    "memory": InMemoryRateLimits,
    "memory, always full": lambda: InMemoryRateLimits(max_keys=1),
    "shared": lambda: SharedRateLimits(SharedCounters(4096)),
    "shared, always full": lambda: SharedRateLimits(SharedCounters(4096), max_keys=1),
    "shared, hardly any room": lambda: SharedRateLimits(SharedCounters(5)),
}
ROOMY = ["memory", "shared"]
ENOUGH = [name for name in PROVIDERS if name != "shared, hardly any room"]

provider = pytest.mark.parametrize("make", PROVIDERS.values(), ids=PROVIDERS)
enough = pytest.mark.parametrize("make", [PROVIDERS[name] for name in ENOUGH], ids=ENOUGH)
roomy = pytest.mark.parametrize("make", [PROVIDERS[name] for name in ROOMY], ids=ROOMY)

Uses = list[tuple[str, str, float]]
KEYS = st.sampled_from(["", "a", "b", "\N{SNOWMAN}", "\ud800"])
USES = st.lists(st.tuples(st.sampled_from(["x/L", "y/L"]), KEYS, st.floats(0, 40)), max_size=60).map(
    lambda uses: sorted(uses, key=lambda use: use[2])
)


def take_all(make: Callable[[], RateLimits], uses: Uses, limit: int, period: int) -> list[bool]:
    async def main() -> list[bool]:
        limits = make()
        taken = [await limits.take(Window(space, limit, period), key, now) for space, key, now in uses]
        await limits.aclose()
        return taken

    return asyncio.run(main())


@provider
@example(
    uses=[("x/L", "", 0.0), ("y/L", "", 0.0), ("y/L", "a", 32.0), ("x/L", "", 33.0), ("x/L", "", 33.0)],
    limit=1,
    period=2,
)
@given(uses=USES, limit=st.integers(1, 4), period=st.integers(1, 20))
def test_never_more_than_the_limit_in_a_window(
    make: Callable[[], RateLimits], uses: Uses, limit: int, period: int
) -> None:
    taken = take_all(make, uses, limit, period)
    used = Counter(
        (space, key, now // period) for (space, key, now), ok in zip(uses, taken, strict=True) if ok
    )
    assert all(number <= limit for number in used.values())


@roomy
@given(uses=USES, limit=st.integers(1, 4), period=st.integers(1, 20))
def test_exactly_the_first_uses_of_a_window_succeed(
    make: Callable[[], RateLimits], uses: Uses, limit: int, period: int
) -> None:
    seen: Counter[object] = Counter()
    expected = []
    for space, key, now in uses:
        seen[space, key, now // period] += 1
        expected.append(seen[space, key, now // period] <= limit)
    assert take_all(make, uses, limit, period) == expected


@enough
def test_windows_are_aligned_to_the_wall_clock(make: Callable[[], RateLimits]) -> None:
    uses = [("x", "k", now) for now in (59.9, 59.99, 60.0, 60.1, 119.9, 120.0)]
    assert take_all(make, uses, 1, 60) == [True, False, True, False, False, True]


@enough
def test_another_namespace_is_another_count(make: Callable[[], RateLimits]) -> None:
    assert take_all(make, [("x", "k", 1), ("y", "k", 1), ("x", "k", 1)], 1, 60) == [True, True, False]


@enough
def test_another_period_begins_anew(make: Callable[[], RateLimits]) -> None:
    async def main() -> None:
        limits = make()
        assert await limits.take(Window("x", 1, 60), "k", 1.0)
        assert await limits.take(Window("x", 1, 30), "k", 1.0)
        assert not await limits.take(Window("x", 1, 30), "k", 1.0)
        await limits.aclose()

    asyncio.run(main())
