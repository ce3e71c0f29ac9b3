"""The request side of one HTTP/1.1 connection as a state machine without I/O: bytes in, events out.

Rule 1. The head is gathered until its empty line, checked by `semantics`, and only then given to the library
        behind `_split`, which takes its fields apart. No library decides where a message ends.
Rule 2. After a request the parser stops. Bytes that follow (pipelining) wait in `buffered` until
        `next_request()`; the caller stops reading from the network when they become too many. What follows a
        request that closes the connection is dropped: it was never a request.
Rule 3. A fault is final. Events before it are given out first, then the fault is in `error` and raised by
        every call.
Rule 4. Clients repeat themselves (it is what HPACK lives on, RFC 7541 section 1): a head, or the fields of one, that
        is octet for octet that of the connection's request before is not read again, and the same `RequestHead` is
        given out again. Only where the fields steer nothing, so that what they mean hangs on nothing else.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import BadRequest, ClientError, HeadersTooLarge

from .chunked import ChunkedReader
from .events import END_OF_REQUEST, BodyData, Event, RequestHead
from .semantics import (
    HEAD,
    PLAIN_LINE,
    first_fault,
    malformed,
    read_framing,
    with_host,
    without_hop_by_hop,
)

if TYPE_CHECKING:
    from pyworkerd.messages import Headers

    from .limits import HttpLimits


class Stage(Enum):
    """Where in a request the parser is."""

    HEAD = "head"
    BODY = "body"
    CHUNKED = "chunked"
    DONE = "done"


# Module names, because looking up an enum's member costs more than the comparison.
_HEAD: Final = Stage.HEAD
_BODY: Final = Stage.BODY
_CHUNKED: Final = Stage.CHUNKED
_DONE: Final = Stage.DONE
REPEATED: Final = 2048
"""Octets of a head that a connection remembers at most."""
_METHODS: Final = {
    name.encode(): name for name in ("GET", "POST", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS")
}


class Parser(ABC):
    """Feed it with `receive`, go on with `next_request` after the response, tell it `eof` at the end of the
    stream."""

    __slots__ = (
        "_blank_line_skipped",
        "_buffer",
        "_chunks",
        "_fields_before",
        "_head_before",
        "_head_read",
        "_is_last",
        "_left",
        "_limits",
        "_scanned",
        "_stage",
        "error",
    )

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._stage = _HEAD
        self._buffer = b""
        self._scanned = 0
        self._left = 0
        self._blank_line_skipped = False
        self._is_last = False
        self._chunks: ChunkedReader | None = None
        self._head_before = self._fields_before = b"-"
        """Of the last request whose fields steered nothing, with the empty line after them."""
        self._head_read: RequestHead | None = None
        """What that request was."""
        self.error: ClientError | None = None
        """The fault that ended this connection's requests."""

    @abstractmethod
    def _split(self, head: bytes, method: bytes, steers: bool) -> Headers:
        """Take the fields of one complete, checked head apart: lower-case names, latin-1 values, order kept.

        `steers` is whether anything in it is about a body or the connection."""

    @property
    def buffered(self) -> int:
        """Bytes received and not given out in an event: a part of a head, or pipelined requests."""
        return len(self._buffer)

    @property
    def is_idle(self) -> bool:
        """Whether no byte of the next request has come yet."""
        return self._stage is _HEAD and not self._buffer and not self._blank_line_skipped

    def receive(self, data: bytes) -> list[Event]:
        """Take bytes from the network. Raises a `ClientError`, whose `status` is the answer, if nothing came
        before."""
        if self.error is not None:
            raise self.error
        if self._stage is _DONE:
            if not self._is_last:
                self._buffer += data
            return []
        if self._buffer:
            self._buffer += data
        elif data == self._head_before and self._stage is _HEAD and (again := self._head_read) is not None:
            self._stage = _DONE
            return [again, END_OF_REQUEST]
        else:
            self._buffer = data
        return self._parse()

    def next_request(self) -> list[Event]:
        """The response has been written: go on with what has been pipelined. Call it once after each
        `EndOfRequest`."""
        if self.error is not None:
            raise self.error
        if self._stage is not _DONE:
            raise RuntimeError("next_request() before the end of the request")
        if self._is_last:
            return []
        self._stage = _HEAD
        self._scanned = 0
        self._blank_line_skipped = False
        self._chunks = None
        return self._parse() if self._buffer else []

    def take_rest(self) -> bytes:
        """Bytes that came after the request: the connection is another protocol's from here on."""
        rest, self._buffer = self._buffer, b""
        return rest

    def eof(self) -> None:
        """The client will send no more. Raises `BadRequest` if a request is incomplete."""
        if self.error is None and self._stage is not _DONE and not self.is_idle:
            self.error = BadRequest("the connection ended in the middle of a request")
            raise self.error

    def _parse(self) -> list[Event]:
        events: list[Event] = []
        try:
            if self._stage is _HEAD:
                self._read_head(events)
            if self._stage is _BODY:
                self._read_body(events)
            elif self._stage is _CHUNKED:
                self._read_chunks(events)
        except ClientError as error:
            self.error = error
            self._buffer = b""
            if not events:
                raise
        return events

    def _read_head(self, events: list[Event]) -> None:
        buffer = self._buffer
        if buffer[:1] in (b"\r", b"\n"):
            buffer = self._skip_blank_line(buffer)
        limits = self._limits
        end = buffer.find(b"\r\n\r\n", self._scanned, limits.head) + 4
        if end < 4:
            self._incomplete(buffer)
            return
        before = self._head_read
        if before is not None and buffer.endswith(self._fields_before, 0, end):
            line = PLAIN_LINE.fullmatch(buffer, 0, end - len(self._fields_before))
            if line is not None and line.end() - 2 <= limits.request_line:
                head, self._buffer = buffer[:end], buffer[end:]
                events.append(self._read_line(before, head, *line.groups()))
                events.append(END_OF_REQUEST)
                self._stage = _DONE
                return
        match = HEAD.fullmatch(buffer, 0, end)
        if match is None or match.end(3) > limits.request_line:
            raise first_fault(buffer, limits, end=end, complete=True) or malformed(buffer)
        if buffer.count(b"\r\n", 0, end) - 2 > limits.fields:
            raise HeadersTooLarge(f"more than {limits.fields} header fields")
        if len(buffer) == end:
            head, self._buffer = buffer, b""
        else:
            head, self._buffer = buffer[:end], buffer[end:]
        method, target, version = match.groups()
        events.append(self._read_request(head, method, target, version))
        if self._stage is _DONE:
            self._end_request(events)

    def _read_line(self, before: RequestHead, head: bytes, method: bytes, target: bytes) -> RequestHead:
        """A request with the fields of the one before."""
        request = before
        if head != self._head_before:
            request = before._replace(method=method.decode("ascii"), target=target.decode("ascii"))
            if len(head) <= REPEATED:
                self._head_before, self._head_read = head, request
        return request

    def _remember(self, head: bytes, request: RequestHead) -> RequestHead:
        """One whose fields steer nothing: no body, and nothing about the connection."""
        if len(head) <= REPEATED:
            self._head_before, self._head_read = head, request
            self._fields_before = head[head.index(b"\r\n") + 2 :]
        return request

    def _skip_blank_line(self, buffer: bytes) -> bytes:
        """RFC 9112 section 2.2: one empty line before a request line is ignored."""
        if self._blank_line_skipped or not b"\r\n".startswith(buffer[:2]):
            raise BadRequest("the request line is missing")
        if len(buffer) >= 2:
            self._blank_line_skipped = True
            self._buffer = buffer = buffer[2:]
            if buffer[:1] in (b"\r", b"\n"):
                raise BadRequest("the request line is missing")
        return buffer

    def _incomplete(self, buffer: bytes) -> None:
        fault = first_fault(buffer, self._limits, end=len(buffer), complete=False, scanned=self._scanned)
        if fault is not None:
            raise fault
        self._scanned = max(len(buffer) - 3, 0)

    def _read_request(self, head: bytes, method: bytes, target: bytes, version: bytes) -> RequestHead:
        authority, keep_alive, expects, length, chunked, has_hop_by_hop, upgrade = read_framing(
            head, method, target, version, self._limits
        )
        self._is_last = not keep_alive
        headers = self._split(head, method, has_hop_by_hop or length != 0)
        if has_hop_by_hop:
            headers = without_hop_by_hop(headers)
        if upgrade:
            headers = (*headers, ("upgrade", "websocket"))
        if target[:1] not in (b"/", b"*"):
            headers = with_host(headers, authority)
        if chunked:
            self._stage = _CHUNKED
            self._chunks = ChunkedReader(self._limits)
        elif length:
            self._stage = _BODY
            self._left = length
        else:
            self._stage = _DONE
        request = RequestHead(
            _METHODS.get(method) or method.decode("ascii"),
            target.decode("ascii"),
            headers,
            "1.1" if version == b"1.1" else "1.0",
            authority,
            keep_alive,
            expects and length != 0,
            length,
            chunked,
            upgrade,
        )
        plain = self._stage is _DONE and version == b"1.1" and keep_alive and not has_hop_by_hop
        return self._remember(head, request) if plain and target[:1] == b"/" else request

    def _read_body(self, events: list[Event]) -> None:
        data = self._buffer
        if not data:
            return
        if len(data) > self._left:
            data, self._buffer = data[: self._left], data[self._left :]
        else:
            self._buffer = b""
        self._left -= len(data)
        events.append(BodyData(data))
        if not self._left:
            self._end_request(events)

    def _end_request(self, events: list[Event]) -> None:
        self._stage = _DONE
        events.append(END_OF_REQUEST)
        if self._is_last:
            self._buffer = b""

    def _read_chunks(self, events: list[Event]) -> None:
        chunks = self._chunks
        assert chunks is not None
        out: list[bytes] = []
        data, self._buffer = self._buffer, b""
        try:
            chunks.receive(data, out)
        finally:
            if out:
                events.append(BodyData(b"".join(out)))
        if chunks.done:
            self._buffer, chunks.rest = chunks.rest, b""
            self._end_request(events)
