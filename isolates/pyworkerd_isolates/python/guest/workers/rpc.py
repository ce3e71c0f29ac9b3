"""What may be sent to another worker's methods, and as what it arrives.

`python_to_rpc` and `python_from_rpc` go by the names of Cloudflare's SDK; here they make bytes (`_wire`
values) and read them. Beside the plain values they know the types of this package. A body that is in hand crosses as
bytes. One that streams goes beside the value, and functions and objects of `RpcTarget` are lent, which only a `message`
can do.
"""

# Private names are private to this package: they keep programs out, not its own modules.

from __future__ import annotations

import _wire

from .blob import Blob, File
from .body import BodyStream, Message
from .form_data import FormData
from .headers import Headers
from .request import Request
from .response import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


STUB = "stub"
BODY = "body"
WRITABLE = "WritableStream"
"""The tags of a stub, of a body that streams and of a stream to write to: what stands for each is its place among those
of the message."""
lendable: tuple[type, ...] = ()
sendable: Any = None
streamed: Any = None
writable: Any = ()
"""What is lent where it is sent, and what makes a message of bytes and of what they name: `stubs` fills these in. What
makes of a body one that streams beside them, and the class of streams that are written to: `writing` does.
"""


class JsDict(dict):
    """A dictionary whose keys are attributes too, where no method of `dict` has the name."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def __delattr__(self, name: str) -> None:
        try:
            del self[name]
        except KeyError:
            raise AttributeError(name) from None


scan = _wire.scanner(JsDict)
"""Reads JSON whose objects are no tags."""


def python_to_rpc(value: Any, special: Callable[[Any], tuple[str, Any] | None] | None = None) -> bytes:
    """A value as bytes. `special` is asked first about each object that is not a plain value.

    Raises TypeError `<class 'x'> cannot be sent over RPC.` for tuples, bytearrays, awaitables and every other
    object that has no meaning to somebody else, ValueError for a value that contains itself or is too deep.
    The body of a request or response that is sent counts as used.
    """

    if special is None:
        return _wire.dump_value(value, _encode)

    def encode(found: Any) -> tuple[str, Any] | None:
        written = special(found)
        return written if written is not None else _encode(found)

    return _wire.dump_value(value, encode)


class _HasMore(Exception):
    """There is something in a value that may stream, or is lent. Nothing was taken from it."""


def message(value: Any) -> Any:
    """`python_to_rpc`, where bodies that are not in hand stream, and functions and objects are lent: then it is a
    `Sendable`, and no bytes.
    """
    try:
        return _wire.dump_value(value, _encode_alone)
    except _HasMore:
        pass
    beside: list[Any] = []

    def special(found: Any) -> tuple[str, Any] | None:
        if type(found) is _Streaming:
            beside.append(streamed(found.body))
            return BODY, len(beside) - 1
        if type(found) is writable:
            beside.append(found._lent())
            return WRITABLE, len(beside) - 1
        if not isinstance(found, lendable):
            return None
        beside.append(found)
        return STUB, len(beside) - 1

    try:
        data = python_to_rpc(value, special)
    except BaseException:
        with sendable(b"", beside):  # whose streams go nowhere
            raise
    return sendable(data, beside) if beside else data


def _encode_alone(value: Any) -> tuple[str, Any] | None:
    if isinstance(value, (Message, BodyStream, lendable, writable)):
        raise _HasMore
    return _encode(value)


def python_from_rpc(data: bytes, special: Callable[[str, Any], Any] | None = None) -> Any:
    """The value that `python_to_rpc` wrote; dictionaries come as `JsDict`. Raises `_wire.WireError`."""

    if special is None:
        return _wire.load_value(data, _decode, new_dict=JsDict)

    def decode(tag: str, value: Any) -> Any:
        return _decode(tag, value) if tag in _READERS else special(tag, value)

    return _wire.load_value(data, decode, new_dict=JsDict)


def _decode(tag: str, value: Any) -> Any:
    reader = _READERS.get(tag)
    if reader is None:
        raise _wire.WireError(f"{tag!r} cannot be received here")
    return reader(*value)


def _encode(value: Any) -> tuple[str, Any] | None:
    if type(value) is _Streaming:
        raise TypeError(
            "A body that streams can only be sent in a call of a worker's method, or in its result."
        )
    for kind, (tag, writer) in _WRITERS.items():
        if isinstance(value, kind):
            return tag, writer(value)
    return None


def _file(value: File) -> list[Any]:
    return [value._data, value.name, value.content_type, value.last_modified]


def _request(value: Request) -> list[Any]:
    method, url, pairs, body = value._parts()
    return [method, url, _listed(pairs), _sent(body), {**value._options, "signal": None}]


def _response(value: Response) -> list[Any]:
    if value.web_socket is not None:
        raise TypeError("A Response with a WebSocket cannot be sent over RPC.")
    status, pairs, body = value._parts()
    return [
        status,
        _listed(pairs),
        _sent(body),
        value.url,
        value.status_text,
        value.redirected,
    ]


def _listed(pairs: Any) -> list[Any]:
    return [list(pair) for pair in pairs]


class _Streaming:
    """Stands in a value for a body that streams."""

    def __init__(self, body: BodyStream) -> None:
        self.body = body


def _sent(body: Any) -> Any:
    return _Streaming(body) if isinstance(body, BodyStream) else body


def _stream(value: BodyStream) -> list[Any]:
    if value.used:
        raise TypeError("A stream that has been read from cannot be sent over RPC.")
    if not value._in_hand:
        return [_Streaming(value)]
    value.used = True
    return [value._rest]


def _read_stream(body: Any) -> BodyStream:
    if isinstance(body, BodyStream):
        return body
    if not isinstance(body, bytes):
        raise TypeError("what should be bytes is something else")
    return BodyStream.of(body)


def _read_headers(*pairs: Any) -> Headers:
    return Headers([(name, value) for name, value in pairs])


def _read_form(*fields: Any) -> FormData:
    return FormData([(name, value) for name, value in fields])


def _read_request(method: str, url: str, pairs: Any, body: Any, options: dict[str, Any]) -> Request:
    return Request(url, method=method, headers=_read_headers(*pairs), body=body, **options)


def _read_response(status: int, pairs: Any, body: Any, url: str, text: str, redirected: bool) -> Response:
    response = Response(body, status, text, _read_headers(*pairs))
    response._url, response._redirected = str(url), redirected is True
    return response


_WRITERS: dict[type, tuple[str, Callable[[Any], Any]]] = {
    Response: ("Response", _response),
    Request: ("Request", _request),
    Headers: ("Headers", lambda value: _listed(value.items())),
    File: ("File", _file),
    Blob: ("Blob", lambda value: [value._data, value.content_type]),
    FormData: ("FormData", lambda value: _listed(value.items())),
    BodyStream: ("ReadableStream", _stream),
}
_READERS: dict[str, Callable[..., Any]] = {
    "Response": _read_response,
    "Request": _read_request,
    "Headers": _read_headers,
    "File": lambda data, name, kind, modified: File([data], name, kind, last_modified=modified),
    "Blob": lambda data, kind: Blob([data], kind),
    "FormData": _read_form,
    "ReadableStream": _read_stream,
}
