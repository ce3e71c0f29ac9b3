"""The only way out: a call names a capability by its index in the worker's own table, and awaits what comes of it."""

import builtins
import json.encoder
from asyncio import CancelledError, Future
from functools import lru_cache

import _wire

from . import lending, outbox, sockets, streams
from .invocation import _current, current

_ARRIVING = (streams.Inbound, sockets.Wire)
_escaped = json.encoder.encode_basestring_ascii
_WORDS = {word: f'"{word}"' for word in ("GET", "HEAD", "POST", "PUT", "DELETE", "manual", "follow", "error")}
"""What is asked for most, as JSON."""
pending = {}
"""A future for each call that somebody waits for, by its number."""
_next_call = 1
loop = None
"""The event loop: `step` fills it in."""

MAX_PENDING = 1000
"""Calls that may wait at once, as on the host, which would refuse one more; here the caller hears it at once. Those
that this step has abandoned still count."""
MAX_METHOD = 256
MAX_URL = 16_384
MAX_HEADER_BYTES = 131_072
MAX_HEADERS = 256
"""What the host reads (Workers: URL 16 KB, headers 128 KB): beyond it the isolate would end; here the caller hears."""


class Part(list):
    """A part of a capability, a Durable Object say: its index and a name. It is written as JSON once."""

    written = None


class CallError(Exception):
    """A capability answered with an error. `code` is the host's stable name for it."""

    def __init__(self, message, code="error"):
        super().__init__(message)
        self.code = code


def _begin():
    global _next_call
    if len(pending) + outbox.abandoned >= MAX_PENDING:
        _too_many()
    number = _next_call
    _next_call = number + 1
    future = pending[number] = Future(loop=loop)
    return number, future


def _too_many():
    raise CallError(f"more than {MAX_PENDING} calls wait at once", "too_many_calls")


def given_up(number, future):
    """Nobody waits any more for the answer to a call, which may have come."""
    if pending.pop(number, None) is not None:
        outbox.abandon(number)
    elif future.done() and not future.cancelled() and future.exception() is None:
        _discard(future.result())


class Address:
    """Whom a call is for: a method of a capability. `text` is how an effect says so, JSON without brackets."""

    __slots__ = ("name", "text")

    def __init__(self, capability, name):
        if len(name) > MAX_METHOD:
            raise ValueError(f"a method's name is longer than {MAX_METHOD} characters")
        self.name, self.text = name, f"{_named(capability)},{_escaped(name)}".encode()


_known = lru_cache(64)(Address)


def address(capability, method):
    """The `Address` of a method of a capability, of a part of one, or of a stub."""
    return _known(capability, method) if type(capability) is int else Address(capability, method)


def forget():
    """While the engine is built: nothing of the warm-up may stay."""
    global _next_call
    _next_call = 1
    _known.cache_clear()


def begin(to, arguments):
    """Make a call. `arguments` is an encoded value, with stubs or without. Returns the call's number, and a future of
    what it is answered: an encoded value too. Who gives up waiting says `given_up`.
    """
    global _next_call
    invocation = _current.get(None) or current()  # which says what is wrong
    if type(arguments) is not bytes:
        return _lend(to, arguments, invocation)
    if len(pending) + outbox.abandoned >= MAX_PENDING:  # as `_begin`, which would be one function more
        _too_many()
    number = _next_call
    _next_call = number + 1
    future = pending[number] = Future(loop=loop)
    outbox.effects.append((number, invocation.number, to.text, arguments))
    return number, future


def _named(capability):
    """A capability, a part of one, or a stub, as in an effect."""
    if type(capability) is int:
        return capability
    if type(capability) is not Part:
        return outbox.written(capability)
    if capability.written is None:
        capability.written = outbox.written(capability)
    return capability.written


async def call(capability, method, arguments):
    """See `begin`. What it is answered is for whoever asks to read."""
    number, future = begin(address(capability, method), arguments)
    try:
        return await future
    except CancelledError:
        given_up(number, future)
        raise


def _lend(to, arguments, invocation):
    with arguments:
        number, future = _begin()
        try:
            value = lending.sent(arguments, invocation, False)
        except BaseException:
            del pending[number]
            raise
        outbox.effects.append(
            f'["call",{number},{invocation.number},{str(to.text, "ascii")},{outbox.written(value)}]'
        )
    arguments.start(invocation)
    return number, future


def begin_fetch(capability, method, url, headers, body, redirect):
    """Send a request through a capability. `body` as in an effect. What it answers is for `finish_fetch`."""
    if len(url) > MAX_URL or len(method) > MAX_METHOD:
        raise ValueError(f"a URL is longer than {MAX_URL} characters, or a method longer than {MAX_METHOD}")
    if headers:
        check_headers(headers)
    invocation, whom = current(), _named(capability)
    verb, target, mode = _WORDS.get(method) or _escaped(method), _escaped(url), _WORDS.get(redirect)
    if mode is None:
        mode = _escaped(redirect)
    fields = outbox.written(headers) if headers else "[]"
    sent = "null" if body is None else outbox.written(body)
    number, future = _begin()
    outbox.effects.append(
        f'["fetch",{number},{invocation.number},{whom},{verb},{target},{fields},{sent},{mode}]'
    )
    return number, future


async def finish_fetch(begun):
    """(status, headers, body, url) of a request that was begun."""
    number, future = begun
    try:
        answer = await future
    except CancelledError:
        given_up(number, future)
        raise
    body = answer[2]
    if body is not None and isinstance(body, _ARRIVING):
        current().receives(body)
    return answer


def check_headers(headers):
    """Raise ValueError for more header fields than the host takes."""
    size = 0
    for name, value in headers:
        size += len(name) + len(value)
    if len(headers) > MAX_HEADERS or size > MAX_HEADER_BYTES:
        raise ValueError(
            f"more than {MAX_HEADERS} header fields, or more than {MAX_HEADER_BYTES} bytes of them"
        )


def _discard(result):
    """Nobody waits for this answer: neither for what comes with it."""
    if type(result) is tuple and isinstance(result[2], _ARRIVING):
        result[2].cancel()
    elif type(result) is lending.Received:
        result.drop()


def on_resolve(number, result):
    """Event: a call succeeded."""
    future = pending.pop(number, None)
    if future is not None and not future.done():
        future.set_result(result)
    else:
        _discard(result)


def on_reject(number, code, message, type_name=None):
    """Event: a call failed. `type_name` names the exception of the called worker, where there was one."""
    future = pending.pop(number, None)
    if future is not None and not future.done():
        future.set_exception(_exception(code, message, type_name))


def on_failed(error, number, *_):
    """The answer to a call cannot be read, or not be held: whoever waits for it hears that."""
    future = pending.pop(number, None)
    if future is not None and not future.done():
        unreadable = isinstance(error, _wire.WireError)
        future.set_exception(
            CallError(f"the answer cannot be read: {error}", "bad_effect") if unreadable else error
        )


def _exception(code, message, type_name):
    known = getattr(builtins, type_name, None) if type_name else None
    if isinstance(known, type) and issubclass(known, Exception):
        try:
            return known(message)
        except TypeError:
            pass
    return CallError(f"{type_name}: {message}" if type_name else message, code)
