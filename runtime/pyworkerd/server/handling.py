"""What answers the request of a connection: a question that waits for its reply, or a task.

A handler that can be asked (`services.base.Ask`) replies in the turn in which it has the answer, and most answers are
written at once. Where something has to be waited for, and for every other handler, there is a task.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

from pyworkerd.errors import InternalError, Overloaded
from pyworkerd.observe.scope import scope

from .info import connection_info

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from contextvars import Context

    from pyworkerd.messages import Request
    from pyworkerd.observe.scope import Scope
    from pyworkerd.services.base import Ask, Pending, Reply

    from .info import ConnectionInfo
    from .shared import Shared


class Handling:
    """One for each connection, which tells it when its request is `over`."""

    __slots__ = ("_pending", "_replied", "_shared", "_task")

    def __init__(self, shared: Shared, replied: Reply) -> None:
        self._shared = shared
        self._replied = replied
        self._pending: Pending | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing runs."""
        return self._task is None and self._pending is None

    def ask(self, ask: Ask, request: Request, info: ConnectionInfo, span: Scope) -> bool:
        """Ask the handler without a task. False if this request needs one; otherwise `replied` is called, or was."""
        surroundings = partial(context_of, self._shared.context, info, span)
        try:
            pending = ask(request, span, surroundings, self._replied)
        except Exception as error:  # noqa: BLE001 - the border: whatever a handler raises becomes an answer
            self._replied(None, error)
            return True
        if pending is None:
            return False
        self._pending = None if pending.done() else pending
        return True

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Answer in a task."""
        self._pending = None
        task = self._shared.spawn(work)
        # An eager task may be over already, and may even have started the next one.
        self._task = None if task.done() else task

    def cancel(self) -> bool:
        """Cancel it where it waits; it may clean up. Returns whether there was anything to cancel."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.cancel()
            self._replied(None, Overloaded("the server stops"))
            return True
        if self._task is not None and not self._task.done():
            self._shared.cancel(self._task)
            return True
        return False

    def over(self) -> None:
        """The request is answered."""
        self._task = self._pending = None

    def reason_of_cancelling(self) -> Exception:
        """Why the task that runs was cancelled."""
        task = self._task or asyncio.current_task()
        if task is not None and task.cancelling():
            return Overloaded("the server stops")
        return InternalError("the handler cancelled itself")


def context_of(context: Context, info: ConnectionInfo, span: Scope) -> Context:
    """What is done for this request happens in it: a copy of the server's own, for each that needs one."""
    context = context.copy()
    context.run(enter, info, span)
    return context


def enter(info: ConnectionInfo, span: Scope) -> None:
    """Let what runs in this context know for which request it does."""
    connection_info.set(info)
    scope.set(span)
