"""What lies between a socket's clients and HTTP: TLS, a PROXY header, and whose word about clients counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .origin import NOBODY, Trust

if TYPE_CHECKING:
    from pyworkerd_config import Socket

    from .tls import Tls


@dataclass(frozen=True, slots=True)
class Edge:
    """Of one server: all its addresses have the same."""

    tls: Tls | None = None
    trust: Trust = NOBODY
    proxy_protocol: bool = False
    """Every connection begins with a PROXY header; only trusted peers are served."""

    @property
    def is_plain(self) -> bool:
        """Whether a connection begins with its first request."""
        return self.tls is None and not self.proxy_protocol


async def open_edge(socket: Socket) -> Edge:
    """The edge that a configuration asks for. Raises `ConfigError` for certificates that cannot be used."""
    tls = None
    if socket.https is not None:
        from .tls import Tls  # noqa: PLC0415 - what reads certificates is slow to import

        tls = await Tls.open(socket, socket.https)
    return Edge(tls, Trust.of(socket.trusted, socket.forwarded), socket.proxy_protocol)
