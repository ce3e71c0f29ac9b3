"""Public helpers for tests: real implementations without the outside world."""

from __future__ import annotations

from .resolver import FixedResolver

__all__ = ["FixedResolver"]
