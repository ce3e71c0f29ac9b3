"""The only way out: a call names a capability by its index in the worker's own table, and awaits what comes of it."""

import asyncio
import builtins

from . import outbox
from .invocation import current

_pending = {}
_next_call = 1

MAX_PENDING = 10_000
"""Calls that may wait at once. The host has a lower limit of its own; this one keeps an honest loop from piling up."""


class CallError(Exception):
    """A capability answered with an error. `code` is the host's stable name for it."""

    def __init__(self, message, code="error"):
        super().__init__(message)
        self.code = code


def _begin():
    global _next_call
    if len(_pending) >= MAX_PENDING:
        raise CallError(f"more than {MAX_PENDING} calls wait at once", "too_many_calls")
    number = _next_call
    _next_call += 1
    future = _pending[number] = asyncio.get_running_loop().create_future()
    return number, future


async def _finish(number, future):
    try:
        return await future
    except asyncio.CancelledError:
        if _pending.pop(number, None) is not None:
            outbox.effects.append(["abandon", number])
        raise


async def call(capability, method, arguments):
    """Call a method of a capability. `arguments` and the result are encoded values (bytes)."""
    number, future = _begin()
    outbox.effects.append(["call", number, current().number, capability, method, outbox.blob(arguments)])
    return await _finish(number, future)


async def fetch(capability, method, url, headers, body, redirect):
    """Send a request through a capability. `body` as in an effect. Returns (status, headers, body, url)."""
    number, future = _begin()
    outbox.effects.append(["fetch", number, current().number, capability, method, url, headers, body, redirect])
    return await _finish(number, future)


def on_resolve(number, result):
    """Event: a call succeeded."""
    future = _pending.pop(number, None)
    if future is not None and not future.done():
        future.set_result(result)


def on_reject(number, code, message, type_name=None):
    """Event: a call failed. `type_name` names the exception of the called worker, where there was one."""
    future = _pending.pop(number, None)
    if future is not None and not future.done():
        future.set_exception(_exception(code, message, type_name))


def _exception(code, message, type_name):
    known = getattr(builtins, type_name, None) if type_name else None
    if isinstance(known, type) and issubclass(known, Exception):
        try:
            return known(message)
        except TypeError:
            pass
    return CallError(f"{type_name}: {message}" if type_name else message, code)
