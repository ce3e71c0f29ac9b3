"""What `serve` tells about itself: addresses on standard output, the rest on standard error; or everything as JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pyworkerd.serving import Listening


class Reports(Protocol):
    """Called from the event loop, except `progress`, which may be called on any thread."""

    def progress(self, step: str) -> None:
        """The engine is being built."""

    def deployed(self, worker: str, milliseconds: float, *, built: bool) -> None:
        """A worker is ready; `built` says whether its top level ran now or for an earlier deploy of the same files."""

    def dormant(self, workers: int) -> None:
        """So many workers will be deployed at their first request."""

    def listening(self, socket: Listening) -> None:
        """Requests are answered here from now on."""

    def stopping(self) -> None:
        """Nothing more is accepted; what runs is finished."""


class Readable:
    """For people. Standard output has one line per socket and nothing else."""

    def progress(self, step: str) -> None:
        """See `Reports`."""
        _say(sys.stderr, f"engine: {step}")

    def deployed(self, worker: str, milliseconds: float, *, built: bool) -> None:
        """See `Reports`."""
        how = "deployed" if built else "deployed from the cache"
        _say(sys.stderr, f"{worker}: {how} in {milliseconds:.0f} ms")

    def dormant(self, workers: int) -> None:
        """See `Reports`."""
        _say(sys.stderr, f"workers are deployed at their first request: {workers} of them")

    def listening(self, socket: Listening) -> None:
        """See `Reports`."""
        _say(sys.stdout, f"listening on {url(socket)} ({socket.name} -> {socket.service or 'routes'})")

    def stopping(self) -> None:
        """See `Reports`."""
        _say(sys.stderr, "stopping: finishing what runs (once more to stop at once)")


class Json:
    """One object per line on standard output; `event` says what it is about."""

    def progress(self, step: str) -> None:
        """See `Reports`."""
        _event("engine", step=step)

    def deployed(self, worker: str, milliseconds: float, *, built: bool) -> None:
        """See `Reports`."""
        _event("deployed", worker=worker, milliseconds=round(milliseconds, 2), built=built)

    def dormant(self, workers: int) -> None:
        """See `Reports`."""
        _event("dormant", workers=workers)

    def listening(self, socket: Listening) -> None:
        """See `Reports`."""
        about = {"socket": socket.name, "address": socket.address, "service": socket.service}
        _event("listening", url=url(socket), **about)

    def stopping(self) -> None:
        """See `Reports`."""
        _event("stopping")


def url(socket: Listening) -> str:
    """How a client writes an address: `http://host:port`; a Unix socket stays as it is."""
    if socket.address.startswith("unix:"):
        return socket.address
    return f"http{'s' if socket.secure else ''}://{socket.address}"


def _event(name: str, **values: Any) -> None:
    _say(sys.stdout, json.dumps({"event": name, **values}))


def _say(stream: Any, line: str) -> None:
    stream.write(line + "\n")
    stream.flush()
