"""What the embedded bucket promises beyond the contract: files, litter, quota, several processes, who goes away."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.bindings.r2 import catalogue
from pyworkerd.bindings.r2 import embedded as module
from pyworkerd.bindings.r2.embedded import MAX_READERS
from pyworkerd.bindings.r2.model import Conditions, ListOptions, Part, PutOptions, R2ObjectBody, Range
from pyworkerd.errors import BadCall, StorageBusy, StorageCorrupt, StorageFull
from pyworkerd.http.conditional import Tag
from pyworkerd.messages import Body

from tests.contracts.r2_providers import Clock, embedded, files
from tests.runtime.bindings.r2.settled import settled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from pyworkerd.bindings.r2.bucket import Bucket
    from pyworkerd.bindings.r2.embedded import EmbeddedBucket

NONE = PutOptions()
MB = 1 << 20
LARGE = b"x" * (3 * MB)


def run(folder: Path, work: Callable[[EmbeddedBucket, Clock], Awaitable[Any]]) -> Any:
    async def main() -> Any:
        clock = Clock()
        async with embedded(folder, clock) as bucket:
            return await work(bucket, clock)

    return asyncio.run(main())


async def body_of(bucket: Bucket, key: str = "k", **options: Any) -> R2ObjectBody:
    found = await bucket.get(key, **options)
    assert isinstance(found, R2ObjectBody)
    return found


async def in_parts(bucket: Bucket, key: str = "k", tail: int = 1) -> bytes:
    upload = await bucket.create_multipart_upload(key, NONE)
    parts = [await bucket.upload_part(key, upload, n, Body(bytes([n]) * 5 * MB)) for n in (1, 2)]
    parts.append(await bucket.upload_part(key, upload, 3, Body(b"\3" * tail)))
    await bucket.complete_multipart_upload(key, upload, parts)
    return b"\1" * 5 * MB + b"\2" * 5 * MB + b"\3" * tail


def descriptors(folder: Path) -> int:
    """How often this process has a file of an object open."""
    ours = {path.stat().st_ino for path in files(folder)}
    found = 0
    for name in list(Path("/dev/fd").iterdir()):
        with contextlib.suppress(OSError):
            found += os.fstat(int(name.name)).st_ino in ours
    return found


def test_files_are_those_of_objects_and_nobody_elses(tmp_path: Path) -> None:
    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        for data in (b"1", b"22", b"", b"333"):
            await bucket.put("k", Body(data), NONE)
            await settled(bucket)
            assert [path.stat().st_size for path in files(tmp_path)] == ([len(data)] if data else [])
        (path,) = files(tmp_path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parents[1].stat().st_mode & 0o777 == 0o700
        await bucket.put("k", Body(b"no"), PutOptions(only_if=Conditions(etag_matches=(Tag("x"),))))
        with pytest.raises(Exception, match="checksum"):
            await bucket.put("k", Body(b"no"), PutOptions(checksum=("md5", b"0" * 16)))
        await settled(bucket)
        assert files(tmp_path) == [path]
        await bucket.delete(["k"])
        await settled(bucket)
        assert files(tmp_path) == []
        assert bucket.meter.used == bucket.meter.coming == 0

    run(tmp_path, work)


def test_litter_is_collected_at_the_next_start_and_nothing_else(tmp_path: Path) -> None:
    async def before(bucket: EmbeddedBucket, clock: Clock) -> None:
        await bucket.put("k", Body(b"kept"), NONE)
        await in_parts(bucket, "parts")

    run(tmp_path, before)
    kept = set(files(tmp_path))
    folder = next(iter(kept)).parent
    litter = folder / (folder.name + "0" * 30)
    litter.write_bytes(b"half of something")
    foreign = folder / "notes.txt"
    foreign.write_text("not ours")

    async def after(bucket: EmbeddedBucket, clock: Clock) -> None:
        assert await (await body_of(bucket)).read() == b"kept"
        await settled(bucket)
        assert set(files(tmp_path)) == kept | {foreign}

    run(tmp_path, after)


def test_what_is_being_written_is_no_litter_for_another_process(tmp_path: Path) -> None:
    """A second bucket on the same folder collects while the first is in the middle of a body."""

    async def main() -> None:
        go_on = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield LARGE
            await go_on.wait()
            yield b"end"

        async with embedded(tmp_path) as one:
            writing = asyncio.create_task(one.put("k", Body(chunks=slowly()), NONE))
            while not files(tmp_path):
                await asyncio.sleep(0.001)
            async with embedded(tmp_path) as two:
                assert await two.head("k") is None
                await settled(two)
                go_on.set()
                assert await writing is not None
                assert await (await body_of(two)).read() == LARGE + b"end"

    asyncio.run(main())


@pytest.mark.parametrize("replace", [True, False])
def test_an_object_in_parts_is_readable_while_it_is_replaced_elsewhere(tmp_path: Path, replace: bool) -> None:
    async def main() -> None:
        clock = Clock()
        async with embedded(tmp_path, clock) as one, embedded(tmp_path, clock) as two:
            data = await in_parts(one)
            reading = await body_of(two)
            begun = aiter(reading.body)
            first = await anext(begun)
            await (one.put("k", Body(b"new"), NONE) if replace else one.delete(["k"]))
            await settled(one)
            assert len(files(tmp_path)) == 3 + replace
            assert first + b"".join([chunk async for chunk in begun]) == data
            await settled(two)
            clock.now += 61
            await one.head("k")
            await settled(one)
            assert len(files(tmp_path)) == replace
            assert one.meter.used == 3 * replace

    asyncio.run(main())


def test_a_body_that_nobody_reads_lets_go_of_its_files(tmp_path: Path) -> None:
    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        await bucket.put("k", Body(LARGE), NONE)
        await settled(bucket)
        for close in (True, False):
            found: R2ObjectBody | None = await body_of(bucket)
            assert (len(bucket._readers), descriptors(tmp_path)) == (1, 1)
            if close and found is not None:
                await found.aclose()
            del found
            gc.collect()
            await settled(bucket)
            assert (len(bucket._readers), descriptors(tmp_path)) == (0, 0)

    run(tmp_path, work)


def test_bodies_that_are_open_are_bounded(tmp_path: Path) -> None:
    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        await bucket.put("k", Body(LARGE), NONE)
        found = [await body_of(bucket) for _ in range(MAX_READERS)]
        with pytest.raises(StorageBusy):
            await bucket.get("k")
        await found.pop().aclose()
        found.append(await body_of(bucket))
        assert await (await body_of(bucket, wanted=Range(0, 5))).read() == b"xxxxx"  # read at once
        for each in found:
            await each.aclose()

    run(tmp_path, work)


def test_bodies_that_are_written_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WRITERS", 2)

    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        go_on = asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            await go_on.wait()
            yield b"x"

        writing = [asyncio.create_task(bucket.put(str(n), Body(chunks=slowly()), NONE)) for n in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(StorageBusy, match="being written"):
            await bucket.put("k", Body(b"x"), NONE)
        go_on.set()
        assert None not in await asyncio.gather(*writing)
        assert await bucket.put("k", Body(b"x"), NONE) is not None

    run(tmp_path, work)


def test_the_quota_counts_what_is_there_and_what_is_coming(tmp_path: Path) -> None:
    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        bucket.meter.quota = 10 * MB
        await bucket.put("a", Body(b"a" * 8 * MB), NONE)
        for body in (Body(LARGE), Body(chunks=chunks(LARGE))):
            with pytest.raises(StorageFull, match="size_mb"):
                await bucket.put("b", body, NONE)
        upload = await bucket.create_multipart_upload("c", NONE)
        await bucket.upload_part("c", upload, 1, Body(b"p" * MB))
        with pytest.raises(StorageFull):
            await bucket.upload_part("c", upload, 2, Body(b"p" * 2 * MB))
        await bucket.upload_part("c", upload, 1, Body(b"q" * MB))
        await bucket.put("d", Body(b"d" * MB), NONE)
        await bucket.abort_multipart_upload("c", upload)
        await bucket.put("e", Body(b"e" * MB), NONE)
        assert bucket.meter.used == 10 * MB
        await bucket.delete(["a", "d", "e"])
        await settled(bucket)
        assert (bucket.meter.used, bucket.meter.coming, files(tmp_path)) == (0, 0, [])

    run(tmp_path, work)


def test_the_quota_holds_for_all_processes_together(tmp_path: Path) -> None:
    async def main() -> None:
        async with embedded(tmp_path) as one, embedded(tmp_path) as two:
            for bucket in (one, two):
                bucket.meter.quota = 10 * MB
                await bucket.head("k")
                await settled(bucket)
            await one.put("a", Body(b"a" * 8 * MB), NONE)
            assert two.meter.has(5 * MB)  # it does not know yet
            with pytest.raises(StorageFull, match="size_mb"):
                await two.put("b", Body(b"b" * 5 * MB), NONE)
            await settled(two)
            assert len(files(tmp_path)) == 1

    asyncio.run(main())


async def chunks(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 65_536):
        yield data[start : start + 65_536]


def test_a_body_without_end_ends_at_the_length_that_it_claimed(tmp_path: Path) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65_536

    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        with pytest.raises(BadCall, match="number of bytes"):
            await bucket.put("k", Body(chunks=endless(), length=MB), NONE)
        await settled(bucket)
        assert files(tmp_path) == []

    run(tmp_path, work)


def test_a_body_without_end_ends_at_the_quota(tmp_path: Path) -> None:
    closed = False

    async def endless() -> AsyncIterator[bytes]:
        nonlocal closed
        try:
            while True:
                yield b"x" * 65_536
        finally:
            closed = True

    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        bucket.meter.quota = 4 * MB
        with pytest.raises(StorageFull):
            await bucket.put("k", Body(chunks=endless()), NONE)
        await settled(bucket)
        assert closed
        assert (files(tmp_path), bucket.meter.coming) == ([], 0)

    run(tmp_path, work)


def test_a_writer_that_goes_away_leaves_nothing(tmp_path: Path) -> None:
    async def never() -> AsyncIterator[bytes]:
        yield LARGE
        await asyncio.Event().wait()

    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        task = asyncio.create_task(bucket.put("k", Body(chunks=never()), NONE))
        while not files(tmp_path):
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await settled(bucket)
        assert (files(tmp_path), bucket.meter.coming, await bucket.head("k")) == ([], 0, None)

    run(tmp_path, work)


def test_a_writer_that_goes_away_while_it_is_committed_leaves_a_whole_object(tmp_path: Path) -> None:
    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        for number in range(20):
            task = asyncio.create_task(bucket.put("k", Body(b"%d" % number * 1000), NONE))
            while not bucket._commits and not task.done():
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            await settled(bucket)
            assert await (await body_of(bucket)).read() == b"%d" % number * 1000
            assert len(files(tmp_path)) == 1

    run(tmp_path, work)


def test_a_commit_that_fails_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise StorageFull("no room")

    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        await bucket.put("k", Body(b"old"), NONE)
        monkeypatch.setattr(catalogue, "_insert", fail)
        with pytest.raises(StorageFull, match="no room"):
            await bucket.put("k", Body(b"new"), NONE)
        await settled(bucket)
        assert await (await body_of(bucket)).read() == b"old"
        assert len(files(tmp_path)) == 1

    run(tmp_path, work)


@pytest.mark.parametrize("damage", ["missing", "shorter"])
def test_damaged_files_are_said_to_be(tmp_path: Path, damage: str) -> None:
    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        await bucket.put("k", Body(LARGE), NONE)
        await bucket.put("other", Body(b"fine"), NONE)
        path = max(files(tmp_path), key=lambda each: each.stat().st_size)
        if damage == "missing":
            path.unlink()
        else:
            os.truncate(path, 1000)
        with pytest.raises(StorageCorrupt, match="damaged"):
            await bucket.get("k")
        assert await (await body_of(bucket, "other")).read() == b"fine"
        await bucket.put("k", Body(b"again"), NONE)
        assert await (await body_of(bucket)).read() == b"again"

    run(tmp_path, work)


def test_a_disk_that_is_full_is_an_error_of_the_writer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        await bucket.put("k", Body(b"old"), NONE)
        monkeypatch.setattr("pyworkerd.bindings.r2.files.disk_free", lambda _: 0)
        with pytest.raises(StorageFull, match="no room on the disk"):
            await bucket.put("k", Body(LARGE), NONE)
        assert await (await body_of(bucket)).read() == b"old"

    run(tmp_path, work)


def test_uploads_that_nobody_completes_end_after_a_week(tmp_path: Path) -> None:
    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        old = await bucket.create_multipart_upload("k", NONE)
        await bucket.upload_part("k", old, 1, Body(b"x"))
        clock.now += 7 * 24 * 3600 + 1
        await bucket.create_multipart_upload("k", NONE)
        await settled(bucket)
        assert files(tmp_path) == []
        with pytest.raises(Exception, match="10024"):
            await bucket.upload_part("k", old, 1, Body(b"x"))

    run(tmp_path, work)


def test_however_many_they_are(tmp_path: Path) -> None:
    async def begin(bucket: EmbeddedBucket, _: Clock) -> None:
        for number in range(250):
            upload = await bucket.create_multipart_upload(f"k{number}", NONE)
            if number > 150:  # the first that are found have no files
                await bucket.upload_part(f"k{number}", upload, 1, Body(b"p"))

    async def look(bucket: EmbeddedBucket, clock: Clock) -> int:
        clock.now += 8 * 24 * 3600
        await bucket.head("k0")
        await settled(bucket)
        return bucket.meter.used

    run(tmp_path, begin)
    assert len(files(tmp_path)) == 99
    assert run(tmp_path, look) == 0
    assert files(tmp_path) == []


def test_two_processes_race_for_a_key(tmp_path: Path) -> None:
    """Two buckets on one folder are as two processes are: locks are of open files, and SQLite's of connections."""

    async def main() -> None:
        async with embedded(tmp_path) as one, embedded(tmp_path) as two:
            for turn in range(10):
                wanted = PutOptions(only_if=Conditions(etag_does_not_match=(Tag("*"),)))
                key = str(turn)
                answers = await asyncio.gather(
                    *(
                        bucket.put(key, Body(b"%d" % index), wanted)
                        for index, bucket in enumerate((one, two, one, two))
                    )
                )
                assert sum(answer is not None for answer in answers) == 1
            readers = asyncio.gather(*(read_often(bucket) for bucket in (one, two)))
            for turn in range(30):
                await (one, two)[turn % 2].put("k", Body(bytes([turn]) * 200_000), NONE)
            await readers

    async def read_often(bucket: EmbeddedBucket) -> None:
        for _ in range(60):
            found = await bucket.get("k")
            if isinstance(found, R2ObjectBody):
                data = await found.read()
                assert len(data) == 200_000
                assert len(set(data)) == 1

    asyncio.run(main())


def test_pages_are_cut_where_they_are_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MAX_PAGE", 50_000)

    async def work(bucket: EmbeddedBucket, clock: Clock) -> None:
        for number in range(12):
            await bucket.put(f"{number:02}", Body(), PutOptions(custom={"k": "x" * 8000}))
        found, cursor = [], None
        while True:
            page = await bucket.list(ListOptions(cursor=cursor, include=frozenset(("customMetadata",))))
            assert 1 <= len(page.objects) <= 8
            found += [each.key for each in page.objects]
            cursor = page.cursor
            if cursor is None:
                break
        assert found == [f"{number:02}" for number in range(12)]

    run(tmp_path, work)


@pytest.mark.parametrize("upload", ["", "0" * 64, "\u00e4", "\ud800", "\0"])
def test_uploads_that_there_are_not(tmp_path: Path, upload: str) -> None:
    async def work(bucket: EmbeddedBucket, _clock: Clock) -> None:
        for asked in (
            bucket.upload_part("k", upload, 1, Body(b"x")),
            bucket.complete_multipart_upload("k", upload, [Part(1, "x")]),
            bucket.abort_multipart_upload("k", upload),
        ):
            with pytest.raises(BadCall, match="upload does not exist"):
                await asked

    run(tmp_path, work)
