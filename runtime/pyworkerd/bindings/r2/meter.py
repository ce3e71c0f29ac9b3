"""How large a bucket is, and how much is on its way."""

from __future__ import annotations


class Meter:
    """Bytes of a bucket that are on their way in, against what it may have."""

    def __init__(self, quota: int) -> None:
        self.quota = quota
        self.used = 0
        """As it was last seen; exact when a write is committed."""
        self.coming = 0

    def has(self, size: int) -> bool:
        """Whether so much more can come."""
        return self.used + self.coming + size <= self.quota
