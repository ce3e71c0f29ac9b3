"""The resolver whose answers are written down."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

import pytest
from pyworkerd.testing import FixedResolver


def test_it_knows_what_it_was_given_and_what_it_was_asked() -> None:
    async def main() -> None:
        resolver = FixedResolver({"a.test": ["192.0.2.1", "2001:db8::1"], "none.test": []})
        assert list(await resolver.resolve("a.test")) == [ip_address("192.0.2.1"), ip_address("2001:db8::1")]
        for unknown in ("b.test", "none.test"):
            with pytest.raises(socket.gaierror):
                await resolver.resolve(unknown)
        assert resolver.asked == ["a.test", "b.test", "none.test"]
        await resolver.aclose()

    asyncio.run(main())


def test_it_can_change_its_mind() -> None:
    async def main() -> None:
        resolver = FixedResolver({"a.test": [["192.0.2.1"], ["127.0.0.1"]]})
        answers = [[str(address) for address in await resolver.resolve("a.test")] for _ in range(3)]
        assert answers == [["192.0.2.1"], ["127.0.0.1"], ["127.0.0.1"]]

    asyncio.run(main())
