"""One object of each interface, whoever asks first."""

from __future__ import annotations

import asyncio

import pytest
from pyworkerd.bindings.shared import Shared

closed: list[str] = []


class Store:
    def __init__(self, name: str = "default") -> None:
        self.name = name

    async def aclose(self) -> None:
        closed.append(self.name)


class Other(Store):
    pass


def test_everybody_gets_the_same_object() -> None:
    shared = Shared()
    first = shared.get(Store, Store)
    assert shared.get(Store, lambda: Store("second")) is first
    assert shared.get(Other, Other) is not first


def test_a_provider_is_chosen_before_anybody_asks() -> None:
    shared = Shared()
    chosen = Store("chosen")
    shared.provide(Store, chosen)
    assert shared.get(Store, Store) is chosen
    with pytest.raises(ValueError, match="already is a provider of Store"):
        shared.provide(Store, Store())


def test_all_are_closed_the_newest_first() -> None:
    closed.clear()
    shared = Shared()
    shared.get(Store, Store)
    shared.provide(Other, Other("other"))
    asyncio.run(shared.aclose())
    asyncio.run(shared.aclose())
    assert closed == ["other", "default"]
