"""What a tail worker sees of a request at first: credentials and what looks like an id are left out. Pure.

It can ask for all of it (`getUnredacted()`): this keeps secrets from being written down by accident, it is no access
rule. The rules are those of Workers (Tail Workers, "Handler syntax", TailRequest).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

REDACTED: Final = "REDACTED"
_SECRET_NAMES: Final = frozenset(("cookie", "set-cookie"))
_SECRET_PARTS: Final = ("auth", "jwt", "key", "secret", "token")
_WORDS: Final = re.compile(r"[A-Za-z0-9+_-]+")
_HEX: Final = re.compile(r"[0-9A-Fa-f-]+")
_MIN_HEX, _MIN_BASE64, _MIN_EACH = 32, 21, 2


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by their names in lower case; several of one name are one."""
    seen: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        seen[key] = f"{seen[key]}, {value}" if key in seen else value
    return seen


def redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """The same without credentials."""
    return {name: REDACTED if is_secret(name) else value for name, value in headers.items()}


def is_secret(name: str) -> bool:
    """Whether a header of this name, in lower case, may hold a credential."""
    return name in _SECRET_NAMES or any(part in name for part in _SECRET_PARTS)


def redact_url(url: str) -> str:
    """A URL without what looks like an id: 32 and more hexadecimal digits, or 21 and more characters of base 64 that
    have two capitals, two small letters and two digits.
    """
    return _WORDS.sub(lambda word: REDACTED if _is_id(word.group()) else word.group(), url)


def ids_of(url: str) -> list[str]:
    """What `redact_url` leaves out."""
    return [word for word in _WORDS.findall(url) if _is_id(word)]


def _is_id(word: str) -> bool:
    if _HEX.fullmatch(word) and len(word.replace("-", "")) >= _MIN_HEX:
        return True
    counts = (sum(map(kind, word)) for kind in (str.isupper, str.islower, str.isdigit))
    return len(word) >= _MIN_BASE64 and all(count >= _MIN_EACH for count in counts)
