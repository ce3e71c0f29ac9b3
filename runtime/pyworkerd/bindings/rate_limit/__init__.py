"""`NAME = { rate_limit = { limit = 100, period = 60 } }`: so many uses of a key in each period.

In the guest: `(await env.NAME.limit({"key": key}))["success"]`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from pyworkerd.bindings.arguments import type_error
from pyworkerd.bindings.base import Access, Binding, problem
from pyworkerd.bindings.driven import Driven
from pyworkerd.bindings.methods import Methods

from .counters import InMemoryRateLimits, RateLimits, Window

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place

    from pyworkerd.bindings.base import Grant, Host

MAX_KEY: Final = 512
"""Bytes of a key, as of a KV key in Workers: a key is kept for a whole period."""


class RateLimitBinding(Binding):
    """A rate limit on `env`. Its counters are the worker's and the binding's own, and outlive versions."""

    __slots__ = ("_limit", "_period")

    kind = "rate_limit"
    shape = "rate_limit"

    def __init__(self, name: str, limit: int, period: int, place: Place | None = None) -> None:
        super().__init__(name, place)
        self._limit = limit
        self._period = period

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is a table of `limit` (uses) and `period` (seconds), both integers from 1."""
        value = configured.value
        if not isinstance(value, Mapping) or value.keys() != {"limit", "period"}:
            raise _wrong(configured, "the value is not a table of limit and period")
        for key in ("limit", "period"):
            if type(value[key]) is not int or value[key] < 1:
                raise _wrong(configured, f"{key} is not an integer from 1")
        return cls(configured.name, value["limit"], value["period"], configured.place)

    async def prepare(self, host: Host) -> Grant:
        """Finds the counters that the process shares."""
        window = Window(f"{host.worker}/{self.name}", self._limit, self._period)
        limits = host.shared.get(RateLimits, InMemoryRateLimits)  # type: ignore[type-abstract]
        return Access("rate_limit", RateLimit(limits, window, host.now))


def _wrong(configured: Configured, message: str) -> Exception:
    remedy = "write { rate_limit = { limit = 100, period = 60 } }"
    return problem(configured.name, configured.place, message, remedy)


class RateLimit(Methods, Driven):
    """Counts the uses of one worker's keys."""

    __slots__ = ("_limits", "_now", "_window")

    methods: ClassVar[Mapping[str, Mapping[str, type]]] = {"limit": {"key": str}}

    def __init__(self, limits: RateLimits, window: Window, now: Callable[[], float]) -> None:
        self._limits = limits
        self._window = window
        self._now = now

    async def limit(self, key: str) -> dict[str, Any]:
        """Count one use of `key`."""
        if len(key.encode("utf-8", "surrogatepass")) > MAX_KEY:
            raise type_error(f"a key may have {MAX_KEY} bytes")
        return {"success": await self._limits.take(self._window, key, self._now())}
