"""A bucket in memory: the provider for tests, lost with its process."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyworkerd.messages import Body

from . import rules
from .bucket import Bucket
from .faults import fault
from .model import Part, R2Object, R2Objects, with_body

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .model import Conditions, ListOptions, PutOptions, R2ObjectBody, Range


@dataclass(slots=True)
class _Upload:
    key: bytes
    options: PutOptions
    parts: dict[int, bytes] = field(default_factory=dict)


class MemoryBucket(Bucket):
    """See `Bucket`; on disk is nothing."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._objects: dict[bytes, tuple[R2Object, bytes]] = {}
        self._uploads: dict[str, _Upload] = {}

    def _found(self, key: bytes) -> R2Object | None:
        return self._objects[key][0] if key in self._objects else None

    async def head(self, key: str) -> R2Object | None:
        """See `Bucket`."""
        return self._found(rules.key_bytes("head", key))

    async def get(
        self, key: str, only_if: Conditions | None = None, wanted: Range | None = None
    ) -> R2ObjectBody | R2Object | None:
        """See `Bucket`."""
        name = rules.key_bytes("get", key)
        found = self._found(name)
        if found is None or not rules.holds(only_if, found):
            return found
        span = rules.span_of(wanted, found.size)
        data = self._objects[name][1]
        return with_body(found, span, Body(data if span is None else data[span.offset : sum(span)]))

    async def put(self, key: str, body: Body, options: PutOptions) -> R2Object | None:
        """See `Bucket`."""
        try:
            name = rules.key_bytes("put", key)
            rules.check_metadata("put", options.http, options.custom)
            if not rules.holds(options.only_if, self._found(name)):
                return None
            data = await _read("put", body)
        finally:
            await body.aclose()
        kinds = {"md5"} | ({options.checksum[0]} if options.checksum else set())
        sums = {kind: hashlib.new(kind, data, usedforsecurity=False).digest() for kind in kinds}
        rules.check_digest(options, sums)
        if not rules.holds(options.only_if, self._found(name)):
            return None
        found = rules.written(key, len(data), int(self._now() * 1000), sums, options)
        self._objects[name] = found, data
        return found

    async def delete(self, keys: Sequence[str]) -> None:
        """See `Bucket`."""
        for name in rules.check_deleted(keys):
            self._objects.pop(name, None)

    async def list(self, options: ListOptions) -> R2Objects:
        """See `Bucket`."""
        rules.check_list(options)
        prefix, delimiter = rules.searched(options.prefix), rules.searched(options.delimiter)
        objects: list[R2Object] = []
        prefixes: list[str] = []
        start, cursor, jump = rules.list_start(options), "", b""
        for key in sorted(self._objects):
            if key < start or not key.startswith(prefix) or (jump and key.startswith(jump)):
                continue
            if len(objects) + len(prefixes) == options.limit:
                return R2Objects(tuple(objects), tuple(prefixes), cursor)
            end = key.find(delimiter, len(prefix)) if delimiter else -1
            if end >= 0:
                jump = key[: end + len(delimiter)]
                prefixes.append(jump.decode())
                cursor = rules.to_cursor(b"p", jump)
            else:
                objects.append(rules.included(self._objects[key][0], options.include))
                cursor = rules.to_cursor(b"k", key)
        return R2Objects(tuple(objects), tuple(prefixes))

    async def create_multipart_upload(self, key: str, options: PutOptions) -> str:
        """See `Bucket`."""
        name = rules.key_bytes("createMultipartUpload", key)
        rules.check_metadata("createMultipartUpload", options.http, options.custom)
        if len(self._uploads) >= rules.MAX_UPLOADS:
            raise fault("createMultipartUpload", "uploads")
        upload = secrets.token_hex(32)
        self._uploads[upload] = _Upload(name, options)
        return upload

    def _upload(self, action: str, key: str, upload: str) -> _Upload:
        name, found = rules.key_bytes(action, key), self._uploads.get(upload)
        if found is None or found.key != name:
            raise fault(action, "no_upload")
        return found

    async def upload_part(self, key: str, upload: str, number: int, body: Body) -> Part:
        """See `Bucket`."""
        try:
            rules.check_part(number)
            self._upload("uploadPart", key, upload)
            data = await _read("uploadPart", body)
        finally:
            await body.aclose()
        self._upload("uploadPart", key, upload).parts[number] = data
        return Part(number, _md5(data))

    async def complete_multipart_upload(self, key: str, upload: str, parts: Sequence[Part]) -> R2Object:
        """See `Bucket`."""
        found = self._upload("completeMultipartUpload", key, upload)
        there = {number: (_md5(data), len(data)) for number, data in found.parts.items()}
        numbers, etag, _ = rules.assemble(parts, there)
        data = b"".join(found.parts[number] for number in numbers)
        whole = rules.written(key, len(data), int(self._now() * 1000), {}, found.options, etag)
        self._objects[found.key] = whole, data
        del self._uploads[upload]
        return whole

    async def abort_multipart_upload(self, key: str, upload: str) -> None:
        """See `Bucket`."""
        self._upload("abortMultipartUpload", key, upload)
        del self._uploads[upload]

    async def aclose(self) -> None:
        """Forget everything."""
        self._objects.clear()
        self._uploads.clear()


async def _read(action: str, body: Body) -> bytes:
    data = b"".join([chunk async for chunk in body])
    if body.length is not None and len(data) != body.length:
        raise fault(action, "length")
    return data


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
