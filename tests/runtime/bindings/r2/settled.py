"""Waiting until a bucket has cleaned up."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pyworkerd.bindings.r2.embedded import EmbeddedBucket


async def settled(bucket: EmbeddedBucket) -> None:
    """All that it does for itself is done."""
    await asyncio.sleep(0)  # asyncio holds the future that has woken this task until the task waits again
    while tasks := bucket._commits | bucket._chores:
        await asyncio.wait(tasks)
    await bucket._lane.aclose()  # which only waits
