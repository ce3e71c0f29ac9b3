"""What a network or external service tells the HTTP client: limits, and how a destination is reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from .destination import Destination
    from .egress import Address
    from .resolver import Resolver


@dataclass(frozen=True, slots=True)
class OutboundLimits:
    """What one service's client may use. Connections per invocation are counted elsewhere."""

    connect_s: float = 19.0
    """Name, connection and TLS together (Cloudflare gives a TCP handshake 19 s before it answers 522)."""
    silence_s: float | None = None
    """Longest pause between bytes of an answer. None: an event stream may be silent, `wall_ms` ends it."""
    header_bytes: int = 128 * 1024
    """All header fields of an answer (Cloudflare: 128 KB)."""
    field_bytes: int = 16 * 1024
    """One header field, or the status line (Cloudflare's older limit: 16 KB each)."""
    fields: int = 128
    """Header fields of an answer (aiohttp's default)."""
    connections: int = 500
    """Connections of the whole service: half of the 1024 descriptors that a process customarily gets."""


DEFAULT_LIMITS = OutboundLimits()


@dataclass(frozen=True, slots=True)
class Wire:
    """How one destination is asked for: what the client connects to, and what it says there."""

    url: str
    host: str
    """The `Host` field."""
    tls_name: str | None = None
    """Name that the server's certificate has to carry, where it is not the URL's host."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that makes one service's client different from another's."""

    wire: Callable[[Destination], Wire]
    """Raises `PyworkerdError` for a destination that is not allowed. Called again after every redirect."""
    resolver: Resolver
    permits: Callable[[Address], bool]
    """Asked for every address that a name has, and again when a socket is opened."""
    unix_path: str | None = None
    tls: ssl.SSLContext | None = None
    """Instead of the system's certificate authorities."""
    limits: OutboundLimits = DEFAULT_LIMITS
