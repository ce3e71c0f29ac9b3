"""Which of two versions answers a request. Pure, and the same in every process.

A request with a key gets the same version as long as the parts do not change, and keeps the new one when its part
grows: the key's hash is a point between 0 and 100 %, and what lies below the new version's part is its. The hash is
made with that version's id, so that it is not always the same visitors who get what is new.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final

from pyworkerd.messages import header

if TYPE_CHECKING:
    from pyworkerd.messages import Headers

HEADER: Final = "cloudflare-workers-version-key"
"""Workers' name: whatever a proxy, or the client itself, says that keeps together."""
COOKIE: Final = "pyworkerd_version_key"
SECONDS: Final = 7 * 24 * 3600
POINTS: Final = 1 << 32


def key_of(headers: Headers) -> str | None:
    """What the request is to be kept together with: the header, or else the cookie."""
    given = header(headers, HEADER)
    if given:
        return given
    for pair in (header(headers, "cookie") or "").split(";"):
        name, _, value = pair.strip().partition("=")
        if name == COOKIE and value:
            return value
    return None


def is_second(key: str, version: str, percent: float) -> bool:
    """Whether a key's requests go to the second version, this one, which has so much of them."""
    digest = sha256(f"{version}\0{key}".encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4], "big") < percent / 100 * POINTS


def wants_cookie(headers: Headers) -> bool:
    """Whether somebody's browser asks for a page: then it is given a key for all that comes after."""
    return "text/html" in (header(headers, "accept") or "")


def may_have_cookie(headers: Headers) -> bool:
    """Whether an answer is for one visitor alone: one that caches share would give all of them the same key."""
    control = header(headers, "cache-control") or ""
    return "public" not in control and "s-maxage" not in control


def cookie_of(key: str, *, secure: bool) -> str:
    """The Set-Cookie header that gives it."""
    return f"{COOKIE}={key}; Path=/; Max-Age={SECONDS}; HttpOnly; SameSite=Lax{'; Secure' if secure else ''}"
