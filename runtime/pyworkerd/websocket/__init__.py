"""WebSockets: what everybody in the house hands to each other (`base`), and the protocol on the wire (RFC 6455).

Read in this order: `base`, `splice`; then, for the wire, `handshake`, `protocol`, `deflate` (no I/O) and `wire`.
"""

from __future__ import annotations

from .base import Close, Piece, WebSocket, WebSocketClosed
from .splice import splice

__all__ = ["Close", "Piece", "WebSocket", "WebSocketClosed", "splice"]
