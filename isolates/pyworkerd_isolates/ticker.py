"""The clock by which guest code pauses: epochs of a millisecond, counted while there is guest code that runs."""

from __future__ import annotations

import threading
from time import monotonic_ns, sleep
from typing import TYPE_CHECKING, Final

from .errors import ClosedIsolate

if TYPE_CHECKING:
    from collections.abc import Callable

TICK_NS: Final = 1_000_000
"""Length of one epoch: how precisely a slice is kept. Spin and wasmtime's own `serve` tick at 1 to 10 ms."""
MAX_LATE: Final = 20
"""Epochs that are made up for when the ticker comes late. What is lost beyond, of a process that was stopped say, only
makes slices longer."""
STRIDE: Final = 3
"""Epochs that pass at once while every step is over within them: as many as the shortest deadline has, and each look
at the clock takes the interpreter's lock from the event loop's thread."""
PARK_AFTER_NS: Final = 1_000_000_000


class Ticker:
    """Advances the epoch once per millisecond while a step runs on, less often while steps are short, and rests when
    none runs.

    A deadline is a number of epochs, which are time on the wall. What a step may use in all is CPU time, counted when a
    slice of it is over: on a crowded machine it pauses more often, and loses nothing.

    `ticks_for` counts from the real time of the last tick, so a tick that comes late shortens no slice that began in
    between.
    """

    def __init__(self, advance: Callable[[], object], park_after_ns: int = PARK_AFTER_NS) -> None:
        self.running: dict[int, int] = {}
        """Instances whose guest code runs at this moment, each with what `steps` was when that began: the ticker does
        not rest while there are any."""
        self.steps = 0
        """How often guest code was about to run. Whoever counts looks at `parked` afterwards, never before."""
        self._tick = advance
        self._park_after_ns = park_after_ns
        self.wall = monotonic_ns()
        """When the last epoch began; monotonic, nanoseconds."""
        self.parked = True
        """It rests: until `unpark` is called no deadline is ever reached."""
        self._wake = threading.Event()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def ticks_for(self, slice_ms: float) -> int:
        """How many epochs beyond the current one a call may see that has so long. Called before each call."""
        self.steps += 1
        if self.parked:
            self.unpark()
        late = (monotonic_ns() - self.wall) // TICK_NS
        return int(slice_ms) + 2 + (late if late < MAX_LATE else MAX_LATE)

    def unpark(self) -> None:
        """Go on. Harmless when it does. Raises `ClosedIsolate` after `close`."""
        with self._lock:
            if self._closed:
                raise ClosedIsolate("this machine is closed")
            if not self.parked:
                return
            self.wall = monotonic_ns()
            self.parked = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="pyworkerd-ticker", daemon=True)
                self._thread.start()
            else:
                self._wake.set()

    def _run(self) -> None:
        seen, quiet_since = self.steps, self.wall
        ran: dict[int, int] = {}
        while not self._closed:
            # A copy, taken at once: others change it meanwhile, and a ticker that fails lets every guest run on.
            before, ran = ran, self.running.copy()
            running_on = before.items() & ran.items()
            sleep((TICK_NS if running_on else STRIDE * TICK_NS) / 1e9)
            now = self._advance()
            if self.steps != seen or self.running:
                seen, quiet_since = self.steps, now
            elif now - quiet_since > self._park_after_ns:
                self._park(seen)
                seen, quiet_since = self.steps, self.wall

    def _advance(self) -> int:
        now = monotonic_ns()
        passed = (now - self.wall) // TICK_NS
        for _ in range(min(passed, MAX_LATE)):
            self._tick()
        self.wall += passed * TICK_NS
        return now

    def _park(self, seen: int) -> None:
        """Rest until a step begins. One that began since the last look has counted itself before it read `parked`."""
        with self._lock:
            self._wake.clear()
            self.parked = True
            if self.steps != seen or self.running or self._closed:
                self.parked = False
                return
        self._wake.wait()

    def close(self) -> None:
        """End the ticking thread. No step may follow."""
        with self._lock:
            self._closed = True
            self._wake.set()
            thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
