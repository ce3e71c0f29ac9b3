"""A capability that is a table of methods answers its rows, and nothing else."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.bindings.methods import Methods
from pyworkerd.errors import NoSuchMethod, WorkerException
from pyworkerd.messages import Body, Request
from pyworkerd_isolates import wire

from tests.runtime.bindings.hosts import arguments

if TYPE_CHECKING:
    from collections.abc import Mapping


class Adder(Methods):
    methods: ClassVar[Mapping[str, Mapping[str, type]]] = {"add": {"a": int, "b": int}}

    async def add(self, a: int, b: int) -> int:
        return a + b

    async def unlisted(self) -> str:
        return "must not be reached"


def test_a_row_is_called_with_checked_arguments() -> None:
    assert wire.load_value(asyncio.run(Adder().call("add", arguments(1, b=2)))) == 3
    with pytest.raises(WorkerException, match="'b' must be int"):
        asyncio.run(Adder().call("add", arguments(1, "2")))


@given(st.text() | st.sampled_from([*dir(Adder), "unlisted"]))
def test_nothing_but_the_rows_can_be_reached(method: str) -> None:
    if method != "add":
        with pytest.raises(NoSuchMethod, match="this binding has no method"):
            asyncio.run(Adder().call(method, arguments()))


def test_it_answers_no_requests_and_closes_their_bodies() -> None:
    closed = []

    class Chunks:
        def __aiter__(self) -> Chunks:
            return self

        async def __anext__(self) -> bytes:
            raise StopAsyncIteration

        async def aclose(self) -> None:
            closed.append(True)

    with pytest.raises(NoSuchMethod):
        asyncio.run(Adder().fetch(Request("GET", "http://x/", body=Body(chunks=Chunks())), "follow"))
    assert closed == [True]
