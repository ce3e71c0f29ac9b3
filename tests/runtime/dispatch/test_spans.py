"""Spans of invocations and calls, as a listener in the process hears them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.errors import PyworkerdError
from pyworkerd.observe.spans import Span, tell
from pyworkerd.runtime import Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator

SOURCE = """
import asyncio
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = request.url.rsplit("/", 1)[1]
        if path == "broken":
            try:
                await self.env.BROKEN()
            except Exception:
                pass
        if path == "abandoned":
            task = asyncio.ensure_future(self.env.NEVER())
            await asyncio.sleep(0)
            task.cancel()
        if path == "lent":
            await (await self.env.SELF.lends())()
        if path == "nothing":
            for name in ("one", "two"):
                try:
                    await getattr(self.env.SELF, name)()
                except Exception:
                    pass
        return Response("", status=503 if path == "busy" else 200)

    async def lends(self):
        return lambda: 1

    async def tail(self, events):
        for event in events:
            print(event.outcome)
"""


@pytest.fixture
def heard() -> Iterator[list[Span]]:
    told: list[Span] = []
    tell(told.append, lambda trace_id, parent: True)
    yield told
    tell(None)


def fetch(*paths: str, tails: tuple[str, ...] = ()) -> list[str]:
    """Ask a worker; what its tail worker logged."""

    async def broken() -> None:
        raise PyworkerdError("no")

    async def never() -> None:
        await asyncio.Event().wait()

    async def main() -> list[str]:
        async with Runtime() as runtime:
            watch = await runtime.load({"worker.py": SOURCE}, name="watch")
            bindings: dict[str, Any] = {"BROKEN": broken, "NEVER": never, "SELF": watch}
            worker = await runtime.load({"worker.py": SOURCE}, name="w", bindings=bindings, tails=tails)
            for path in paths:
                await worker.fetch(f"/{path}")
            await runtime.quiet()
            return [entry.message for entry in watch.logs]

    return asyncio.run(main())


def named(heard: list[Span]) -> dict[str, Span]:
    return {span.name: span for span in heard}


def test_a_call_that_fails_says_how_and_one_that_is_abandoned_ends(heard: list[Span]) -> None:
    fetch("broken", "abandoned")
    spans = named(heard)
    assert [span.name for span in heard].count("w fetch") == 2
    broken, never = spans["BROKEN call"], spans["NEVER call"]
    assert (broken.kind, broken.error) == ("client", PyworkerdError.code)
    assert (never.error, never.attributes["pyworkerd.kind"]) == ("", "callable")
    assert {broken.parent_id, never.parent_id} == {span.span_id for span in heard if span.name == "w fetch"}


def test_names_of_spans_are_those_of_what_there_is(heard: list[Span]) -> None:
    fetch("nothing", "lent")
    assert [span.name for span in heard if span.name.startswith("watch ")] == [
        "watch _OTHER", "watch _OTHER", "watch function", "watch lends",
    ]  # fmt: skip


def test_a_status_of_failure_is_one(heard: list[Span]) -> None:
    fetch("busy")
    (span,) = heard
    assert (span.name, span.error, span.attributes["http.response.status_code"]) == ("w fetch", "503", 503)
    assert span.parent_id == ""
    assert span.attributes["faas.trigger"] == "http"
    cpu_ms = span.attributes["pyworkerd.cpu_ms"]
    assert isinstance(cpu_ms, float)


def test_tail_workers_are_told_as_well(heard: list[Span]) -> None:
    assert fetch("", tails=("watch",)) == ["ok"]
    assert sorted(named(heard)) == ["w fetch", "watch tail"]
