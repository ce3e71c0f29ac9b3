"""R2 as a JavaScript worker sees it: methods, options, fields and errors of the platform."""

# ruff: noqa: E501 - the sentences are the platform's

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.runtime import Runtime
from pyworkerd_config import Binding
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from pyworkerd.loaded import LoadedWorker

SOURCE = """
import {{ WorkerEntrypoint }} from "cloudflare:workers";

export default class extends WorkerEntrypoint {{
  async run() {{
    const r2 = this.env.R2;
    {code}
  }}

  async caught() {{
    try {{
      return await this.run();
    }} catch (error) {{
      return [error.name, error.message, error.code ?? null, error.action ?? null];
    }}
  }}

  async fetch(request) {{
    const {{ R2 }} = this.env;
    if (request.method === "PUT") {{
      return new Response((await R2.put("k", request.body, {{ httpMetadata: request.headers }})).etag);
    }}
    const found = await R2.get("k", {{ range: request.headers, onlyIf: request.headers }});
    const headers = new Headers({{ etag: found.httpEtag }});
    found.writeHttpMetadata(headers);
    if (!("body" in found)) return new Response(null, {{ status: 304, headers }});
    return new Response(found.body, {{ status: found.range ? 206 : 200, headers }});
  }}
}}
"""


def with_worker(work: Callable[[LoadedWorker], Awaitable[Any]], code: str = "") -> Any:
    async def main() -> Any:
        async with Runtime() as runtime:
            source = {"w.js": SOURCE.format(code=code)}
            bindings = {"R2": Binding("R2", "r2", "files")}
            return await work(await runtime.load(source, bindings=bindings, limits=Limits(cpu_ms=20_000)))

    return asyncio.run(main())


def run(code: str, method: str = "run") -> Any:
    return with_worker(lambda worker: worker.call(method), code)


@pytest.mark.parametrize(
    ("put", "read", "expected"),
    [
        ("'h\u00e9'", "text()", "h\u00e9"),
        ("new Uint8Array([0, 255])", "bytes()", b"\0\xff"),
        ("new Uint8Array([120]).buffer", "arrayBuffer()", b"x"),
        ("new Blob(['x'])", "text()", "x"),
        ("new Response('x' + 'y'.repeat(300000)).body", "text()", "x" + "y" * 300_000),
        ("ReadableStream.from([new Uint8Array([1]), new Uint8Array([2])])", "bytes()", b"\1\2"),
        ("null", "bytes()", b""),
        ("''", "text()", ""),
        ('\'{"a": [1, {"b": 2}]}\'', "json()", {"a": [1, {"b": 2}]}),
        ("'x'", "blob().then((blob) => [blob.type, blob.size])", ["", 1]),
        ("'x'", "body.getReader().read().then(({ value }) => value)", b"x"),
        ("'x'", "constructor.name", "R2ObjectBody"),
    ],
)
def test_values(put: str, read: str, expected: Any) -> None:
    assert run(f"await r2.put('k', {put}); return await (await r2.get('k')).{read};") == expected


def test_fields() -> None:
    found = run("""
const hash = await crypto.subtle.digest("SHA-1", new TextEncoder().encode("hello"));
const o = await r2.put("k", "hello", {
  httpMetadata: { contentType: "text/x", cacheControl: "no-store", cacheExpiry: new Date(784111777000) },
  customMetadata: { snake_case: "stays", "\\u2603": "x" },
  storageClass: "InfrequentAccess",
  sha1: hash,
});
const h = new Headers();
(await r2.head("k")).writeHttpMetadata(h);
const g = await r2.get("k", { range: { suffix: 2 } });
return [o.key, o.size, o.etag, o.httpEtag, o.storageClass, o.checksums.sha1, JSON.parse(JSON.stringify(o.checksums)),
  o.checksums.sha256 ?? null, o.customMetadata, o.httpMetadata.cacheControl, o.httpMetadata.contentLanguage ?? null,
  o.httpMetadata.cacheExpiry.getTime(), Date.now() - o.uploaded.getTime() < 300000, [...h], g.range, g.bodyUsed,
  await g.text(), g.bodyUsed, o.version.length, o.range ?? null];
""")
    etag, sha1 = hashlib.md5(b"hello").hexdigest(), hashlib.sha1(b"hello")
    assert found == [
        *(
            "k",
            5,
            etag,
            f'"{etag}"',
            "InfrequentAccess",
            sha1.digest(),
            {"md5": etag, "sha1": sha1.hexdigest()},
            None,
        ),
        *({"snake_case": "stays", "\u2603": "x"}, "no-store", None, 784111777000, True),
        [
            ["cache-control", "no-store"],
            ["content-type", "text/x"],
            ["expires", "Sun, 06 Nov 1994 08:49:37 GMT"],
        ],
        *({"offset": 3, "length": 2}, False, "lo", True, 32, None),
    ]


def test_conditions_and_ranges() -> None:
    assert run("""
const o = await r2.put("k", "hello");
const same = new Headers({ "if-none-match": o.httpEtag });
const other = new Headers({ "If-Match": '"x"', range: "bytes=1-2" });
const later = { uploadedAfter: new Date(o.uploaded.getTime() + 3600000) };
const kind = async (found) => (await found)?.constructor.name ?? null;
return [await kind(r2.get("k", { onlyIf: same })), await kind(r2.get("k", { onlyIf: other })),
  await (await r2.get("k", { range: other })).text(), await (await r2.get("k", { range: { offset: 1 } })).text(),
  await r2.put("k", "no", { onlyIf: { etagDoesNotMatch: "*" } }), await r2.put("k", "no", { onlyIf: later }),
  await r2.get("nothing", { onlyIf: same }), await r2.head("nothing"), (await r2.get("k", null)) !== null];
""") == ["R2Object", "R2Object", "el", "ello", None, None, None, None, True]


def test_lists_and_deletes() -> None:
    assert run("""
for (const key of ["a", "b/1", "b/2", "c"]) await r2.put(key, key, { httpMetadata: { contentType: "x/y" } });
const page = await r2.list({ delimiter: "/", limit: 2 });
const rest = await r2.list({ delimiter: "/", cursor: page.cursor, include: ["httpMetadata"] });
await r2.delete("a");
await r2.delete(["b/1", "b/2", "nothing"]);
const left = await r2.list({ startAfter: "b" });
const keys = ({ objects }) => objects.map(({ key }) => key);
return [keys(page), page.delimitedPrefixes, page.truncated,
  rest.objects.map((o) => [o.key, o.httpMetadata.contentType]), rest.truncated, "cursor" in rest, keys(left)];
""") == [["a"], ["b/"], True, [["c", "x/y"]], False, False, ["c"]]


def test_deletes_of_many_long_keys() -> None:
    assert run("""
const keys = [0, 1].map((i) => "\\u2603".repeat(341) + "x".repeat(i))
  .concat(Array.from({ length: 998 }, (_, i) => "\\u00e9".repeat(510) + String(i).padStart(3, "0")));
for (const key of [...keys.slice(0, 3), keys.at(-1)]) await r2.put(key, "");
const before = (await r2.list()).objects.length;
await r2.delete(keys);
return [before, (await r2.list()).objects.length];
""") == [4, 0]


def test_uploads_in_parts() -> None:
    assert run("""
const upload = await r2.createMultipartUpload("k", { httpMetadata: { contentType: "x/y" }, customMetadata: { a: "b" } });
const again = r2.resumeMultipartUpload("k", upload.uploadId);
const one = await again.uploadPart(1, new Uint8Array(5 << 20));
const two = await again.uploadPart(2, "end");
const done = await upload.complete([two, { partNumber: one.partNumber, etag: one.etag }]);
await (await r2.createMultipartUpload("k")).abort();
return [upload.key, done.size, done.httpMetadata.contentType, done.customMetadata.a,
  await (await r2.get("k", { range: { suffix: 4 } })).text()];
""") == ["k", 5 * 1024 * 1024 + 3, "x/y", "b", "\0end"]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("r2.put('x'.repeat(1025), '')", ["R2Error", "put: The specified object name is not valid. (10020)", 10020, "put"]),
        ("r2.head('')", ["R2Error", "head: The specified object name is not valid. (10020)", 10020, "head"]),
        ("r2.get('\\ud800')", ["R2Error", "get: The specified object name is not valid. (10020)", 10020, "get"]),
        ("r2.delete(Array(1001).fill('k'))", ["R2Error", "delete: MaxKeys params must be positive integer <= 1000. (10022)", 10022, "delete"]),
        ("r2.put('k', '', { customMetadata: { k: 'x'.repeat(9000) } })", ["R2Error", "put: Your metadata headers exceed the maximum allowed metadata size. (10012)", 10012, "put"]),
        ("r2.resumeMultipartUpload('k', 'x').uploadPart(1, '')", ["R2Error", "uploadPart: The specified multipart upload does not exist. (10024)", 10024, "uploadPart"]),
        ("r2.resumeMultipartUpload('k', 'x').uploadPart(0, '')", ["TypeError", "Part number must be between 1 and 10000 (inclusive). Actual value was: 0", None, None]),
        ("r2.put('k', '', { md5: '00'.repeat(16), sha1: '00'.repeat(20) })", ["TypeError", "You cannot specify multiple hashing algorithms.", None, None]),
        ("r2.put('k', '', { onlyfi: {} })", ["TypeError", "there is no option 'onlyfi' among the options of put()", None, None]),
        ("r2.put('k', ['x'])", ["TypeError", "R2 takes strings, ArrayBuffers, ArrayBufferViews, Blobs, ReadableStreams and null as values.", None, None]),
        ("r2.put(3, '')", ["TypeError", "the key has to be a string, not number", None, None]),
        ("r2.get('k', 'options')", ["TypeError", "the options have to be an object, not string", None, None]),
    ],
)  # fmt: skip
def test_errors(code: str, expected: list[Any]) -> None:
    assert run(f"return await {code};", "caught") == expected


def test_bodies_pass_through() -> None:
    data = b"0123456789" * 200_000

    async def work(worker: LoadedWorker) -> None:
        headers = {"content-type": "text/x"}
        answer = await worker.fetch("/", method="PUT", body=data, headers=headers)
        assert await answer.text() == hashlib.md5(data).hexdigest()
        answer = await worker.fetch("/")
        assert (answer.status, answer.header("content-type")) == (200, "text/x")
        assert await answer.text() == data.decode()
        answer = await worker.fetch("/", headers={"range": "bytes=3-6"})
        assert (answer.status, await answer.text()) == (206, "3456")
        answer = await worker.fetch("/", headers={"if-none-match": f'"{hashlib.md5(data).hexdigest()}"'})
        assert answer.status == 304

    with_worker(work)
