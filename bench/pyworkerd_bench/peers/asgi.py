"""Python without a sandbox: uvicorn with Starlette, which most would take, and granian without a framework."""

from __future__ import annotations

import importlib.metadata
import socket
import sys
from typing import TYPE_CHECKING

from pyworkerd_bench.contestant import GRANIAN, STARLETTE
from pyworkerd_bench.http_client import wait_for_200
from pyworkerd_bench.loaded import LoadedContestant
from pyworkerd_bench.processes import Server

if TYPE_CHECKING:
    from collections.abc import Sequence

APP = "pyworkerd_bench.peers.asgi_app"


class _AsgiPeer(LoadedContestant):
    """An ASGI server from PyPI, in this interpreter's environment."""

    shapes = ("hello", "json", "body")
    packages: Sequence[str] = ()

    def available(self) -> str | None:
        """Whether its packages are installed."""
        absent = [name for name in self.packages if _version(name) is None]
        return f"{', '.join(absent)} not installed: run `make bench`" if absent else None

    def about(self) -> str:
        """Versions."""
        versions = ", ".join(f"{name} {_version(name)}" for name in self.packages)
        return f"{versions}, this Python, one process, no sandbox"


class Uvicorn(_AsgiPeer):
    """uvicorn with the fast loop and parser, which pyworkerd takes as well, and no access log, which it has not."""

    name = STARLETTE
    packages = ("uvicorn", "starlette", "uvloop", "httptools")

    def spawn(self, cpu: int | None) -> Server:
        """It tells the port that the system chose."""
        options = ["--port", "0", "--loop", "uvloop", "--http", "httptools", "--no-access-log"]
        command = [sys.executable, "-m", "uvicorn", *options, "--factory", f"{APP}:starlette"]
        return Server(command, r"running on http://127\.0\.0\.1:(\d+)", cpu=cpu)


class Granian(_AsgiPeer):
    """granian: an HTTP server in Rust that calls an ASGI application."""

    name = GRANIAN
    packages = ("granian", "uvloop")

    def spawn(self, cpu: int | None) -> Server:
        """It never tells a port that the system chose, so one that was free a moment ago is named."""
        port = free_port()
        options = ["--interface", "asgi", "--loop", "uvloop", "--workers", "1", "--port", str(port)]
        command = [sys.executable, "-m", "granian", *options, f"{APP}:bare"]
        server = Server(command, r"Listening at: http://127\.0\.0\.1:(\d+)", cpu=cpu)
        try:
            wait_for_200(port, "/hello")
        except BaseException:
            server.stop()
            raise
        return server


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
