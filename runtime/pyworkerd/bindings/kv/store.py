"""What a provider of KV stores promises. `tests/contracts/test_kv_stores.py` holds every provider to it.

Rule 1: what `put` or `delete` has returned from survives the process and the machine's power.
Rule 2: an entry is gone from the second at which it expires, to the second, whoever looks.
Rule 3: a value is read and written in pieces. One that is being read stays readable while another takes its place; one
that is being written is seen by nobody before all of it is there.
Rule 4: keys are in the order of their bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd.messages import Body


class Found(NamedTuple):
    """An entry that was there."""

    body: Body
    """The value: read it, or close it."""
    expires: int | None
    """Second since 1970."""
    metadata: str | None
    """A JSON text."""

    @property
    def size(self) -> int:
        """Bytes of the value."""
        assert self.body.length is not None
        return self.body.length


class Listed(NamedTuple):
    """A key of a page."""

    key: bytes
    expires: int | None
    metadata: str | None


class KVStore(Protocol):
    """A provider. Arguments have been checked (`rules`); `now` is in seconds since 1970."""

    async def get(self, key: bytes, now: float) -> Found | None:
        """An entry. Raises `StorageError`, as all of these."""

    async def get_many(self, keys: Sequence[bytes], now: float) -> list[Found | None]:
        """Entries at one moment, in the order of the keys."""

    async def put(
        self, key: bytes, value: Body, now: float, expires: int | None = None, metadata: str | None = None
    ) -> None:
        """Write an entry in place of what was there. The value is read to its end, or closed.

        Raises `BadCall` if it is too large, and what reading it raises: then nothing has changed.
        """

    async def delete(self, key: bytes, now: float) -> None:
        """Nothing is under the key any more, if there was something."""

    async def list(self, prefix: bytes, after: bytes, limit: int, now: float) -> tuple[list[Listed], bool]:
        """Keys that begin with `prefix` and come after `after`; and whether these are all."""

    async def aclose(self) -> None:
        """Let go of everything. No call follows."""


def end_of(prefix: bytes) -> bytes | None:
    """The first key that comes after all that begin with `prefix`; None if there is none."""
    stem = prefix.rstrip(b"\xff")
    return stem[:-1] + bytes((stem[-1] + 1,)) if stem else None
