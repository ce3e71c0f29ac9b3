"""Who sends wakes who consumes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pyworkerd.bindings.shared import Shared
from pyworkerd.queues.broker import Broker, Sender
from pyworkerd.queues.rules import Draft
from pyworkerd.storage import layout

if TYPE_CHECKING:
    from pathlib import Path


def test_a_message_is_on_disk_when_whoever_waits_for_it_is_woken(tmp_path: Path) -> None:
    async def main() -> None:
        shared = Shared()
        jobs, others = (layout.shared(tmp_path / "state", "queue", name) for name in ("jobs", "others"))
        broker = shared.get(Broker, Broker)
        sender = Sender(shared, jobs, lambda: 7.0)
        assert not broker.sent(jobs).is_set()
        await sender.send([Draft(b"abc", "json", 0.0)])
        assert broker.sent(jobs).is_set()
        assert not broker.sent(others).is_set()
        assert tuple(await sender.backlog()) == (1, 3, 7.0)
        await sender.aclose()
        await shared.aclose()

    asyncio.run(main())
