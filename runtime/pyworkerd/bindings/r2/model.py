"""What R2 is asked and what it answers, as plain values. Moments are milliseconds since 1970."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from pyworkerd.http.dates import format_date

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd.http.conditional import Span, Tag
    from pyworkerd.messages import Body

HTTP_FIELDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "content_type": "content-type",
        "content_language": "content-language",
        "content_disposition": "content-disposition",
        "content_encoding": "content-encoding",
        "cache_control": "cache-control",
    }
)
"""Fields of an object's HTTP metadata that are text, and the headers that they become."""
CHECKSUMS: Final[Mapping[str, tuple[str, int]]] = MappingProxyType(
    {
        "md5": ("MD5", 16),
        "sha1": ("SHA-1", 20),
        "sha256": ("SHA-256", 32),
        "sha384": ("SHA-384", 48),
        "sha512": ("SHA-512", 64),
    }
)
"""What may be verified: the name that messages have for it, and its bytes."""
STANDARD: Final = "Standard"
STORAGE_CLASSES: Final = frozenset((STANDARD, "InfrequentAccess"))
"""Accepted and given back: there is one kind of disk here."""


@dataclass(frozen=True, slots=True)
class HttpMetadata:
    """Headers that go with an object when it is served."""

    content_type: str | None = None
    content_language: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    cache_control: str | None = None
    cache_expiry: int | None = None

    def headers(self) -> list[tuple[str, str]]:
        """As header fields."""
        pairs = [(header, getattr(self, name)) for name, header in HTTP_FIELDS.items()]
        found = [(header, value) for header, value in pairs if value is not None]
        if self.cache_expiry is not None:
            found.append(("expires", format_date(self.cache_expiry / 1000)))
        return found

    def to_json(self) -> dict[str, Any]:
        """What is set."""
        values = {name: getattr(self, name) for name in (*HTTP_FIELDS, "cache_expiry")}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Conditions:
    """`onlyIf`. What is None is not asked for."""

    etag_matches: tuple[Tag, ...] | None = None
    etag_does_not_match: tuple[Tag, ...] | None = None
    uploaded_before: int | None = None
    uploaded_after: int | None = None
    seconds_granularity: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """Which bytes are asked for: `offset` and `length`, or the last `suffix`, or what a header says."""

    offset: int | None = None
    length: int | None = None
    suffix: int | None = None
    header: str | None = None


@dataclass(frozen=True, slots=True)
class PutOptions:
    """What goes with an object that is written."""

    http: HttpMetadata = HttpMetadata()
    custom: Mapping[str, str] = field(default_factory=dict)
    storage_class: str = STANDARD
    only_if: Conditions | None = None
    checksum: tuple[str, bytes] | None = None
    """The kind, a row of CHECKSUMS, and what it has to be."""


@dataclass(frozen=True, slots=True)
class ListOptions:
    """Which keys are listed."""

    prefix: str = ""
    delimiter: str = ""
    limit: int = 1000
    cursor: str | None = None
    start_after: str | None = None
    include: frozenset[str] = frozenset()
    """`httpMetadata` and `customMetadata`, where they are wanted."""


@dataclass(frozen=True, slots=True)
class R2Object:
    """What is known of an object."""

    key: str
    version: str
    size: int
    etag: str
    uploaded_ms: int
    http_metadata: HttpMetadata = HttpMetadata()
    custom_metadata: Mapping[str, str] = field(default_factory=dict)
    checksums: Mapping[str, bytes] = field(default_factory=dict)
    storage_class: str = STANDARD
    range: Span | None = None
    """The part of it that was asked for."""

    @property
    def http_etag(self) -> str:
        """The etag as a header has it."""
        return f'"{self.etag}"'

    @property
    def uploaded(self) -> datetime:
        """When it was written, in UTC."""
        return datetime.fromtimestamp(self.uploaded_ms / 1000, UTC)

    def to_wire(self) -> list[Any]:
        """For the guest: the fields in their order, as JSON has them."""
        return [
            self.key,
            self.version,
            self.size,
            self.etag,
            self.uploaded_ms,
            self.http_metadata.to_json(),
            dict(self.custom_metadata),
            {name: value.hex() for name, value in self.checksums.items()},
            self.storage_class,
            None if self.range is None else list(self.range),
        ]


@dataclass(frozen=True, slots=True)
class R2ObjectBody(R2Object):
    """An object and its bytes. The body has to be read or closed."""

    body: Body = field(kw_only=True)

    async def read(self) -> bytes:
        """All of it."""
        return await self.body.read()

    async def text(self) -> str:
        """All of it as UTF-8; what is not is replaced."""
        return (await self.body.read()).decode("utf-8", "replace")

    async def json(self) -> Any:
        """All of it, parsed as JSON."""
        return json.loads(await self.body.read())

    async def aclose(self) -> None:
        """Say that no more will be read."""
        await self.body.aclose()


def with_body(found: R2Object, span: Span | None, body: Body) -> R2ObjectBody:
    """The object together with bytes of it; `span` says which, where they were asked for."""
    values = {each.name: getattr(found, each.name) for each in fields(found)}
    return R2ObjectBody(**{**values, "range": span}, body=body)


@dataclass(frozen=True, slots=True)
class R2Objects:
    """A page of a listing. `cursor` is for the next one, None if this is the last."""

    objects: tuple[R2Object, ...] = ()
    delimited_prefixes: tuple[str, ...] = ()
    cursor: str | None = None

    @property
    def truncated(self) -> bool:
        """Whether there is more."""
        return self.cursor is not None


@dataclass(frozen=True, slots=True)
class Part:
    """An uploaded part, by its number (from 1) and its etag."""

    number: int
    etag: str
