"""One step: a frame of events in, a frame of effects out, whatever the isolate is made of."""

import _wire
import workers
from workers import background, rpc, stubs
from workers import bindings as _bindings

from . import (
    calls,
    frames,
    handlers,
    immortal,
    invocation,
    layout,
    lending,
    logs,
    objects,
    outbox,
    sdk,
    sockets,
    streams,
    worker,
)

sdk.Request, sdk.Response = workers.Request, workers.Response
sdk.SHAPES = _bindings.SHAPES
sdk.python_from_rpc, sdk.python_to_rpc = rpc.python_from_rpc, rpc.python_to_rpc
sdk.scan, sdk.message, sdk.read_message, sdk.member = rpc.scan, rpc.message, stubs.read_message, stubs.member
calls.loop = handlers.loop
invocation.stub_kind = stubs.RpcStub
sdk.HANDLED = background.HANDLED
invocation.logs, invocation.unfinished = logs, logs.unfinished
_taken_apart, _request_at, _short = frames.taken_apart, frames.request_at, frames.short
_effects, _blobs, _pending = outbox.effects, outbox.blobs, calls.pending


def _init(blobs, event):
    _, bindings, meta = event
    handlers.on_init(bindings, meta, blobs)


def _invoke(blobs, event):
    _, number, loan, reads, method, arguments = event
    handlers.on_invoke(number, loan, reads, method, lending.received(blobs, arguments))


def _handle(blobs, event):
    _, number, entrypoint, props, handler, index = event
    handlers.on_handle(number, entrypoint, props, handler, blobs[index])


def _data(blobs, event):
    _, number, index, end = event
    streams.on_data(number, b"" if index is None else blobs[index], end)


def _resolve(blobs, event):
    number, kind = event[1], event[2]
    if kind == "value":
        value = event[3]
        calls.on_resolve(number, blobs[value] if type(value) is int else lending.received(blobs, value))
    elif kind == "response":
        _, _, _, status, headers, body, url = event
        calls.on_resolve(
            number, (status, headers, None if body is None else streams.received(blobs, body), url)
        )
    else:
        headers, socket, url = event[3:]
        calls.on_resolve(number, (101, headers, sockets.Wire(socket), url))


def _message(blobs, event):
    _, number, index, text, end = event
    sockets.on_message(number, b"" if index is None else blobs[index], text, end)


def _become(blobs, event):
    _, class_name, id, index, alarm, most, name = event
    objects.on_become(class_name, id, b"" if index is None else blobs[index], alarm, most, name)


def _fatal(error, *_):
    raise error


EVENTS = {
    "prime": (lambda blobs, event: handlers.prime(step), _fatal),
    "close_gaps": (lambda blobs, event: layout.close_gaps(event[1]), _fatal),
    "init": (_init, _fatal),
    "become": (_become, _fatal),
    "focus": (lambda blobs, event: handlers.loop.focus(event[1]), _fatal),
    "fetch": (handlers.on_fetch, handlers.on_failed),
    "rpc": (handlers.on_rpc, handlers.on_failed),
    "invoke": (_invoke, handlers.on_failed),
    "released": (lambda blobs, event: lending.on_released(event[1]), _fatal),
    "handle": (_handle, handlers.on_failed),
    "cancel": (lambda blobs, event: handlers.on_cancel(event[1]), handlers.on_failed),
    "data": (_data, streams.on_lost),
    "error": (lambda blobs, event: streams.on_error(*event[1:]), streams.on_lost),
    "pull": (lambda blobs, event: streams.on_pull(*event[1:]), streams.on_failed),
    "stop": (lambda blobs, event: streams.on_stop(event[1]), streams.on_failed),
    "resolve": (_resolve, calls.on_failed),
    "reject": (lambda blobs, event: calls.on_reject(*event[1:]), calls.on_failed),
    "ws_message": (_message, sockets.on_failed),
    "ws_closed": (lambda blobs, event: sockets.on_closed(*event[1:]), sockets.on_failed),
    "ws_credit": (lambda blobs, event: sockets.on_credit(*event[1:]), sockets.on_failed),
}
"""What each event does, handed the bytes that came along and itself, and who is told if that fails: what came from
another tenant, or found no memory, must not end an isolate that others share."""


def load(data, run):
    """The answer to `load`: what `run` says of the message and its blobs."""
    return _wire.encode(run(*_wire.decode(data)), ())


def _call(loop, data):
    _, number, more = _taken_apart(data)
    try:
        if more >= frames.FOCUS:
            loop.focus((number,))
            more -= frames.FOCUS
        end = 12 + more
        handlers.begin_call(number, None, {}, str(data[12:end], "latin-1"), data[end:])
    except Exception as error:
        handlers.on_failed(error, number)


def _requests(loop, data):
    end, whole = 0, len(data)
    while end < whole:
        _, number, size, more = _request_at(data, end)
        start = end + 16
        fields = start + (size & ~frames.FOCUS)
        end = fields + more  # whatever fails below, the next one comes next
        try:
            if size >= frames.FOCUS:
                loop.focus((number,))
            handlers.begin_request(number, str(data[start:fields], "latin-1"), data[fields:end])
        except Exception as error:
            handlers.on_failed(error, number)


def _answer(loop, data):
    _, number, focus = _taken_apart(data)
    if focus:
        loop.focus((focus,))
    future = None
    try:
        value = data[12:]
        future = _pending.pop(number, None)
        if future is None or future.done():
            return  # nobody waits for it any more, and bytes are all of it
        if loop._ready or loop._held or loop._timers or invocation.gate is not None:
            future.set_result(value)
        else:
            loop.wake(future, value)
    except Exception as error:
        if future is not None:
            _pending[number] = future
        calls.on_failed(error, number)


_SHORT = {frames.ANSWER & 255: _answer, frames.CALLED & 255: _call, frames.ASKED & 255: _requests}
"""By the first byte of a short frame."""


def step(data):
    """Events in, effects out. No bytes at all is the host's sign that an image will be taken."""
    if not data:
        return immortal.settle_or_not()
    loop = handlers.loop
    try:
        if data[3] > 127:
            _SHORT[data[0]](loop, data)
        else:
            events, blobs = frames.decode(data)
            for event in events:
                perform, failed = EVENTS[event[0]]
                try:
                    perform(blobs, event)
                except Exception as error:
                    failed(error, *event[1:])
        if loop._ready or loop._held or loop._timers or loop._later:
            loop.run()
        else:
            loop._ran, loop._focus = loop._focus, None
        if objects.this is not None:
            objects.this.commit()
        more = sockets.waiting and sockets.flush()
        wanted = more or loop._ready or loop._held or loop._timers
        wake = loop.due(more) if wanted else None
        if wake is None and _effects and not _blobs:
            frame = _short(_effects)
            if frame is not None:
                _effects.clear()
                return frame
        return outbox.take(wake)
    except BaseException as error:
        return _wire.encode([None, [["crash", worker.format_exception(error)]]], ())
