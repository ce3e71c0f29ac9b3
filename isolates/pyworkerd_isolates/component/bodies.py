"""Bodies on their way into a program and out of it, with the credit of the protocol. No I/O.

What comes in is kept here until the program reads it, a window at most. What goes out is kept here until the step ends,
or until there is credit for it: `room` is what the program may write now.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.protocol import WINDOW

from .handles import Resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from .account import Account

CONTENT_LENGTH: Final = "content-length"


class Inflow(Resource):
    """A body that the program receives: in hand, or a stream of this number."""

    __slots__ = (
        "_account",
        "_begun",
        "_clock",
        "_data",
        "_patience_ns",
        "_say",
        "_since_ns",
        "_taken",
        "ended",
        "failed",
        "length",
        "number",
    )

    def __init__(
        self,
        account: Account,
        say: Callable[[list[object]], None],
        data: bytes,
        number: int | None,
        length: int | None = None,
    ) -> None:
        self._account, self._say = account, say
        account.hold(len(data))
        self._data = bytearray(data)
        self.length = len(data) if number is None else length
        """In bytes, if its sender says so."""
        self._begun = False
        """Something of it was asked for."""
        self._taken = 0
        """Bytes that were read and not asked for anew."""
        self.number = number
        self.ended = number is None
        """Nothing more comes."""
        self.failed: str | None = None
        """Why it cannot be completed."""
        self._clock: Callable[[], int] | None = None
        self._patience_ns = 0
        self._since_ns: int | None = None
        """When somebody began to wait for its next piece."""

    def hurry(self, patience_ns: int, clock: Callable[[], int]) -> None:
        """Let it break off where somebody has waited so long for its next piece (`between-bytes-timeout`)."""
        self._patience_ns, self._clock = patience_ns, clock

    def due_ns(self) -> int | None:
        """When whoever waits for it has waited for too long; None for as long as it takes."""
        if self._since_ns is None or self.ready():
            return None
        return self._since_ns + self._patience_ns

    def lapse(self, now_ns: int) -> None:
        """Break it off if that time has come."""
        due = self.due_ns()
        if due is not None and now_ns >= due:
            self._say(["stop", self.number])
            self.broke_off("the sender of this body was silent for longer than between-bytes-timeout")

    def __len__(self) -> int:
        return len(self._data)

    def ready(self) -> bool:
        """Whether there is something to read, or no more of it."""
        return bool(self._data) or self.ended

    def want(self) -> None:
        """Somebody will read: have it sent."""
        if self._clock is not None and self._since_ns is None:
            self._since_ns = self._clock()
        if not self._begun and not self.ended:
            self._begun = True
            self._say(["pull", self.number, WINDOW])

    def read(self, most: int) -> bytes:
        """What is there, up to so many bytes."""
        data = bytes(self._data[:most])
        del self._data[:most]
        self._account.hold(-len(data))
        self._taken += len(data)
        if self._taken >= WINDOW // 2 and not self.ended:
            self._say(["pull", self.number, self._taken])
            self._taken = 0
        return data

    def came(self, data: bytes, end: bool) -> None:
        """A piece."""
        self._since_ns = None
        self._account.hold(len(data))
        self._data += data
        self.ended = self.ended or end

    def broke_off(self, why: str) -> None:
        """There is no more, and it is not complete."""
        self.ended, self.failed = True, why

    def stop(self) -> None:
        """The program will not read it."""
        if not self.ended:
            self.ended = True
            self._say(["stop", self.number])
        self._account.hold(-len(self._data))
        self._data.clear()


class Outflow:
    """A body that the program sends."""

    __slots__ = ("_account", "_credit", "_pending", "finished", "given_up", "length", "stopped", "written")

    def __init__(self, account: Account, length: int | None) -> None:
        self._account = account
        self._pending = bytearray()
        self._credit = WINDOW
        self.length = length
        """What its header says."""
        self.written = 0
        self.finished = False
        """It is complete."""
        self.given_up = False
        """It will never be complete."""
        self.stopped = False
        """Nobody reads it."""

    @property
    def room(self) -> int:
        """Bytes that may be written now."""
        return WINDOW if self.stopped else self._credit - len(self._pending)

    def writable(self) -> bool:
        """Whether something may be written."""
        return self.stopped or self.room > 0

    def write(self, data: bytes) -> None:
        """A piece, no longer than `room`."""
        self.written += len(data)
        if not self.stopped:
            self._account.hold(len(data))
            self._pending += data

    def pulled(self, credit: int) -> None:
        """So much of it was read."""
        self._credit += credit

    def stop(self) -> None:
        """Nobody reads any more of it."""
        self.stopped = True
        self.take()

    def take(self) -> bytes:
        """What has been written since this was called last: it leaves now."""
        data = bytes(self._pending)
        self._pending.clear()
        self._account.hold(-len(data))
        self._credit -= len(data)
        return data

    def complete(self) -> bool:
        """The program says that it is all. Returns whether it is as long as was said."""
        self.finished = self.length is None or self.length == self.written
        self.given_up = not self.finished
        return self.finished
