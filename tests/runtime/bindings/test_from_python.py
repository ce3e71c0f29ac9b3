"""What a program may give its workers, by what it is."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from pyworkerd.bindings.callable import CallableBinding
from pyworkerd.bindings.from_python import PythonValue, all_from_python, from_python
from pyworkerd.bindings.hello import HelloBinding
from pyworkerd.bindings.secret import Secret, SecretBinding
from pyworkerd.bindings.service import ServiceBinding
from pyworkerd.errors import ConfigurationError
from pyworkerd.services.base import Target
from pyworkerd_config import Binding as Configured

from tests.runtime.bindings.hosts import Echo, built, value_of


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        2**80,
        1.5,
        "",
        "text",
        b"\0",
        [1, [2]],
        {"a": {"b": 1}},
        {1, 2},
        datetime(2026, 1, 2, tzinfo=UTC),
    ],
)
def test_values_are_copied(value: Any) -> None:
    binding = from_python("NAME", value)
    assert isinstance(binding, PythonValue)
    assert asyncio.run(value_of(binding)) == value


def test_a_change_after_the_fact_is_not_seen() -> None:
    value = [1]
    binding = from_python("NAME", value)
    value.append(2)
    assert asyncio.run(value_of(binding)) == [1]


class CallableObject:
    def __call__(self) -> None:
        """Something to call."""


@pytest.mark.parametrize(
    "value", [len, lambda: 1, partial(len, "x"), CallableObject(), "text".upper, dict, Echo]
)
def test_callables(value: Any) -> None:
    assert isinstance(from_python("NAME", value), CallableBinding)


def test_a_service_and_what_has_one() -> None:
    class Loaded:
        def __init__(self, service: Echo, target: Target | None = None) -> None:
            self.service, self.target = service, target

    async def main() -> None:
        echo, target = Echo(), Target("Admin", {"a": 1})
        bindings = all_from_python({"A": echo, "B": Loaded(echo), "C": Loaded(echo, target)})
        assert all(isinstance(binding, ServiceBinding) for binding in bindings)
        async with built(bindings) as environment:
            for index in (1, 2, 3):
                await environment.table.find(index).call("m", b"")
        assert [target for _, _, target in echo.calls] == [Target(), Target(), target]

    asyncio.run(main())


def test_secrets_and_bindings() -> None:
    secret = from_python("NAME", Secret("hidden"))
    assert isinstance(secret, SecretBinding)
    assert asyncio.run(value_of(secret)) == "hidden"
    hello = HelloBinding("NAME", "hi")
    assert from_python("NAME", hello) is hello
    configured = from_python("NAME", Configured("OTHER", "hello", "hi"))
    assert isinstance(configured, HelloBinding)
    assert configured.name == "NAME"
    with pytest.raises(ConfigurationError, match='is named "NAME"'):
        from_python("OTHER", hello)


@pytest.mark.parametrize("value", [(1, 2), object(), bytearray(b"x"), [object()], {"a": (1,)}])
def test_what_has_no_meaning_in_a_guest(value: Any) -> None:
    with pytest.raises(ConfigurationError, match=r'binding "NAME": .* cannot be sent over RPC'):
        from_python("NAME", value)


def test_a_value_that_contains_itself() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(ConfigurationError, match="contains itself"):
        from_python("NAME", value)


@pytest.mark.parametrize("name", ["", "a-b", "a b", "1a", "__class__", 3])
def test_names_are_identifiers(name: Any) -> None:
    with pytest.raises(ConfigurationError, match="identifier"):
        all_from_python({name: 1})


def test_a_python_value_cannot_be_configured() -> None:
    for kind in (PythonValue, CallableBinding):
        with pytest.raises(ConfigurationError, match="cannot be configured"):
            kind.configure(Configured("NAME", "value", 1))
