"""Requests and responses as programs handle them (`wasi:http/types`). No I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_isolates.protocol import MAX_NAME, MAX_URL

from .abi import put, return_optional, text, u32
from .bodies import Inflow, Outflow
from .fields import Fields
from .handles import Pollable, Resource
from .streams import BodyStream, InputStream

if TYPE_CHECKING:
    from .abi import Answer, Answering
    from .host import Host

METHODS: Final = ("GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH")
"""The cases of `method`, in their order; one more is any other."""
SCHEMES: Final = ("http", "https")
_parts = re.compile(r"([^:/?#]+)://([^/?#]*)([^?#]*)\??([^#]*)", re.DOTALL).match
"""RFC 3986, appendix B."""


class Url(NamedTuple):
    """The parts of one that came in; `path` begins with a slash."""

    scheme: str
    authority: str
    path: str
    query: str


def split(url: str) -> Url:
    """Take one apart that another worker may have made: it need not be one that anybody would follow."""
    found = _parts(url)
    scheme, authority, path, query = found.groups() if found is not None else ("http", "", url, "")
    return Url(scheme.lower(), authority, path if path.startswith("/") else f"/{path}", query)


class Incoming(Resource):
    """What requests and responses that come in have in common."""

    __slots__ = ("_body", "headers")

    def __init__(self, headers: Fields, body: Inflow) -> None:
        self.headers = headers
        self._body: Inflow | None = body

    def consume(self) -> IncomingBody | None:
        """Its body, once."""
        body, self._body = self._body, None
        return None if body is None else IncomingBody(body)

    def dropped(self) -> None:
        """If nobody has taken its body, nobody will."""
        self.headers.dropped()
        if self._body is not None:
            self._body.stop()


class IncomingRequest(Incoming):
    """What the program is asked."""

    __slots__ = ("authority", "method", "path", "scheme")

    def __init__(self, method: str, url: str, headers: Fields, body: Inflow) -> None:
        super().__init__(headers, body)
        self.scheme, self.authority, path, query = split(url)
        self.method, self.path = method, path + (f"?{query}" if query else "")


class IncomingBody(Resource):
    """A body that the program may read."""

    __slots__ = ("body", "given")

    def __init__(self, body: Inflow) -> None:
        self.body = body
        self.given = False
        """Its stream was handed out."""

    def dropped(self) -> None:
        """The program reads no more of it."""
        self.body.stop()


class Trailers(Resource):
    """What may follow a body: nothing ever does."""

    __slots__ = ()


class OutgoingBody(Resource):
    """A body that the program writes."""

    __slots__ = ("body", "stream")

    def __init__(self, body: Outflow) -> None:
        self.body = body
        self.stream: BodyStream | None = None

    def dropped(self) -> None:
        """The program gives it up: only who finishes a body says that it is complete."""
        self.close()
        self.body.given_up = True

    def close(self) -> None:
        """Nothing more is written."""
        if self.stream is not None:
            self.stream.closed = True


class Outgoing(Resource):
    """What requests and responses that the program makes have in common."""

    __slots__ = ("body", "headers")

    def __init__(self, headers: Fields) -> None:
        self.headers = headers
        headers.immutable = True
        self.body: Outflow | None = None

    def dropped(self) -> None:
        """It is not held any more, sent or not."""
        self.headers.dropped()


class OutgoingResponse(Outgoing):
    """What the program answers."""

    __slots__ = ("status",)

    def __init__(self, headers: Fields) -> None:
        super().__init__(headers)
        self.status = 200


class OutgoingRequest(Outgoing):
    """What the program asks of others."""

    __slots__ = ("authority", "method", "path", "scheme")

    def __init__(self, headers: Fields) -> None:
        super().__init__(headers)
        self.method = "GET"
        self.path: str | None = None
        self.scheme: str | None = None
        self.authority: str | None = None


class IncomingResponse(Incoming):
    """What others answered."""

    __slots__ = ("status",)

    def __init__(self, status: int, headers: Fields, body: Inflow) -> None:
        super().__init__(headers, body)
        self.status = status


class ResponseOutparam(Resource):
    """The right to answer, once."""

    __slots__ = ()


class Options(Resource):
    """Time-outs of a request, in nanoseconds; told, and not kept to: the limits of the worker are."""

    __slots__ = ("times",)

    def __init__(self) -> None:
        self.times: dict[str, int] = {}


class _Said(NamedTuple):
    """What a program may say of the method or the scheme: one of some words, or another."""

    words: tuple[str, ...]
    most: int


_METHOD, _SCHEME = _Said(METHODS, MAX_NAME), _Said(SCHEMES, MAX_NAME)


# what came in --------------------------------------------------------------------------------------------------------


def _return_word(host: Host, to: int, word: str, known: tuple[str, ...]) -> Answer:
    if word in known:
        host.memory.write(to, bytes((known.index(word),)))
        return None
    at = yield from put(host.memory, word.encode())
    host.memory.write(to, u32(len(known)) + u32(at) + u32(len(word.encode())))
    return None


def _method(host: Host, me: int, to: int) -> Answer:
    return _return_word(host, to, host.handles.get(me, IncomingRequest).method, METHODS)


def _path(host: Host, me: int, to: int) -> Answer:
    return return_optional(host.memory, to, host.handles.get(me, IncomingRequest).path.encode())


def _scheme(host: Host, me: int, to: int) -> Answer:
    scheme = host.handles.get(me, IncomingRequest).scheme
    host.memory.write(to, b"\x01")
    return _return_word(host, to + 4, scheme, SCHEMES)


def _authority(host: Host, me: int, to: int) -> Answer:
    return return_optional(host.memory, to, host.handles.get(me, IncomingRequest).authority.encode())


def _incoming_headers(host: Host, me: int) -> int:
    return host.handles.add(_copy(host, host.handles.get(me, Incoming).headers))


def _outgoing_headers(host: Host, me: int) -> int:
    return host.handles.add(_copy(host, host.handles.get(me, Outgoing).headers))


def _copy(host: Host, fields: Fields) -> Fields:
    return Fields(host.account, fields.entries, immutable=True)


def _status(host: Host, me: int) -> int:
    return host.handles.get(me, IncomingResponse).status


def _give(host: Host, to: int, resource: Resource | None) -> None:
    """A result that is a resource, or an error without more."""
    host.memory.write(to, u32(1) if resource is None else u32(0) + u32(host.handles.add(resource)))


def _consume(host: Host, me: int, to: int) -> None:
    _give(host, to, host.handles.get(me, Incoming).consume())


def _stream(host: Host, me: int, to: int) -> None:
    body = host.handles.get(me, IncomingBody)
    given, body.given = body.given, True
    _give(host, to, None if given else InputStream(body.body))


def _finish_incoming(host: Host, me: int) -> int:
    host.handles.take(me, IncomingBody).dropped()
    return host.handles.add(Trailers())


def _trailers_ready(host: Host, me: int) -> int:
    host.handles.get(me, Trailers)
    return host.handles.add(Pollable())


def _trailers(host: Host, me: int, to: int) -> None:
    host.handles.get(me, Trailers)
    host.memory.write(to, b"\x01" + bytes(31))  # some(ok(ok(none)))


# what goes out -------------------------------------------------------------------------------------------------------


def _new_response(host: Host, headers: int) -> int:
    return host.handles.add(OutgoingResponse(host.handles.take(headers, Fields)))


def _new_request(host: Host, headers: int) -> int:
    return host.handles.add(OutgoingRequest(host.handles.take(headers, Fields)))


def _status_code(host: Host, me: int) -> int:
    return host.handles.get(me, OutgoingResponse).status


def _set_status(host: Host, me: int, status: int) -> int:
    response = host.handles.get(me, OutgoingResponse)
    if not 200 <= status <= 599:
        return 1
    response.status = status
    return 0


def _body(host: Host, me: int, to: int) -> None:
    message = host.handles.get(me, Outgoing)
    if message.body is not None:
        _give(host, to, None)
        return
    message.body = Outflow(host.account, message.headers.length())
    _give(host, to, OutgoingBody(message.body))


def _write(host: Host, me: int, to: int) -> None:
    body = host.handles.get(me, OutgoingBody)
    if body.stream is not None:
        _give(host, to, None)
        return
    body.stream = BodyStream(body.body)
    _give(host, to, body.stream)


def _finish_outgoing(host: Host, me: int, some: int, trailers: int, to: int) -> None:
    body = host.handles.take(me, OutgoingBody)
    if some:  # there is nobody to send them to
        host.handles.take(trailers, Fields).dropped()
    body.close()
    if body.body.complete():
        host.memory.write(to, b"\0")
    else:  # HTTP-response-body-size(some(written))
        size = body.body.written.to_bytes(8, "little")
        host.memory.write(to, _wide(1) + _wide(_BODY_SIZE) + _wide(1) + size)


_BODY_SIZE: Final = 28
"""The case `HTTP-response-body-size` of `error-code`."""


def _wide(number: int) -> bytes:
    return number.to_bytes(8, "little")


def _words(host: Host, said: _Said, case: int, at: int, size: int) -> str:
    if case < len(said.words):
        return said.words[case]
    return text(host.memory, at, size, said.most)


def _get_method(host: Host, me: int, to: int) -> Answer:
    return _return_word(host, to, host.handles.get(me, OutgoingRequest).method, METHODS)


def _set_method(host: Host, me: int, case: int, at: int, size: int) -> int:
    host.handles.get(me, OutgoingRequest).method = _words(host, _METHOD, case, at, size)
    return 0


def _get_scheme(host: Host, me: int, to: int) -> Answer:
    scheme = host.handles.get(me, OutgoingRequest).scheme
    host.memory.write(to, bytes((scheme is not None,)))
    if scheme is not None:
        yield from _return_word(host, to + 4, scheme, SCHEMES)
    return None


def _set_scheme(host: Host, me: int, some: int, case: int, at: int, size: int) -> int:
    request = host.handles.get(me, OutgoingRequest)
    request.scheme = _words(host, _SCHEME, case, at, size) if some else None
    return 0


def _optional(host: Host, some: int, at: int, size: int) -> str | None:
    return text(host.memory, at, size, MAX_URL) if some else None


def _encoded(word: str | None) -> bytes | None:
    return None if word is None else word.encode()


def _get_path(host: Host, me: int, to: int) -> Answer:
    return return_optional(host.memory, to, _encoded(host.handles.get(me, OutgoingRequest).path))


def _set_path(host: Host, me: int, some: int, at: int, size: int) -> int:
    host.handles.get(me, OutgoingRequest).path = _optional(host, some, at, size)
    return 0


def _get_authority(host: Host, me: int, to: int) -> Answer:
    return return_optional(host.memory, to, _encoded(host.handles.get(me, OutgoingRequest).authority))


def _set_authority(host: Host, me: int, some: int, at: int, size: int) -> int:
    host.handles.get(me, OutgoingRequest).authority = _optional(host, some, at, size)
    return 0


def _new_options(host: Host) -> int:
    return host.handles.add(Options())


def _time(name: str) -> tuple[Answering, Answering]:
    def get(host: Host, me: int, to: int) -> None:
        time = host.handles.get(me, Options).times.get(name)
        host.memory.write(to, bytes(8) if time is None else _wide(1) + _wide(time))

    def set_(host: Host, me: int, some: int, time: int) -> int:
        times = host.handles.get(me, Options).times
        times.pop(name, None)
        if some:
            times[name] = time
        return 0

    return get, set_


def _set_response(host: Host, me: int, failed: int, first: int, second: int, *rest: int) -> None:
    host.handles.take(me, ResponseOutparam)
    del second, rest
    if failed:
        host.fail(first)
        return
    response = host.handles.take(first, OutgoingResponse)
    if response.body is None:
        response.body = Outflow(host.account, None)
        response.body.finished = True
    host.respond(response)


_TYPES: Final = "wasi:http/types "
_TIMES: Final = ("connect-timeout", "first-byte-timeout", "between-bytes-timeout")
ANSWERS: Final[dict[str, Answering]] = {
    f"{_TYPES}incoming-request.method": _method,
    f"{_TYPES}incoming-request.path-with-query": _path,
    f"{_TYPES}incoming-request.scheme": _scheme,
    f"{_TYPES}incoming-request.authority": _authority,
    f"{_TYPES}incoming-request.headers": _incoming_headers,
    f"{_TYPES}incoming-request.consume": _consume,
    f"{_TYPES}incoming-response.status": _status,
    f"{_TYPES}incoming-response.headers": _incoming_headers,
    f"{_TYPES}incoming-response.consume": _consume,
    f"{_TYPES}incoming-body.stream": _stream,
    f"{_TYPES}incoming-body.finish": _finish_incoming,
    f"{_TYPES}future-trailers.subscribe": _trailers_ready,
    f"{_TYPES}future-trailers.get": _trailers,
    f"{_TYPES}outgoing-response": _new_response,
    f"{_TYPES}outgoing-response.status-code": _status_code,
    f"{_TYPES}outgoing-response.set-status-code": _set_status,
    f"{_TYPES}outgoing-response.headers": _outgoing_headers,
    f"{_TYPES}outgoing-response.body": _body,
    f"{_TYPES}outgoing-body.write": _write,
    f"{_TYPES}outgoing-body.finish": _finish_outgoing,
    f"{_TYPES}outgoing-request": _new_request,
    f"{_TYPES}outgoing-request.body": _body,
    f"{_TYPES}outgoing-request.headers": _outgoing_headers,
    f"{_TYPES}outgoing-request.method": _get_method,
    f"{_TYPES}outgoing-request.set-method": _set_method,
    f"{_TYPES}outgoing-request.scheme": _get_scheme,
    f"{_TYPES}outgoing-request.set-scheme": _set_scheme,
    f"{_TYPES}outgoing-request.path-with-query": _get_path,
    f"{_TYPES}outgoing-request.set-path-with-query": _set_path,
    f"{_TYPES}outgoing-request.authority": _get_authority,
    f"{_TYPES}outgoing-request.set-authority": _set_authority,
    f"{_TYPES}request-options": _new_options,
    **{f"{_TYPES}request-options.{name}": _time(name)[0] for name in _TIMES},
    **{f"{_TYPES}request-options.set-{name}": _time(name)[1] for name in _TIMES},
    f"{_TYPES}response-outparam.set": _set_response,
}
