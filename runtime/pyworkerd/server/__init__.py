"""The HTTP server: `pyworkerd.http` on asyncio transports, uvloop's or asyncio's own.

Read in this order: `server`, `connection`, `request_body`, `failures`.
"""

from __future__ import annotations

from .info import ConnectionInfo, connection_info
from .options import ErrorPage, ServerOptions
from .server import HttpServer
from .shared import Handler
from .statistics import ServerStatistics

__all__ = [
    "ConnectionInfo",
    "ErrorPage",
    "Handler",
    "HttpServer",
    "ServerOptions",
    "ServerStatistics",
    "connection_info",
]
