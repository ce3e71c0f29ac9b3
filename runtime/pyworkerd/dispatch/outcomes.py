"""How an invocation ended, told to the process's feed: see `observe.feed`. Only while somebody follows it."""

from __future__ import annotations

from time import time
from typing import TYPE_CHECKING

from pyworkerd.observe.access import METHOD_CHARACTERS, PATH_CHARACTERS, split_url
from pyworkerd.observe.feed import NAME
from pyworkerd.observe.selection import Outcome
from pyworkerd.observe.snapshot import label
from pyworkerd.observe.trace_item import CANCELED, OK, OUTCOMES

from .failures import outcome
from .invocation import FetchWork, HandlerWork
from .tails import cpu_ms_of

if TYPE_CHECKING:
    from pyworkerd.observe.feed import Feed

    from .invocation import Invocation, Work
    from .tails import Trace


class Watched:
    """What is gathered of one invocation. It stands where a worker with tail workers has a `Trace`, and tells it."""

    __slots__ = ("_began", "_feed", "_outcome", "_status", "_trace", "_worker")

    def __init__(self, feed: Feed, worker: str, trace: Trace | None) -> None:
        self._feed, self._worker, self._trace = feed, worker, trace
        self._began = time()
        self._outcome, self._status = CANCELED, 0

    def log(self, level: str, message: str) -> None:
        """It logged something, which the feed hears by itself."""
        if self._trace is not None:
            self._trace.log(level, message)

    def exception(self, name: str, message: str, stack: str) -> None:
        """Its handler raised; that is in the log as well."""
        if self._trace is not None:
            self._trace.exception(name, message, stack)

    def answered(self, status: int | None) -> None:
        """It gave an answer: with this status, if it was a request."""
        self._outcome, self._status = OK, status or 0
        if self._trace is not None:
            self._trace.answered(status)

    def failed(self, error: BaseException) -> None:
        """It was answered with an error."""
        self._outcome = OUTCOMES.get(outcome(error)[1], "exception")
        if self._trace is not None:
            self._trace.failed(error)

    def end(self, invocation: Invocation) -> None:
        """Nothing of it is left."""
        now, work, work_for = time(), invocation.work, invocation.scope
        entrypoint = (work.target.entrypoint or "")[:NAME]
        self._feed.ended(
            Outcome(
                self._began, label(self._worker), invocation.id, entrypoint, began_by(work),
                self._outcome, self._status, round(cpu_ms_of(invocation), 3),
                round(max(now - self._began, 0.0) * 1000, 3),
                work_for.request_id, work_for.trace_id,
            )
        )  # fmt: skip
        if self._trace is not None:
            self._trace.end(invocation)


def began_by(work: Work) -> str:
    """What began it, in one line: method and path of a request, a handler's name, or that of the method called."""
    if isinstance(work, FetchWork):
        return f"{work.request.method[:METHOD_CHARACTERS]} {split_url(work.request.url)[1]}"
    if isinstance(work, HandlerWork):
        return work.method
    return f"rpc {work.method[:PATH_CHARACTERS]}"
