"""One run of a handler, as the host sees it: what was asked, what may still be used, who waits for the answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import asyncio
    from contextvars import Context

    from pyworkerd.messages import Request, Response
    from pyworkerd.services.base import Target


@dataclass(frozen=True, slots=True)
class FetchWork:
    """A request to answer."""

    request: Request
    target: Target

    @property
    def repeatable(self) -> bool:
        """Whether it can be given to another isolate from the start: its body must still be in hand."""
        return self.request.body.data is not None


@dataclass(frozen=True, slots=True)
class CallWork:
    """A method to call."""

    method: str
    arguments: bytes
    target: Target
    repeatable: bool = True


Work = FetchWork | CallWork


@dataclass(slots=True, eq=False)
class Invocation:
    """The host's record of one invocation, from the queue to `done`."""

    id: int
    work: Work
    answer: asyncio.Future[Response | bytes]
    since: float
    """Loop time of its arrival."""
    cpu_left_ms: float
    subrequests_left: int
    log_left: int
    context: Context
    """The context of its caller: what is done on its behalf happens in it."""
    alone: bool = False
    """It shares no step with others: a step that it was part of has trapped before."""
    touched_outside: bool = False
    """An effect of it has left: it must not be run again."""
    timer: asyncio.TimerHandle | None = None
    calls: set[int] = field(default_factory=set)

    def answered(self) -> bool:
        """Whether somebody still waits for the answer."""
        return self.answer.done()

    def succeed(self, value: Response | bytes) -> None:
        """Give the answer, if it is still wanted."""
        if not self.answer.done():
            self.answer.set_result(value)

    def fail(self, error: BaseException) -> None:
        """Answer with an error, if an answer is still wanted."""
        if not self.answer.done():
            self.answer.set_exception(error)

    def props(self) -> Any:
        """`ctx.props` of the binding that it came through."""
        return self.work.target.props
