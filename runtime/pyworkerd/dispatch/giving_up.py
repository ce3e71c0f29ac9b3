"""What becomes of those in a Durable Object that gives up or loses its memory, or cannot keep what it wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd.errors import WorkerException

from .sockets import RESTART

if TYPE_CHECKING:
    from pyworkerd_isolates.errors import HeapError
    from pyworkerd_isolates.protocol import Abort

    from .live import Live


def give_up(live: Live, effect: Abort) -> None:
    """It ends. Who has not begun yet finds the next one."""
    fail_begun(live, WorkerException("DurableObjectAbort", effect.message))
    live.end([invocation for invocation in live.invocations.values() if invocation.can_run_again])


def lose(live: Live, error: HeapError) -> None:
    """It hibernated, and its memory cannot be had back. It begins again with what it has stored."""
    live.answers.lost(error)
    live.sockets.end(RESTART)
    live.end([invocation for invocation in live.invocations.values() if invocation.can_run_again])


def fail_begun(live: Live, error: Exception) -> None:
    """Tell all that it has begun with: they have seen what nobody else will."""
    for invocation in live.invocations.values():
        if invocation.begun:
            invocation.fail(error)
