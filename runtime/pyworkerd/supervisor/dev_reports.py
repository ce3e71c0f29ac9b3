"""What `dev` tells about itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd.observe.text import one_line, printable

from .reports import Readable, url

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd.problems import Fault
    from pyworkerd.serving import Listening

    from .reports import Stream


class DevReports(Readable):
    """For who writes workers. Standard output has the addresses."""

    def __init__(self, out: Stream, err: Stream, *, colour: bool) -> None:
        super().__init__(out, err)
        self._colour = colour

    def deployed(self, worker: str, milliseconds: float, *, built: bool) -> None:  # noqa: ARG002 (an interface)
        """See `Reports`."""
        self._tell(f"[{one_line(worker)}] deployed in {milliseconds:.0f} ms", "2")

    def listening(self, socket: Listening) -> None:
        """See `Reports`."""
        self._out.write(f"Ready on {url(socket)}\n")
        self._out.flush()

    def complete(self, processes: int) -> None:
        """See `Reports`."""

    def reloaded(self, seconds: float) -> None:
        """See `Reports`."""
        self._tell(f"Reloaded in {seconds * 1000:.0f} ms", "32")

    def not_reloaded(self, faults: Sequence[Fault]) -> None:
        """See `Reports`."""
        self.broken(faults)
        self._tell("The version before goes on until this is mended.", "2")

    def broken(self, faults: Sequence[Fault]) -> None:
        """The files cannot be loaded. Further lines of a text are those of the source."""
        for fault in faults:
            first, _, rest = printable(fault.text).partition("\n")
            self._tell(f"error: {first}", "31")
            if rest:
                self._tell(rest, "")

    def _tell(self, text: str, colour: str) -> None:
        self._err.write(f"\x1b[{colour}m{text}\x1b[0m\n" if self._colour and colour else f"{text}\n")
        self._err.flush()
