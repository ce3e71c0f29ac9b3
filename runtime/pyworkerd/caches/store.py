"""What a provider of caches promises. Each worker has one, for all caches that it opens.

Rule 1: an entry is found whole or not at all; one that is replaced, deleted or evicted can still be read to its end for
        some minutes, unless the room is needed.
Rule 2: what has expired is not found.
Rule 3: the entries of a worker take no more than so many bytes. Those that were used longest ago go first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.http.conditional import Span
    from pyworkerd.messages import Body, Headers

    from .rules import Kept

VARIANTS: Final = 32
"""Answers to one URL; the oldest goes for one more. A URL whose answers vary by more is not worth a cache."""
MAX_OBJECT: Final = 512 << 20
"""Bytes of one body (Workers: 512 MB)."""
HEAD: Final = 1024
"""What an entry is reckoned at besides its body, its headers and its URL."""


class Hit(NamedTuple):
    """What was found."""

    kept: Kept
    read: Callable[[Span], Body]
    """Bytes of its body. What is read is pulled, piece by piece."""


class CacheStore(Protocol):
    """The caches of one worker. Names and URLs are the guest's; they have been checked for length."""

    async def find(self, cache: str, url: str, asked: Headers, now: float) -> Hit | None:
        """The newest entry of this URL that a request with these headers may have."""

    async def put(self, cache: str, url: str, kept: Kept, body: Body, now: float) -> bool:
        """Keep a response, in place of one for the same requests. Whether there was room for it. The body is closed."""

    async def delete(self, cache: str, url: str, now: float) -> bool:
        """Forget all answers to a URL. Whether there were any."""

    async def aclose(self) -> None:
        """Let go of everything."""


def cost_of(url: str, kept: Kept) -> int:
    """What an entry is reckoned at, its body aside."""
    return HEAD + len(url) + sum(len(name) + len(value) for name, value in kept.headers)
