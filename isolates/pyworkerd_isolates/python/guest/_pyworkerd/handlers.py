"""Events that begin or end an invocation, and the effects that answer them."""

import asyncio
from asyncio import Task
from contextvars import copy_context
from types import CoroutineType

import _wire

from . import (
    calls,
    entropy,
    environment,
    frames,
    layout,
    lending,
    logs,
    objects,
    outbox,
    plain,
    sdk,
    streams,
    worker,
)
from .environment import Context, env
from .invocation import Invocation, closed, current, enter, left, may_run, owner, payer, running
from .loop import Loop, install
from .sending import body_effect, pump_for

loop = Loop()
_context = None


def start():
    """First step of a new isolate: the loop, fresh entropy."""
    global _context
    loop.owner, loop.may_run, loop.payer, loop.left, loop.closed = owner, may_run, payer, left, closed
    install(loop)
    entropy.renew()
    _context = copy_context()


def on_init(bindings, meta, blobs):
    """Event: what the worker may use. It comes with the first event, never before: no image can hold it."""
    start()
    environment.set_bindings(
        [
            (
                name,
                kind,
                blobs[value] if kind == "value" else value,
                *(bytes(blobs[each]) for each in details),
            )
            for name, kind, value, *details in bindings
        ],
        meta,
    )
    # Written only where it differs: memory that is not written to stays shared.
    if (limit := meta.get("log_bytes", logs.LIMIT)) != logs.limit:
        logs.limit = limit


def _begin(invocation, coroutine):
    # In a context of its own, where the coroutine makes the invocation the current one before anything else.
    invocation.main = Task(coroutine, loop=loop, context=_context.copy(), eager_start=True)


def on_fetch(blobs, event):
    """Event: a request."""
    _, number, entrypoint, props, method, url, headers, body = event
    invocation = Invocation(number)
    if body is not None:
        body = streams.received(blobs, body)
        if type(body) is streams.Inbound:
            invocation.receives(body)
    coroutine = _fetch(invocation, entrypoint, props, method, url, headers, body)
    invocation.main = Task(coroutine, loop=loop, context=_context.copy(), eager_start=True)


def begin_request(number, line, headers):
    """Begin the invocation of a request without a body: method and URL, and the headers as JSON."""
    invocation = Invocation(number)
    method, url = line.split(" ", 1)
    coroutine = _fetch(invocation, None, {}, method, url, headers, None)
    invocation.main = Task(coroutine, loop=loop, context=_context.copy(), eager_start=True)


def on_rpc(blobs, event):
    """Event: a call of a method."""
    _, number, entrypoint, props, method, arguments = event
    begin_call(number, entrypoint, props, method, lending.received(blobs, arguments))


def begin_call(number, entrypoint, props, method, arguments):
    """Begin the invocation of a method. `arguments` is an encoded value, with stubs or without."""
    invocation = Invocation(number)
    coroutine = _rpc(invocation, entrypoint, props, method, arguments)
    invocation.main = Task(coroutine, loop=loop, context=_context.copy(), eager_start=True)


def on_invoke(number, loan, reads, method, arguments):
    """Event: something that this isolate lends is called."""
    invocation = Invocation(number)
    _begin(invocation, _invoke(invocation, loan, reads, method, arguments))


def on_handle(number, entrypoint, props, handler, event):
    """Event: something happened that a handler is for, and that no client waits for."""
    invocation = Invocation(number)
    _begin(invocation, _handle(invocation, entrypoint, props, handler, event))


def on_cancel(number):
    """Event: the caller has gone."""
    invocation = running.get(number)
    if invocation is not None:
        invocation.cancel()


def on_failed(error, number, *_):
    """An invocation could not be begun, or be cancelled: it is over."""
    invocation = running.get(number) or Invocation(number)
    _fail(invocation, error)
    invocation.end()


def _instance(invocation, name, props):
    found = worker.entrypoints.get(name)
    if found is None:
        _no_entrypoint(invocation, name)
        return None, None, None
    ctx = Context(invocation, props)
    return found, found(ctx, env), ctx


def _no_entrypoint(invocation, name):
    _refuse(invocation, "no_entrypoint", f"the worker exports no entrypoint {name or 'Default'!r}")


def _refuse(invocation, reason, message):
    outbox.effects.append(["fail", invocation.number, reason, "", message, ""])


def _fail(invocation, error):
    unknown = None
    try:
        _tell(invocation, error)
    except MemoryError:
        error.__traceback__ = error.__context__ = error.__cause__ = None
        unknown = "MemoryError", ""
    except BaseException:  # it is the program's, and so is what it does when it is asked what it is
        unknown = "Exception", "an error that cannot be shown"
    if unknown is not None:
        # For want of memory: the frames of the failure held what used the memory up, and those of the second failure,
        # which is over, held them: now there is room to say so.
        outbox.effects.append(["fail", invocation.number, "exception", *unknown, ""])


def _tell(invocation, error):
    text, trace = _text(error), worker.format_exception(error)
    if not outbox.afford(text + trace):
        text, trace = text[:80], "(left out: too many long tracebacks at once)"
    outbox.effects.append(["fail", invocation.number, "exception", type(error).__name__[:256], text, trace])


def _text(error):
    try:
        # KeyError shows its message in quotes: one more pair with each worker that it passes.
        alone = error.args[0] if len(error.args) == 1 else None
        return (alone if type(alone) is str else str(error))[:8192]
    except Exception:
        return ""


async def _fetch(invocation, name, props, method, url, headers, body):
    enter(invocation)
    try:
        this = objects.this
        if this is not None:
            found, instance, ctx = this.at_hand() or await this.enter()
        elif (found := worker.entrypoints.get(name)) is not None:
            ctx = Context(invocation, props)
            instance = found(ctx, env)
        else:
            _no_entrypoint(invocation, name)
            return
        handler = getattr(instance, "fetch", None)
        if handler is None:
            _refuse(invocation, "no_handler", "the entrypoint has no fetch() handler")
            return
        request = sdk.Request._of(method, url, headers, body)
        takes = worker.takes.get(found)
        if takes == 1:
            response = handler(request)
        else:
            response = handler(
                *(request, env, ctx)[: worker.bind(found, "fetch") if takes is None else takes]
            )
        if type(response) is CoroutineType or hasattr(response, "__await__"):
            response = await response
        if not isinstance(response, sdk.Response):
            remedy = "return it on every way" if response is None else "write `return Response(...)`"
            raise TypeError(  # noqa: TRY301 - the worker's own mistake, told like its other ones
                f"fetch() has to return a Response, not {type(response).__name__}: {remedy}"
            )
        _respond(invocation, response)
    except BaseException as error:
        _fail(invocation, error)
    finally:
        # As `release()`, which would be one call more.
        invocation.open -= 1
        if not invocation.open:
            invocation.end()


def begin_fetch(capability, method, url, headers, body, redirect="manual"):
    """Send a request through a capability, with its body. What it answers is for `calls.finish_fetch`."""
    effect, pumping = body_effect(body)
    try:
        begun = calls.begin_fetch(capability, method, url, headers, effect, redirect)
    except BaseException:
        if pumping is not None:
            pumping[0].forget()
        raise
    if pumping is not None:
        pump_for(current(), *pumping)
    return begun


def _respond(invocation, response):
    written = response._written()
    if written is not None:
        invocation.replies(*written)
        return
    status, headers, body = response._parts()
    if response._headers is not None:
        calls.check_headers(headers)
    if response._web_socket is not None:
        number = response._web_socket._leave(invocation, response.headers.get("sec-websocket-protocol") or "")
        outbox.effects.append(["upgrade", invocation.number, headers, number])
        return
    effect, pumping = body_effect(body)
    outbox.effects.append(["respond", invocation.number, status, headers, effect])
    if pumping is not None:
        pump_for(invocation, *pumping)


async def _rpc(invocation, name, props, method, arguments):
    enter(invocation)
    try:
        this = objects.this
        if this is not None:
            found, instance, _ = this.at_hand() or await this.enter()
        elif (found := worker.entrypoints.get(name)) is not None:
            instance = found(Context(invocation, props), env)
        else:
            _no_entrypoint(invocation, name)
            return
        function = None
        if method[:1] != "_" and method not in worker.RESERVED and isinstance(found, type):
            function = getattr(instance, method, None) if callable(getattr(found, method, None)) else None
        if function is None:
            _refuse(invocation, "no_method", f"the entrypoint has no method {method!r}")
            return
        positional = plain.load_arguments(arguments, sdk.scan) if type(arguments) is bytes else plain.UNREAD
        if positional is plain.UNREAD:
            await _call(invocation, function, arguments)
            return
        # As `_call`, which would be one coroutine more.
        result = function(*positional)
        if type(result) is CoroutineType or hasattr(result, "__await__"):
            result = await result
        _return(invocation, result)
    except BaseException as error:
        _fail(invocation, error)
    finally:
        # As `release()`, which would be one call more.
        invocation.open -= 1
        if not invocation.open:
            invocation.end()


async def _call(invocation, function, arguments):
    try:
        (positional, named), stubs = sdk.read_message(arguments)
    except _wire.WireError as error:  # what Python has no counterpart of, say
        raise TypeError(f"the arguments cannot be received: {error}") from None
    try:
        result = function(*positional, **named) if named else function(*positional)
        if type(result) is CoroutineType or hasattr(result, "__await__"):
            result = await result
        _return(invocation, result)
    finally:
        for stub in stubs:
            stub.dispose()


def _return(invocation, result):
    data = plain.dump(result) or sdk.message(result)
    if type(data) is bytes:
        invocation.returns(data)
        return
    with data:
        outbox.effects.append(["return", invocation.number, lending.sent(data, invocation, True)])
    data.start(invocation)


async def _invoke(invocation, loan, reads, method, arguments):
    enter(invocation)
    try:
        if objects.this is not None:
            await objects.this.admitted()
        target = lending.find(loan)
        if target is None:
            _refuse(invocation, "broken_stub", "")
            return
        function = sdk.member(target, method, reads)
        if function is None:
            _refuse(invocation, "no_method", lending.missing(method, reads))
            return
        await _call(invocation, function, arguments)
    except BaseException as error:
        _fail(invocation, error)
    finally:
        invocation.release()


async def _handle(invocation, name, props, handler, event):
    enter(invocation)
    this = objects.this
    try:
        found, instance, ctx = (
            _instance(invocation, name, props) if this is None else this.at_hand() or await this.enter()
        )
        if instance is None:
            return
        function = getattr(instance, handler, None)
        if function is None:
            _refuse(invocation, "no_handler", f"the entrypoint has no {handler}() handler")
            return
        event = sdk.HANDLED[handler](sdk.python_from_rpc(event))
        if this is not None and not event._begins(this.state.storage._database):
            _outcome(invocation, None)
            return
        result = function(*(event, env, ctx)[: worker.bind(found, handler)])
        if hasattr(result, "__await__"):
            await result
        _outcome(invocation, event._outcome())
    except Exception as error:
        outcome = getattr(event, "_failed", None)
        if outcome is None or isinstance(error, MemoryError):
            _fail(invocation, error)
        else:
            invocation.report(f"{handler}() failed", error.with_traceback(error.__traceback__.tb_next))
            _outcome(invocation, outcome())
    except BaseException as error:
        _fail(invocation, error)
    finally:
        if this is not None and hasattr(event, "_ended"):
            event._ended()
        invocation.release()


def _outcome(invocation, outcome):
    outbox.effects.append(["return", invocation.number, outbox.blob(sdk.python_to_rpc(outcome))])


def prime(step):
    """While the engine is built: some requests through everything, then forget them. No event of a worker comes first.

    `step` is what the host calls, with a frame of events.
    """
    from workers import Response, WorkerEntrypoint

    class Warm(WorkerEntrypoint):
        async def fetch(self, request):
            return Response(f"{request.method} {request.url} {request.headers.get('host')}")

        async def add(self, number):
            return await self.env.IT.add(number)

    def warm_up():  # what most workers do comes first, and so lies together
        step(_WARM_UP)
        step(_WARM_REQUEST)
        _, call, _ = frames.taken_apart(step(_WARM_CALL))
        step(frames.packed(frames.ANSWER, call, 0) + _WARM_ANSWER)
        outbox.take(None)  # of which steps like these had no need

    worker.entrypoints[None] = Warm
    worker.bind(Warm, "fetch")
    layout.gather(warm_up)
    for _ in range(32):
        warm_up()
    _forget()


_WARM_UP = _wire.encode(
    [
        ["init", [["IT", "fetcher", 1]], {}],
        ["fetch", 1, None, {}, "GET", "http://warm.invalid/", [["host", "warm.invalid"]], None],
    ],
    (),
)
_WARM_LINE, _WARM_HEADERS = b"GET http://warm.invalid/", b'[["host","warm.invalid"]]'
_WARM_REQUEST = b"".join(
    (frames.packed_four(frames.ASKED, 3, len(_WARM_LINE), len(_WARM_HEADERS)), _WARM_LINE, _WARM_HEADERS)
)
_WARM_CALL = frames.packed(frames.CALLED, 2, 3) + b"add" + _wire.dump_value([[1], {}])
_WARM_ANSWER = _wire.dump_value(2)


def _forget():
    asyncio.events._set_running_loop(None)
    worker.entrypoints.clear()
    worker.forget()
    environment.set_bindings([], {})
    environment.meta.clear()
    calls.forget()
