from __future__ import annotations

import asyncio
from ipaddress import ip_address

import pytest
from pyworkerd.services.resolver import Resolver, SystemResolver
from pyworkerd.testing.resolver import FixedResolver


@pytest.mark.parametrize(
    "resolver", [SystemResolver, lambda: FixedResolver({"localhost": ["127.0.0.1", "::1"]})]
)
def test_the_contract_of_a_resolver(resolver: type[Resolver]) -> None:
    async def main() -> None:
        names = resolver()
        found = await names.resolve("localhost")
        assert found
        assert all(address.is_loopback for address in found)
        assert len(set(found)) == len(found)
        # A label of more than 63 octets cannot be asked for, so this needs no name server.
        with pytest.raises(OSError):
            await names.resolve("a" * 64)
        await names.aclose()
        await names.aclose()

    asyncio.run(main())


def test_a_fixed_resolver_changes_its_mind_as_written() -> None:
    async def main() -> None:
        names = FixedResolver({"a": [["1.1.1.1"], ["10.0.0.1", "::1"]]})
        assert await names.resolve("a") == [ip_address("1.1.1.1")]
        assert await names.resolve("a") == [ip_address("10.0.0.1"), ip_address("::1")]
        assert await names.resolve("a") == [ip_address("10.0.0.1"), ip_address("::1")]
        assert names.asked == ["a", "a", "a"]
        with pytest.raises(OSError):
            await names.resolve("b")

    asyncio.run(main())
