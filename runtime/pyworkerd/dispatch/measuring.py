"""How a worker's isolates stand, for metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd.observe.snapshot import add

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pyworkerd.observe.snapshot import Snapshot

    from .live import Live
    from .worker import Worker


def measure_pool(worker: Worker, members: Iterable[Live], waiting: int, snapshot: Snapshot) -> None:
    """Add to a snapshot: isolates and their memory, and how many requests wait."""
    label = worker.fleet.meters.label(worker.name)
    for live in members:
        add(snapshot, "isolates", (label, live.state.value), 1)
        if live.asleep:
            continue
        growth = worker.fleet.cost_of(live) - worker.cost
        add(snapshot, "isolate_memory_bytes", (label,), worker.image.memory_size + growth)
    add(snapshot, "queue_depth", (label,), waiting)
