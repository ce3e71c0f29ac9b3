"""What a request gets of a response that is kept: all of it, a part, or that it has not changed (RFC 9110). Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd.http.conditional import Span, byte_ranges, entity_tags, http_date
from pyworkerd.messages import header

if TYPE_CHECKING:
    from pyworkerd.messages import Headers

    from .rules import Kept

UNCHANGED: Final = frozenset(
    ("cache-control", "content-location", "date", "etag", "expires", "last-modified", "vary")
)
"""What "not modified" says again (section 15.4.5)."""


class Answer(NamedTuple):
    """A head, and which bytes of the body belong to it; None: it has none."""

    status: int
    headers: Headers
    span: Span | None


def answer(asked: Headers, kept: Kept, now: float) -> Answer:
    """The answer to a GET with the headers `asked`."""
    age = max(int(kept.age + now - kept.kept_at), 0)
    own = (("age", str(age)), ("cf-cache-status", "HIT"))
    if _is_known(asked, kept):
        again = tuple((name, value) for name, value in kept.headers if name in UNCHANGED)
        return Answer(304, again + own, None)
    ranges = _ranges(asked, kept)
    if ranges is None or len(ranges) > 1:  # several would have to be put together
        return Answer(
            kept.status, (*kept.headers, ("content-length", str(kept.size)), *own), Span(0, kept.size)
        )
    if not ranges:
        return Answer(416, (("content-range", f"bytes */{kept.size}"), ("content-length", "0"), *own), None)
    (span,) = ranges
    place = ("content-range", f"bytes {span.offset}-{span.offset + span.length - 1}/{kept.size}")
    return Answer(206, (*kept.headers, place, ("content-length", str(span.length)), *own), span)


def _is_known(asked: Headers, kept: Kept) -> bool:
    """Whether the asker has it already (sections 13.1.2, 13.1.3 and 13.2.2)."""
    wanted = header(asked, "if-none-match")
    if wanted is not None:
        own = entity_tags(header(kept.headers, "etag") or "")
        return bool(own) and any(tag.matches(own[0].value, weakly=True) for tag in entity_tags(wanted))
    since = http_date(header(asked, "if-modified-since") or "")
    modified = http_date(header(kept.headers, "last-modified") or "")
    return since is not None and modified is not None and modified <= since


def _ranges(asked: Headers, kept: Kept) -> tuple[Span, ...] | None:
    """What of the body is asked for; None for all of it (sections 13.1.5 and 14.2)."""
    wanted = header(asked, "range")
    if wanted is None or kept.status != 200:
        return None
    condition = header(asked, "if-range")
    if condition is not None and not _still(condition, kept):
        return None
    return byte_ranges(wanted, kept.size)


def _still(condition: str, kept: Kept) -> bool:
    own, tags = entity_tags(header(kept.headers, "etag") or ""), entity_tags(condition)
    if tags:
        return bool(own) and not own[0].weak and tags[0].matches(own[0].value, weakly=False)
    date = http_date(condition)
    return date is not None and date == http_date(header(kept.headers, "last-modified") or "")
