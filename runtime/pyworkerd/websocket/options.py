"""How a WebSocket on the wire behaves. Every default names whose number it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WireOptions:
    """Times are in seconds, sizes in bytes."""

    ping_interval: float = 20.0
    """A peer that is silent for so long is sent a ping; silent for as long again, it is given up. The
    `websockets` library: 20 and 20."""
    close_timeout: float = 10.0
    """How long a peer may take to answer a close. The `websockets` library: 10."""
    write_timeout: float = 60.0
    """A peer that takes nothing of what waits for it for so long is given up. nginx, send_timeout: 60."""
    receive_buffer: int = 64 * 1024
    """Of messages that nobody has taken yet; then reading pauses. asyncio, StreamReader limit: 64 KiB."""
    compress: bool = True
    """Whether to agree to permessage-deflate (RFC 7692), without a window that is kept between messages."""
    send_buffer: int = 64 * 1024
    """Of frames that the peer has not taken yet; then senders wait. asyncio, default high water: 64 KiB."""
