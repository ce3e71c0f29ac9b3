"""Wrapped bindings on the host: what an isolate is told, and in which order. Inside: tests/scenarios/workerd."""

from __future__ import annotations

import asyncio

import pytest
from pyworkerd.bindings.environments import build
from pyworkerd.bindings.registry import configure
from pyworkerd.errors import ConfigurationError
from pyworkerd_config import Binding
from pyworkerd_isolates import wire

from tests.runtime.bindings.hosts import StaticHost


def test_inner_bindings_come_before_what_is_made_of_them() -> None:
    innermost = Binding("DEEP", "text", "deep")
    inner = (
        Binding("PRICES", "json", [1]),
        Binding("OTHER", "wrapped", "shop:other", {"bindings": (innermost,)}),
    )
    binding = configure(Binding("SHOP", "wrapped", "shop:binding", {"entrypoint": "make", "bindings": inner}))

    async def main() -> None:
        environment = await build([binding], None, StaticHost())
        names = [entry[0] for entry in environment.entries]
        assert names == ["SHOP/PRICES", "SHOP/OTHER/DEEP", "SHOP/OTHER", "SHOP"]
        name, kind, encoded = environment.entries[-1]
        assert isinstance(encoded, bytes)
        assert (name, kind) == ("SHOP", "wrapped")
        assert wire.load_value(encoded) == {"module": "shop:binding", "entrypoint": "make"}
        await environment.aclose()

    asyncio.run(main())


@pytest.mark.parametrize("options", [{"entrypoint": ""}, {"entrypoint": 1}])
def test_what_cannot_be_configured(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match="the entrypoint is not the name of a function"):
        configure(Binding("SHOP", "wrapped", "shop:binding", options))
    with pytest.raises(ConfigurationError, match="the value is not the name of a module"):
        configure(Binding("SHOP", "wrapped", ""))
