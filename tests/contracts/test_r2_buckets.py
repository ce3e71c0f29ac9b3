"""What every provider of buckets promises. A new provider is a new row of PROVIDERS."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.bindings.r2 import rules
from pyworkerd.bindings.r2.model import (
    Conditions,
    HttpMetadata,
    ListOptions,
    Part,
    PutOptions,
    R2Object,
    R2ObjectBody,
    Range,
)
from pyworkerd.errors import BadCall
from pyworkerd.http.conditional import Span, Tag
from pyworkerd.messages import Body

from tests.contracts.r2_providers import Clock, embedded, memory

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from pyworkerd.bindings.r2.bucket import Bucket

    Open = Callable[..., AbstractAsyncContextManager[Bucket]]

PROVIDERS: dict[str, Open] = {"memory": memory, "embedded": embedded}
provider = pytest.mark.parametrize("provide", PROVIDERS.values(), ids=PROVIDERS)
NONE = PutOptions()
MB = 1 << 20


def run(provide: Open, folder: Path, work: Callable[[Bucket, Clock], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        clock = Clock()
        async with provide(folder, clock) as bucket:
            return await work(bucket, clock)

    return asyncio.run(main())


async def put(bucket: Bucket, key: str, data: bytes = b"", options: PutOptions = NONE) -> R2Object:
    found = await bucket.put(key, Body(data), options)
    assert found is not None
    return found


async def read(bucket: Bucket, key: str, **options: Any) -> bytes:
    found = await bucket.get(key, **options)
    assert isinstance(found, R2ObjectBody)
    return await found.read()


async def pieces(*sizes: int) -> AsyncIterator[bytes]:
    for number, size in enumerate(sizes):
        yield bytes([number % 251]) * size


def joined(*sizes: int) -> bytes:
    return b"".join(bytes([number % 251]) * size for number, size in enumerate(sizes))


@provider
@pytest.mark.parametrize("sizes", [(), (0,), (1,), (65_536,), (65_537,), (300_000, 5, 700_000), (1,) * 500])
def test_what_is_put_is_there(provide: Open, tmp_path: Path, sizes: tuple[int, ...]) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        data = joined(*sizes)
        found = await bucket.put("k", Body(chunks=pieces(*sizes)), NONE)
        assert found is not None
        assert found.etag == hashlib.md5(data).hexdigest()
        assert (found.key, found.size, found.uploaded_ms) == ("k", len(data), int(clock.now * 1000))
        assert found.checksums == {"md5": hashlib.md5(data).digest()}
        assert await bucket.head("k") == found
        assert await read(bucket, "k") == data

    run(provide, tmp_path, work)


@provider
def test_nothing_is_there_that_was_not_put(provide: Open, tmp_path: Path) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        assert await bucket.head("k") is None
        assert await bucket.get("k") is None
        await bucket.delete(["k", "k"])
        assert (await bucket.list(ListOptions())).objects == ()

    run(provide, tmp_path, work)


KEYS = [
    "../../x",
    "/etc/passwd",
    "a\0b",
    "a",
    "A",
    "a/",
    "a//b",
    ".",
    "..",
    "\N{SNOWMAN}",
    "e\u0301",
    "\u00e9",
    "k" * 1024,
]


@provider
def test_keys_are_told_apart_by_their_bytes_and_mean_nothing(provide: Open, tmp_path: Path) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        for key in KEYS:
            await put(bucket, key, key.encode())
        assert [await read(bucket, key) for key in KEYS] == [key.encode() for key in KEYS]
        listed = [found.key for found in (await bucket.list(ListOptions())).objects]
        assert listed == sorted(KEYS, key=str.encode)
        await bucket.delete(KEYS)
        assert (await bucket.list(ListOptions())).objects == ()

    run(provide, tmp_path, work)


@provider
@pytest.mark.parametrize("key", ["", "k" * 1025, "\N{SNOWMAN}" * 342, "\ud800"])
def test_keys_that_can_be_none(provide: Open, tmp_path: Path, key: str) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        with pytest.raises(BadCall) as caught:
            await bucket.put(key, Body(b"x"), NONE)
        assert str(caught.value) == "put: The specified object name is not valid. (10020)"
        with pytest.raises(BadCall, match="10020"):
            await bucket.head(key)
        with pytest.raises(BadCall, match="10020"):
            await bucket.get(key)

    run(provide, tmp_path, work)


@provider
def test_metadata_comes_back(provide: Open, tmp_path: Path) -> None:
    http = HttpMetadata(
        "text/html", "de", 'attachment; filename="\u00e9"', "gzip", "no-store", 1_700_000_000_123
    )
    custom = {"a": "1", "\N{SNOWMAN}": "\0", "empty": ""}

    async def work(bucket: Bucket, clock: Clock) -> None:
        await put(bucket, "k", b"x", PutOptions(http, custom, "InfrequentAccess"))
        for found in (await bucket.head("k"), await bucket.get("k")):
            assert found is not None
            assert (found.http_metadata, found.custom_metadata) == (http, custom)
            assert found.storage_class == "InfrequentAccess"
        for include in ({"httpMetadata"}, {"customMetadata"}, set()):
            (found,) = (await bucket.list(ListOptions(include=frozenset(include)))).objects
            assert (found.http_metadata == http) == ("httpMetadata" in include)
            assert (found.custom_metadata == custom) == ("customMetadata" in include)
        with pytest.raises(BadCall, match=r"put: Your metadata headers exceed .* \(10012\)"):
            await bucket.put("k", Body(), PutOptions(custom={"k": "x" * 8192}))
        await put(bucket, "k", b"", PutOptions(custom={"k": "x" * 8191}))

    run(provide, tmp_path, work)


@provider
@pytest.mark.parametrize("kind", ["md5", "sha1", "sha256", "sha384", "sha512"])
def test_checksums_are_verified(provide: Open, tmp_path: Path, kind: str) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        digest = hashlib.new(kind, b"data").digest()
        found = await put(bucket, "k", b"data", PutOptions(checksum=(kind, digest)))
        assert found.checksums == {"md5": hashlib.md5(b"data").digest(), kind: digest}
        assert (await bucket.head("k")) == found
        with pytest.raises(BadCall, match="checksum you specified did not match") as caught:
            await bucket.put("k", Body(b"other"), PutOptions(checksum=(kind, digest)))
        assert digest.hex() in str(caught.value)
        assert str(caught.value).endswith("(10037)")
        assert await read(bucket, "k") == b"data"

    run(provide, tmp_path, work)


RANGES = [
    (Range(0, 3), b"012", Span(0, 3)),
    (Range(7), b"789", Span(7, 3)),
    (Range(8, 100), b"89", Span(8, 2)),
    (Range(length=2), b"01", Span(0, 2)),
    (Range(suffix=3), b"789", Span(7, 3)),
    (Range(suffix=30), b"0123456789", Span(0, 10)),
    (Range(header="bytes=2-4"), b"234", Span(2, 3)),
    (Range(header="bytes=-1"), b"9", Span(9, 1)),
    (Range(header="bytes=0-1,3-4"), b"0123456789", None),
    (Range(header="bytes=20-"), b"0123456789", None),
    (Range(header="lines=1-2"), b"0123456789", None),
]


@provider
@pytest.mark.parametrize(("wanted", "expected", "span"), RANGES)
def test_ranges(provide: Open, tmp_path: Path, wanted: Range, expected: bytes, span: Span | None) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        await put(bucket, "k", b"0123456789")
        found = await bucket.get("k", wanted=wanted)
        assert isinstance(found, R2ObjectBody)
        assert (await found.read(), found.range, found.size) == (expected, span, 10)

    run(provide, tmp_path, work)


@provider
@pytest.mark.parametrize(
    "wanted", [Range(11), Range(-1), Range(0, 0), Range(0, -1), Range(suffix=0), Range(10)]
)
def test_ranges_that_are_not_there(provide: Open, tmp_path: Path, wanted: Range) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        await put(bucket, "k", b"0123456789")
        with pytest.raises(BadCall, match=r"get: The requested range is not satisfiable \(10039\)"):
            await bucket.get("k", wanted=wanted)

    run(provide, tmp_path, work)


@provider
def test_conditions_of_get_and_put(provide: Open, tmp_path: Path) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        absent = Conditions(etag_does_not_match=(Tag("*"),))
        first = await bucket.put("k", Body(b"1"), PutOptions(only_if=absent))
        assert first is not None
        assert await bucket.put("k", Body(b"2"), PutOptions(only_if=absent)) is None
        same = Conditions(etag_matches=(Tag(first.etag),))
        other = Conditions(etag_matches=(Tag("0" * 32),))
        assert type(await bucket.get("k", other)) is R2Object
        assert type(await bucket.get("k", same)) is R2ObjectBody
        assert await bucket.put("k", Body(b"3"), PutOptions(only_if=other)) is None
        assert await read(bucket, "k") == b"1"
        assert await bucket.put("k", Body(b"4"), PutOptions(only_if=same)) is not None
        assert await bucket.put("k", Body(b"5"), PutOptions(only_if=same)) is None
        assert await bucket.put("new", Body(b"5"), PutOptions(only_if=same)) is None
        assert await read(bucket, "k") == b"4"

    run(provide, tmp_path, work)


@provider
def test_of_two_writers_with_the_same_condition_one_wins(provide: Open, tmp_path: Path) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        absent = PutOptions(only_if=Conditions(etag_does_not_match=(Tag("*"),)))
        for key in map(str, range(8)):
            answers = await asyncio.gather(
                *(bucket.put(key, Body(chunks=pieces(number, 1000)), absent) for number in range(8))
            )
            (won,) = [answer for answer in answers if answer is not None]
            assert hashlib.md5(await read(bucket, key)).hexdigest() == won.etag

    run(provide, tmp_path, work)


@provider
@pytest.mark.parametrize("length", [4, 6, 100 * MB])
def test_bodies_that_lie_about_their_length(provide: Open, tmp_path: Path, length: int) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        await put(bucket, "k", b"old")
        with pytest.raises(BadCall, match="number of bytes"):
            await bucket.put("k", Body(chunks=pieces(2, 3), length=length), NONE)
        assert await read(bucket, "k") == b"old"

    run(provide, tmp_path, work)


@provider
def test_bodies_that_break_off_leave_what_was_there(provide: Open, tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x" * 400_000
        raise BadCall("broke off")

    async def work(bucket: Bucket, clock: Clock) -> None:
        await put(bucket, "k", b"old")
        with pytest.raises(BadCall, match="broke off"):
            await bucket.put("k", Body(chunks=broken()), NONE)
        assert await read(bucket, "k") == b"old"

    run(provide, tmp_path, work)


@provider
def test_delete_takes_a_thousand(provide: Open, tmp_path: Path) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        await put(bucket, "1", b"x")
        await bucket.delete(list(map(str, range(1000))))
        assert await bucket.head("1") is None
        with pytest.raises(BadCall, match=r"delete: .* <= 1000"):
            await bucket.delete(list(map(str, range(1001))))

    run(provide, tmp_path, work)


LISTED = ["a", "a/1", "a/2", "a/b/1", "b", "b/1", "c//", "c/d", "\N{SNOWMAN}/x"]


@provider
@given(
    prefix=st.sampled_from(["", "a", "a/", "b/", "c/", "z", "\ud800"]),
    delimiter=st.sampled_from(["", "/", "//", "1", "\N{SNOWMAN}"]),
    limit=st.integers(1, 12),
    start_after=st.sampled_from([None, "", "a", "a/1", "b", "zz"]),
)
def test_pages_of_a_list_make_the_whole(
    provide: Open, prefix: str, delimiter: str, limit: int, start_after: str | None, tmp_path_factory: Any
) -> None:
    expected: list[str] = []
    for key in sorted(LISTED, key=str.encode):
        if not key.startswith(prefix) or (start_after is not None and key.encode() <= start_after.encode()):
            continue
        at = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = key if at < 0 else key[: at + len(delimiter)]
        if entry not in expected:
            expected.append(entry)

    async def work(bucket: Bucket, clock: Clock) -> None:
        for key in LISTED:
            await put(bucket, key)
        found: list[str] = []
        cursor = None
        while True:
            page = await bucket.list(ListOptions(prefix, delimiter, limit, cursor, start_after))
            entries = [*(each.key for each in page.objects), *page.delimited_prefixes]
            assert len(entries) <= limit
            assert page.truncated == (page.cursor is not None)
            found += sorted(entries, key=str.encode)
            cursor = page.cursor
            if cursor is None:
                break
            assert len(entries) == limit
        assert found == expected

    run(provide, tmp_path_factory.mktemp("list"), work)


@provider
def test_lists_refuse_what_is_no_limit_and_no_cursor(provide: Open, tmp_path: Path) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        for limit in (0, -1, 1001):
            with pytest.raises(BadCall, match=r"list: MaxKeys .* \(10022\)"):
                await bucket.list(ListOptions(limit=limit))
        for cursor in ("", "x", "!", "\N{SNOWMAN}", "a2" * 2000, rules.to_cursor(b"z", b"k")):
            with pytest.raises(BadCall, match="10029"):
                await bucket.list(ListOptions(cursor=cursor))

    run(provide, tmp_path, work)


@provider
def test_uploads_in_parts(provide: Open, tmp_path: Path) -> None:
    sizes = (5 * MB, 5 * MB, 3)

    async def work(bucket: Bucket, clock: Clock) -> None:
        http = HttpMetadata("text/plain")
        upload = await bucket.create_multipart_upload("k", PutOptions(http, {"a": "b"}))
        assert await bucket.head("k") is None
        await bucket.upload_part("k", upload, 1, Body(b"replaced"))
        parts = [
            await bucket.upload_part("k", upload, number + 1, Body(bytes([number]) * size))
            for number, size in enumerate(sizes)
        ]
        await bucket.upload_part("k", upload, 9, Body(b"not named"))
        found = await bucket.complete_multipart_upload("k", upload, parts[::-1])
        data = joined(*sizes)
        digests = b"".join(hashlib.md5(bytes([n]) * size).digest() for n, size in enumerate(sizes))
        assert found.etag == hashlib.md5(digests).hexdigest() + "-3"
        assert (found.size, found.http_metadata, found.custom_metadata) == (len(data), http, {"a": "b"})
        assert await read(bucket, "k") == data
        wanted = Range(5 * MB - 2, 5 * MB + 4)
        assert await read(bucket, "k", wanted=wanted) == data[5 * MB - 2 : 10 * MB + 2]
        assert await read(bucket, "k", wanted=Range(suffix=4)) == data[-4:]
        for call in (
            bucket.complete_multipart_upload("k", upload, parts),
            bucket.abort_multipart_upload("k", upload),
            bucket.upload_part("k", upload, 1, Body()),
        ):
            with pytest.raises(BadCall, match=r"The specified multipart upload does not exist\. \(10024\)"):
                await call

    run(provide, tmp_path, work)


@provider
def test_uploads_that_are_not_as_they_should_be(provide: Open, tmp_path: Path) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        upload = await bucket.create_multipart_upload("k", NONE)
        one = await bucket.upload_part("k", upload, 1, Body(b"x"))
        two = await bucket.upload_part("k", upload, 2, Body(b"y"))
        empty = await bucket.upload_part("k", upload, 3, Body())
        cases = {
            (one, two): "10011",
            (): "10048",
            (one, one): "10001",
            (Part(1, "0" * 32),): "10025",
            (Part(4, one.etag),): "10025",
        }
        for parts, code in cases.items():
            with pytest.raises(BadCall, match=rf"completeMultipartUpload: .*\({code}\)"):
                await bucket.complete_multipart_upload("k", upload, parts)
        with pytest.raises(BadCall, match="10024"):
            await bucket.complete_multipart_upload("other", upload, [one])
        for number in (0, -1, 10_001):
            with pytest.raises(Exception, match="Part number must be between 1 and 10000"):
                await bucket.upload_part("k", upload, number, Body())
        found = await bucket.complete_multipart_upload("k", upload, [empty])
        assert (found.size, await read(bucket, "k")) == (0, b"")

    run(provide, tmp_path, work)


@provider
def test_uploads_that_are_aborted_or_too_many(provide: Open, tmp_path: Path) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        uploads = [await bucket.create_multipart_upload("k", NONE) for _ in range(rules.MAX_UPLOADS)]
        with pytest.raises(BadCall, match="Too many multipart uploads"):
            await bucket.create_multipart_upload("k", NONE)
        await bucket.upload_part("k", uploads[0], 1, Body(b"x"))
        await bucket.abort_multipart_upload("k", uploads[0])
        with pytest.raises(BadCall, match="10024"):
            await bucket.upload_part("k", uploads[0], 1, Body(b"x"))
        await bucket.create_multipart_upload("k", NONE)

    run(provide, tmp_path, work)


@provider
@pytest.mark.parametrize("size", [100, 3 * MB])
def test_a_body_is_of_one_version(provide: Open, tmp_path: Path, size: int) -> None:
    async def work(bucket: Bucket, clock: Clock) -> None:
        await put(bucket, "k", b"1" * size)
        found = await bucket.get("k")
        assert isinstance(found, R2ObjectBody)
        await put(bucket, "k", b"2" * size)
        await bucket.delete(["k"])
        assert await found.read() == b"1" * size

    run(provide, tmp_path, work)
