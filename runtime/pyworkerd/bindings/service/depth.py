"""How many services wait for each other in a row, where the running code is."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

current: Final[ContextVar[int]] = ContextVar("pyworkerd_service_depth", default=0)


def depth() -> int:
    """Those before this one."""
    return current.get()


def at_depth(number: int) -> None:
    """From now on in this context: what was asked for elsewhere goes on here."""
    current.set(number)
