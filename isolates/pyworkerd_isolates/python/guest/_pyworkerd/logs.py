"""`print`, `logging`, `warnings` and tracebacks become log effects. There is no stdio."""

import io
import logging
import sys
import warnings

from . import outbox
from .invocation import current_or_none

MAX_MESSAGE = 16_384
"""Characters of one entry; the rest is cut and said to be."""
MAX_PER_INVOCATION = 262_144
"""Characters that one invocation may log (the platform's own limit is 256 KB per request)."""


def emit(level, source, message):
    """One log entry, accounted to the invocation that runs."""
    invocation = current_or_none()
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]} [cut: {len(message)} characters]"
    if invocation is not None:
        if invocation.logged >= MAX_PER_INVOCATION:
            return
        invocation.logged += len(message) + 16
        if invocation.logged >= MAX_PER_INVOCATION:
            message, level, source = "this invocation logs too much: the rest is dropped", "warning", "pyworkerd"
    outbox.effects.append(["log", 0 if invocation is None else invocation.number, level, source, message])


class Output(io.TextIOBase):
    """`sys.stdout` and `sys.stderr`: each line is an entry."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, name, level):
        self.name = name
        self._level = level
        self._line = ""

    def writable(self):
        return True

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if "\n" in text:
            lines = (self._line + text).split("\n")
            self._line = lines.pop()
            for line in lines:
                emit(self._level, self.name, line)
        else:
            self._line += text
            if len(self._line) > MAX_MESSAGE:
                self.flush()
        return len(text)

    def flush(self):
        if self._line:
            line, self._line = self._line, ""
            emit(self._level, self.name, line)

    def fileno(self):
        raise io.UnsupportedOperation("fileno")


class Handler(logging.Handler):
    """The root handler of `logging`."""

    def emit(self, record):
        try:
            emit(record.levelname.lower(), record.name, self.format(record))
        except Exception:
            self.handleError(record)


def _showwarning(message, category, filename, lineno, file=None, line=None):
    emit("warning", "py.warnings", f"{filename}:{lineno}: {category.__name__}: {message}")


def install():
    """Put everything in place. Build time."""
    sys.stdout = sys.__stdout__ = Output("stdout", "info")
    sys.stderr = sys.__stderr__ = Output("stderr", "error")
    handler = Handler()
    logging.lastResort = handler
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.INFO)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = logging.logAsyncioTasks = False
    warnings.showwarning = _showwarning
