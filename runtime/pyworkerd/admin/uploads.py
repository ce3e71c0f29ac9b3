"""Uploads that are under way: received into files, unpacked by a serving process, one after another from there on."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from contextvars import Context
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from pyworkerd.errors import StorageError, StorageFull
from pyworkerd.versions import receiving
from pyworkerd.versions.store import FULL, Store

from .api import ApiError
from .auth import UNIX

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pyworkerd.versions.model import Digest

    from .api import Call
    from .auth import Caller

MOST: Final = 4
"""At once; each may be as long as `site.MAX_UPLOAD`, on disk."""
EACH: Final = 2
"""Of them for one token, so that nobody keeps all others out. Whoever can open the Unix socket may have all."""
RECEIVE_S: Final = 600.0
"""For the whole of an upload: 64 MiB at one megabit a second."""
UNPACK_S: Final = 60.0

_Done = TypeVar("_Done")
_Answer = TypeVar("_Answer", receiving.Kept, receiving.Taken, receiving.Missing)


class Uploads:
    """One for each admin address."""

    def __init__(self) -> None:
        self._open: Counter[str] = Counter()
        """By whoever uploads."""
        self._lock = asyncio.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    async def deploy(
        self, call: Call, service: str, go_over: Callable[[receiving.Kept], Awaitable[_Done]]
    ) -> _Done:
        """Receive a version, keep its files, and do with them what is to be done. See `_received`."""

        async def done(store: Store, path: Path) -> _Done:
            known = tuple(version.id for version in store.record(service).versions)
            until = monotonic() + UNPACK_S
            order = receiving.Order(str(store.root.parent), service, str(path), known, until)
            return await go_over(await ordered(call, order, receiving.Kept))

        return await self._received(call, done)

    async def take_assets(self, call: Call, service: str) -> receiving.Taken:
        """Receive contents of static assets, and keep them. See `_received`."""

        async def done(store: Store, path: Path) -> receiving.Taken:
            order = receiving.OrderOfAssets(str(store.root.parent), service, str(path))
            return await ordered(call, order, receiving.Taken)

        return await self._received(call, done)

    async def missing_assets(self, call: Call, service: str, digests: list[Digest]) -> receiving.Missing:
        """Which contents are not there. To look at ten thousand files is work as an upload is, so it is counted as one,
        and nobody removes what is asked for meanwhile. Raises `ApiError`.
        """
        caller = call.caller or UNIX
        state_dir = str(call.server.config.state_dir.absolute())
        self._enter(caller)
        try:
            async with self._lock:
                return await ordered(call, receiving.Wanted(state_dir, service, digests), receiving.Missing)
        finally:
            self._leave(caller)

    async def _received(self, call: Call, done: Callable[[Store, Path], Awaitable[_Done]]) -> _Done:
        """Receive what a request brings into a file, and do with that what is to be done.

        Nobody else's files become those of a version meanwhile, because files that no record names are removed with the
        next upload. So a client that goes away once all has arrived stops nothing. Raises `ApiError`.
        """
        caller = call.caller or UNIX
        self._enter(caller)
        try:
            store = Store(call.server.config.state_dir)
            path, descriptor = _incoming(store)
            try:
                await _take(call, descriptor)
                task = asyncio.create_task(self._alone(store, path, done), context=Context())
            except BaseException:
                store.discard(path)
                raise
        except BaseException:
            self._leave(caller)
            raise
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, caller))
        return await asyncio.shield(task)

    async def _alone(
        self, store: Store, path: Path, done: Callable[[Store, Path], Awaitable[_Done]]
    ) -> _Done:
        try:
            async with self._lock:
                return await done(store, path)
        finally:
            store.discard(path)

    def _enter(self, caller: Caller) -> None:
        if self._open.total() >= MOST:
            raise ApiError(503, f"{MOST} uploads are under way: try again")
        if caller is not UNIX and self._open[caller.name] >= EACH:
            raise ApiError(503, f"{EACH} uploads of this token are under way: try again")
        self._open[caller.name] += 1

    def _leave(self, caller: Caller) -> None:
        self._open[caller.name] -= 1
        self._open += Counter()  # forgets those that have none

    def _ended(self, caller: Caller, task: asyncio.Task[Any]) -> None:
        self._leave(caller)
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked has been told, or has gone


def _incoming(store: Store) -> tuple[Path, int]:
    try:
        return store.incoming()
    except StorageError as error:
        raise as_api_error(error) from None


async def _take(call: Call, descriptor: int) -> None:
    """Write the body to a file. It goes to the page cache: the supervisor has no thread, and waits for no disk."""
    try:
        async with asyncio.timeout(RECEIVE_S):
            async for chunk in call.request.body:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
    except TimeoutError:
        raise ApiError(408, f"the upload took more than {RECEIVE_S:g} s: nothing has changed") from None
    except OSError as error:
        status = 507 if error.errno in FULL else 502
        raise ApiError(
            status, f"the upload cannot be written ({error.strerror}): nothing has changed"
        ) from None
    finally:
        os.close(descriptor)


async def ordered(
    call: Call, order: receiving.Order | receiving.OrderOfAssets | receiving.Wanted, kind: type[_Answer]
) -> _Answer:
    """Have one serving process do it, on a thread of its. Raises `ApiError`."""
    answer = await call.server.let_one("receive", msgspec.msgpack.encode(order), UNPACK_S)
    if not answer:
        raise ApiError(
            502,
            f"no process serves now, or none has done it in {UNPACK_S:g} s: nothing has changed, try again",
        )
    try:
        found = receiving.answer_of(answer)
    except msgspec.DecodeError:
        raise ApiError(502, "the serving process that unpacked the upload talks nonsense") from None
    if isinstance(found, receiving.NotKept):
        raise ApiError({"upload": 422, "full": 507, "disk": 502}[found.fault], found.detail)
    if not isinstance(found, kind):
        raise ApiError(502, "the serving process that unpacked the upload talks of something else")
    return found


def as_api_error(error: StorageError) -> ApiError:
    """What could not be kept, and why."""
    return ApiError(507 if isinstance(error, StorageFull) else 502, str(error))
