"""The access log: one entry for each request that was answered over HTTP, or that was to be.

What a client wrote (method, host, path) is cut and escaped. The query is left out: it may hold secrets, such as tokens
of a log-in or a reset. So may a path, if a program puts them there.
"""

from __future__ import annotations

from collections.abc import Callable
from json.encoder import encode_basestring_ascii as quoted
from typing import Final, NamedTuple, Self

from .text import clock, one_line

METHOD_CHARACTERS: Final = 32
HOST_CHARACTERS: Final = 255
"""RFC 1035 section 2.3.4."""
PATH_CHARACTERS: Final = 2048
"""Of a path that is longer the rest is left out, so that long ones do not fill the log."""


class AccessEntry(NamedTuple):
    """One request. `time` is when it came, in seconds since the epoch."""

    time: float
    request_id: str
    trace_id: str
    client: str
    """Its address; empty on a Unix socket."""
    method: str
    """Empty, like host and path, if the request could not be read."""
    host: str
    path: str
    """As the client sent it, without the query."""
    protocol: str
    status: int
    """0 if the client had gone before it was answered."""
    error: str
    """The code of the error where the runtime answered, or broke an answer off; `cancelled` if the client left."""
    bytes_in: int
    """Of the body, as it was received."""
    bytes_out: int
    """Written to the connection, the head included."""
    duration_ms: float
    """From the end of the request's head to the end of the answer."""
    service: str
    """That it was sent to; empty if it came to none."""
    cold: bool
    """Whether an isolate was started for it, by that service or one that it called."""

    @property
    def worker(self) -> str:
        """None: what a client makes the server write is not held against a worker."""
        return ""

    def shown(self) -> Self:
        """Itself: it was cut when it was made."""
        return self

    @property
    def characters(self) -> int:
        """Of its text."""
        return len(self.method) + len(self.host) + len(self.path)


AccessSink = Callable[[AccessEntry], None]


def split_url(url: str) -> tuple[str, str]:
    """Host and path of an absolute URL, without anything that may be secret by its place, cut to what is logged."""
    plain = url.partition("?")[0].partition("#")[0]
    host, _, rest = plain.partition("://")[2].partition("/")
    return host.rpartition("@")[2][:HOST_CHARACTERS], f"/{rest}"[:PATH_CHARACTERS]


def as_json(entry: AccessEntry) -> str:
    """One line of ASCII, a JSON object."""
    return (
        f'{{"event": "request", "time": {entry.time:.6f}, "request_id": "{entry.request_id}", '
        f'"trace_id": "{entry.trace_id}", "client": {quoted(entry.client)}, "method": {quoted(entry.method)}, '
        f'"host": {quoted(entry.host)}, "path": {quoted(entry.path)}, "protocol": "{entry.protocol}", '
        f'"status": {entry.status}, "error": "{entry.error}", "bytes_in": {entry.bytes_in}, '
        f'"bytes_out": {entry.bytes_out}, "duration_ms": {entry.duration_ms:.3f}, '
        f'"service": {quoted(entry.service)}, "cold": {"true" if entry.cold else "false"}}}\n'
    )


def as_text(entry: AccessEntry) -> str:
    """One line for people."""
    who = f"{one_line(entry.service)} {entry.request_id}".lstrip()
    what = one_line(f"{entry.method or '-'} {entry.host}{entry.path}").rstrip()
    notes = "".join(f" {note}" for note in ("cold" if entry.cold else "", entry.error) if note)
    return (
        f"{clock(entry.time)} request  [{who}] {what} {entry.status or '-'} in {entry.duration_ms:.1f} ms,"
        f" {entry.bytes_in} B in, {entry.bytes_out} B out, {one_line(entry.client) or 'unix'} {entry.protocol or '-'},"
        f" trace {entry.trace_id}{notes}\n"
    )
