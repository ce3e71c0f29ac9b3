"""The embedded provider: a catalogue in SQLite, and files beside it.

A write goes: the bytes to a file of their own, that to disk, then one transaction lists it. So a process that dies at
any moment leaves the old object or the new one, and perhaps litter, which the next process that opens the bucket
collects.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pyworkerd.errors import PyworkerdError, StorageBusy, StorageCorrupt, StorageError, StorageFull
from pyworkerd.messages import Body
from pyworkerd.storage.bodies import FileBody, receive
from pyworkerd.storage.lane import Lane

from . import catalogue, rules
from .bucket import Bucket
from .catalogue import File
from .faults import fault
from .files import Draft, Folder, Gone, Reader, explained, slices
from .meter import Meter
from .model import Part, with_body

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Coroutine, Mapping, Sequence

    from pyworkerd.http.conditional import Span
    from pyworkerd.storage.database import Database
    from pyworkerd.storage.layout import Location
    from pyworkerd.storage.stores import Stores

    from .catalogue import Litter, Written
    from .files import Slice
    from .model import Conditions, ListOptions, PutOptions, R2Object, R2ObjectBody, R2Objects, Range

DEFAULT_MB: Final = 10 * 1024
"""How large a bucket may grow if nothing is configured (R2: 10 GB are free)."""
IN_HAND: Final = 64 * 1024
"""Bytes of an object that is read at once."""
MAX_READERS: Final = 128
"""Bodies of a bucket that are being read at once: each has one or two descriptors."""
MAX_WRITERS: Final = 128
"""Those that are being written: each has one. As many as an isolate may stream at once (`dispatch.room`)."""
TRIES: Final = 8
"""How often an object may be replaced between looking it up and opening it."""
AT_ONCE: Final = 100
"""Files that are deleted in one piece of work."""
SWEEP_EVERY: Final = 60_000
"""Milliseconds between two looks at files that somebody was reading when they were deleted."""

T = TypeVar("T")

logger = logging.getLogger("pyworkerd.storage")


class EmbeddedBucket(Bucket):
    """One bucket below `state_dir`, shared by all that use it in this process; other processes may use it as well."""

    def __init__(self, location: Location, stores: Stores, now: Callable[[], float]) -> None:
        """`now` is the wall clock, in seconds."""
        self._stores, self.clock = stores, now
        self._database: Database = stores.use(location, catalogue.DESIGN)
        self._database.size_mb = catalogue.DESIGN.default_mb
        self._folder = Folder(location)
        self._lane = Lane(stores.threads, location.label)
        self._label = location.label
        self.meter = Meter((location.size_mb or DEFAULT_MB) << 20)
        self._readers: set[object] = set()
        self._writers = 0
        self._commits: set[asyncio.Task[Any]] = set()
        self._chores: set[asyncio.Task[Any]] = set()
        self._swept: int | None = None
        self._left_over = False

    def __repr__(self) -> str:
        return f"<EmbeddedBucket {self._label}>"

    def _now(self) -> int:
        return int(self.clock() * 1000)

    # reading -------------------------------------------------------------------------------------------------

    async def head(self, key: str) -> R2Object | None:
        """See `Bucket`."""
        name = rules.key_bytes("head", key)
        return await self._read(lambda connection: catalogue.find(connection, name))

    async def get(
        self, key: str, only_if: Conditions | None = None, wanted: Range | None = None
    ) -> R2ObjectBody | R2Object | None:
        """See `Bucket`."""
        name = rules.key_bytes("get", key)
        before: R2Object | None = None
        for _ in range(TRIES):
            found, files = await self._read(lambda connection: catalogue.find_files(connection, name))
            if found is None or not rules.holds(only_if, found):
                return found
            span = rules.span_of(wanted, found.size)
            try:
                return await self._open(found, files, span)
            except Gone:
                if before is not None and found.version == before.version:
                    logger.error("%s: a file of %r is missing", self._folder.path, key)  # noqa: TRY400
                    raise StorageCorrupt(f"the {self._label} is damaged: restore it from a backup") from None
                before = found
        raise StorageBusy(f"an object of the {self._label} is replaced too often to be read")

    async def _open(self, found: R2Object, files: Sequence[File], span: Span | None) -> R2ObjectBody:
        offset, length = (0, found.size) if span is None else span
        parts = slices(files, offset, length)
        if not parts:
            body = Body()
        elif length <= IN_HAND and len(parts) == 1:
            body = Body(await self._disk(partial(self._folder.read, parts[0])))
        else:
            body = Body(chunks=await self._reader(files, parts), length=length)
        return with_body(found, span, body)

    async def _reader(self, files: Sequence[File], parts: Sequence[Slice]) -> FileBody:
        if len(self._readers) >= MAX_READERS:
            raise StorageBusy(f"{MAX_READERS} bodies of the {self._label} are being read already")
        place = object()
        self._readers.add(place)
        try:
            first = files[0] if len(files) > 1 else None
            reader = await self._disk(partial(Reader, self._folder, parts, first))
        except BaseException:
            self._readers.discard(place)
            raise
        return FileBody(reader, self._lane, partial(self._readers.discard, place))

    async def list(self, options: ListOptions) -> R2Objects:
        """See `Bucket`."""
        rules.check_list(options)
        return await self._read(lambda connection: catalogue.listing(connection, options))

    # writing -------------------------------------------------------------------------------------------------

    async def put(self, key: str, body: Body, options: PutOptions) -> R2Object | None:
        """See `Bucket`. A condition that does not hold already is answered before the body is read."""
        draft = None
        try:
            name = rules.key_bytes("put", key)
            rules.check_metadata("put", options.http, options.custom)
            if options.only_if is not None:
                there = await self._read(lambda connection: catalogue.find(connection, name))
                if not rules.holds(options.only_if, there):
                    return None
            kinds = {"md5"} | ({options.checksum[0]} if options.checksum else set())
            draft = Draft(self._folder, kinds)
            sums = await self._receive("put", body, draft)
            rules.check_digest(options, sums)
            found = rules.written(key, draft.size, self._now(), sums, options)
            file, handed_over, draft = _file(draft, sums), draft, None
            written = await self._write(
                lambda connection: catalogue.put(connection, found, file, options.only_if, self.meter.quota),
                handed_over,
            )
            return written.found
        finally:
            await body.aclose()
            if draft is not None:
                self._lane.leave(draft.discard)

    async def _receive(self, action: str, body: Body, draft: Draft) -> Mapping[str, bytes]:
        received = 0

        def check(size: int) -> None:
            nonlocal received
            if received + size > rules.MAX_PART:
                raise fault(action, "too_large")
            if body.length is not None and received + size > body.length:
                raise fault(action, "length")
            if not self.meter.has(size):
                raise _full(self._label)
            received += size
            self.meter.coming += size

        if self._writers >= MAX_WRITERS:
            raise StorageBusy(f"{MAX_WRITERS} bodies are being written to the {self._label} already")
        self._writers += 1
        try:
            if body.length is not None and not self.meter.has(body.length):
                raise _full(self._label)
            sums = await receive(body, draft, self._lane, check)
            if body.length is not None and received != body.length:
                raise fault(action, "length")
            return sums
        finally:
            self._writers -= 1
            self.meter.coming -= received

    async def delete(self, keys: Sequence[str]) -> None:
        """See `Bucket`."""
        names = rules.check_deleted(keys)
        await self._write(lambda connection: catalogue.delete(connection, names))

    # multipart -----------------------------------------------------------------------------------------------

    async def create_multipart_upload(self, key: str, options: PutOptions) -> str:
        """See `Bucket`."""
        name = rules.key_bytes("createMultipartUpload", key)
        rules.check_metadata("createMultipartUpload", options.http, options.custom)
        upload, now = secrets.token_hex(32), self._now()

        def begin(connection: sqlite3.Connection) -> Written:
            return catalogue.begin(connection, upload, name, options, now)

        await self._write(begin)
        return upload

    async def upload_part(self, key: str, upload: str, number: int, body: Body) -> Part:
        """See `Bucket`."""
        draft = None
        try:
            name = rules.key_bytes("uploadPart", key)
            rules.check_part(number)
            if not await self._read(lambda connection: catalogue.is_open(connection, upload, name)):
                raise fault("uploadPart", "no_upload")
            draft = Draft(self._folder, {"md5"})
            sums = await self._receive("uploadPart", body, draft)
            if draft.name is None:  # a part has a file even if it is empty: it is listed by it
                await self._lane.run(partial(draft.write, ()))
                await self._lane.run(draft.finish)
            file, handed_over, draft = _file(draft, sums), draft, None
            assert file is not None
            await self._write(
                lambda connection: catalogue.add_part(
                    connection, upload, name, number, file, self.meter.quota
                ),
                handed_over,
            )
            return Part(number, file.etag)
        finally:
            await body.aclose()
            if draft is not None:
                self._lane.leave(draft.discard)

    async def complete_multipart_upload(self, key: str, upload: str, parts: Sequence[Part]) -> R2Object:
        """See `Bucket`."""
        name, version, now = (
            rules.key_bytes("completeMultipartUpload", key),
            secrets.token_hex(16),
            self._now(),
        )
        written = await self._write(
            lambda connection: catalogue.complete(connection, upload, name, parts, version, now)
        )
        assert written.found is not None
        return written.found

    async def abort_multipart_upload(self, key: str, upload: str) -> None:
        """See `Bucket`."""
        name = rules.key_bytes("abortMultipartUpload", key)
        await self._write(lambda connection: catalogue.abort(connection, upload, name))

    # the catalogue, and what is left over ----------------------------------------------------------------------

    async def _read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        self._look_after()
        return await self._database.read(work)

    async def _disk(self, work: Callable[[], T]) -> T:
        def explained_work() -> T:
            with explained():
                return work()

        return await self._lane.run(explained_work)

    async def _write(
        self, work: Callable[[sqlite3.Connection], Written], draft: Draft | None = None
    ) -> Written:
        """Commit, and delete what is litter now. It goes on when its asker has gone, who could not know how far it has
        come. The draft is let go of afterwards.
        """
        self._look_after()
        task = asyncio.get_running_loop().create_task(self._commit(work, draft))
        self._commits.add(task)
        task.add_done_callback(self._commits.discard)
        return await asyncio.shield(task)

    async def _commit(self, work: Callable[[sqlite3.Connection], Written], draft: Draft | None) -> Written:
        try:
            written = await self._database.write(work)
        except Exception:
            if draft is not None and draft.name is not None:
                draft.release()
                self._chore(self._collect_portion([draft.name]))  # it may be listed in spite of the error
            raise
        finally:
            if draft is not None:
                draft.release()
        self.meter.used = written.used
        try:
            await self._clear(written.litter)
        except StorageError as error:  # what was asked for is done
            logger.warning("%s: deleting files was put off: %s", self._label, error)
        return written

    async def _clear(self, litter: Litter) -> None:
        for start in range(0, len(litter.files), AT_ONCE):
            await self._disk(partial(self._folder.delete, litter.files[start : start + AT_ONCE]))
        for owner in litter.owners:
            await self._clear_owner(owner)

    async def _clear_owner(self, owner: str) -> None:
        files = await self._database.read(lambda connection: catalogue.files_of(connection, owner))
        names = [file.name for file in files]
        if not names or await self._disk(partial(self._folder.delete_unread, names)):
            await self._database.write(lambda connection: catalogue.forget(connection, owner), relaxed=True)
        else:
            self._left_over = True

    def _look_after(self) -> None:
        """Now and then: collect litter when the bucket is used for the first time, later what somebody was reading."""
        now = self._now()
        if self._swept is None:
            self._swept = now
            self._chore(self._collect())
        elif self._left_over and now - self._swept >= SWEEP_EVERY:
            self._swept, self._left_over = now, False
            self._chore(self._sweep())

    async def _sweep(self) -> None:
        for owner in await self._database.read(catalogue.doomed):
            await self._clear_owner(owner)

    async def _collect(self) -> None:
        while True:
            left = await self._database.write(lambda connection: catalogue.clean(connection, self._now()))
            self.meter.used = left.used  # and the files of what has ended are litter like any other
            if not await self._database.read(lambda connection: catalogue.has_old(connection, self._now())):
                break
        await self._sweep()
        portions = self._folder.portions()
        while (names := await self._disk(lambda: next(portions, None))) is not None:
            await self._collect_portion(names)

    async def _collect_portion(self, names: Sequence[str]) -> None:
        listed = await self._database.read(lambda connection: catalogue.known(connection, names))
        held = await self._disk(lambda: self._folder.lock(set(names) - listed))
        locked = held.names
        if locked:  # asked again: a writer may have had one listed in between
            listed = await self._database.read(lambda connection: catalogue.known(connection, locked))
            number = await self._disk(lambda: held.end(listed))
            logger.debug("%s: %d files were litter", self._label, number)

    def _chore(self, work: Coroutine[Any, Any, None]) -> None:
        async def guarded() -> None:
            try:
                await work
            except PyworkerdError as error:
                logger.warning("%s: cleaning up was put off: %s", self._label, error)

        task = asyncio.get_running_loop().create_task(guarded())
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def aclose(self) -> None:
        """Finish what is being written."""
        for task in self._chores:
            task.cancel()
        while tasks := self._commits | self._chores:
            await asyncio.wait(tasks)
        await self._lane.aclose()
        await self._stores.let_go(self._database)


def _full(label: str) -> StorageFull:
    return StorageFull(f"the {label} is as large as it may become (size_mb)")


def _file(draft: Draft, sums: Mapping[str, bytes]) -> File | None:
    return None if draft.name is None else File(draft.name, draft.size, sums["md5"].hex())
