"""What a server counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyworkerd.observe.families import CLASSES
from pyworkerd.observe.snapshot import add, label

if TYPE_CHECKING:
    from pyworkerd.observe.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class ServerStatistics:
    """A snapshot. Counts since the start, except where it says `now`."""

    connections_now: int
    """Open connections, and closed ones whose handler is still cleaning up."""
    web_sockets_now: int
    """Those among the connections that have been upgraded."""
    active_now: int
    """Requests between their head and the end of their response."""
    accepted: int
    refused: int
    """Connections turned away at `max_connections`."""
    arrivals_failed: int
    """Connections that ended before HTTP could begin: no PROXY header from a trusted proxy, no TLS handshake."""
    requests: int
    client_errors: int
    """Requests refused before a handler saw them, and bodies that broke."""
    handler_errors: int
    disconnects: int
    """Clients that left while their request was being handled."""
    timeouts: int
    peak_request_buffer: int
    """Most bytes of one connection's input that ever waited in this process."""
    peak_response_buffer: int
    """Most bytes that ever waited in one transport while a body was streamed."""
    received: int
    """Bytes read from connections."""
    sent: int
    """Bytes written to connections."""
    answers: tuple[int, ...]
    """By hundreds of their status; at 0 the requests whose client had gone before."""

    def write(self, snapshot: Snapshot, socket: str) -> None:
        """Add it to a snapshot."""
        for family, count in (
            ("connections", self.connections_now),
            ("web_sockets", self.web_sockets_now),
            ("connections_accepted", self.accepted),
            ("connections_refused", self.refused),
            ("arrivals_failed", self.arrivals_failed),
            ("http_requests_active", self.active_now),
            ("client_errors", self.client_errors),
            ("client_disconnects", self.disconnects),
            ("client_timeouts", self.timeouts),
            ("received_bytes", self.received),
            ("sent_bytes", self.sent),
        ):
            add(snapshot, family, (label(socket),), count)
        for status, count in zip(CLASSES, self.answers, strict=True):
            add(snapshot, "http_responses", (label(socket), status), count)


@dataclass(slots=True)
class Counters:
    """The running figures behind `ServerStatistics`."""

    web_sockets: int = 0
    accepted: int = 0
    refused: int = 0
    arrivals_failed: int = 0
    requests: int = 0
    client_errors: int = 0
    handler_errors: int = 0
    disconnects: int = 0
    timeouts: int = 0
    peak_request_buffer: int = 0
    peak_response_buffer: int = 0
    received: int = 0
    sent: int = 0
    answers: list[int] = field(default_factory=lambda: [0] * 6)

    def snapshot(self, connections: int, active: int) -> ServerStatistics:
        """Freeze."""
        return ServerStatistics(
            connections_now=connections,
            web_sockets_now=self.web_sockets,
            active_now=active,
            accepted=self.accepted,
            refused=self.refused,
            arrivals_failed=self.arrivals_failed,
            requests=self.requests,
            client_errors=self.client_errors,
            handler_errors=self.handler_errors,
            disconnects=self.disconnects,
            timeouts=self.timeouts,
            peak_request_buffer=self.peak_request_buffer,
            peak_response_buffer=self.peak_response_buffer,
            received=self.received,
            sent=self.sent,
            answers=tuple(self.answers),
        )
