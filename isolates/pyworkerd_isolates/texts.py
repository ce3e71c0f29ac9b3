"""Texts that a guest puts into effects: what they must look like, and how long they may be. No I/O.

Each reader takes a field as JSON had it, and the step's blobs, which a text has no use for. It answers with what is
meant and raises `ProtocolError`, whose message never repeats what the guest wrote.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, Final, TypeAlias

from .errors import ProtocolError

Blobs: TypeAlias = Sequence[bytes]
Reader: TypeAlias = Callable[[Any, Blobs], Any]
HeaderPairs: TypeAlias = tuple[tuple[str, str], ...]

MAX_NAME: Final = 256
MAX_URL: Final = 16_384
"""Workers: URL 16 KB."""
MAX_HEADER_BYTES: Final = 131_072
"""Workers: 128 KB of headers in total."""
MAX_HEADERS: Final = 256
MAX_TEXT: Final = 65_536
MAX_REASON: Final = 123
"""Bytes of a close's reason (RFC 6455 section 5.5)."""
LEVELS: Final = frozenset(("debug", "info", "warning", "error", "critical"))
FAIL_REASONS: Final = frozenset(("exception", "no_handler", "no_entrypoint", "no_method", "broken_stub"))
REDIRECTS: Final = frozenset(("follow", "manual", "error"))


def _text(limit: int) -> Reader:
    """Text for people. What no encoding can write, a surrogate without its partner, is replaced."""

    def read(value: Any, _: Blobs) -> str:
        if type(value) is not str or len(value) > limit:
            raise ProtocolError(f"a text is missing or longer than {limit} characters")
        return value if value.isascii() else _lone_surrogate.sub("\ufffd", value)

    return read


def _matching(what: str, pattern: str, limit: int) -> Reader:
    """Text for machines: what it must look like is checked here, for nobody after this can know where it came from."""
    fullmatch = re.compile(pattern).fullmatch

    def read(value: Any, _: Blobs) -> str:
        if type(value) is not str or len(value) > limit or not fullmatch(value):
            raise ProtocolError(_REFUSED_TEXT.format(what=what, limit=limit))
        return value

    return read


def _any_name(what: str, limit: int) -> Reader:
    """Text for machines that may be anything with an encoding, and mostly is ASCII."""

    def read(value: Any, _: Blobs) -> str:
        if (
            type(value) is str
            and len(value) <= limit
            and (value.isascii() or not _lone_surrogate.search(value))
        ):
            return value
        raise ProtocolError(_REFUSED_TEXT.format(what=what, limit=limit))

    return read


def _one_of(words: frozenset[str]) -> Reader:
    def read(value: Any, _: Blobs) -> str:
        if type(value) is not str or value not in words:
            raise ProtocolError(f"expected one of {', '.join(sorted(words))}")
        return value

    return read


def level(value: Any, _: Blobs) -> str:
    """A log's level: one that is not known means what most logs are."""
    if type(value) is not str:
        raise ProtocolError("a log level is not text")
    return value if value in LEVELS else "info"


def close_reason(value: Any, blobs: Blobs) -> str:
    """Why a WebSocket is closed."""
    reason: str = _short(value, blobs)
    if len(reason.encode()) > MAX_REASON:
        raise ProtocolError(f"the reason of a close is longer than {MAX_REASON} bytes")
    return reason


def header_pairs(value: Any, _: Blobs) -> HeaderPairs:
    """Headers that can be sent as they are, with names in small letters."""
    if type(value) is not list or len(value) > MAX_HEADERS:
        raise ProtocolError(f"headers are missing or more than {MAX_HEADERS}")
    size = 0
    pairs = []
    for pair in value:
        if type(pair) is not list or len(pair) != 2 or type(pair[0]) is not str or type(pair[1]) is not str:
            raise ProtocolError("a header is not a pair of texts")
        name, content = pair
        # Printable ASCII, which nearly every value is, needs no expression.
        if not (content.isascii() and content.isprintable()) and not _is_field_value(content):
            raise ProtocolError("a header has characters that headers may not have")
        size += len(name) + len(content)
        pairs.append((_field_name(name) if len(name) <= 64 else _checked_name(name), content))
    if size > MAX_HEADER_BYTES:
        raise ProtocolError(f"headers are larger than {MAX_HEADER_BYTES} bytes")
    return tuple(pairs)


def _checked_name(name: str) -> str:
    if not _is_field_name(name):
        raise ProtocolError("a header has characters that headers may not have")
    return name.lower()


_field_name: Final = lru_cache(512)(_checked_name)
"""For short names, so that what a tenant can make it hold is small."""
_TCHARS: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # RFC 9110 section 5.6.2
_is_field_name: Final = re.compile(_TCHARS).fullmatch
_is_field_value: Final = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch  # RFC 9110 section 5.5, as latin-1
_lone_surrogate: Final = re.compile("[\ud800-\udfff]")
_REFUSED_TEXT: Final = (
    "{what} is missing, longer than {limit} characters, or has characters that it may not have"
)
_short: Final = _text(MAX_REASON)
name: Final = _text(MAX_NAME)
text: Final = _text(MAX_TEXT)
method_name: Final = _any_name("a method's name", MAX_NAME)
object_name: Final = _any_name("an object's name", 1024)
http_method: Final = _matching("a request's method", _TCHARS, MAX_NAME)
url: Final = _matching("a URL", r"[^\x00-\x20\x7f\ud800-\udfff]+", MAX_URL)
fail_reason: Final = _one_of(FAIL_REASONS)
redirect: Final = _one_of(REDIRECTS)
