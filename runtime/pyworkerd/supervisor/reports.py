"""What `serve` tells about itself: addresses on standard output, the rest on standard error; or everything as JSON."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, Protocol

from pyworkerd.observe.text import one_line, printable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd.problems import Fault
    from pyworkerd.serving import Listening


class Stream(Protocol):
    """What is needed of a text file."""

    def write(self, text: str, /) -> int:
        """Take whole lines."""

    def flush(self) -> None:
        """Keep nothing back."""


class Reports(Protocol):
    """Called from the supervisor's event loop."""

    def progress(self, step: str) -> None:
        """The engine is being built."""

    def deployed(self, worker: str, milliseconds: float, *, built: bool) -> None:
        """A worker is ready; `built` says whether its top level ran now or for an earlier deploy of the same files."""

    def dormant(self, workers: int) -> None:
        """So many workers will be deployed at their first request."""

    def listening(self, socket: Listening) -> None:
        """Requests are answered here from now on."""

    def admin(self, socket: Listening) -> None:
        """The admin address answers."""

    def complete(self, processes: int) -> None:
        """All processes serve, for the first time."""

    def reloaded(self, seconds: float) -> None:
        """All processes have gone over to the configuration as it is now."""

    def not_reloaded(self, faults: Sequence[Fault]) -> None:
        """The configuration as it is now cannot work, and nothing has changed."""

    def stopping(self) -> None:
        """Nothing more is accepted; what runs is finished."""


class Readable:
    """For people. Standard output has one line per socket and nothing else."""

    def __init__(self, out: Stream | None = None, err: Stream | None = None) -> None:
        self._out: Stream = out or sys.stdout
        self._err: Stream = err or sys.stderr

    def progress(self, step: str) -> None:
        """See `Reports`."""
        _say(self._err, f"engine: {one_line(step)}")

    def deployed(self, worker: str, milliseconds: float, *, built: bool) -> None:
        """See `Reports`."""
        how = "deployed" if built else "deployed from the cache"
        _say(self._err, f"{one_line(worker)}: {how} in {milliseconds:.0f} ms")

    def dormant(self, workers: int) -> None:
        """See `Reports`."""
        _say(self._err, f"workers are deployed at their first request: {workers} of them")

    def listening(self, socket: Listening) -> None:
        """See `Reports`."""
        _say(self._out, f"listening on {url(socket)} ({socket.name} -> {socket.service or 'routes'})")

    def admin(self, socket: Listening) -> None:
        """See `Reports`."""
        _say(self._err, f"admin: {url(socket)}")

    def complete(self, processes: int) -> None:
        """See `Reports`."""
        _say(self._err, f"serving with {processes} {'process' if processes == 1 else 'processes'}")

    def reloaded(self, seconds: float) -> None:
        """See `Reports`."""
        _say(self._err, f"reloaded in {seconds * 1000:.0f} ms")

    def not_reloaded(self, faults: Sequence[Fault]) -> None:
        """See `Reports`."""
        for fault in faults:
            _say(self._err, f"not reloaded: {printable(fault.text)}")

    def stopping(self) -> None:
        """See `Reports`."""
        _say(self._err, "stopping: finishing what runs (once more to stop at once)")


class Json:
    """One object per line on standard output; `event` says what it is about."""

    def __init__(self, out: Stream | None = None) -> None:
        self._out: Stream = out or sys.stdout

    def progress(self, step: str) -> None:
        """See `Reports`."""
        self._event("engine", step=step)

    def deployed(self, worker: str, milliseconds: float, *, built: bool) -> None:
        """See `Reports`."""
        self._event("deployed", worker=worker, milliseconds=round(milliseconds, 2), built=built)

    def dormant(self, workers: int) -> None:
        """See `Reports`."""
        self._event("dormant", workers=workers)

    def listening(self, socket: Listening) -> None:
        """See `Reports`."""
        about = {"socket": socket.name, "address": socket.address, "service": socket.service}
        self._event("listening", url=url(socket), **about)

    def admin(self, socket: Listening) -> None:
        """See `Reports`."""
        self._event("admin", address=socket.address, url=url(socket))

    def complete(self, processes: int) -> None:
        """See `Reports`."""
        self._event("complete", processes=processes)

    def reloaded(self, seconds: float) -> None:
        """See `Reports`."""
        self._event("reloaded", milliseconds=round(seconds * 1000, 2))

    def not_reloaded(self, faults: Sequence[Fault]) -> None:
        """See `Reports`."""
        self._event("not_reloaded", problems=[fault.to_json() for fault in faults])

    def stopping(self) -> None:
        """See `Reports`."""
        self._event("stopping")

    def _event(self, name: str, **values: Any) -> None:
        _say(self._out, json.dumps({"event": name, **values}))


def url(socket: Listening) -> str:
    """How a client writes an address: `http://host:port`; a Unix socket stays as it is."""
    if socket.address.startswith("unix:"):
        return socket.address
    return f"http{'s' if socket.secure else ''}://{socket.address}"


def _say(stream: Stream, line: str) -> None:
    stream.write(line + "\n")
    stream.flush()
