"""What goes with a call from process to process: for whom it is, and how it failed."""

from __future__ import annotations

from collections import deque
from typing import Any, Final
from weakref import WeakValueDictionary

from pyworkerd import errors
from pyworkerd.bindings.service.depth import at_depth, depth
from pyworkerd.errors import InternalError, PyworkerdError, WorkerException
from pyworkerd.observe.scope import Scope, begin, scope

_here: Final[WeakValueDictionary[str, Scope]] = WeakValueDictionary()
"""Requests of other processes that this one works for, by `Scope.origin`: what is asked for one at once is counted
together, or each call could make as many as the whole request may."""
_owing: Final[deque[Scope]] = deque(maxlen=1000)
"""The latest whose calls nobody waited for: they are kept, for the case that the same request asks again."""


def about(span: Scope) -> list[Any]:
    """The request that a call is for, where the running code is."""
    root = span.root
    return [depth(), list(map(list, span.headers)), span.caller, root.calls, root.origin or root.request_id]


def enter(told_about: list[Any]) -> None:
    """Go on as part of the request that the other process works for."""
    level, headers, caller, calls, origin = told_about
    at_depth(int(level) + 1)
    span, _ = begin(tuple((name, value) for name, value in headers))
    span.caller = caller
    root = _here.setdefault(origin, span)
    if root is span:
        root.origin = origin
    else:
        span.joins(root)
    untold = max(0, root.calls - root.known)
    root.known = calls  # not the most that was told: what a WebSocket may do is renewed
    root.calls = calls + untold
    scope.set(span)


def made(told_about: list[Any], span: Scope | None = None) -> int:
    """How many calls that request has made here that nobody was told of: with an answer they go back to where it came
    from. `span` is for the request, where the running code is none of its own.
    """
    span = span or scope.get()
    if span is None or not told_about:
        return 0
    root = span.root
    untold = max(0, root.calls - root.known)
    root.known = root.calls
    return untold


def left(told_about: list[Any]) -> None:
    """Nobody hears of what that request has made here since."""
    span = scope.get()
    if told_about and span is not None and span.root.calls > span.root.known:
        _owing.append(span.root)


def told(error: BaseException | None) -> list[Any]:
    """An error, as the other process is told of it: its class, its message, and what a worker raised."""
    if not isinstance(error, PyworkerdError):
        error = InternalError("the runtime failed to perform this call")
    if isinstance(error, WorkerException):
        return [type(error).__name__, error.message, error.type_name]
    return [type(error).__name__, str(error), None]


def raised(description: list[Any]) -> PyworkerdError:
    """The error that was told of."""
    kind, message, name = description
    if name is not None:
        return WorkerException(name, message)
    found = getattr(errors, kind, InternalError)
    error: PyworkerdError = found.__new__(found, message)
    Exception.__init__(error, message)
    return error
