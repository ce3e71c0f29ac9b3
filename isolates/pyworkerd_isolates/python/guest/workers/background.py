"""What handlers are given that no client waits for: `scheduled`, `queue`, `alarm`, `tail`, `test`."""

from __future__ import annotations

from .queue import MessageBatch
from .storage import AlarmInvocationInfo
from .tails import TraceItems

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any


class ScheduledController:
    """What `scheduled(controller, env, ctx)` learns: which of its cron expressions it runs for, and for what time."""

    __slots__ = ("_cron", "_no_retry", "_scheduled_time")

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._cron, self._scheduled_time, self._no_retry = event["cron"], event["scheduled_time"], False

    @property
    def cron(self) -> str:
        """The expression, as it was configured."""
        return self._cron

    @property
    def scheduled_time(self) -> int:
        """The moment that it was due, in milliseconds since 1970."""
        return self._scheduled_time

    scheduledTime = scheduled_time

    def no_retry(self) -> None:
        """Ask that a run that fails is not repeated."""
        self._no_retry = True

    noRetry = no_retry

    def __repr__(self) -> str:
        return f"<ScheduledController {self._cron!r} at {self._scheduled_time}>"

    def _outcome(self) -> dict[str, Any]:
        return {"no_retry": self._no_retry}


class TestController:
    """What `test(controller, env, ctx)` is given. workerd's has no members either."""

    __slots__ = ()

    def __init__(self, _: object) -> None:
        pass

    def _outcome(self) -> None:
        return None


HANDLED: dict[str, Callable[[Mapping[str, Any]], Any]] = {
    "alarm": AlarmInvocationInfo,
    "scheduled": ScheduledController,
    "queue": MessageBatch,
    "tail": TraceItems,
    "test": TestController,
}
"""Handlers by name, and what each is given, made of what the host sends; its `_outcome()` goes back to the host. If the
handler fails, so does its `_failed()`, where it has one: otherwise the failure.
"""
