"""The template: what the tests of a binding look like."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pyworkerd.bindings.registry import configure
from pyworkerd.errors import ConfigurationError, NoSuchMethod, WorkerException
from pyworkerd_config import Binding

from tests.runtime.bindings.hosts import ask, built


def asked(method: str, *positional: Any, **named: Any) -> Any:
    async def main() -> Any:
        async with built([configure(Binding("NAME", "hello", "good day"))]) as environment:
            assert not environment.table.find(1).external
            return await ask(environment, method, *positional, **named)

    return asyncio.run(main())


def test_it_greets() -> None:
    assert asked("greet", "you") == asked("greet", name="you") == "good day, you!"


@pytest.mark.parametrize("wrong", ["", None, 3])
def test_a_greeting_has_to_be_configured(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r'write { hello = "greeting" }'):
        configure(Binding("NAME", "hello", wrong))


def test_what_a_guest_sends_is_checked() -> None:
    with pytest.raises(WorkerException, match="'name' must be str, not int"):
        asked("greet", 3)
    with pytest.raises(WorkerException, match="256 characters"):
        asked("greet", "x" * 257)
    with pytest.raises(NoSuchMethod):
        asked("shout", "you")
