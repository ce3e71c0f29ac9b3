"""A worker in the hands of the program that embeds the runtime."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.errors import NoSuchMethod, Overloaded
from pyworkerd.messages import Body, Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.runtime import Runtime

SOURCE = {
    "worker.py": """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        print("asked")
        return Response.json([request.method, request.url, request.headers.get("x-a"), await request.text()])

    async def same(self, value):
        return value

    async def _private(self):
        return "not to be called"
"""
}


@pytest.mark.parametrize(
    ("resource", "options", "expected"),
    [
        ("/a?b=c", {}, ["GET", "http://worker/a?b=c", None, ""]),
        ("https://elsewhere.test/", {"method": "put"}, ["PUT", "https://elsewhere.test/", None, ""]),
        ("/", {"method": "POST", "body": "text ä"}, ["POST", "http://worker/", None, "text ä"]),
        ("/", {"method": "POST", "body": b"bytes"}, ["POST", "http://worker/", None, "bytes"]),
        ("/", {"headers": {"X-A": "b"}}, ["GET", "http://worker/", "b", ""]),
        ("/", {"headers": [("x-a", "b"), ("x-a", "c")]}, ["GET", "http://worker/", "b, c", ""]),
        (Request("POST", "http://given/", (), Body(b"x")), {}, ["POST", "http://given/", None, "x"]),
    ],
)
def test_requests(
    resource: Any, options: Any, expected: list[Any], with_runtime: Callable[..., None]
) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        assert await (await worker.fetch(resource, **options)).json() == expected

    with_runtime(main)


@pytest.mark.parametrize(
    "value", [None, True, 7, 2**70, 1.5, "ä", b"\0", [1, [2]], {"a": {"b": None}}, {1, 2}]
)
def test_values_cross_and_come_back(value: Any, with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        found = await worker.call("same", value)
        assert (found, type(found)) == (value, type(value))

    with_runtime(main)


@pytest.mark.parametrize("name", ["_private", "missing", "fetch", "__init__"])
def test_methods_that_are_not_public(name: str, with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        with pytest.raises(NoSuchMethod):
            await worker.call(name)

    with_runtime(main)


def test_what_cannot_be_copied_is_a_type_error(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        with pytest.raises(TypeError):
            await worker.call("same", object())

    with_runtime(main)


def test_its_facts_and_its_end(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        async with await runtime.load(SOURCE, name="named") as worker:
            await worker.fetch("/")
            assert (worker.name, repr(worker)) == ("named", "<Worker named: 1 isolates, 0 requests wait>")
            assert worker.deploy_ms >= 0
            assert [(entry.worker, entry.level, entry.message) for entry in worker.logs] == [
                ("named", "info", "asked")
            ]
        await worker.aclose()
        with pytest.raises(Overloaded):
            await worker.fetch("/")
        assert runtime.statistics().isolates == 0

    with_runtime(main)
