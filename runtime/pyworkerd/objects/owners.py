"""Who has which object. One at a time: whoever wants one that another has waits until that one has let go of it.

It matters where a worker has more than one version: the objects of the old one end, those of the new one begin.
"""

from __future__ import annotations

import asyncio
from typing import Protocol

Key = tuple[str, str]
"""Unique key of a namespace, and an id."""


class Owner(Protocol):
    """Somebody who has an object."""

    def leave(self) -> None:
        """Somebody else wants it: finish what was begun, and release it. Called again for each who wants it."""


class Owners:
    """Of one process."""

    def __init__(self) -> None:
        self._owners: dict[Key, Owner] = {}
        self._released: dict[Key, asyncio.Event] = {}

    def __len__(self) -> int:
        return len(self._owners)

    async def claim(self, key: Key, owner: Owner) -> None:
        """Have it from now on; `release` it in the end. Waits for whoever has it."""
        while (other := self._owners.get(key)) is not None and other is not owner:
            other.leave()
            if key in self._owners:
                await self._released.setdefault(key, asyncio.Event()).wait()
        self._owners[key] = owner

    def release(self, key: Key, owner: Owner) -> None:
        """Have it no more. Harmless for who does not have it."""
        if self._owners.get(key) is owner:
            del self._owners[key]
            if (released := self._released.pop(key, None)) is not None:
                released.set()
