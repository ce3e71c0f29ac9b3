"""What conditional and range requests say in their headers (RFC 9110 sections 8.8, 13 and 14). No I/O.

Whoever keeps files or objects decides with it; a malformed field is as if it were absent, as the RFC has it.
"""

from __future__ import annotations

import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

MAX_TAGS: Final = 64
"""Entity tags of one field that are looked at: a cache has a few variants."""

_TAG: Final = re.compile(r'[ \t]*(W/)?"([\x21\x23-\x7e\x80-\xff]*)"[ \t]*(?:,|$)')
_RANGE: Final = re.compile(r"[ \t]*([0-9]{0,19})[ \t]*-[ \t]*([0-9]{0,19})[ \t]*")


class Tag(NamedTuple):
    """An entity tag without its quotes; `*` is any."""

    value: str
    weak: bool = False

    def matches(self, etag: str, *, weakly: bool) -> bool:
        """Whether it is this strong tag, by weak or strong comparison (RFC 9110 section 8.8.3.2)."""
        return self.value == "*" or (self.value == etag and (weakly or not self.weak))


class Span(NamedTuple):
    """Bytes of something: where they begin, and how many there are."""

    offset: int
    length: int


def entity_tags(field: str) -> tuple[Tag, ...]:
    """The tags of `If-Match` or `If-None-Match`; none if the field is malformed."""
    if field.strip() == "*":
        return (Tag("*"),)
    found: list[Tag] = []
    position = 0
    while position < len(field):
        match = _TAG.match(field, position)
        if match is None or len(found) == MAX_TAGS:
            return ()
        found.append(Tag(match[2], match[1] is not None))
        position = match.end()
    return tuple(found)


def http_date(field: str) -> int | None:
    """A date as seconds since 1970 (RFC 9110 section 5.6.7; dates of mail as well); None if it is malformed."""
    try:
        found = parsedate_to_datetime(field)
        return int(found.timestamp() if found.tzinfo else found.replace(tzinfo=UTC).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def byte_ranges(field: str, size: int) -> tuple[Span, ...] | None:
    """The satisfiable ranges of a `Range` field for something of `size` bytes, or None if it is malformed or too long.

    An empty tuple is a field that is well formed and asks for nothing that is there (416).
    """
    unit, equals, listed = field.partition("=")
    parts = listed.split(",")
    if unit.strip().lower() != "bytes" or not equals or len(parts) > MAX_TAGS:
        return None
    found = []
    for part in parts:
        match = _RANGE.fullmatch(part)
        if match is None or not (match[1] or match[2]):
            return None
        first, last = match[1], match[2]
        if first and last and int(last) < int(first):
            return None
        if not first:
            length = min(int(last), size)
            span = Span(size - length, length)
        else:
            end = min(int(last) + 1, size) if last else size
            span = Span(int(first), end - int(first))
        if span.length > 0:
            found.append(span)
    return tuple(found)
