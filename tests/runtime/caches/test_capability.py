"""The Cache API as real workers use it, and as they might abuse it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.errors import WorkerError, WorkerException
from pyworkerd.runtime import Runtime
from pyworkerd_config import Limits, load

from tests.runtime.cli.command import project

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOURCE = """
from _pyworkerd import calls, environment
from workers import Request, Response, WebSocketPair, WorkerEntrypoint, caches

URL = "http://shop/tea"

def shown(response):
    return None if response is None else [response.status, sorted(response.headers.items())]

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        hit = await caches.default.match(request)
        if hit is not None:
            return hit
        response = Response("made", headers={"cache-control": "max-age=60", "etag": '"1"'})
        await caches.default.put(request, response.clone())
        return response

    async def keep(self, text, headers=None, asked=None, name=None, status=200, url=URL, method="GET"):
        cache = caches.default if name is None else await caches.open(name)
        request = Request(url, method=method, headers=asked or {})
        await cache.put(request, Response(text, status=status, headers=headers or {"cache-control": "max-age=60"}))

    async def find(self, asked=None, name=None, url=URL, method="GET", **options):
        cache = caches.default if name is None else await caches.open(name)
        found = await cache.match(Request(url, method=method, headers=asked or {}), options)
        if found is None:
            return None
        return [found.status, dict(found.headers), await found.text()]

    async def forget(self, url=URL, method="GET", **options):
        return await caches.default.delete(Request(url, method=method), options)

    async def large(self, count):
        async def pieces():
            for number in range(count):
                yield bytes([number % 256]) * 65_536
        await caches.default.put(URL, Response(pieces(), headers={"cache-control": "max-age=60"}))
        found = await caches.default.match(URL)
        sizes = [len(chunk) async for chunk in found.body]
        part = await caches.default.match(Request(URL, headers={"range": f"bytes=-{65_536 + 1}"}))
        tail = await part.bytes()
        return [sum(sizes), max(sizes) <= 262_144, part.status, len(tail), tail[0], tail[-1]]

    async def used(self):
        response = Response("x")
        await response.text()
        try:
            await caches.default.put(URL, response)
        except Exception as error:
            return type(error).__name__

    async def socket(self):
        client, server = WebSocketPair().object_values()
        try:
            await caches.default.put(URL, Response(None, status=101, web_socket=client))
        except Exception as error:
            return [type(error).__name__, str(error)]

    async def forge(self, method, url, headers):
        index = environment.meta["cache"]
        answer = await calls.finish_fetch(calls.begin_fetch(index, method, url, headers, None, "manual"))
        return [answer[0], answer[1]]

    async def forge_call(self, method, *positional):
        from workers import python_to_rpc
        return await calls.call(environment.meta["cache"], method, python_to_rpc([list(positional), {}]))
"""
CONFIG = """\
[[services]]
name = "one"
[services.worker]
main = "one.py"

[[services]]
name = "two"
[services.worker]
main = "two.py"
limits = { cache_mb = 1 }
"""


def run(test: Callable[[Any], Any], **options: Any) -> None:
    async def main() -> None:
        async with Runtime() as runtime:
            await test(await runtime.load({"w.py": SOURCE}, **options))

    asyncio.run(main())


def test_the_usual_way() -> None:
    async def test(worker: Any) -> None:
        first = await worker.fetch("/a")
        assert (await first.text(), first.header("cf-cache-status")) == ("made", None)
        second = await worker.fetch("/a")
        assert (await second.text(), second.header("cf-cache-status"), second.header("age")) == (
            "made",
            "HIT",
            "0",
        )
        third = await worker.fetch("/a", headers={"if-none-match": '"1"'})
        assert (third.status, await third.text()) == (304, "")
        part = await worker.fetch("/a", headers={"range": "bytes=1-2"})
        assert (part.status, part.header("content-range"), await part.text()) == (206, "bytes 1-2/4", "ad")
        assert (await worker.fetch("/b")).header("cf-cache-status") is None

    run(test)


def test_put_match_delete() -> None:
    async def test(worker: Any) -> None:
        assert await worker.call("find") is None
        await worker.call("keep", "tea", {"cache-control": "max-age=60", "x-a": "b"})
        status, headers, text = await worker.call("find")
        assert (status, headers["x-a"], text) == (200, "b", "tea")
        assert await worker.call("find", url="http://shop/tea#leaf") is not None
        assert await worker.call("find", url="http://shop/tea?x") is None
        assert await worker.call("find", None, "default") is None  # a name is not the default's
        await worker.call("keep", "other", None, None, "mine")
        assert (await worker.call("find", None, "mine"))[2] == "other"
        assert await worker.call("forget") is True
        assert await worker.call("forget") is False
        assert await worker.call("find") is None
        assert (await worker.call("find", None, "mine"))[2] == "other"

    run(test)


def test_methods() -> None:
    async def test(worker: Any) -> None:
        await worker.call("keep", "tea")
        assert await worker.call("find", method="POST") is None
        assert (await worker.call("find", method="POST", ignoreMethod=True))[2] == "tea"
        assert (await worker.call("find", method="HEAD", ignore_method=True))[2] == "tea"
        assert await worker.call("forget", method="POST") is False
        assert await worker.call("forget", method="POST", ignoreMethod=True) is True

    run(test)


def test_what_is_not_kept_and_what_cannot_be() -> None:
    async def test(worker: Any) -> None:
        for headers in ({"cache-control": "no-store"}, {"set-cookie": "a=b"}, {"cache-control": "max-age=0"}):
            await worker.call("keep", "tea", headers)
            assert await worker.call("find") is None
        for options, words in (
            ({"status": 206}, "206 Partial Content"),
            ({"headers": {"vary": "*"}}, "Vary"),
            ({"method": "POST"}, "non-GET"),
            ({"url": "ftp://a/b"}, "Invalid URL"),
        ):
            with pytest.raises(WorkerException, match=words) as caught:
                await worker.call("keep", "tea", **options)
            assert caught.value.type_name == "TypeError"
        assert await worker.call("used") in ("OSError", "TypeError")
        assert await worker.call("socket") == ["TypeError", "Cannot cache WebSocket upgrade response."]

    run(test)


def test_answers_that_vary() -> None:
    async def test(worker: Any) -> None:
        headers = {"cache-control": "max-age=60", "vary": "accept-language"}
        await worker.call("keep", "ja", headers, {"accept-language": "de"})
        await worker.call("keep", "yes", headers, {"accept-language": "en"})
        assert (await worker.call("find", {"accept-language": "de"}))[2] == "ja"
        assert (await worker.call("find", {"accept-language": "en"}))[2] == "yes"
        assert await worker.call("find") is None

    run(test)


def test_large_bodies_stream_both_ways(tmp_path: Path) -> None:
    config = load(project(tmp_path, CONFIG, one=SOURCE, two=SOURCE))

    async def main() -> None:
        async with Runtime(config) as runtime:
            one = runtime.worker("one")
            assert await one.call("large", 100) == [100 * 65_536, True, 206, 65_537, 98, 99]

    asyncio.run(main())


def test_each_worker_has_its_own_and_it_stays(tmp_path: Path) -> None:
    config = load(project(tmp_path, CONFIG, one=SOURCE, two=SOURCE))

    async def main() -> None:
        async with Runtime(config) as runtime:
            await runtime.worker("one").call("keep", "tea")
            assert await runtime.worker("two").call("find") is None
            assert await runtime.worker("two").call("forget") is False
            with pytest.raises(WorkerException, match="Invalid URL"):
                await runtime.worker("two").call(
                    "forge", "GET", "file:///etc/passwd", [["x-pyworkerd-cache", '[null,"GET",200,0]']]
                )
        async with Runtime(config) as runtime:
            assert (await runtime.worker("one").call("find"))[2] == "tea"

    asyncio.run(main())


def test_a_worker_of_a_program_leaves_nothing_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def test(worker: Any) -> None:
        await worker.call("keep", "tea")
        assert (await worker.call("find"))[2] == "tea"
        assert list(tmp_path.iterdir()) == []

    run(test)


def test_a_worker_without_caches() -> None:
    async def test(worker: Any) -> None:
        with pytest.raises(WorkerException, match="no caches"):
            await worker.call("find")

    run(test, limits=Limits(cache_mb=0))


def test_forged_requests() -> None:
    async def test(worker: Any) -> None:
        for headers in (
            [],
            [["x-other", "1"]],
            [["x-pyworkerd-cache", "x"]],
            [["x-pyworkerd-cache", '["a"]']],
            [["x-pyworkerd-cache", '[1,"GET",200,0]']],
            [["x-pyworkerd-cache", '[null,"GET",200,5]']],
            [["x-pyworkerd-cache", '[null,"GET",200,-1]']],
            [["x-pyworkerd-cache", "[" * 2000]],
            [["x-pyworkerd-cache", f'["{"x" * 600}","GET",200,0]']],
        ):
            for method in ("GET", "PUT"):
                with pytest.raises(WorkerException) as caught:
                    await worker.call("forge", method, "http://a/", headers)
                assert caught.value.type_name == "TypeError"
        head = ["x-pyworkerd-cache", '[null,"GET",206,0]']
        with pytest.raises(WorkerException, match="Cannot cache"):
            await worker.call("forge", "PUT", "http://a/", [head])
        for method, url in (("DELETE", "http://a/"), ("POST", "http://a/")):
            with pytest.raises(WorkerError, match="no method"):
                await worker.call("forge", method, url, [head])
        for arguments in (
            ("delete",),
            ("delete", None, 1),
            ("match", None, "http://a/"),
            ("delete", 1, "http://a/"),
        ):
            with pytest.raises(WorkerError):
                await worker.call("forge_call", *arguments)

    run(test)
