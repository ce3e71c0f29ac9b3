"""Spans: what was done for a trace, told when it is over. Nobody is told unless somebody has said `tell`.

A span of a request or of a call has the ids that its `scope.Scope` has had all along, so what a worker and an upstream
server see in `traceparent` is what is told. What is told of a request is what the access log has of it (`access`): no
query, no headers, no bodies.
"""

from __future__ import annotations

from time import time_ns
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, Protocol, Self, TypeAlias

from .access import split_url
from .ids import new_span_id
from .trace import SAMPLED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from .access import AccessEntry
    from .scope import Scope

Kind: TypeAlias = Literal["server", "client", "producer", "internal"]
Attribute: TypeAlias = str | int | float | bool
METHODS: Final = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)
"""Semantic conventions of OpenTelemetry, HTTP spans, `http.request.method`: any other is `_OTHER`, so that nobody can
make as many names of spans as he likes."""
OTHER: Final = "_OTHER"


class Span(NamedTuple):
    """One span that is over. Times in nanoseconds since 1970."""

    name: str
    kind: Kind
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the first of a trace."""
    flags: int
    state: str
    began_ns: int
    ended_ns: int
    attributes: Mapping[str, Attribute]
    error: str = ""
    """The code of the error, or the status, that it ended with."""


class Decide(Protocol):
    """Whether the spans of a trace are told, decided where it comes in."""

    def __call__(self, trace_id: str, parent: tuple[str, int] | None) -> bool:
        """Of a trace that begins here, or of one whose sender's span and flags are these."""


class _Told:
    """Who is told; of the whole process, like the trace of a context."""

    listener: Callable[[Span], None] | None = None
    decide: Decide | None = None


told: Final = _Told()


def tell(listener: Callable[[Span], None] | None, decide: Decide | None = None) -> None:
    """Tell this one from now on, on whatever thread; it may not block. None: nobody."""
    told.listener, told.decide = listener, decide


def wanted(scope: Scope) -> bool:
    """Whether anybody is to be told of this span, or of what belongs to it."""
    return told.listener is not None and bool(scope.flags & SAMPLED)


def say(
    scope: Scope,
    name: str,
    kind: Kind,
    began_ns: int,
    attributes: Mapping[str, Attribute],
    error: str = "",
    *,
    inside: bool = False,
) -> None:
    """A span is over: the scope's own, or one `inside` of it that nobody else knows of."""
    listener = told.listener
    if listener is None or not scope.flags & SAMPLED:
        return
    ids = (new_span_id(), scope.span_id) if inside else (scope.span_id, scope.parent_id)
    listener(
        Span(
            name, kind, scope.trace_id, *ids, scope.flags, scope.state, began_ns, time_ns(), attributes, error
        )
    )


def say_request(scope: Scope, entry: AccessEntry) -> None:
    """A request that came in over HTTP is over."""
    method = entry.method if entry.method in METHODS else OTHER
    attributes: dict[str, Attribute] = {
        "http.request.method": method, "url.path": entry.path, "server.address": entry.host,
        "client.address": entry.client, "network.protocol.version": entry.protocol.removeprefix("HTTP/"),
        "http.request.body.size": entry.bytes_in, "pyworkerd.service": entry.service,
        "pyworkerd.cold_start": entry.cold,
    }  # fmt: skip
    if entry.status:
        attributes["http.response.status_code"] = entry.status
    error = entry.error or (str(entry.status) if entry.status >= 500 else "")
    say(scope, method, "server", int(entry.time * 1e9), attributes, error)


class Outside:
    """A request that leaves the process: `with Outside(scope, method, url) as leaving: ...; leaving.status = 200`."""

    __slots__ = ("_began_ns", "_method", "_scope", "_url", "status")

    def __init__(self, scope: Scope, method: str, url: str) -> None:
        self._scope, self._method, self._url = scope, method, url
        self._began_ns = 0
        self.status = 0

    def __enter__(self) -> Self:
        if wanted(self._scope):
            self._began_ns = time_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        if not self._began_ns:
            return
        method = self._method if self._method in METHODS else OTHER
        host, path = split_url(self._url)
        attributes: dict[str, Attribute] = {
            "http.request.method": method, "server.address": host, "url.path": path,
            "pyworkerd.worker": self._scope.caller,
        }  # fmt: skip
        if self.status:
            attributes["http.response.status_code"] = self.status
        failed = code_of(error) if error is not None else str(self.status) if self.status >= 400 else ""
        say(self._scope, method, "client", self._began_ns, attributes, failed)


def code_of(error: BaseException) -> str:
    """What an error is called here; of one that is none of ours, its type."""
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else type(error).__name__
