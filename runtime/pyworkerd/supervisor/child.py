"""A serving process as the supervisor knows it: its channel, its log, and what is known of how it is."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any, Final, Protocol

from .channel import Channel
from .messages import (
    Answer,
    Ask,
    Beat,
    Drain,
    Hurry,
    Leaving,
    Prepare,
    Prepared,
    Ready,
    Refused,
    Switch,
    Switched,
)
from .policy import Process, State
from .relay import Relay
from .serving_process import DUMP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd.server import Seat

    from .forking import Fork
    from .messages import ControlError, FromProcess, FromSupervisor
    from .output import Output

GRACE_S: Final = 5.0
"""After the time for draining: to cancel what is left, close, and exit."""
DUMP_S: Final = 0.2
"""For a process to say what its threads are doing before it is killed."""


class Gone(Exception):
    """The process has ended, or its channel has."""


class Listener(Protocol):
    """Who is told what happens to a child."""

    def heard(self, child: Child, message: FromProcess) -> None:
        """A message that nobody waits for."""

    def broke(self, child: Child, error: ControlError) -> None:
        """It broke the protocol."""


class Child:
    """One process, from its fork to its end."""

    def __init__(
        self, number: int, fork: Fork, seat: Seat, output: Output, listener: Listener, drain_s: float
    ) -> None:
        self.number = number
        self.seat = seat
        self.pid = fork.pid
        self.state = State.STARTING
        self.digest = ""
        self.beat = Beat(0, 0, 0, 0)
        self.memory = 0
        """Private bytes."""
        self.cpu = 0.0
        """Cores that it used lately."""
        self._loop = asyncio.get_running_loop()
        self.started_at = self._loop.time()
        self.ready_at: float | None = None
        self._drain_s = drain_s
        self._due = float("inf")
        self._silent = 0
        self.doomed = self._reaped = False
        self._listener = listener
        self._numbers = 0
        self._waits: dict[tuple[type, int], asyncio.Future[Any]] = {}
        self._channel = Channel(fork.channel, supervisor=True, received=self._received, ended=self._ended)
        self._relay = Relay(fork.errors, output)
        from .usage import Usage  # noqa: PLC0415 (start-up time: it is loaded while the process that was forked starts)

        self._usage = Usage(fork.pid)

    def __repr__(self) -> str:
        return f"process {self.number} (pid {self.pid})"

    # what comes from it ------------------------------------------------------------------------------

    def _received(self, message: FromProcess) -> None:
        self._silent = 0
        match message:
            case Beat():
                self.beat = message
                return
            case Ready() if self.state is State.STARTING:
                self.state, self.ready_at, self.digest = State.SERVING, self._loop.time(), message.digest
            case Leaving() if self.state is not State.DRAINING:
                self._drains(self._drain_s)
            case Prepared(generation) | Refused(generation) if self._answered(Prepare, generation, message):
                return
            case Switched(generation) if self._answered(Switch, generation, message):
                return
            case Answer(number):
                self._answered(Ask, number, message)
                return
        self._listener.heard(self, message)

    def _answered(self, asked: type, number: int, message: FromProcess) -> bool:
        waits = self._waits.pop((asked, number), None)
        if waits is not None and not waits.done():
            waits.set_result(message)
        return waits is not None

    def _ended(self, error: ControlError | None) -> None:
        for waits in self._waits.values():
            if not waits.done():
                waits.set_exception(Gone(f"{self} has ended"))
        self._waits.clear()
        if error is not None:
            self._listener.broke(self, error)

    # what is said to it ------------------------------------------------------------------------------

    async def prepare(self, message: Prepare, descriptors: Sequence[int]) -> Prepared | Refused:
        """Let it deploy another configuration. Raises `Gone`."""
        answer = await self._request(message, message.generation, descriptors)
        assert isinstance(answer, Prepared | Refused)
        return answer

    async def switch(self, generation: int) -> None:
        """Let it go over to what it prepared. Raises `Gone`."""
        await self._request(Switch(generation), generation)

    async def ask(self, question: str, argument: bytes) -> bytes:
        """See `questions`. Raises `Gone`."""
        self._numbers += 1
        answer = await self._request(Ask(self._numbers, question, argument), self._numbers)
        assert isinstance(answer, Answer)
        return answer.data

    async def _request(
        self, message: Prepare | Switch | Ask, number: int, descriptors: Sequence[int] = ()
    ) -> FromProcess:
        key = (type(message), number)
        waits = self._waits[key] = self._loop.create_future()
        try:
            if not self._channel.send(message, descriptors):
                raise Gone(f"{self} cannot be told anything")
            return await waits  # type: ignore[no-any-return]
        finally:
            self._waits.pop(key, None)

    def tell(self, message: FromSupervisor) -> None:
        """Say something that is not answered."""
        self._channel.send(message)

    def leave(self, seconds: float) -> None:
        """Let it finish what runs, for so long, and end."""
        self._drains(seconds)
        self.tell(Drain(int(seconds * 1000)))

    def _drains(self, seconds: float) -> None:
        self.state = State.DRAINING
        self._due = self._loop.time() + seconds + GRACE_S

    def hurry(self, seconds: float) -> None:
        """Let it end at once, and within so long."""
        self.state = State.DRAINING
        self._due = min(self._due, self._loop.time() + seconds)
        self.tell(Hurry())

    def kill(self) -> None:
        """End it; before that, what its threads are doing goes to its log, if it can still say so."""
        self.doomed = True
        self._signal(DUMP)
        self._loop.call_later(DUMP_S, self._signal, signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if not self._reaped:  # the number may be somebody else's by then
            os.kill(self.pid, number)

    # how it is ---------------------------------------------------------------------------------------

    def look(self) -> None:
        """Read what the system knows of it. Once per turn of the supervisor."""
        self._silent += 1
        self.memory, self.cpu = self._usage.look() or (self.memory, self.cpu)

    def view(self, turn_s: float) -> Process:
        """As the policy sees it."""
        # The turn in which it was last heard of does not count.
        silent = max(self._silent - 1, 0) * turn_s
        return Process(self.number, self.state, silent, self.memory, self._loop.time() > self._due)

    def describe(self) -> dict[str, Any]:
        """For people and programs, as JSON values."""
        return {
            "number": self.number,
            "pid": self.pid,
            "state": self.state.value,
            "uptime_s": round(self._loop.time() - self.started_at, 3),
            "configuration": self.digest,
            "memory": self.memory,
            "cpu": round(self.cpu, 3),
            **self.beat._asdict(),
        }

    def served_s(self) -> float | None:
        """How long it has served; None if it never did."""
        return None if self.ready_at is None else self._loop.time() - self.ready_at

    def close(self) -> None:
        """It has ended: nothing comes from it any more, except what is left of its log."""
        self._reaped = True
        self._channel.close()
        self._ended(None)

    async def log_is_complete(self) -> None:
        """Wait until nothing of its log can come any more."""
        await self._relay.closed.wait()
