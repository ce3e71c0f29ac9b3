"""Threads that compute for long give way to others, and are not used again: a priority cannot be raised back."""

from __future__ import annotations

import threading

from pyworkerd.dispatch.threads import give_way

_of_this_thread = threading.local()


def give_way_once() -> None:
    """Let other threads go before the calling one, from now on."""
    if not is_low():
        _of_this_thread.low = True
        give_way()


def is_low() -> bool:
    """Whether the calling thread gives way to others."""
    return getattr(_of_this_thread, "low", False)
