"""Workers of the trusted kind: their isolates are subinterpreters, which run their steps on threads of their own.

So there is nothing to run here, neither on the event loop's thread nor on those for long steps: a step is handed over,
and its answer is heard of through the loop like anything else from outside. What is left is to look now and then
whether it has used up its time, and to read long answers on the threads for what takes long.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from pyworkerd_isolates.errors import ProtocolError, Trap
from pyworkerd_isolates.lifecycle import State
from pyworkerd_isolates.protocol import Wake

from pyworkerd.errors import InternalError

from .worker import Worker

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence

    from pyworkerd_isolates.bundle import Folder
    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.kinds import AnyIsolate, Deployed
    from pyworkerd_isolates.subinterpreter.isolate import TrustedIsolate
    from pyworkerd_isolates.subinterpreter.program import Program

    from .fairness import Account
    from .invocation import Invocation
    from .live import Live
    from .threads import Slices, Steps

TRUSTED_COST: Final = 16 << 20
"""What one isolate is reckoned at: measured 14 to 15 MiB without what the worker itself imports."""
LOOK_S: Final = 0.02
"""How often a step that runs is looked at: so late, at most, one is given up that has used up its CPU time."""


class TrustedWorker(Worker):
    """Made for a worker with `isolation = "subinterpreter"`, and for no other."""

    _program: Program | None = None
    _steps: Handed

    async def deploy(self, image: Image | None = None) -> Deployed:
        """Run the top level, unless this process has run it. Raises an `ImageError` with file and line."""
        assert image is None, "a trusted worker has none"
        self.threads = self._steps = Handed(self, self.threads)
        program = await self.fleet.program(cast("Folder", self.source), self.limits)
        self._program = program
        self.cost = TRUSTED_COST
        self.policy = replace(self.policy, cost=self.cost)
        self._tell(program)
        return program

    @property
    def image(self) -> Deployed:
        """What is known of it; only after `deploy()`."""
        return self._deployed()

    def _deployed(self) -> Program:
        if self._program is None:
            raise InternalError(f"worker {self.name!r} was not deployed")
        return self._program

    def start_isolate(self, live: Live) -> AnyIsolate:
        """See `Worker`. It begins to start; nobody waits for it."""
        isolate = self._deployed().start(self.limits)
        self._steps.started(live, isolate)
        return isolate

    def ended(self, live: Live, again: Sequence[Invocation]) -> None:
        """See `Worker`."""
        self._steps.ended(live)
        super().ended(live, again)

    def _release(self) -> None:
        if self._program is not None:
            self.fleet.release(self._program)


class Handed:
    """Steps of one worker that were handed over, and its isolates. Implements `threads.Steps`, on the event loop.

    What an isolate sends makes its descriptor readable: the answer of its step, or between two steps a knock.
    """

    def __init__(self, worker: TrustedWorker, threads: Steps) -> None:
        self._loop = worker.loop
        self._account = worker.thread_account
        self._threads = threads
        """Where long answers are read."""
        self._isolates: dict[Live, tuple[TrustedIsolate, int]] = {}
        """With their descriptors."""
        self._stepping: dict[Live, asyncio.TimerHandle] = {}
        """When each is looked at again, though nothing is heard of it."""

    def started(self, live: Live, isolate: TrustedIsolate) -> None:
        """There is a new isolate: listen to it."""
        descriptor = isolate.fileno()
        self._isolates[live] = isolate, descriptor
        self._loop.add_reader(descriptor, self._look, live)

    def ended(self, live: Live) -> None:
        """It is dead, and about to be closed. If a step of it runs, that is over."""
        self._forget(live)
        if live in self._stepping:
            self._loop.call_soon(self._look, live)

    def _forget(self, live: Live) -> None:
        if live in self._isolates:
            _, descriptor = self._isolates.pop(live)
            self._loop.remove_reader(descriptor)
            self._loop.remove_writer(descriptor)

    def submit(self, account: Account[Slices], step: Slices) -> None:
        """A step begins."""
        del account
        self._go_on(cast("Live", step))

    def _look(self, live: Live) -> None:
        if (timer := self._stepping.pop(live, None)) is not None:
            timer.cancel()
            self._go_on(live)
        elif live in self._isolates:
            self._hear(live)

    def _go_on(self, live: Live) -> None:
        over = live.go_on(0.0)
        isolate, descriptor = self._isolates.get(live, (None, -1))
        if over or isolate is None:
            if isolate is not None and isolate.state is State.DEAD:
                # Its descriptor is closed, and the next one that somebody opens may have its number.
                self._forget(live)
            self._loop.call_soon(self.over, live)
            return
        if isolate.answered:
            self._loop.remove_reader(descriptor)
            self._threads.submit(self._account, _Reading(self, live))
            return
        self._stepping[live] = self._loop.call_later(LOOK_S, self._look, live)
        if isolate.unsent:
            self._loop.add_writer(descriptor, self._look, live)
        else:
            self._loop.remove_writer(descriptor)

    def over(self, live: Live) -> None:
        """A step is over."""
        live.over()
        if live in self._isolates:
            self._answer_knock(live)

    def read(self, live: Live) -> None:
        """A long answer has been read: the step is over."""
        self.over(live)
        if live in self._isolates:
            self._loop.add_reader(self._isolates[live][1], self._look, live)

    def _hear(self, live: Live) -> None:
        isolate, descriptor = self._isolates[live]
        try:
            isolate.hears()
        except (Trap, ProtocolError):
            self._loop.remove_reader(descriptor)
            if not live.invocations:
                live.end()
                return
            isolate.knocked = True  # its next step tells
        self._answer_knock(live)

    def _answer_knock(self, live: Live) -> None:
        isolate, _ = self._isolates[live]
        if isolate.knocked and live.invocations and live not in self._stepping:
            isolate.knocked = False
            # Whoever it is for, that step will tell.
            live.due(Wake(0.0, (next(iter(live.invocations)),)))


class _Reading:
    """A long answer. Implements `threads.Slices`."""

    def __init__(self, steps: Handed, live: Live) -> None:
        self._steps, self._live = steps, live

    def go_on(self, slice_ms: float) -> bool:
        return self._live.go_on(slice_ms)

    def over(self) -> None:
        self._steps.read(self._live)
