"""Runs functions of the program around the runtime with arguments that a guest chose.

Rule 1: a coroutine function runs on the event loop; any other runs in a thread, and may block there.
Rule 2: threads belong to whoever was given the function. A guest that keeps all of them busy keeps only its own calls
        waiting.
Rule 3: what the function raises reaches the guest by type and message; the traceback stays in the host's log. Only what
        ends a program goes on through its event loop; in a thread it ends nothing, as Python's threads have it.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates import wire

from pyworkerd.errors import PyworkerdError, WorkerException
from pyworkerd.interpreter import interval
from pyworkerd.services.stubs import release

if TYPE_CHECKING:
    from collections.abc import Callable

THREADS: Final = 4
"""Calls of one function that run at once, if it is not a coroutine function: CPython's default for one
processor is 5 (`concurrent.futures`: processors + 4), and a worker may have many functions.
"""

_log = logging.getLogger("pyworkerd.bindings.callable")


class Functions:
    """Threads for those that need one. A call that is cancelled leaves its thread running; its result is dropped."""

    __slots__ = ("_pool",)

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None

    async def run(
        self,
        function: Callable[..., Any],
        positional: list[Any],
        named: dict[str, Any],
        *,
        waits: bool | None = None,
    ) -> Any:
        """What the function returns. Raises a `PyworkerdError` for the guest. `waits` is whether it is a coroutine
        function, where that is known."""
        if is_coroutine_function(function) if waits is None else waits:
            outcome = await _attempt_async(function, positional, named)
        else:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="pyworkerd-callable")
            context = contextvars.copy_context()
            outcome = await asyncio.get_running_loop().run_in_executor(
                self._pool, context.run, _attempt, function, positional, named
            )
            if inspect.isawaitable(outcome):
                # A function that only says with its result that it is asynchronous.
                outcome = await _attempt_async(lambda: outcome, [], {})
        if isinstance(outcome, _Raised):
            raise _for_the_guest(function, outcome.error)
        return outcome

    def close(self) -> None:
        """Calls that wait for a thread are dropped; those that run end by themselves."""
        pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


class _Raised:
    """An exception as a value: a StopIteration can be raised neither into a future nor out of a coroutine."""

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _for_the_guest(function: Callable[..., Any], error: BaseException) -> PyworkerdError:
    if isinstance(error, PyworkerdError):
        return error
    _log.debug("%r raised, for a worker", function, exc_info=error)
    for_the_guest = WorkerException(type(error).__name__, message_of(error))
    for_the_guest.__cause__ = error
    return for_the_guest


def _attempt(function: Callable[..., Any], positional: list[Any], named: dict[str, Any]) -> Any:
    try:
        return interval.during(partial(function, *positional, **named))
    except BaseException as error:  # noqa: BLE001  (whatever a program's function raises is for the guest)
        return _Raised(error)


async def _attempt_async(function: Callable[..., Any], positional: list[Any], named: dict[str, Any]) -> Any:
    try:
        return await function(*positional, **named)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return _Raised(error)  # not who asked has gone, but what the function waited for
    except (GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:  # noqa: BLE001  (as above)
        return _Raised(error)


def is_coroutine_function(function: Callable[..., Any]) -> bool:
    """Whether calling it makes a coroutine, as far as it can be told without calling it."""
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__)


def message_of(error: BaseException) -> str:
    """An exception's own text: `KeyError("x")` says x, as its argument does, not 'x' in quotes."""
    only = error.args[0] if len(error.args) == 1 else None
    return only if isinstance(only, str) else str(error)


def encode_result(result: object, write: Callable[[object], bytes] = wire.dump_value) -> bytes:
    """A result as bytes for the guest. Raises `WorkerException` for what cannot be sent, or is too large."""
    try:
        encoded = write(result)
    except (TypeError, ValueError) as error:
        raise WorkerException(type(error).__name__, str(error)) from None
    if len(encoded) > wire.MAX_VALUE:
        release(encoded)
        raise WorkerException("ValueError", f"the result is larger than {wire.MAX_VALUE} bytes")
    return encoded
