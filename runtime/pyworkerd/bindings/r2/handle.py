"""A bucket in the hands of the program that embeds the runtime; also a binding to give to workers.

files = runtime.r2("files")
await files.put("report.txt", "hello", http_metadata=HttpMetadata(content_type="text/plain"))
worker = await runtime.load("worker.py", bindings={"FILES": files})
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pyworkerd.http.conditional import Tag
from pyworkerd.messages import Body

from . import R2Binding
from .model import STANDARD, Conditions, HttpMetadata, ListOptions, PutOptions, Range

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from datetime import datetime

    from pyworkerd.storage.layout import Location

    from .bucket import Bucket
    from .buckets import Buckets
    from .model import Part, R2Object, R2ObjectBody, R2Objects

    Value = str | bytes | Body | AsyncIterator[bytes]


class R2:
    """Open until the runtime is closed, or `aclose`. Refusals are `BadCall`, or `WorkerException` for a wrong type."""

    def __init__(self, location: Location, buckets: Buckets, size_mb: int | None = None) -> None:
        self._location, self._buckets, self._size_mb = location, buckets, size_mb
        self._bucket: Bucket = buckets.use(location, time.time, size_mb)

    def __repr__(self) -> str:
        return f"<{self._location.label}>"

    def as_binding(self, name: str) -> R2Binding:
        """The same bucket for a worker."""
        return R2Binding(name, self._location.label, self._size_mb, None, self._location)

    async def head(self, key: str) -> R2Object | None:
        """What is there under a key, without its bytes."""
        return await self._bucket.head(key)

    async def get(
        self,
        key: str,
        *,
        only_if: Conditions | None = None,
        offset: int | None = None,
        length: int | None = None,
        suffix: int | None = None,
    ) -> R2ObjectBody | R2Object | None:
        """An object with its bytes, all or some: read them, or close it. Without them if `only_if` does not hold."""
        some = (offset, length, suffix) != (None, None, None)
        return await self._bucket.get(key, only_if, Range(offset, length, suffix) if some else None)

    async def put(
        self,
        key: str,
        value: Value,
        *,
        http_metadata: HttpMetadata | None = None,
        custom_metadata: Mapping[str, str] | None = None,
        only_if: Conditions | None = None,
        checksum: tuple[str, bytes] | None = None,
        storage_class: str = STANDARD,
    ) -> R2Object | None:
        """Write an object; it is on disk when this returns. None if `only_if` does not hold. `checksum` is for example
        `("sha256", digest)`, and verified.
        """
        options = PutOptions(
            http_metadata or HttpMetadata(), custom_metadata or {}, storage_class, only_if, checksum
        )
        return await self._bucket.put(key, _body(value), options)

    async def delete(self, *keys: str) -> None:
        """Delete objects, if they are there."""
        await self._bucket.delete(keys)

    async def list(
        self,
        prefix: str = "",
        *,
        delimiter: str = "",
        limit: int = 1000,
        cursor: str | None = None,
        start_after: str | None = None,
    ) -> R2Objects:
        """A page of objects with all of their metadata, in the order of the keys' bytes."""
        include = frozenset(("httpMetadata", "customMetadata"))
        return await self._bucket.list(ListOptions(prefix, delimiter, limit, cursor, start_after, include))

    async def create_multipart_upload(
        self,
        key: str,
        *,
        http_metadata: HttpMetadata | None = None,
        custom_metadata: Mapping[str, str] | None = None,
    ) -> str:
        """Begin an upload in parts: its id."""
        options = PutOptions(http_metadata or HttpMetadata(), custom_metadata or {})
        return await self._bucket.create_multipart_upload(key, options)

    async def upload_part(self, key: str, upload: str, number: int, value: Value) -> Part:
        """Send a part, for `complete_multipart_upload`."""
        return await self._bucket.upload_part(key, upload, number, _body(value))

    async def complete_multipart_upload(self, key: str, upload: str, parts: Sequence[Part]) -> R2Object:
        """Make an object of parts."""
        return await self._bucket.complete_multipart_upload(key, upload, parts)

    async def abort_multipart_upload(self, key: str, upload: str) -> None:
        """Drop an upload and its parts."""
        await self._bucket.abort_multipart_upload(key, upload)

    async def aclose(self) -> None:
        """Let go of the bucket; workers that have it keep it."""
        await self._buckets.let_go(self._location)


def _body(value: Value) -> Body:
    if isinstance(value, Body):
        return value
    data = value.encode() if isinstance(value, str) else value
    return Body(data) if isinstance(data, bytes) else Body(chunks=data)


def etag_is(etag: str) -> Conditions:
    """The condition that what is there has this etag."""
    return Conditions(etag_matches=(Tag(etag),))


def absent() -> Conditions:
    """The condition that nothing is there."""
    return Conditions(etag_does_not_match=(Tag("*"),))


def uploaded_before(moment: datetime) -> Conditions:
    """The condition that what is there was written before."""
    return Conditions(uploaded_before=int(moment.timestamp() * 1000))
