"""What a worker says: to its log, to whoever asked it, and to the operator."""

from __future__ import annotations

import logging
from time import time
from typing import TYPE_CHECKING

from pyworkerd.errors import ExceededDepth, ExceededSubrequests, PyworkerdError, WorkerException
from pyworkerd.observe.logs import LogEntry
from pyworkerd.observe.spans import told

from .spans import CallSpans

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_isolates.protocol import Entry

    from pyworkerd.observe.counters import WorkerCounters
    from pyworkerd.observe.logs import LogSink
    from pyworkerd.observe.scope import Scope

logger = logging.getLogger("pyworkerd.dispatch")


class Telling:
    """A part of `Worker`, which sets what it needs."""

    name: str
    counters: WorkerCounters
    environment: Sequence[Entry]
    sinks: tuple[LogSink, ...]

    def log(
        self, invocation: int, level: str, source: str, message: str, work_for: Scope | None = None
    ) -> None:
        """Something to log, of the worker or about it."""
        ids = (work_for.request_id, work_for.trace_id) if work_for is not None else ("", "")
        entry = LogEntry(time(), self.name, invocation, level, source, message, *ids)
        self.counters.log_entries += 1
        for sink in self.sinks:
            sink(entry)

    def call_spans(self) -> CallSpans | None:
        """See `calls.Asker`."""
        return None if told.listener is None else CallSpans(self.name, self.environment)

    def describe(self, error: Exception) -> tuple[str, str, str | None]:
        """An error as its asker may see it: code, sentence, and the exception's type if a worker raised it."""
        if isinstance(error, WorkerException):
            return error.code, error.message, error.type_name
        if isinstance(error, PyworkerdError):
            if isinstance(error, ExceededSubrequests | ExceededDepth):
                self.counters.limit(error.code)
            return error.code, str(error), None
        self.report(error)
        return "internal", "the runtime failed to perform this call", None

    def report(self, error: BaseException) -> None:
        """A bug of the runtime: to the operator's log, in full."""
        logger.error(
            "worker %s: internal error", self.name, exc_info=(type(error), error, error.__traceback__)
        )
