"""Caches that come to life with their first use."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from pyworkerd.bindings.shared import Shared
from pyworkerd.caches import front
from pyworkerd.caches.front import Front, caches_of
from pyworkerd.messages import Body, Request

if TYPE_CHECKING:
    from pyworkerd.bindings.base import Host

FIELD = '[null, "GET", 0, 0]'


class Runtime:
    """As much of a host as caches in memory need."""

    def __init__(self) -> None:
        self.shared = Shared()

    def now(self) -> float:
        return 0.0


def made() -> Front:
    caches = caches_of(cast("Host", Runtime()), 8, kept=False)
    assert caches is not None
    return caches


def test_a_worker_that_may_have_none_has_none() -> None:
    assert caches_of(cast("Host", Runtime()), 0, kept=False) is None


def test_uses_that_come_at_once_find_the_same_caches() -> None:
    async def main() -> None:
        caches = made()
        await caches.aclose()  # nothing was opened
        requests = [Request("GET", "http://site/", (("x-pyworkerd-cache", FIELD),)) for _ in range(3)]
        found = await asyncio.gather(*(caches.fetch(request, "manual") for request in requests))
        assert [response.status for response, _ in found] == [204] * 3
        used = caches._caches
        assert used is not None
        await caches.fetch(requests[0], "manual")
        assert caches._caches is used
        await caches.aclose()

    asyncio.run(main())


def test_a_body_is_closed_when_they_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(name: str) -> None:
        raise ImportError(name)

    closed: list[bool] = []

    class Pieces:
        def __aiter__(self) -> Pieces:
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            closed.append(True)

    async def main() -> None:
        monkeypatch.setattr(front, "import_module", fails)
        with pytest.raises(ImportError, match="capability"):
            await made().fetch(Request("PUT", "http://site/", (), Body(chunks=Pieces())), "manual")

    asyncio.run(main())
    assert closed == [True]
