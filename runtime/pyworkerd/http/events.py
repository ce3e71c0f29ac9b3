"""What a parser reports. Named tuples: frozen, without a dictionary, and four times cheaper to make than a
frozen dataclass, which counts because every request makes two of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from pyworkerd.messages import Headers


class RequestHead(NamedTuple):
    """A request line and its header section, already checked by `semantics`."""

    method: str
    """As sent; methods are case-sensitive (RFC 9110 section 9.1)."""
    target: str
    """As sent: origin-form, absolute-form or `*`."""
    headers: Headers
    """Lower-case names, latin-1 values, without the fields that concern this connection only
    (`HOP_BY_HOP`)."""
    version: str
    """`1.0` or `1.1`."""
    authority: str
    """Of the absolute-form target if there is one, otherwise the Host; empty if HTTP/1.0 sent none."""
    keep_alive: bool
    expect_continue: bool
    body_length: int | None
    """Bytes of the body, 0 if there is none, None if it is chunked."""
    chunked: bool
    upgrade: bool
    """Asks for a WebSocket (RFC 6455 section 4.2.1): its headers say `upgrade: websocket`, which is otherwise left
    out."""


class BodyData(NamedTuple):
    """A piece of the body, never empty; pieces follow the network, not the sender's chunks."""

    data: bytes


class EndOfRequest(NamedTuple):
    """The request is complete. The parser stops here until `next_request()`."""


Event = RequestHead | BodyData | EndOfRequest

END_OF_REQUEST: Final = EndOfRequest()
