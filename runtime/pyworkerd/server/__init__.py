"""The HTTP server: `pyworkerd.http` on asyncio transports, uvloop's or asyncio's own.

Read in this order: `listening`, `server`, `connection`, `request_body`, `failures`.
"""

from __future__ import annotations

from .info import ConnectionInfo, connection_info
from .listening import Listener, bind
from .options import ErrorPage, ServerOptions
from .server import HttpServer
from .shared import Handler
from .statistics import ServerStatistics

__all__ = [
    "ConnectionInfo",
    "ErrorPage",
    "Handler",
    "HttpServer",
    "Listener",
    "ServerOptions",
    "ServerStatistics",
    "bind",
    "connection_info",
]
