"""KV as a worker sees it: methods and options by both spellings, Python's values, the platform's errors."""

# ruff: noqa: E501 - the sentences are the platform's

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pyworkerd.runtime import Runtime
from pyworkerd_config import Binding
from pyworkerd_config.model import Limits

SOURCE = """
from workers import Blob, Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def run(self, code):
        kv = self.env.KV
        scope = {"kv": kv, "Blob": Blob}
        exec("async def main():\\n " + code.replace("\\n", "\\n "), scope)
        return await scope["main"]()

    async def caught(self, code):
        try:
            return await self.run(code)
        except Exception as error:
            return [type(error).__name__, str(error), getattr(error, "code", None)]
"""


def run(code: str, method: str = "run", calls: int = 1000) -> Any:
    async def main() -> Any:
        async with Runtime() as runtime:
            bindings = {"KV": Binding("KV", "kv", "cache")}
            worker = await runtime.load(
                {"w.py": SOURCE}, bindings=bindings, limits=Limits(cpu_ms=3000, calls=calls)
            )
            return await worker.call(method, code)

    return asyncio.run(main())


@pytest.mark.parametrize(
    ("put", "get", "expected"),
    [
        ("'hé'", "", "hé"),
        ("'\\ud800'", "", "\N{REPLACEMENT CHARACTER}"),
        ("b'\\x00\\xff'", ", 'arrayBuffer'", b"\0\xff"),
        ("bytearray(b'x')", ", type='bytes'", b"x"),
        ("memoryview(b'x')", ", {'type': 'bytes'}", b"x"),
        ("Blob([b'x'])", ", {'type': 'bytes', 'cacheTtl': 60}", b"x"),
        ("(b'%d' % i for i in range(3))", ", cache_ttl=30", "012"),
        ("''", "", ""),
        ("'{\"a\": [1, {}]}'", ", 'json'", {"a": [1, {}]}),
        ("'null'", ", 'json'", None),
        ("'x' * 300_000", "", "x" * 300_000),
    ],
)
def test_values(put: str, get: str, expected: Any) -> None:
    assert run(f"await kv.put('k', {put})\nreturn await kv.get('k'{get})") == expected


def test_large_values_are_not_asked_for_twice_each_time() -> None:
    code = "await kv.put('k', 'x' * 300_000)\nfound = [len(await kv.get('k')) for _ in range(3)]\n"
    code += "await kv.put('k', 'y')\nreturn found + [await kv.get('k') for _ in range(2)]"
    assert run(code, calls=8) == [300_000, 300_000, 300_000, "y", "y"]


def test_streams() -> None:
    code = "await kv.put('k', b'x' * 700_000)\ns = await kv.get('k', 'stream')\n"
    assert run(code + "return [len(c) async for c in s][0] <= 65_536") is True
    assert run(code + "await kv.put('copy', s)\nreturn len(await kv.get('copy'))") == 700_000
    assert run("return await kv.get('nothing', 'stream')") is None


def test_metadata_and_attributes() -> None:
    code = "await kv.put('k', 'v', {put})\nfound = await kv.{get}('k')\nreturn [found.value, found['metadata'], found.cacheStatus]"
    for put in ("metadata={'a': 'é'}", "{'metadata': {'a': 'é'}, 'expiration': None}"):
        for get in ("get_with_metadata", "getWithMetadata"):
            assert run(code.format(put=put, get=get)) == ["v", {"a": "é"}, None]
    assert run("return await kv.getWithMetadata('nothing')") == {
        "value": None,
        "metadata": None,
        "cacheStatus": None,
    }


def test_many() -> None:
    code = "await kv.put('a', '[1]', metadata=5)\nawait kv.put('b', '2' * 300_000)\n"
    assert run(code + "return await kv.get(['a', 'x'], 'json')") == {"a": [1], "x": None}
    found = run(code + "return await kv.get_with_metadata(['a', 'b', 'x'])")
    assert found["a"] == {"value": "[1]", "metadata": 5, "cacheStatus": None}
    assert found["b"]["value"] == "2" * 300_000
    assert found["x"]["value"] is None


def test_lists() -> None:
    code = """for i in range(5):
    await kv.put(f'a{i}', '', metadata={'i': i} if i else None, expirationTtl=60 if i == 2 else None)
await kv.put('b', '')
pages, cursor = [], None
while True:
    page = await kv.list(prefix='a', limit=2, cursor=cursor)
    pages.append([key.name for key in page.keys])
    if page.list_complete:
        break
    cursor = page.cursor
third = (await kv.list({'prefix': 'a2'})).keys[0]
return [pages, 'cursor' in page, third.metadata.i, third.expiration > 0, sorted((await kv.list()).keys[0])]"""
    assert run(code) == [[["a0", "a1"], ["a2", "a3"], ["a4"]], False, 2, True, ["name"]]


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("kv.get('')", "TypeError", "Key name cannot be empty."),
        ("kv.put('.', 'x')", "TypeError", '"." is not allowed as a key name.'),
        ("kv.delete('..')", "TypeError", '".." is not allowed as a key name.'),
        ("kv.get(5)", "TypeError", "a key has to be str, not int"),
        ("kv.get('k', 'xml')", "TypeError", 'Unknown response type. Possible types are "text", "arrayBuffer", "json", and "stream".'),
        ("kv.put('k', 5)", "TypeError", "KV put() accepts only strings, ArrayBuffers, ArrayBufferViews, and ReadableStreams as values."),
        ("kv.put('k', None)", "TypeError", "KV put() accepts only strings, ArrayBuffers, ArrayBufferViews, and ReadableStreams as values."),
        ("kv.put('k', {})", "TypeError", "KV put() accepts only strings, ArrayBuffers, ArrayBufferViews, and ReadableStreams as values."),
        ("kv.put('x' * 100_000, '')", "CallError", "KV PUT failed: 414 UTF-8 encoded length of 2048 exceeds key length limit of 512."),
        ("kv.get(['x'] * 101)", "CallError", "KV GET_BULK failed: 400 You can request a maximum of 100 keys"),
        ("kv.get(['x'], 'stream')", "CallError", 'KV GET_BULK failed: 400 "stream" is not a valid type. Use "json" or "text"'),
        ("kv.put('k', 'x', metadata='é' * 600)", "CallError", "KV PUT failed: 413 Metadata length of 1202 exceeds limit of 1024."),
        ("kv.put('k', 'x', metadata='x' * 100_000)", "CallError", "KV PUT failed: 413 Metadata length of 100002 exceeds limit of 1024."),
        ("kv.put('k', 'x', expiration='soon')", "CallError", "KV PUT failed: 400 Invalid expiration of soon. Please specify integer greater than the current number of seconds since the UNIX epoch."),
        ("kv.list(limit=1001)", "CallError", "KV GET failed: 400 Invalid key_count_limit of 1001. Please specify an integer less than 1000."),
    ],
)  # fmt: skip
def test_refusals(code: str, kind: str, message: str) -> None:
    found = run(f"return await {code}", "caught")
    assert found == [kind, message, "bad_call" if kind == "CallError" else None]


def test_it_is_true_and_no_container() -> None:
    assert run("return bool(kv)") is True
    assert run("return len(kv)", "caught")[0] == "TypeError"
