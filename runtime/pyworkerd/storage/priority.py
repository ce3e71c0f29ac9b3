"""Threads that compute for long give way to others, and are not used again: a priority cannot be raised back."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pyworkerd.dispatch.threads import give_way

if TYPE_CHECKING:
    from collections.abc import Callable

_of_this_thread = threading.local()


def before_giving_way(call: Callable[[], object]) -> None:
    """Have `call` called when the calling thread is about to give way.

    What starts other threads has to be done then: on Linux a thread begins with the priority of the one that starts it.
    """
    _of_this_thread.before = call


def give_way_once() -> None:
    """Let other threads go before the calling one, from now on."""
    if not is_low():
        _of_this_thread.low = True
        before = getattr(_of_this_thread, "before", None)
        if before is not None:
            before()
        give_way()


def is_low() -> bool:
    """Whether the calling thread gives way to others."""
    return getattr(_of_this_thread, "low", False)
