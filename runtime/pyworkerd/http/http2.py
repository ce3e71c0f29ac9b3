"""One HTTP/2 connection as a state machine without I/O: bytes in, the events of `events` out, each with its stream.

`h2` does the framing, HPACK and flow control; `http2_frames` guards it, and `http2_head` says what a request is.

Rule 1. A request that is wrong ends its stream; what breaks the protocol ends the connection with GOAWAY.
Rule 2. What a client may send is what it was given room for: `consumed` gives it back.
Rule 3. A trailer section is read and dropped (RFC 9110 section 6.5.1), as in HTTP/1.1.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings
from hyperframe.frame import GoAwayFrame

from pyworkerd.errors import BodyTooLarge, ClientError

from .events import END_OF_REQUEST, BodyData, EndOfRequest, RequestHead
from .http2_frames import MAX_FRAME, FloodError, Frames
from .http2_head import read_head

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .limits import HttpLimits

PORTION: Final = 64
"""Frames that are looked at in one go. Our own figure: some two milliseconds of the event loop."""
CONNECTION_WINDOW: Final = 1024 * 1024
"""Body bytes of all streams that may be on their way or unread. Go, http2.Server: 1 MiB."""


class ConnectionBroken(Exception):
    """The client broke the protocol, or floods. GOAWAY waits in `output`; nothing else can follow."""


class StreamOver(Exception):
    """The client ended this stream, or the connection, before what was to be sent on it."""


class Refused(NamedTuple):
    """A request that no handler will see, or a body that broke; what comes of its stream is to be ignored."""

    error: ClientError


class Reset(NamedTuple):
    """The client gave up, or what it sent made the stream end."""


class Room(NamedTuple):
    """There may be room to send again, in any stream."""


class Leaving(NamedTuple):
    """The client opens no more streams."""


@contextmanager
def _over() -> Iterator[None]:
    try:
        yield
    except H2Error as error:
        raise StreamOver(str(error)) from None


Happening = RequestHead | BodyData | EndOfRequest | Refused | Reset | Room | Leaving


class Http2:
    """The server's side of one connection."""

    def __init__(self, limits: HttpLimits, streams: int, window: int, now: float) -> None:
        """`streams`: requests at once. `window`: body bytes of one stream that may be unread."""
        self._limits = limits
        self._frames = Frames(limits.head, now)
        self._sizes: dict[int, int] = {}
        self._farewell = b""
        # What the library checks of header fields, `read_head` does: it answers where the library would hang up.
        config = H2Configuration(
            client_side=False,
            header_encoding=None,
            validate_inbound_headers=False,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self._h2 = H2Connection(config)
        self._h2.local_settings = Settings(
            client=False,
            initial_values={
                SettingCodes.MAX_CONCURRENT_STREAMS: streams,
                SettingCodes.MAX_HEADER_LIST_SIZE: limits.head,
                SettingCodes.INITIAL_WINDOW_SIZE: window,
                SettingCodes.MAX_FRAME_SIZE: MAX_FRAME,
            },
        )
        self._h2.decoder.max_header_list_size = limits.head
        self._h2.max_inbound_frame_size = MAX_FRAME
        self._h2.initiate_connection()
        self._h2.increment_flow_control_window(CONNECTION_WINDOW - 65_535)

    @property
    def in_head(self) -> bool:
        """Whether a header block has begun and not ended."""
        return self._frames.in_head

    @property
    def buffered(self) -> int:
        """Bytes received and not looked at."""
        return self._frames.buffered

    def feed(self, data: bytes) -> None:
        """Bytes from the client; look at them with `happenings`."""
        self._frames.feed(data)

    def happenings(self, now: float) -> list[tuple[int, Happening]] | None:
        """What the next portion of them says, or None if there is none. Raises `ConnectionBroken`."""
        if not self._frames.buffered or self._frames.is_stuck:
            return None
        left = self._frames.leaving
        try:
            events = self._h2.receive_data(self._frames.take(PORTION, now))
        except FloodError as error:
            self._h2.close_connection(error.code)
            raise ConnectionBroken(str(error)) from None
        except H2Error as error:
            raise ConnectionBroken(str(error) or type(error).__name__) from None
        found = [each for event in events for each in self._translate(event)]
        return [*found, (0, Leaving())] if self._frames.leaving and not left else found

    def _translate(self, event: Any) -> Iterable[tuple[int, Happening]]:
        kind = type(event)
        if kind is DataReceived:
            return self._data(event)
        if kind is RequestReceived:
            return [(event.stream_id, self._request(event))]
        if kind is StreamEnded:
            self._sizes.pop(event.stream_id, None)
            return [(event.stream_id, END_OF_REQUEST)]
        if kind is StreamReset:
            self._sizes.pop(event.stream_id, None)
            return [(event.stream_id, Reset())]
        if kind is WindowUpdated or kind is RemoteSettingsChanged:
            return [(0, Room())]
        return ()

    def _request(self, event: Any) -> RequestHead | Refused:
        try:
            head = read_head(event.headers, self._limits)
        except ClientError as error:
            return Refused(error)
        self._sizes[event.stream_id] = 0
        # Without a body it ends at once.
        return head._replace(body_length=0) if event.stream_ended is not None else head

    def _data(self, event: Any) -> Iterable[tuple[int, Happening]]:
        stream, data = event.stream_id, event.data
        self.consumed(stream, event.flow_controlled_length - len(data))  # padding
        if stream not in self._sizes:  # refused already
            self.consumed(stream, len(data))
            return ()
        self._sizes[stream] += len(data)
        if self._sizes[stream] > self._limits.body:
            del self._sizes[stream]
            self.consumed(stream, len(data))
            return [(stream, Refused(BodyTooLarge(self._limits.body)))]
        return [(stream, BodyData(data))] if data else ()

    def consumed(self, stream: int, size: int) -> None:
        """The reader took so many bytes of a body, or nobody will: the client may send as many more."""
        if size:
            self._h2.acknowledge_received_data(size, stream)

    # out ------------------------------------------------------------------------------------------------

    def continue_(self, stream: int) -> None:
        """100 Continue. Raises `StreamOver`, as the other methods do that send."""
        with _over():
            self._h2.send_headers(stream, [(b":status", b"100")])

    def send_head(self, stream: int, fields: Sequence[tuple[str, str]], *, end: bool) -> None:
        """The response's head; `end`: it has no body."""
        encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in fields]
        with _over():
            self._h2.send_headers(stream, encoded, end_stream=end)
        if end:
            self._frames.credit(10)

    def room(self, stream: int) -> int:
        """Bytes of a body that may be sent now in one frame."""
        with _over():
            window = self._h2.local_flow_control_window(stream)
        return min(max(window, 0), self._h2.max_outbound_frame_size, MAX_FRAME)

    def send_data(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """A piece of a body, no larger than there is room for."""
        with _over():
            self._h2.send_data(stream, data, end_stream=end)
        self._frames.credit(10 if end else 2)

    def reset(self, stream: int, code: ErrorCodes) -> None:
        """End a stream, unless it is over."""
        self._sizes.pop(stream, None)
        with suppress(H2Error):
            self._h2.reset_stream(stream, code)

    def go_away(self) -> int:
        """No stream after those that have begun (RFC 9113 section 6.8). Returns the last one of them.

        By hand, since the library would not let the others end.
        """
        last: int = self._h2.highest_inbound_stream_id
        self._farewell = GoAwayFrame(0, last_stream_id=last, error_code=ErrorCodes.NO_ERROR).serialize()
        return last

    def output(self) -> bytes:
        """What is to be sent to the client now."""
        farewell, self._farewell = self._farewell, b""
        return self._h2.data_to_send() + farewell
