"""From what ended an isolate to what its callers are told. Pure."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.errors import (
    CpuExhausted,
    IsolateError,
    MemoryExhausted,
    OutputTooLarge,
    ProtocolError,
    Refused,
)

from pyworkerd.errors import (
    BadEffect,
    ExceededCpu,
    ExceededMemory,
    ExceededOutput,
    InternalError,
    PyworkerdError,
    WorkerException,
)
from pyworkerd.observe.families import CANCELLED

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.limits import Limits


_SENTENCES: Final[dict[type[IsolateError], Callable[[IsolateError, Limits], PyworkerdError]]] = {
    CpuExhausted: lambda _, limits: too_much_cpu(limits),
    MemoryExhausted: lambda _, limits: too_much_memory(limits),
    OutputTooLarge: lambda error, _: ExceededOutput(str(error)),
    ProtocolError: lambda error, _: BadEffect(str(error)),
    Refused: lambda error, _: WorkerException(
        "Refused", f"the worker reached for the system ({error}); there is none inside"
    ),
    IsolateError: lambda error, _: WorkerException("Trap", str(error)),
}
"""By the nearest class that the error is of."""


def translate(error: BaseException, limits: Limits) -> PyworkerdError | None:
    """What a caller is told about an isolate that died of `error`; None if that is a bug of the runtime."""
    if isinstance(error, PyworkerdError):
        return error
    if not isinstance(error, IsolateError):
        return None
    known = next(kind for kind in type(error).__mro__ if kind in _SENTENCES)
    return _SENTENCES[known](error, limits)


def outcome(error: BaseException) -> tuple[int, str]:
    """Status and code by which a failure is counted; no status where nobody was there any more to be answered."""
    if isinstance(error, PyworkerdError):
        return error.status, error.code
    return (0, CANCELLED) if isinstance(error, asyncio.CancelledError) else (500, InternalError.code)


def too_much_cpu(limits: Limits) -> ExceededCpu:
    """It ran for too long."""
    return ExceededCpu(f"the worker used more than {limits.cpu_ms} ms of CPU time (limits.cpu_ms)")


def too_much_memory(limits: Limits) -> ExceededMemory:
    """It wanted too much."""
    return ExceededMemory(f"the worker used more than {limits.memory_mb} MB (limits.memory_mb)")
