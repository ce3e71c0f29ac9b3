"""Uploads that are under way: received into files, unpacked by a serving process, one after another from there on."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec

from pyworkerd.errors import StorageError
from pyworkerd.versions import receiving
from pyworkerd.versions.store import FULL, Full, Store

from .api import ApiError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from .api import Call

MOST: Final = 4
"""At once; each may be as long as `site.MAX_UPLOAD`, on disk."""
UNPACK_S: Final = 60.0


class Uploads:
    """One for each admin address."""

    def __init__(self) -> None:
        self._open = 0
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def kept(self, call: Call, service: str) -> AsyncIterator[receiving.Kept]:
        """The files of the version that a request brings. Nobody else's become versions meanwhile: files that no record
        names are removed with the next upload.

        Raises `ApiError`, and then nothing of it is left.
        """
        if self._open >= MOST:
            raise ApiError(503, f"{MOST} uploads are under way: try again")
        self._open += 1
        try:
            store = Store(call.server.config.state_dir)
            try:
                path, descriptor = store.incoming()
            except StorageError as error:
                raise as_api_error(error) from None
            try:
                await _take(call, descriptor)
                async with self._lock:
                    yield await _unpacked(call, store, service, path)
            finally:
                path.unlink(missing_ok=True)
        finally:
            self._open -= 1


async def _take(call: Call, descriptor: int) -> None:
    """Write the body to a file. It goes to the page cache: the supervisor has no thread, and waits for no disk."""
    try:
        async for chunk in call.request.body:
            rest = memoryview(chunk)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
    except OSError as error:
        status = 507 if error.errno in FULL else 502
        raise ApiError(
            status, f"the upload cannot be written ({error.strerror}): nothing has changed"
        ) from None
    finally:
        os.close(descriptor)


async def _unpacked(call: Call, store: Store, service: str, path: Path) -> receiving.Kept:
    known = tuple(version.id for version in store.record(service).versions)
    order = receiving.Order(str(store.root.parent), service, str(path), known)
    answer = await call.server.let_one("receive", msgspec.msgpack.encode(order), UNPACK_S)
    if not answer:
        raise ApiError(502, "no serving process could unpack the upload: nothing has changed")
    try:
        found = receiving.answer_of(answer)
    except msgspec.DecodeError:
        raise ApiError(502, "the serving process that unpacked the upload talks nonsense") from None
    if isinstance(found, receiving.Kept):
        return found
    raise ApiError({"upload": 422, "full": 507, "disk": 502}[found.fault], found.detail)


def as_api_error(error: StorageError) -> ApiError:
    """What could not be kept, and why."""
    return ApiError(507 if isinstance(error, Full) else 502, str(error))
