"""R2 as a worker sees it: methods, options and fields by both spellings, Python's values, the platform's errors."""

# ruff: noqa: E501 - the sentences are the platform's

from __future__ import annotations

import asyncio
import hashlib
import json
import resource
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.bindings.r2.capability import R2
from pyworkerd.bindings.r2.memory import MemoryBucket
from pyworkerd.errors import NoSuchMethod, PyworkerdError, WorkerException
from pyworkerd.messages import Body, Request, Response
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config import Binding
from pyworkerd_config.model import Limits
from pyworkerd_isolates import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pyworkerd.loaded import LoadedWorker

SOURCE = """
from datetime import datetime, timedelta
from workers import Blob, Headers, Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def run(self, code):
        scope = {"r2": self.env.R2, "Blob": Blob, "Headers": Headers, "datetime": datetime, "timedelta": timedelta}
        exec("async def main():\\n " + code.replace("\\n", "\\n "), scope)
        return await scope["main"]()

    async def caught(self, code):
        try:
            return await self.run(code)
        except Exception as error:
            return [type(error).__name__, str(error), getattr(error, "code", None), getattr(error, "action", None)]

    async def fetch(self, request):
        if request.method == "PUT":
            return Response((await self.env.R2.put("k", request.body)).etag)
        if request.method == "POST":
            return Response((await self.env.R2.put("k", request)).etag)
        return Response((await self.env.R2.get("k")).body)
"""


def with_worker(work: Callable[[LoadedWorker], Awaitable[Any]], **options: Any) -> Any:
    async def main() -> Any:
        async with Runtime(options=RuntimeOptions(**options)) as runtime:
            bindings = {"R2": Binding("R2", "r2", "files")}
            return await work(
                await runtime.load({"w.py": SOURCE}, bindings=bindings, limits=Limits(cpu_ms=20_000))
            )

    return asyncio.run(main())


def run(code: str, method: str = "run") -> Any:
    return with_worker(lambda worker: worker.call(method, code))


@pytest.mark.parametrize(
    ("put", "read", "expected"),
    [
        ("'h\u00e9'", "text()", "h\u00e9"),
        ("b'\\x00\\xff'", "bytes()", b"\0\xff"),
        ("bytearray(b'x')", "array_buffer()", b"x"),
        ("memoryview(b'x')", "arrayBuffer()", b"x"),
        ("Blob([b'x'])", "text()", "x"),
        ("(b'%d' % i for i in range(3))", "text()", "012"),
        ("None", "bytes()", b""),
        ("''", "text()", ""),
        ('\'{"a": [1, {"b": 2}]}\'', "json()", {"a": [1, {"b": 2}]}),
        ("'x' * 300_000", "text()", "x" * 300_000),
        ("'x' * 300_000", "body.read()", b"x" * 300_000),
        ("''", "body.read()", b""),
    ],
)
def test_values(put: str, read: str, expected: Any) -> None:
    assert run(f"await r2.put('k', {put})\nreturn await (await r2.get('k')).{read}") == expected


def test_fields_by_both_spellings() -> None:
    found = run("""
o = await r2.put('k', b'hello', {
    'httpMetadata': {'contentType': 'text/x', 'cacheControl': 'no-store', 'cacheExpiry': datetime(1994, 11, 6, 8, 49, 37)},
    'customMetadata': {'snake_case': 'stays', '\\u2603': 'x'},
}, storage_class='InfrequentAccess', sha1=__import__('hashlib').sha1(b'hello').digest())
h = Headers()
(await r2.head('k')).writeHttpMetadata(h)
g = await r2.get('k', range={'suffix': 2})
return [o.key, o.size, o.etag, o.httpEtag, o.http_etag, o.storageClass, o.checksums.sha1, o.checksums.sha256,
        o.customMetadata, o.custom_metadata == o.customMetadata, o.http_metadata.cacheControl,
        o.httpMetadata.content_type, o.httpMetadata.content_language, o.httpMetadata.cacheExpiry,
        (datetime.now(o.uploaded.tzinfo) - o.uploaded) < timedelta(minutes=5),
        [list(pair) for pair in h.items()], g.range, g.bodyUsed, await g.text(), g.body_used, len(o.version)]
""")
    etag = hashlib.md5(b"hello").hexdigest()
    assert found == [
        *("k", 5, etag, f'"{etag}"', f'"{etag}"', "InfrequentAccess", hashlib.sha1(b"hello").digest(), None),
        *({"snake_case": "stays", "\u2603": "x"}, True, "no-store", "text/x", None),
        datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC),
        True,
        [
            ["content-type", "text/x"],
            ["cache-control", "no-store"],
            ["expires", "Sun, 06 Nov 1994 08:49:37 GMT"],
        ],
        {"offset": 3, "length": 2},
        *(False, "lo", True, 32),
    ]


def test_conditions_and_ranges_of_headers() -> None:
    assert run("""
o = await r2.put('k', 'hello')
same, other = Headers({'if-none-match': o.httpEtag}), Headers({'If-Match': '"x"', 'range': 'bytes=1-2'})
later = {'uploadedAfter': o.uploaded + timedelta(hours=1)}
return [type(await r2.get('k', onlyIf=same)).__name__, type(await r2.get('k', only_if=other)).__name__,
        await (await r2.get('k', range=other)).text(), await (await r2.get('k', {'range': {'offset': 1}})).text(),
        await r2.put('k', 'no', onlyIf={'etagDoesNotMatch': '*'}), await r2.put('k', 'no', onlyIf=later),
        await r2.get('nothing', onlyIf=same), await r2.head('nothing')]
""") == ["R2Object", "R2Object", "el", "ello", None, None, None, None]


def test_lists_and_deletes() -> None:
    assert run("""
for key in ('a', 'b/1', 'b/2', 'c'):
    await r2.put(key, key, httpMetadata={'contentType': 'x/y'})
page = await r2.list({'delimiter': '/', 'limit': 2})
rest = await r2.list(delimiter='/', cursor=page.cursor, include=['httpMetadata'])
await r2.delete('a')
await r2.delete(['b/1', 'b/2', 'nothing'])
left = await r2.list(start_after='b')
return [[o.key for o in page.objects], page.delimitedPrefixes, page.delimited_prefixes, page['truncated'],
        [[o.key, o.httpMetadata.contentType] for o in rest.objects], rest.truncated, rest.cursor, [o.key for o in left.objects]]
""") == [["a"], ["b/"], ["b/"], True, [["c", "x/y"]], False, None, ["c"]]


def test_deletes_of_many_long_keys() -> None:
    assert run("""
keys = ['\\u2603' * 341 + 'x' * (i % 2) for i in range(2)] + ['\\u00e9' * 510 + '%03d' % i for i in range(998)]
for key in keys[:3] + keys[-1:]:
    await r2.put(key, b'')
before = len((await r2.list()).objects)
await r2.delete(keys)
return [before, len((await r2.list()).objects)]
""") == [4, 0]


def test_uploads_in_parts() -> None:
    assert run("""
upload = await r2.create_multipart_upload('k', http_metadata={'content_type': 'x/y'}, customMetadata={'a': 'b'})
again = r2.resumeMultipartUpload('k', upload.uploadId)
one = await again.uploadPart(1, (b'x' * 65_536 for _ in range(80)))
two = await again.upload_part(2, 'end')
done = await upload.complete([two, {'partNumber': one.part_number, 'etag': one.etag}])
other = await r2.createMultipartUpload('k')
await other.abort()
return [upload.key, upload.upload_id == upload.uploadId, done.size, done.httpMetadata.contentType, done.customMetadata.a,
        await (await r2.get('k', range={'suffix': 4})).text(), done.checksums.md5]
""") == ["k", True, 5 * 1024 * 1024 + 3, "x/y", "b", "xend", None]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("await r2.put('x' * 1025, '')", ["R2Error", "put: The specified object name is not valid. (10020)", 10020, "put"]),
        ("await r2.head('')", ["R2Error", "head: The specified object name is not valid. (10020)", 10020, "head"]),
        ("await r2.get('\\ud800')", ["R2Error", "get: The specified object name is not valid. (10020)", 10020, "get"]),
        ("await r2.list(limit=0)", ["R2Error", "list: MaxKeys params must be positive integer <= 1000. (10022)", 10022, "list"]),
        ("await r2.delete(['k'] * 1001)", ["R2Error", "delete: MaxKeys params must be positive integer <= 1000. (10022)", 10022, "delete"]),
        ("await r2.put('k', '', md5='00' * 16)", ["R2Error", "put: The MD5 checksum you specified did not match what we received.\nYou provided a MD5 checksum with value: 00000000000000000000000000000000\nActual MD5 was: d41d8cd98f00b204e9800998ecf8427e (10037)", 10037, "put"]),
        ("await r2.put('k', '', customMetadata={'k': 'x' * 9000})", ["R2Error", "put: Your metadata headers exceed the maximum allowed metadata size. (10012)", 10012, "put"]),
        ("await r2.resumeMultipartUpload('k', 'x').uploadPart(1, '')", ["R2Error", "uploadPart: The specified multipart upload does not exist. (10024)", 10024, "uploadPart"]),
        ("await r2.resumeMultipartUpload('k', 'x').uploadPart(0, '')", ["TypeError", "Part number must be between 1 and 10000 (inclusive). Actual value was: 0", None, None]),
        ("await r2.put('k', '', md5='00' * 16, sha1='00' * 20)", ["TypeError", "You cannot specify multiple hashing algorithms.", None, None]),
        ("await r2.get('k', onlyIf={'etagMatches': '\"x\"'})", ["TypeError", "Conditional ETag should not be wrapped in quotes (\"x\").", None, None]),
        ("await r2.put('k', '', only_fi={})", ["TypeError", "there is no option 'onlyFi' among the options of put()", None, None]),
        ("await r2.put('k', ['x'])", ["TypeError", "Unsupported type in R2: list", None, None]),
        ("await r2.put(3, '')", ["TypeError", "the key has to be str, not int", None, None]),
        ("await r2.get('k', 'options')", ["TypeError", "the options have to be a dictionary, not str", None, None]),
        ("(await r2.put('k', '')).nothing", ["AttributeError", "'R2Object' object has no attribute 'nothing'", None, None]),
    ],
)  # fmt: skip
def test_errors(code: str, expected: list[Any]) -> None:
    assert run(code, "caught") == expected


async def chunks(number: int) -> AsyncIterator[bytes]:
    for _ in range(number):
        yield b"x" * 65_536


def test_bodies_of_a_hundred_megabytes_pass_with_little_memory(tmp_path: Path) -> None:
    """Handed on (PUT), and through the guest's own memory (POST wraps nothing either; `run` pumps every piece)."""

    async def work(worker: LoadedWorker) -> None:
        await (await worker.fetch("/", method="PUT", body=chunks(16))).read()  # what is allocated once
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for method in ("PUT", "POST"):
            answer = await worker.fetch("/", method=method, body=chunks(1600))
            assert len(await answer.text()) == 32
            got = await worker.fetch("/")
            assert sum([len(chunk) async for chunk in got.body]) == 1600 * 65_536
        code = "o = await r2.put('k', (b'x' * 65536 for _ in range(1600)))\nb = await r2.get('k')\n"
        assert await worker.call("run", code + "return sum([len(c) async for c in b.body])") == 1600 * 65_536
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 * 1024

    with_worker(work, state_dir=tmp_path)


def test_a_client_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 400_000
        raise RuntimeError("gone")

    async def work(worker: LoadedWorker) -> None:
        with pytest.raises(PyworkerdError):
            await (await worker.fetch("/", method="PUT", body=broken())).read()
        assert await worker.call("run", "return await r2.head('k')") is None
        assert await worker.call("run", "await r2.put('k', 'x')") is None

    with_worker(work, state_dir=tmp_path)
    left = [path for path in Path(tmp_path).rglob("*.files/*/*") if path.is_file()]
    assert len(left) == 1


HOSTILE = [
    ("GET", "{}"),
    ("GET", "[]"),
    ("GET", '{"key": 1}'),
    ("GET", '{"key": "k", "range": {"headers": [[1, 2]]}}'),
    ("GET", "[" * 60_000),
    ("PUT", '{"key": "k", "md5": 3}'),
    ("POST", '{"key": "k"}'),
    ("POST", '{"key": "k", "upload": "x", "number": "1"}'),
    ("DELETE", '{"key": "k"}'),
]


@pytest.mark.parametrize(("method", "asked"), HOSTILE)
def test_what_a_hostile_guest_asks_is_refused_and_its_body_closed(method: str, asked: str) -> None:
    class Closing:
        closed = False

        def __aiter__(self) -> Any:
            return self

        async def __anext__(self) -> bytes:
            raise AssertionError("it was read")

        async def aclose(self) -> None:
            self.closed = True

    async def main() -> None:
        source = Closing()
        capability = R2(MemoryBucket(lambda: 1.0))
        request = Request(method, "http://r2/", (("x-r2", asked),), Body(chunks=source))
        with pytest.raises((WorkerException, NoSuchMethod)):
            await capability.fetch(request, "manual")
        assert source.closed
        await capability.aclose()

    asyncio.run(main())


def test_calls_that_are_not_as_they_should_be() -> None:
    async def main() -> None:
        capability = R2(MemoryBucket(lambda: 1.0))
        for method, arguments in (
            ("head", []),
            ("head", [1]),
            ("delete", [[1]]),
            ("delete", ["k"]),
            ("list", [{"limit": "x"}]),
            ("complete", ["k", "u", [1]]),
            ("create", ["k", {"md5": "x"}]),
        ):
            with pytest.raises(WorkerException):
                await capability.call(method, wire.dump_value([arguments, {}]))
        for method in ("get", "_get", "fetch", "aclose"):
            with pytest.raises(NoSuchMethod):
                await capability.call(method, wire.dump_value([["k"], {}]))

    asyncio.run(main())


def test_what_an_answer_looks_like() -> None:
    async def main() -> None:
        capability = R2(MemoryBucket(lambda: 1.0))

        async def ask(method: str, body: bytes = b"", **asked: Any) -> Response:
            request = Request(method, "http://r2/", (("x-r2", json.dumps(asked)),), Body(body))
            return (await capability.fetch(request, "manual"))[0]

        assert (await ask("GET", key="k")).status == 204
        assert (await ask("PUT", b"x", key="k")).status == 200
        assert (await ask("PUT", b"x", key="k", onlyIf={"etagMatches": "no"})).status == 204
        assert (await ask("GET", key="k", onlyIf={"etagMatches": "no"})).status == 412
        answer = await ask("GET", key="k")
        assert (answer.status, await answer.read()) == (200, b"x")

    asyncio.run(main())
