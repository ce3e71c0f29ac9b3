"""From bindings to what fills `env`: their order, their indices, and that whatever was opened is closed."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.bindings.base import Access, Binding, Grant, Host, Value
from pyworkerd.bindings.environments import build
from pyworkerd.bindings.methods import Methods
from pyworkerd.bindings.registry import configure_all
from pyworkerd.errors import AccessDenied, BadEffect, ConfigurationError
from pyworkerd_config import Binding as Configured

from tests.runtime.bindings.hosts import StaticHost, arguments, built

if TYPE_CHECKING:
    from typing import NoReturn


class Opened(Methods):
    def __init__(self, name: str, log: list[str], fails: bool = False) -> None:
        self.name, self.log, self.fails = name, log, fails

    async def aclose(self) -> None:
        self.log.append(self.name)
        if self.fails:
            raise OSError(self.name)


class Granting(Binding):
    """Grants what it was told to, or raises it."""

    kind = shape = "granting"

    def __init__(self, name: str, grant: Grant | Exception) -> None:
        super().__init__(name)
        self.grant = grant

    @classmethod
    def configure(cls, configured: Configured) -> NoReturn:
        raise NotImplementedError

    async def prepare(self, host: Host) -> Grant:
        if isinstance(self.grant, Exception):
            raise self.grant
        return self.grant


@given(st.lists(st.booleans(), max_size=8))
def test_names_keep_their_order_and_indices_count_capabilities(values: list[bool]) -> None:
    async def main() -> None:
        bindings = [
            Granting(f"N{number}", Value(b"v") if is_value else Access("hello", Opened("", [])))
            for number, is_value in enumerate(values)
        ]
        async with built(bindings) as environment:
            assert [name for name, _, _ in environment.entries] == [binding.name for binding in bindings]
            indices = [value for _, _, value in environment.entries if isinstance(value, int)]
            assert indices == list(range(1, len(indices) + 1))
            for index in (-1, len(indices) + 1, 2**52):
                with pytest.raises(BadEffect, match="never given"):
                    await environment.table.find(index).call("greet", arguments("x"))
            with pytest.raises(AccessDenied):
                await environment.table.find(0).call("greet", arguments("x"))

    asyncio.run(main())


def test_a_name_is_given_once() -> None:
    async def main() -> None:
        await build([Granting("A", Value(b"")), Granting("A", Value(b""))], None, StaticHost())

    with pytest.raises(ConfigurationError, match='binding "A": there already is a binding of this name'):
        asyncio.run(main())


def test_all_are_closed_the_last_first_even_if_one_fails() -> None:
    log: list[str] = []

    async def main() -> None:
        grants = [Granting(name, Access("x", Opened(name, log, fails=name == "B"))) for name in "ABC"]
        own = (Opened("caches", log), Opened("crypto", log))
        environment = await build(grants, Opened("outbound", log), StaticHost(), *own)
        assert (environment.caches, environment.crypto, log) == (4, 5, [])
        with pytest.raises(OSError, match="B"):
            await environment.aclose()

    asyncio.run(main())
    assert log == ["crypto", "caches", "C", "B", "A", "outbound"]


def test_what_was_prepared_is_closed_when_a_later_binding_fails() -> None:
    log: list[str] = []

    async def main() -> None:
        grants = [Granting("A", Access("x", Opened("A", log))), Granting("B", ConfigurationError("no"))]
        await build(grants, Opened("outbound", log), StaticHost())

    with pytest.raises(ConfigurationError, match="no"):
        asyncio.run(main())
    assert log == ["A", "outbound"]


def test_the_repr_shows_no_values() -> None:
    async def main() -> None:
        async with built([Granting("A", Value(b"swordfish"))]) as environment:
            assert "swordfish" not in repr(environment)

    asyncio.run(main())


def test_what_must_not_be_written_down_is_named_wherever_it_is() -> None:
    inner = (
        Configured("TOKEN", "secret", "TOKEN"),
        Configured("DEEP", "wrapped", "m", {"bindings": (Configured("HOME", "environment", "HOME"),)}),
        Configured("PLAIN", "text", "x"),
    )
    bindings = configure_all(
        (Configured("SHOP", "wrapped", "m", {"bindings": inner}), Configured("KEY", "secret", "KEY"))
    )

    async def main() -> None:
        environment = await build(
            bindings, None, StaticHost(environment={"TOKEN": "t", "KEY": "k", "HOME": "h"})
        )
        assert environment.hidden == {"KEY", "SHOP/TOKEN", "SHOP/DEEP/HOME"}
        await environment.aclose()

    asyncio.run(main())
