"""One run of a `scheduled` handler."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_isolates import wire

from pyworkerd.errors import BadEffect

if TYPE_CHECKING:
    from datetime import datetime

    from pyworkerd.dispatch.worker import Worker

MAX_OUTCOME = 1024
"""Bytes of what the guest answers: one flag."""


async def run_scheduled(worker: Worker, cron: str, moment: datetime) -> bool:
    """Run it for the moment at which it was due. Returns whether it asked not to be repeated if it fails.

    Raises `NoHandler` if the worker has none, `WorkerException` if it raised, and what `fetch` raises.
    """
    event = {"cron": cron, "scheduled_time": int(moment.timestamp() * 1000)}
    answer = await worker.handle("scheduled", wire.dump_value(event))
    try:
        outcome = wire.load_value(answer, max_size=MAX_OUTCOME)
    except wire.WireError as error:
        raise BadEffect(f"the outcome of a scheduled run cannot be read: {error}") from None
    return isinstance(outcome, dict) and outcome.get("no_retry") is True
