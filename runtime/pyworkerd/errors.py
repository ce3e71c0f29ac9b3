"""Every error that the runtime raises or answers with, in one tree.

The second level says whose fault it was; each leaf has a stable `code` (the value of the `x-pyworkerd-error` header)
and the HTTP `status` that it becomes when it reaches a client.

    PyworkerdError
    ├── ConfigurationError      the operator wrote something that cannot work
    ├── ClientError             the HTTP peer sent something that cannot be served
    │   ├── BadRequest 400  RequestTimeout 408  BodyTooLarge 413  UriTooLong 414
    │   ├── Misdirected 421  UpgradeRequired 426  RateLimited 429  HeadersTooLarge 431
    │   └── NotImplementedByServer 501  VersionNotSupported 505
    ├── NoRoute                 nothing is configured for this request
    ├── WorkerError             the tenant's program failed
    │   └── WorkerException  NoHandler  NoSuchEntrypoint  NoSuchMethod  BadEffect  BadCall  WebSocketRefused
    │       LoadFailed  NotLoaded  BrokenStub
    ├── LimitExceeded           the tenant's program went past one of its limits
    │   └── ExceededCpu  ExceededMemory  ExceededWallTime  ExceededSubrequests  ExceededOutput
    │       ExceededDepth  ExceededWebSockets  ExceededStubs
    ├── Overloaded              no isolate could start in time
    ├── IsolateLost             the isolate ended for a reason that was not this request's
    ├── UpstreamError           an outside server, or the way to it, failed
    │   ├── AccessDenied        the address is not allowed by the network's policy
    │   └── ConnectTimeout      no connection was made in time
    ├── StorageError            a store could not do what it was asked
    │   └── StorageBusy 503  StorageFull 507  StorageCorrupt
    └── InternalError           a bug of the runtime: please report it
"""

from __future__ import annotations

from typing import ClassVar, Final

ERROR_HEADER: Final = "x-pyworkerd-error"
"""Carries the code of every error that the runtime itself answers. No worker's answer has it."""


class PyworkerdError(Exception):
    """The root. `code` is stable; `status` is what a client sees; the sentence is for people."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retry_after: int | None = None
    """Seconds for a `Retry-After` header, where trying again can help."""
    headers: ClassVar[tuple[tuple[str, str], ...]] = ()
    """Fields that the answer to a client has to have."""


class ConfigurationError(PyworkerdError):
    """The operator's configuration cannot work; a sentence names place and remedy. There is one for each thing that is
    wrong, `sentences` has them all.
    """

    code = "configuration"

    def __init__(self, *sentences: str) -> None:
        self.sentences = sentences
        super().__init__(*sentences)

    def __str__(self) -> str:
        return "\n".join(self.sentences)


class ClientError(PyworkerdError):
    """The HTTP peer's fault."""

    code = "bad_request"
    status = 400


class BadRequest(ClientError):
    """Malformed, or ambiguous in a way that invites request smuggling (RFC 9112 section 11)."""


class RequestTimeout(ClientError):
    """The request did not arrive in time."""

    code = "request_timeout"
    status = 408


class BodyTooLarge(ClientError):
    """The body passed its limit."""

    code = "body_too_large"
    status = 413

    def __init__(self, limit: int) -> None:
        self.limit = limit
        super().__init__(f"the body is larger than {limit} bytes")


class UriTooLong(ClientError):
    """The request target passed its limit."""

    code = "uri_too_long"
    status = 414


class Misdirected(ClientError):
    """The request names a scheme that is not its connection's (RFC 9110 sections 7.4 and 15.5.20)."""

    code = "misdirected"
    status = 421


class UpgradeRequired(ClientError):
    """A version of the WebSocket protocol that this server does not speak (RFC 6455 section 4.2.2)."""

    code = "upgrade_required"
    status = 426
    headers = (("sec-websocket-version", "13"),)


class RateLimited(ClientError):
    """More requests than a rate limit of the service lets through (RFC 6585 section 4)."""

    code = "rate_limited"
    status = 429

    def __init__(self, limit: int, period: int, retry_after: int) -> None:
        self.retry_after = retry_after
        super().__init__(f"more than {limit} requests in {period} s; the next ones count in {retry_after} s")


class HeadersTooLarge(ClientError):
    """The header section passed its limit in bytes or in fields (RFC 6585 section 5)."""

    code = "headers_too_large"
    status = 431


class NotImplementedByServer(ClientError):
    """A method or transfer coding that this server does not implement."""

    code = "not_implemented"
    status = 501


class VersionNotSupported(ClientError):
    """A major version of HTTP other than 1."""

    code = "http_version"
    status = 505


class NoRoute(PyworkerdError):
    """No service is configured for this request."""

    code = "no_route"
    status = 404


class WorkerError(PyworkerdError):
    """The tenant's program failed."""

    code = "worker_exception"


class WorkerException(WorkerError):
    """A handler raised and nothing caught it. The traceback is in the worker's log, never in the answer."""

    def __init__(self, type_name: str, message: str, traceback: str = "") -> None:
        self.type_name, self.message, self.traceback = type_name, message, traceback
        super().__init__(f"{type_name}: {message}" if message else type_name)


class NoHandler(WorkerError):
    """The entrypoint has no handler for this kind of event."""

    code = "no_handler"


class NoSuchEntrypoint(WorkerError):
    """The worker exports no class of this name."""

    code = "no_entrypoint"


class NoSuchMethod(WorkerError):
    """The entrypoint has no public method of this name."""

    code = "no_method"


class LoadFailed(WorkerError):
    """The top level of a worker that another one loads failed."""

    code = "load_failed"


class NotLoaded(WorkerError):
    """The loaded worker has gone, since others needed the room; whoever loaded it can do so again."""

    code = "not_loaded"


class BrokenStub(WorkerError):
    """What a stub leads to has gone."""

    code = "broken_stub"


class BadEffect(WorkerError):
    """What came out of a step was not well formed, or asked for what was never given; its isolate was ended."""

    code = "bad_effect"


class BadCall(WorkerError):
    """A binding refuses what it was asked: the sentence is the one that Workers have for it."""

    code = "bad_call"


class WebSocketRefused(WorkerError):
    """A program asked a worker for a WebSocket and got an ordinary response. No client sees this error."""

    code = "websocket_refused"
    status = 502

    def __init__(self, status: int) -> None:
        self.answered = status
        super().__init__(f"the worker answered {status} instead of a WebSocket")


class LimitExceeded(PyworkerdError):
    """The tenant's program went past one of its limits."""

    code = "exceeded_limit"
    status = 503


class ExceededCpu(LimitExceeded):
    """More CPU time than `limits.cpu_ms`."""

    code = "exceeded_cpu"


class ExceededMemory(LimitExceeded):
    """More memory than `limits.memory_mb`."""

    code = "exceeded_memory"


class ExceededWallTime(LimitExceeded):
    """An invocation that did not end in `limits.wall_ms`."""

    code = "exceeded_wall_time"


class ExceededSubrequests(LimitExceeded):
    """More calls out of the process than `limits.subrequests`, or within than `limits.calls`."""

    code = "exceeded_subrequests"


class ExceededOutput(LimitExceeded):
    """A step gave out more bytes or effects than its limits allow."""

    code = "exceeded_output"


class ExceededDepth(LimitExceeded):
    """More services that wait for each other in a row than the runtime allows."""

    code = "exceeded_depth"


class ExceededWebSockets(LimitExceeded):
    """More open WebSockets than `limits.websockets`."""

    code = "exceeded_websockets"


class ExceededStubs(LimitExceeded):
    """More stubs than one isolate, or one invocation, may lend at once."""

    code = "exceeded_stubs"


class Overloaded(PyworkerdError):
    """No isolate could take this request in time."""

    code = "overloaded"
    status = 503
    retry_after = 1


class IsolateLost(PyworkerdError):
    """The isolate that had this request ended for another reason: its neighbour's fault, or the runtime closes."""

    code = "isolate_lost"
    status = 503
    retry_after = 1


class UpstreamError(PyworkerdError):
    """An outside server, or the way to it, failed."""

    code = "upstream"
    status = 502


class AccessDenied(UpstreamError):
    """The address is not allowed by the network's policy."""

    code = "access_denied"
    status = 403


class ConnectTimeout(UpstreamError):
    """No connection with an outside server was made in time (RFC 9110 section 15.6.5)."""

    code = "connect_timeout"
    status = 504


class StorageError(PyworkerdError):
    """A store could not do what it was asked. The sentence names the store as the configuration does, and no path."""

    code = "storage"


class StorageBusy(StorageError):
    """Others have the store, or too much waits for it already."""

    code = "storage_busy"
    status = 503
    retry_after = 1


class StorageFull(StorageError):
    """The store is as large as it may become, or the disk is full. What was there before is still there."""

    code = "storage_full"
    status = 507


class StorageCorrupt(StorageError):
    """The store's file is damaged. Other stores are not touched by it."""

    code = "storage_corrupt"


class InternalError(PyworkerdError):
    """A bug of the runtime: please report it."""
