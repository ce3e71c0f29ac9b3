"""What the runtime itself logs (`logging.getLogger("pyworkerd.…")`), into the same sink as the logs of workers."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, Self

from .logs import LogEntry
from .scope import scope

if TYPE_CHECKING:
    from .logs import LogSink

ROOTS: Final = ("pyworkerd", "asyncio", "aiohttp", "opentelemetry")
"""Loggers of this project, and of the libraries that speak while it runs."""


class OwnLogs(logging.Handler):
    """While it is entered, records of `ROOTS` become entries without a worker.

    with OwnLogs(sink):
        ...
    """

    def __init__(self, *sinks: LogSink, level: int = logging.INFO) -> None:
        super().__init__(level)
        self._sinks = sinks
        self._before: list[tuple[logging.Logger, int, bool]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Turn one record into an entry, its traceback included."""
        try:
            work_for = scope.get()
            ids = (work_for.request_id, work_for.trace_id) if work_for is not None else ("", "")
            level, text = record.levelname.lower(), self.format(record)
            entry = LogEntry(record.created, "", 0, level, record.name, text, *ids)
            for sink in self._sinks:
                sink(entry)
        except Exception:  # noqa: BLE001  (a log call must not fail; `logging` itself does the same)
            self.handleError(record)

    def __enter__(self) -> Self:
        for name in ROOTS:
            logger = logging.getLogger(name)
            self._before.append((logger, logger.level, logger.propagate))
            logger.addHandler(self)
            logger.propagate = False
            if logger.level == logging.NOTSET:
                logger.setLevel(self.level)
        return self

    def __exit__(self, *exc: object) -> None:
        while self._before:
            logger, level, propagate = self._before.pop()
            logger.removeHandler(self)
            logger.setLevel(level)
            logger.propagate = propagate
