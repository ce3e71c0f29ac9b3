"""A namespace gives the way to its own objects, and to nothing else."""

from __future__ import annotations

import asyncio
import hmac
from pathlib import Path

import pytest
from pyworkerd.bindings.base import Access
from pyworkerd.bindings.durable_object import DurableObjectBinding, Namespace
from pyworkerd.errors import ConfigurationError, NoSuchMethod, WorkerException
from pyworkerd.messages import Request
from pyworkerd.objects.ids import key_of, of_name
from pyworkerd_config.model import Binding, Place

from tests.runtime.bindings.hosts import Echo, StaticHost

KEY = key_of("shop-Room")
HALF = b"0123456789abcdef"
ID = (HALF + hmac.digest(KEY, HALF, "sha256")[:16]).hex()


def test_a_class_is_named() -> None:
    with pytest.raises(ConfigurationError, match="not the name of a class"):
        DurableObjectBinding.configure(Binding("ROOM", "durable_object", "", {}, Place(Path("c.toml"), 3)))


def test_what_is_granted_is_a_namespace_and_its_key() -> None:
    async def main() -> None:
        configured = Binding("ROOM", "durable_object", "Room", {"service_name": "shop"})
        host = StaticHost(services={"shop": Echo()})
        grant = await DurableObjectBinding.configure(configured).prepare(host)
        assert isinstance(grant, Access)
        assert (grant.shape, grant.details) == ("durable_object", KEY)
        assert isinstance(grant.capability, Namespace)
        with pytest.raises(NoSuchMethod):
            await grant.capability.call("get", b"")
        with pytest.raises(NoSuchMethod):
            await grant.capability.fetch(Request("GET", "http://x/"), "follow")

    asyncio.run(main())


def test_an_object_is_found_by_an_id_that_the_namespace_made() -> None:
    namespace = Namespace(KEY, "Room", Echo())
    assert namespace.part(ID) is namespace.part(ID)
    with pytest.raises(WorkerException, match="not valid for this namespace"):
        Namespace(key_of("shop-Cart"), "Cart", Echo()).part(ID)


def test_a_name_is_told_to_nobody_else() -> None:
    namespace = Namespace(KEY, "Room", Echo())
    assert namespace.part(of_name(KEY, "lobby"), "lobby") is not namespace.part(of_name(KEY, "lobby"))
    for id_, name in ((ID, "lobby"), (of_name(KEY, "lobby"), ""), (of_name(KEY, "lobby").upper(), "lobby")):
        with pytest.raises(WorkerException, match="not valid for this namespace"):
            namespace.part(id_, name)
