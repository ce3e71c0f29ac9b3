"""What goes with a call from process to process: for whom it is, and how it failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyworkerd import errors
from pyworkerd.bindings.service.depth import at_depth, depth
from pyworkerd.errors import InternalError, PyworkerdError, WorkerException
from pyworkerd.observe.scope import begin, scope

if TYPE_CHECKING:
    from pyworkerd.observe.scope import Scope


def about(span: Scope) -> list[Any]:
    """The request that a call is for, where the running code is."""
    return [depth(), list(map(list, span.headers)), span.caller, span.root.calls]


def enter(told_about: list[Any]) -> None:
    """Go on as part of the request that the other process works for."""
    level, headers, caller, calls = told_about
    at_depth(int(level) + 1)
    span, _ = begin(tuple((name, value) for name, value in headers))
    span.caller, span.calls = caller, calls
    scope.set(span)


def made(told_about: list[Any], span: Scope | None = None) -> int:
    """How many calls that request has made here so far: with an answer they go back to where it came from. `span` is
    the request, where the running code is none of its own.
    """
    span = span or scope.get()
    return 0 if span is None or not told_about else max(0, span.root.calls - told_about[3])


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
