"""Buckets: what every provider promises. Keys are texts, bodies stream, moments are milliseconds since 1970.

Methods raise `BadCall` with R2's own sentences (`faults`), and `StorageError` where the store fails. What a method that
writes has returned for is on disk. A body that is handed in is read or closed, whatever happens.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd.messages import Body

    from .model import Conditions, ListOptions, Part, PutOptions, R2Object, R2ObjectBody, R2Objects, Range


class Bucket(ABC):
    """A provider of one bucket."""

    @abstractmethod
    async def head(self, key: str) -> R2Object | None:
        """What is there under a key, without its bytes."""

    @abstractmethod
    async def get(
        self, key: str, only_if: Conditions | None = None, wanted: Range | None = None
    ) -> R2ObjectBody | R2Object | None:
        """What is there, with its bytes, which are those of one version whatever happens to the key. Without them if
        the condition does not hold.
        """

    @abstractmethod
    async def put(self, key: str, body: Body, options: PutOptions) -> R2Object | None:
        """Write an object, in place of what was there. None, and nothing done, if the condition does not hold."""

    @abstractmethod
    async def delete(self, keys: Sequence[str]) -> None:
        """Delete up to 1,000 objects. They need not be there."""

    @abstractmethod
    async def list(self, options: ListOptions) -> R2Objects:
        """A page of the keys, in the order of their UTF-8 bytes."""

    @abstractmethod
    async def create_multipart_upload(self, key: str, options: PutOptions) -> str:
        """Begin an upload in parts. Its id, which means something only together with the key."""

    @abstractmethod
    async def upload_part(self, key: str, upload: str, number: int, body: Body) -> Part:
        """Send a part, in place of one of the same number (1 to 10,000)."""

    @abstractmethod
    async def complete_multipart_upload(self, key: str, upload: str, parts: Sequence[Part]) -> R2Object:
        """Make an object of the parts. Those that are not named are dropped."""

    @abstractmethod
    async def abort_multipart_upload(self, key: str, upload: str) -> None:
        """Drop an upload and its parts."""

    @abstractmethod
    async def aclose(self) -> None:
        """Let go of it. No call follows; bodies that are open can be read on."""
