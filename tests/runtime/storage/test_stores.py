"""Databases are shared by path, closed by the last user, and few have open files."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

from pyworkerd.storage.stores import Stores
from pyworkerd.storage.threads import MOST

from tests.runtime.storage.files import DESIGN, at, count, put

if TYPE_CHECKING:
    from pathlib import Path


def test_one_database_for_all_users_of_a_path(tmp_path: Path) -> None:
    async def main() -> None:
        stores = Stores()
        old = stores.use(at(tmp_path), DESIGN)
        new = stores.use(at(tmp_path), DESIGN, 5)
        assert old is new
        assert new.size_mb == 5
        await stores.let_go(old)
        assert await new.write(put(1)) == 1
        await stores.let_go(new)
        assert len(stores) == 0
        await stores.aclose()

    asyncio.run(main())


def test_databases_whose_tenants_say_what_is_done_have_threads_of_their_own(tmp_path: Path) -> None:
    async def main() -> None:
        stores = Stores()
        slow = stores.use(at(tmp_path, "slow"), replace(DESIGN, slow=True))
        quick = stores.use(at(tmp_path, "quick"), DESIGN)
        hold = threading.Event()
        waiting = [asyncio.ensure_future(slow.read(lambda _: hold.wait())) for _ in range(40)]
        others = [stores.use(at(tmp_path, f"s{i}"), replace(DESIGN, slow=True)) for i in range(40)]
        waiting += [asyncio.ensure_future(other.read(lambda _: hold.wait())) for other in others]
        while len(stores._slow) < MOST // 2:  # all of one worker
            await asyncio.sleep(0)
        assert await quick.write(put(1)) == 1
        hold.set()
        await asyncio.gather(*waiting)
        await stores.aclose()

    asyncio.run(main())


def test_few_have_open_files(tmp_path: Path) -> None:
    async def main() -> None:
        stores = Stores(awake=3)
        databases = [stores.use(at(tmp_path, f"s{i}"), DESIGN) for i in range(10)]
        for _ in range(2):
            for database in databases:
                await database.write(put(None))
                await database.read(count)
        while sum(database._writer is not None for database in databases) > 4:
            await asyncio.sleep(0)
        assert [await database.read(count) for database in databases] == [2] * 10
        await stores.aclose()
        assert not list(tmp_path.rglob("*-wal"))

    asyncio.run(main())
