"""The HTTP server: `pyworkerd.http` on asyncio transports, uvloop's or asyncio's own.

Read in this order: `listening`, `accepting`, `balance`, `server`, `edge`, `arrival`, `origin`, `connection`,
`http2_connection`, `request_body`, `failures`.
"""

from __future__ import annotations

from .balance import Balance, Seat, Table
from .edge import Edge, open_edge
from .info import ConnectionInfo, connection_info
from .listening import Listener, bind, bind_socket
from .options import ErrorPage, ServerOptions
from .origin import Trust
from .server import HttpServer
from .shared import Handler
from .statistics import ServerStatistics

__all__ = [
    "Balance",
    "ConnectionInfo",
    "Edge",
    "ErrorPage",
    "Handler",
    "HttpServer",
    "Listener",
    "Seat",
    "ServerOptions",
    "ServerStatistics",
    "Table",
    "Trust",
    "bind",
    "bind_socket",
    "connection_info",
    "open_edge",
]
