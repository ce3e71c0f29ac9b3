"""The buckets of a process: one for each place, as long as somebody uses it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pyworkerd.bindings.r2.buckets import EmbeddedBuckets
from pyworkerd.bindings.r2.embedded import EmbeddedBucket
from pyworkerd.bindings.r2.model import PutOptions
from pyworkerd.messages import Body
from pyworkerd.storage import layout
from pyworkerd.storage.stores import Stores

from tests.contracts.r2_providers import Clock

if TYPE_CHECKING:
    from pathlib import Path


def test_one_for_all_that_use_it(tmp_path: Path) -> None:
    async def main() -> None:
        stores = Stores()
        buckets, clock = EmbeddedBuckets(stores), Clock()
        place, other = (layout.own(tmp_path, "r2", "shop", name) for name in ("a", "b"))
        one, two = buckets.use(place, clock), buckets.use(place, Clock(7.0), 7)
        assert one is two
        assert isinstance(one, EmbeddedBucket)
        assert (one.meter.quota, one.clock()) == (7 << 20, 7.0)
        assert buckets.use(other, clock) is not one
        assert len(buckets) == 2
        buckets.use(place._replace(size_mb=3), clock, 7)
        assert one.meter.quota == 3 << 20
        await one.put("k", Body(b"x"), PutOptions())
        for users in (2, 1, 0):
            assert len(stores) == 2
            await buckets.let_go(place)
            assert len(buckets) == (2 if users else 1)
        assert len(stores) == 1
        await buckets.aclose()
        assert len(stores) == len(buckets) == 0
        await stores.aclose()

    asyncio.run(main())
