"""A request asked of a worker without a task: its answer is given to a function, in the turn in which it comes.

Most requests wait for one thing, the worker's answer. A task, a future and a turn of the event loop for each of them
cost more than the rest of the way through the house, so the server asks like this where it can (`services.base.Ask`).
`Asked` stands where other invocations have a future.
"""

from __future__ import annotations

import asyncio
from time import monotonic_ns
from typing import TYPE_CHECKING

from pyworkerd.messages import Response

from .failures import outcome

if TYPE_CHECKING:
    from pyworkerd.services.base import Reply

    from .invocation import Invocation
    from .worker import Worker


class Asked:
    """One such request. `reply` is called once, unless `cancel` is called before; it raises nothing."""

    __slots__ = ("_began", "_reply", "_worker", "invocation")

    def __init__(self, worker: Worker, reply: Reply) -> None:
        self._worker = worker
        self._reply: Reply | None = reply
        self._began = monotonic_ns()
        self.invocation: Invocation | None = None

    def done(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self._reply is None

    def set_result(self, answer: Response | bytes) -> None:
        """The worker answered."""
        reply, self._reply = self._reply, None
        assert reply is not None
        assert isinstance(answer, Response)
        self._worker.counters.answered(answer.status, monotonic_ns() - self._began)
        reply(answer, None)

    def set_exception(self, error: Exception) -> None:
        """It will not."""
        reply, self._reply = self._reply, None
        assert reply is not None
        self.failed(error)
        reply(None, error)

    def failed(self, error: BaseException) -> None:
        """Count a failure."""
        status, code = outcome(error)
        self._worker.counters.failed(status, code, monotonic_ns() - self._began)

    def cancel(self) -> None:
        """Its caller has gone."""
        if self._reply is not None and self.invocation is not None:
            self._reply = None
            self.failed(asyncio.CancelledError())
            self._worker.forsaken(self.invocation)
