"""Requests that a program sends (`wasi:http/outgoing-handler`): fetches through the worker's own way out. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.errors import ProtocolError

from .abi import u32
from .fields import told
from .handles import Pollable, Resource
from .messages import IncomingResponse, Options, OutgoingRequest
from .streams import IoError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd_isolates.protocol import HeaderPairs

    from .abi import Answering
    from .bodies import Inflow
    from .host import Host

OUTBOUND: Final = 0
"""The worker's own way out: index 0 of every worker's table."""
ERROR_CODES: Final = (
    "DNS-timeout", "DNS-error", "destination-not-found", "destination-unavailable",
    "destination-IP-prohibited", "destination-IP-unroutable", "connection-refused", "connection-terminated",
    "connection-timeout", "connection-read-timeout", "connection-write-timeout", "connection-limit-reached",
    "TLS-protocol-error", "TLS-certificate-error", "TLS-alert-received", "HTTP-request-denied",
    "HTTP-request-length-required", "HTTP-request-body-size", "HTTP-request-method-invalid",
    "HTTP-request-URI-invalid", "HTTP-request-URI-too-long", "HTTP-request-header-section-size",
    "HTTP-request-header-size", "HTTP-request-trailer-section-size", "HTTP-request-trailer-size",
    "HTTP-response-incomplete", "HTTP-response-header-section-size", "HTTP-response-header-size",
    "HTTP-response-body-size", "HTTP-response-trailer-section-size", "HTTP-response-trailer-size",
    "HTTP-response-transfer-coding", "HTTP-response-content-coding", "HTTP-response-timeout",
    "HTTP-upgrade-failed", "HTTP-protocol-error", "loop-detected", "configuration-error", "internal-error",
)  # fmt: skip
"""The cases of `error-code`, in their order."""
_FAULTS: Final = {
    "access_denied": "HTTP-request-denied",
    "exceeded_subrequests": "connection-limit-reached",
    "exceeded_wall_time": "connection-timeout",
    "exceeded_depth": "loop-detected",
    "connect_timeout": "connection-timeout",
    "upstream": "destination-unavailable",
}
"""What the code of a call that failed is called there; any other is an internal error."""


class FutureResponse(Resource):
    """An answer that may have come."""

    __slots__ = ("_due_ns", "_host", "_times", "call", "fault", "given", "response")

    def __init__(self, host: Host, call: int, times: Mapping[str, int]) -> None:
        self._host, self.call, self._times = host, call, times
        first = times.get("first-byte-timeout")
        # A connection that takes longer than it may is the host's to give up; when there is one, nobody tells. So this
        # is how long both may take.
        self._due_ns = None if first is None else host.now_ns + times.get("connect-timeout", 0) + first
        self.response: IncomingResponse | None = None
        self.fault: str | None = None
        self.given = False
        """It was taken."""

    def ready(self) -> bool:
        """Whether it has."""
        return self.response is not None or self.fault is not None

    def due_ns(self) -> int | None:
        """When whoever waits for it has waited for too long; None for as long as it takes."""
        return None if self.ready() else self._due_ns

    def lapse(self) -> None:
        """Give it up if that time has come."""
        due = self.due_ns()
        if due is not None and self._host.now_ns >= due:
            self._host.abandon(self.call)
            self.fault = "connection-read-timeout"

    def answered(self, status: int, headers: HeaderPairs, body: Inflow) -> None:
        """It came."""
        patience = self._times.get("between-bytes-timeout")
        if patience is not None:
            body.hurry(patience, lambda: self._host.now_ns)
        self.response = IncomingResponse(status, told(self._host.account, headers), body)

    def failed(self, code: str, message: str) -> None:
        """It will not."""
        del message
        self.fault = _FAULTS.get(code, "internal-error")

    def dropped(self) -> None:
        """Nobody waits for it."""
        self._host.abandon(self.call)
        if self.response is not None and not self.given:
            self.response.dropped()


def _handle(host: Host, me: int, some: int, options: int, to: int) -> None:
    request = host.handles.take(me, OutgoingRequest)
    times = host.handles.take(options, Options).times if some else {}
    scheme = (request.scheme or "https").lower()
    fault = None
    if not host.outbound:
        fault = "HTTP-request-denied"
    elif scheme not in ("http", "https"):
        fault = "HTTP-protocol-error"
    elif not request.authority:
        fault = "HTTP-request-URI-invalid"
    if fault is None:
        path = request.path or "/"
        url = f"{scheme}://{request.authority}{path if path[0] in '/?' else '/' + path}"
        try:
            headers, connect_ms = request.headers.pairs(), _milliseconds(times.get("connect-timeout"))
            call = host.fetch(OUTBOUND, request.method, url, headers, request.body, connect_ms)
            request.dropped()
        except ProtocolError:
            fault = "HTTP-request-URI-invalid"
        else:
            future = FutureResponse(host, call, times)
            host.calls[call] = future
            host.memory.write(to, bytes(8) + u32(host.handles.add(future)))
            return
    host.memory.write(to, _wide(1) + u32(ERROR_CODES.index(fault)) + bytes(12))


def _milliseconds(ns: int | None) -> int | None:
    return None if ns is None else -(-ns // 1_000_000)


def _subscribe(host: Host, me: int) -> int:
    future = host.handles.get(me, FutureResponse)
    return host.handles.add(Pollable(future.ready, due_ns=future.due_ns))


def _get(host: Host, me: int, to: int) -> None:
    future = host.handles.get(me, FutureResponse)
    future.lapse()
    if not future.ready():
        host.memory.write(to, b"\0")
        return
    given, future.given = future.given, True
    if given:
        host.memory.write(to, _wide(1) + _wide(1))
    elif future.response is not None:
        number = host.handles.add(future.response)
        host.memory.write(to, _wide(1) + _wide(0) + _wide(0) + u32(number))
    else:
        assert future.fault is not None
        case = ERROR_CODES.index(future.fault)
        host.memory.write(to, _wide(1) + _wide(0) + _wide(1) + _wide(case) + bytes(24))


def _wide(number: int) -> bytes:
    return number.to_bytes(8, "little")


def _http_error_code(host: Host, me: int, to: int) -> None:
    host.handles.get(me, IoError)
    host.memory.write(to, _wide(1) + _wide(ERROR_CODES.index("connection-terminated")))


ANSWERS: Final[dict[str, Answering]] = {
    "wasi:http/outgoing-handler handle": _handle,
    "wasi:http/types future-incoming-response.subscribe": _subscribe,
    "wasi:http/types future-incoming-response.get": _get,
    "wasi:http/types http-error-code": _http_error_code,
}
