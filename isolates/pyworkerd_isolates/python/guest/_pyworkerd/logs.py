"""`print`, `logging`, `warnings` and tracebacks become log effects. There is no stdio."""

import io
import logging
import sys
import warnings

from . import outbox
from .invocation import current_or_none

MAX_MESSAGE = 16_384
"""Characters of one entry; the rest is cut and said to be."""
MAX_SOURCE = 256
LIMIT = limit = 262_144
"""Bytes that one invocation may log, each entry counted with `ENTRY` more. `limit` is the worker's own, from `init`."""
ENTRY = 64
unfinished = set()
"""Invocations of which some output has something that `finish` looks for."""


def emit(level, source, message):
    """One log entry, accounted to the invocation that runs and to the step.

    The host counts the same way and cuts the entry that reaches the limit; what would come after it is not sent.
    """
    invocation = current_or_none()
    number = 0
    if len(message) > MAX_MESSAGE:
        message = f"{message[:MAX_MESSAGE]} [cut: {len(message)} characters]"
    if invocation is not None:
        number = invocation.number
        if invocation.logged >= limit:
            return
        invocation.logged += len(message.encode("utf-8", "replace")) + ENTRY
    if not outbox.afford(message):
        if invocation is None:
            return
        invocation.logged = limit
        level, source = "warning", "pyworkerd"
        message = "this invocation logs too much at once: the rest is dropped"
    outbox.log(["log", number, level, source[:MAX_SOURCE], message])


class Output(io.TextIOBase):
    """`sys.stdout` and `sys.stderr`: each line is an entry. Each invocation has its own unfinished line."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, name, level):
        self.name = name
        self._level = level
        self._lines = {}
        self._cut = set()

    def writable(self):
        return True

    def write(self, text):
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        written = len(text)
        invocation = current_or_none()
        if invocation in self._cut:
            self._cut.discard(invocation)
            text = text.removeprefix("\n")  # the end of a line of which the entry has been made already
        if "\n" in text:
            lines = (self._lines.pop(invocation, "") + text).split("\n")
            rest = lines.pop()
            for line in lines:
                emit(self._level, self.name, line)
        else:
            rest = self._lines.pop(invocation, "") + text
        if len(rest) > MAX_MESSAGE:
            emit(self._level, self.name, rest)
            self._cut.add(invocation)
            unfinished.add(invocation)
        elif rest:
            self._lines[invocation] = rest
            unfinished.add(invocation)
        return written

    def flush(self):
        """`print(flush=True)`: what the current invocation has written so far is an entry."""
        line = self._lines.pop(current_or_none(), "")
        if line:
            emit(self._level, self.name, line)

    def isatty(self):
        return False

    def fileno(self):
        raise io.UnsupportedOperation("fileno")


def finish(invocation):
    """An invocation ends: its unfinished lines are entries."""
    unfinished.discard(invocation)
    for output in _outputs:
        output._cut.discard(invocation)
        if line := output._lines.pop(invocation, ""):
            emit(output._level, output.name, line)


_outputs = (Output("stdout", "info"), Output("stderr", "error"))


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
    sys.stdout, sys.stderr = sys.__stdout__, sys.__stderr__ = _outputs
    handler = Handler()
    logging.lastResort = handler
    logging.root.handlers[:] = [handler]
    logging.root.setLevel(logging.INFO)
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = logging.logAsyncioTasks = False
    warnings.showwarning = _showwarning
