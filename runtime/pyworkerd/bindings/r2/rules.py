"""What R2 allows, and what a condition or a range comes to. Pure.

Limits are those of Workers (R2, limits); errors are `faults`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from pyworkerd.bindings.arguments import type_error
from pyworkerd.http.conditional import Span, byte_ranges

from .faults import fault
from .model import CHECKSUMS, HttpMetadata, Part, R2Object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .model import Conditions, ListOptions, PutOptions, Range

MAX_KEY: Final = 1024
MAX_METADATA: Final = 8192
MAX_LIST: Final = 1000
MAX_DELETE: Final = 1000
MIN_PART: Final = 5 << 20
MAX_PART: Final = (5 << 30) - (5 << 20)
"""Of a part, and of what one `put` writes."""
MAX_PARTS: Final = 10_000
MAX_OBJECT: Final = 5 << 40
MAX_UPLOADS: Final = 1000
"""Multipart uploads of a bucket that are open at once. (R2 names no number.)"""


def key_bytes(action: str, key: str) -> bytes:
    """A key as it is kept: bytes, told apart as they are. It is never a part of a path."""
    try:
        data = key.encode()
    except UnicodeEncodeError:
        raise fault(action, "object_name") from None
    if not 0 < len(data) <= MAX_KEY:
        raise fault(action, "object_name")
    return data


def check_metadata(action: str, http: HttpMetadata, custom: Mapping[str, str]) -> None:
    """Raise the fault for more of it than an object may have."""
    size = sum(_serialised(key) + _serialised(value) for key, value in custom.items())
    headers = sum(_serialised(value) for _, value in http.headers())
    if size > MAX_METADATA or headers > MAX_METADATA:
        raise fault(action, "metadata_too_large")


def _serialised(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def holds(conditions: Conditions | None, found: R2Object | None) -> bool:
    """Whether what is there is as it was asked for (RFC 9110 section 13.2.2, as R2 reads it).

    An etag that was asked for and holds takes precedence over the date beside it.
    """
    if conditions is None:
        return True
    wanted, unwanted = conditions.etag_matches, conditions.etag_does_not_match
    before, after = conditions.uploaded_before, conditions.uploaded_after
    if found is None:
        return wanted is None and after is None
    unit = 1000 if conditions.seconds_granularity else 1
    uploaded = found.uploaded_ms // unit
    matches = wanted is None or any(tag.matches(found.etag, weakly=False) for tag in wanted)
    differs = unwanted is None or not any(tag.matches(found.etag, weakly=True) for tag in unwanted)
    newer = after is None or after // unit < uploaded or (unwanted is not None and differs)
    older = before is None or uploaded < before // unit or (wanted is not None and matches)
    return matches and differs and newer and older


def span_of(wanted: Range | None, size: int) -> Span | None:
    """The bytes that are asked for; None for all of them. Raises the fault for bytes that are not there.

    A header that is malformed, names several ranges or none that is there asks for everything.
    """
    if wanted is None:
        return None
    if wanted.header is not None:
        ranges = byte_ranges(wanted.header, size)
        return ranges[0] if ranges is not None and len(ranges) == 1 else None
    if wanted.suffix is not None:
        length = min(wanted.suffix, size)
        if wanted.suffix <= 0:
            raise fault("get", "range")
        return Span(size - length, length)
    offset = wanted.offset or 0
    length = size - offset if wanted.length is None else wanted.length
    if offset < 0 or offset > size or length <= 0:
        raise fault("get", "range")
    return Span(offset, min(length, size - offset))


def check_list(options: ListOptions) -> None:
    """Raise the fault for a limit that is none."""
    if not 1 <= options.limit <= MAX_LIST:
        raise fault("list", "max_keys")


def check_deleted(keys: Sequence[str]) -> list[bytes]:
    """The keys of one `delete`."""
    if len(keys) > MAX_DELETE:
        raise fault("delete", "max_keys")
    return [key_bytes("delete", key) for key in keys]


def check_digest(options: PutOptions, actual: Mapping[str, bytes]) -> None:
    """Raise the fault if the bytes are not those that were meant."""
    if options.checksum is not None:
        kind, expected = options.checksum
        if actual[kind] != expected:
            raise fault("put", "digest", CHECKSUMS[kind][0], expected.hex(), actual[kind].hex())


def written(
    key: str, size: int, now: int, sums: Mapping[str, bytes], options: PutOptions, etag: str | None = None
) -> R2Object:
    """The object that a write makes, with a version of its own. Its etag is the MD5 of its bytes if none is given."""
    return R2Object(
        key,
        secrets.token_hex(16),
        size,
        sums["md5"].hex() if etag is None else etag,
        now,
        options.http,
        options.custom,
        sums,
        options.storage_class,
    )


def included(found: R2Object, include: frozenset[str]) -> R2Object:
    """An object as a listing shows it."""
    http = found.http_metadata if "httpMetadata" in include else HttpMetadata()
    return replace(
        found,
        http_metadata=http,
        custom_metadata=found.custom_metadata if "customMetadata" in include else {},
    )


def check_part(number: int) -> None:
    """Raise TypeError for a number that no part may have."""
    if not 1 <= number <= MAX_PARTS:
        raise type_error(
            f"Part number must be between 1 and {MAX_PARTS} (inclusive). Actual value was: {number}"
        )


def assemble(parts: Sequence[Part], uploaded: Mapping[int, tuple[str, int]]) -> tuple[list[int], str, int]:
    """The numbers of the parts in their order, the etag of the whole, and its size.

    `uploaded` is what has come in: etag and size by number. All parts but the last have one size, of 5 MiB at least.
    The etag is the MD5 of the parts' MD5, and how many there are, as S3 has it.
    """
    numbers = sorted(part.number for part in parts)
    if not numbers or len(set(numbers)) != len(numbers):
        raise fault("completeMultipartUpload", "internal" if numbers else "upload")
    if any(part.number not in uploaded or uploaded[part.number][0] != part.etag for part in parts):
        raise fault("completeMultipartUpload", "part")
    sizes = [uploaded[number][1] for number in numbers]
    if any(size < MIN_PART for size in sizes[:-1]):
        raise fault("completeMultipartUpload", "too_small")
    if any(size != sizes[0] for size in sizes[:-1]) or sizes[-1] > sizes[0]:
        raise fault("completeMultipartUpload", "upload")
    if sum(sizes) > MAX_OBJECT:
        raise fault("completeMultipartUpload", "too_large")
    digests = b"".join(bytes.fromhex(uploaded[number][0]) for number in numbers)
    etag = hashlib.md5(digests, usedforsecurity=False).hexdigest()
    return numbers, f"{etag}-{len(numbers)}", sum(sizes)


def after_prefix(prefix: bytes) -> bytes | None:
    """The first key behind all that begin so; None if there can be none."""
    stripped = prefix.rstrip(b"\xff")
    return stripped[:-1] + bytes([stripped[-1] + 1]) if stripped else None


def searched(text: str) -> bytes:
    """What keys are compared with. It may be what no key can be."""
    return text.encode("utf-8", "surrogatepass")


def list_start(options: ListOptions) -> bytes:
    """The first key that may be listed, by `startAfter` and the cursor. Raises the fault for a bad cursor."""
    start = b"" if options.start_after is None else searched(options.start_after) + b"\0"
    if options.cursor is not None:
        kind, key = from_cursor(options.cursor)
        start = max(start, key + b"\0" if kind == b"k" else after_prefix(key) or key + b"\xff")
    return start


def to_cursor(kind: bytes, key: bytes) -> str:
    """Where a listing goes on: behind a key (`k`), or behind all keys of a delimited prefix (`p`)."""
    return base64.urlsafe_b64encode(kind + key).decode()


def from_cursor(cursor: str) -> tuple[bytes, bytes]:
    """What `to_cursor` was given. Raises the fault for anything else."""
    try:
        data = base64.b64decode(cursor.encode("ascii"), b"-_", validate=True)
    except (binascii.Error, ValueError):
        raise fault("list", "argument") from None
    if data[:1] not in (b"k", b"p") or not 1 < len(data) <= MAX_KEY + 1:
        raise fault("list", "argument")
    return data[:1], data[1:]
