"""Pages on disk: what was kept is what is loaded, all or nothing, and nothing that is no page."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import BadEffect, StorageCorrupt
from pyworkerd.objects.alarms import Alarms
from pyworkerd.objects.locks import Locks
from pyworkerd.objects.peers import Peers
from pyworkerd.objects.storage import MOST_PAGES, PAGE, Contents, ObjectStores, check
from pyworkerd.storage.stores import Stores
from pyworkerd_isolates.protocol import Commit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pyworkerd.services.base import Service


def nobody(name: str) -> Service:
    raise AssertionError(name)


A, B, C = (letter * PAGE for letter in (b"a", b"b", b"c"))


def run(folder: Path, test: Callable[[ObjectStores], Awaitable[None]]) -> None:
    async def main() -> None:
        stores = Stores()
        try:
            peers = Peers(folder, nobody)
            alarms = Alarms(stores, folder, peers.ring)
            await test(ObjectStores(stores, folder, Locks(folder), peers, alarms))
        finally:
            await stores.aclose()

    asyncio.run(main())


def test_what_was_kept_is_loaded(tmp_path: Path) -> None:
    async def test(stores: ObjectStores) -> None:
        storage = stores.open("shop-Room", "0a" * 32)
        assert await storage.load() == Contents()
        assert list(tmp_path.iterdir()) == []
        await storage.keep(Commit(3, (0, 1, 2), A + B + C, None))
        assert await storage.load() == Contents(A + B + C, None)
        await storage.keep(Commit(2, (0,), C, 7))
        assert await storage.load() == Contents(C + B, 7)
        await storage.aclose()
        again = stores.open("shop-Room", "0a" * 32)
        assert await again.load() == Contents(C + B, 7)
        await again.keep(Commit(0, (), b"", None))
        assert await again.load() == Contents()
        other = stores.open("shop-Other", "0a" * 32)
        assert await other.load() == Contents()
        await again.aclose()
        await other.aclose()

    run(tmp_path, test)


def test_a_page_that_is_missing_is_told(tmp_path: Path) -> None:
    async def test(stores: ObjectStores) -> None:
        storage = stores.open("shop-Room", "0a" * 32)
        await storage.keep(Commit(3, (0, 2), A + B, None))
        with pytest.raises(StorageCorrupt, match="lost pages"):
            await storage.load()
        await storage.aclose()

    run(tmp_path, test)


def test_no_name_leads_out_of_the_folder(tmp_path: Path) -> None:
    async def test(stores: ObjectStores) -> None:
        for key in ("../../up", "/etc", "..", "", "a" * 500):
            storage = stores.open(key, "../" * 10)
            await storage.keep(Commit(1, (0,), A, None))
            assert await storage.load() == Contents(A)
            await storage.aclose()

    run(tmp_path / "state", test)
    assert [path.name for path in tmp_path.iterdir()] == ["state"]
    assert len(list((tmp_path / "state" / "do").iterdir())) == 5


@pytest.mark.parametrize(
    "commit",
    [
        Commit(MOST_PAGES + 1, (0,), A, None),
        Commit(1, (0,), A[1:], None),
        Commit(1, (), A, None),
        Commit(1, (1,), A, None),
        Commit(2, (1, 1), A + B, None),
        Commit(0, (0,), A, None),
    ],
)
def test_what_is_no_page_is_refused(commit: Commit) -> None:
    with pytest.raises(BadEffect):
        check(commit)


def test_the_most_that_an_object_may_store() -> None:
    check(Commit(MOST_PAGES, (MOST_PAGES - 1,), A, None))
