"""What a connection notes of the request that it serves, for the counts of its socket and for the access log."""

from __future__ import annotations

from time import monotonic_ns, time
from typing import TYPE_CHECKING, cast

from pyworkerd.observe.access import METHOD_CHARACTERS, AccessEntry, split_url

if TYPE_CHECKING:
    from pyworkerd.messages import Request
    from pyworkerd.observe.scope import Scope

    from .info import ConnectionInfo
    from .request_body import RequestBody


class Record:
    """One for each connection, begun anew with each request."""

    __slots__ = ("_began", "_version", "error", "request", "scope", "sent", "status")

    def __init__(self) -> None:
        self._began = 0
        self._version = ""
        self.scope = cast("Scope", None)
        self.request: Request | None = None
        self.status = 0
        """Of the answer, once that has begun."""
        self.error = ""
        self.sent = 0
        """Bytes written to the connection."""

    def begin(self, scope: Scope, version: str = "") -> None:
        """A request whose head is complete, or one that could not be read."""
        scope.received = True
        self._began = monotonic_ns()
        self.scope, self._version = scope, version
        self.request, self.status, self.error, self.sent = None, 0, "", 0

    def entry(self, info: ConnectionInfo, body: RequestBody | None) -> AccessEntry:
        """What is logged when the request is over. `body` is how it came, if it did not come at once."""
        took = (monotonic_ns() - self._began) / 1e9
        scope, request = self.scope, self.request
        method, host, path, received = "", "", "", 0
        if request is not None:
            method = request.method[:METHOD_CHARACTERS]
            host, path = split_url(request.url)
            received = body.received if body is not None else request.body.length or 0
        return AccessEntry(
            time() - took, scope.request_id, scope.trace_id, info.client or "", method, host, path,
            f"HTTP/{self._version}" if self._version else "", self.status, self.error, received, self.sent,
            took * 1000, scope.service, scope.cold,
        )  # fmt: skip
