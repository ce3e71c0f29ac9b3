"""Capability 0: a worker's own fetch."""

from __future__ import annotations

import asyncio

import pytest
from pyworkerd.bindings.outbound import outbound
from pyworkerd.errors import AccessDenied, ConfigurationError
from pyworkerd.messages import Request

from tests.runtime.bindings.hosts import Echo, Outside, StaticHost, built

REQUEST = Request("GET", "https://example.com/")


def test_it_is_index_0_and_leads_to_the_named_service() -> None:
    async def main() -> None:
        internet = Outside("internet")
        host = StaticHost(services={"internet": internet})
        async with built([], host, outbound("internet", host)) as environment:
            assert environment.table.find(0).external
            assert (await environment.table.find(0).fetch(REQUEST, "manual"))[0] is internet.response
            assert internet.redirect == "manual"
            assert environment.entries == ()

    asyncio.run(main())


def test_another_worker_may_be_the_way_out() -> None:
    async def main() -> None:
        proxy = Echo("proxy")
        async with built([], outbound=outbound(proxy, StaticHost())) as environment:
            assert not environment.table.find(0).external
            assert (await environment.table.find(0).fetch(REQUEST, "follow"))[0] is proxy.response

    asyncio.run(main())


def test_no_way_out() -> None:
    async def main() -> None:
        async with built([], outbound=outbound(None, StaticHost())) as environment:
            with pytest.raises(AccessDenied, match="global_outbound"):
                await environment.table.find(0).fetch(REQUEST, "follow")

    asyncio.run(main())


def test_a_way_out_that_does_not_exist() -> None:
    with pytest.raises(ConfigurationError):
        outbound("internet", StaticHost())
