"""Subinterpreters with a lock of their own, as this Python has them: public since 3.14 (PEP 734), private in 3.13."""

from __future__ import annotations

import importlib
import sys
from typing import Any, Final, Protocol

from pyworkerd_isolates.errors import EngineError

SINCE: Final = (3, 13)
"""Older ones have the machinery, but no library that could use it, and few native modules that support it."""
PUBLIC_SINCE: Final = (3, 14)


class Interpreter(Protocol):
    """One of them. Whoever makes it closes it, on the same thread."""

    def exec(self, code: str) -> str | None:
        """Run code to its end, on the calling thread, while other threads have the caller's interpreter. Returns how it
        failed, as a traceback; None if it did not.
        """

    def close(self) -> None:
        """End it. Waits for the threads that it has started."""


def missing() -> str | None:
    """What a Python has to be for this, said to whoever runs another one; None if this is one."""
    if sys.version_info >= SINCE:
        return None
    wanted, have = (".".join(map(str, version)) for version in (SINCE, sys.version_info[:2]))
    return f"subinterpreters need Python {wanted} or newer, and this is {have}"


def create() -> Interpreter:
    """A new one; about 10 ms. Raises `EngineError`."""
    if fault := missing():
        raise EngineError(fault)
    try:
        return _Public() if sys.version_info >= PUBLIC_SINCE else _Private()
    except Exception as error:
        raise EngineError(f"an interpreter could not be started: {error}") from error


class _Public:
    """By `concurrent.interpreters`."""

    def __init__(self) -> None:
        self._module: Any = importlib.import_module("concurrent.interpreters")
        self._interpreter = self._module.create()

    def exec(self, code: str) -> str | None:
        try:
            self._interpreter.exec(code)
        except self._module.ExecutionFailed as failure:
            return _told(failure.excinfo)
        return None

    def close(self) -> None:
        self._interpreter.close()


_NO_THREADS: Final = """
import _thread, threading
threading._shutdown()
if _thread._count():
    raise RuntimeError("a thread that was started with _thread still runs")
"""
"""Python 3.13 aborts the process if an interpreter is closed that has a thread."""


class _Private:
    """By what that module is made of."""

    def __init__(self) -> None:
        self._module: Any = importlib.import_module("_interpreters")
        self._id = self._module.create("isolated")

    def exec(self, code: str) -> str | None:
        failure = self._module.exec(self._id, code)
        return None if failure is None else _told(failure)

    def close(self) -> None:
        if failure := self.exec(_NO_THREADS):
            raise EngineError(f"an interpreter cannot be closed: {failure}")
        self._module.destroy(self._id)


def _told(failure: Any) -> str:
    return str(getattr(failure, "errdisplay", None) or failure.formatted)
