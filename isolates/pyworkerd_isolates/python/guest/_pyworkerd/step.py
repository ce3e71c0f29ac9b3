"""One step: a frame of events in, a frame of effects out, whatever the isolate is made of."""

import _wire
import workers
from workers import background, rpc, stubs
from workers import bindings as _bindings

from . import (
    calls,
    handlers,
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
sdk.message, sdk.read_message, sdk.member = rpc.message, stubs.read_message, stubs.member
invocation.stub_kind = stubs.RpcStub
sdk.HANDLED = background.HANDLED
invocation.logs, invocation.unfinished = logs, logs.unfinished


def _init(blobs, bindings, meta):
    handlers.on_init(bindings, meta, blobs)


def _fetch(blobs, number, entrypoint, props, method, url, headers, body):
    handlers.on_fetch(number, entrypoint, props, method, url, headers, _body(blobs, body))


def _rpc(blobs, number, entrypoint, props, method, arguments):
    handlers.on_rpc(number, entrypoint, props, method, lending.received(blobs, arguments))


def _invoke(blobs, number, loan, reads, method, arguments):
    handlers.on_invoke(number, loan, reads, method, lending.received(blobs, arguments))


def _handle(blobs, number, entrypoint, props, handler, event):
    handlers.on_handle(number, entrypoint, props, handler, blobs[event])


def _data(blobs, number, index, end):
    streams.on_data(number, b"" if index is None else blobs[index], end)


def _resolve(blobs, number, kind, *result):
    if kind == "value":
        calls.on_resolve(number, lending.received(blobs, result[0]))
    elif kind == "upgrade":
        headers, socket, url = result
        calls.on_resolve(number, (101, headers, sockets.Wire(socket), url))
    else:
        status, headers, body, url = result
        calls.on_resolve(number, (status, headers, _body(blobs, body), url))


def _body(blobs, body):
    if body is None:
        return None
    return bytes(blobs[body[1]]) if body[0] == "b" else streams.Inbound(body[1])


def _message(blobs, number, index, text, end):
    sockets.on_message(number, b"" if index is None else blobs[index], text, end)


def _become(blobs, class_name, id, index, alarm, most):
    objects.on_become(class_name, id, b"" if index is None else blobs[index], alarm, most)


def _fatal(error, *_):
    raise error


EVENTS = {
    "prime": (lambda blobs: handlers.prime(step), _fatal),
    "close_gaps": (lambda blobs, end: layout.close_gaps(end), _fatal),
    "init": (_init, _fatal),
    "become": (_become, _fatal),
    "focus": (lambda blobs, numbers: handlers.loop.focus(numbers), _fatal),
    "fetch": (_fetch, handlers.on_failed),
    "rpc": (_rpc, handlers.on_failed),
    "invoke": (_invoke, handlers.on_failed),
    "released": (lambda blobs, number: lending.on_released(number), _fatal),
    "handle": (_handle, handlers.on_failed),
    "cancel": (lambda blobs, number: handlers.on_cancel(number), handlers.on_failed),
    "data": (_data, streams.on_lost),
    "error": (lambda blobs, number, message: streams.on_error(number, message), streams.on_lost),
    "pull": (lambda blobs, number, credit: streams.on_pull(number, credit), streams.on_failed),
    "stop": (lambda blobs, number: streams.on_stop(number), streams.on_failed),
    "resolve": (_resolve, calls.on_failed),
    "reject": (lambda blobs, *reason: calls.on_reject(*reason), calls.on_failed),
    "ws_message": (_message, sockets.on_failed),
    "ws_closed": (lambda blobs, *close: sockets.on_closed(*close), sockets.on_failed),
    "ws_credit": (lambda blobs, number, credit: sockets.on_credit(number, credit), sockets.on_failed),
}
"""What each event does, and who is told if that fails: what came from another tenant, or found no memory, must not end
an isolate that others share."""


def load(data, run):
    """The answer to `load`: what `run` says of the message and its blobs."""
    return _wire.encode(run(*_wire.decode(data)), ())


def step(data):
    """Events in, effects out."""
    try:
        return _step(data)
    except BaseException as error:
        return _wire.encode([None, [["crash", worker.format_exception(error)]]], ())


def _step(data):
    events, blobs = _wire.decode(data)
    for event in events:
        perform, failed = EVENTS[event[0]]
        try:
            perform(blobs, *event[1:])
        except Exception as error:
            failed(error, *event[1:])
    handlers.loop.run()
    if objects.this is not None:
        objects.this.commit()
    return outbox.take(handlers.loop.due(sockets.flush()))
