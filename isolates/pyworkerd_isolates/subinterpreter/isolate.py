"""An isolate that is a subinterpreter: events go in and effects come out as with the sandbox, but anything else may
happen as well.

`begin` and `go_on` never block without a slice: a step runs on the interpreter's own thread whether anybody waits for
it or not, and `go_on` looks whether it is over. Its CPU time is looked at as often, and past its budget the isolate is
given up; its code is told to stop, and does so or not.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NoReturn

from pyworkerd_isolates.cpu_clock import let_others
from pyworkerd_isolates.errors import ClosedIsolate, CpuExhausted, HeapError, TopLevelTooSlow, Trap
from pyworkerd_isolates.image import LOAD_OUTPUT_BYTES, notes_of, read_answer
from pyworkerd_isolates.lifecycle import Cause, State, next_state
from pyworkerd_isolates.protocol import LONG_HEADER, Events, Output, decode_effects

if TYPE_CHECKING:
    from typing import Any

    from pyworkerd_isolates.heaps import Heap, Heaps
    from pyworkerd_isolates.limits import Limits
    from pyworkerd_isolates.native import Instance

    from .running import Running


class TrustedIsolate:
    """Implements `kinds.AnyIsolate`. Used from one thread at a time."""

    __slots__ = (
        "_answer",
        "_began_ns",
        "_budget_ms",
        "_loading",
        "_running",
        "_stepping",
        "knocked",
        "last_step_ms",
        "limits",
        "notes",
        "state",
        "steps",
    )

    growth = 0
    hibernates = False

    def __init__(self, running: Running, limits: Limits) -> None:
        self.limits = limits
        self.state = next_state(State.COLD, Cause.START)
        self.steps = 0
        self.last_step_ms = 0.0
        self.notes: dict[str, Any] = {}
        """What there is to know of the worker, once its top level has run."""
        self.knocked = False
        """Something is ready inside that no event has caused: it wants a step."""
        self._running = running
        self._loading = True
        self._stepping = False
        self._answer: bytes | None = None
        """What the step gave out, if it takes long to read."""
        self._budget_ms = 0.0
        self._began_ns = running.cpu_ns()

    def __repr__(self) -> str:
        return f"<TrustedIsolate {self.state.value}: {self.steps} steps>"

    def now_ns(self) -> int:
        """The time of its event loop: a subinterpreter has the clocks of its process."""
        return time.monotonic_ns()

    def fileno(self) -> int:
        """Readable when `go_on` or `hears` may have something new."""
        return self._running.link.fileno()

    @property
    def unsent(self) -> bool:
        """Whether `go_on` has to be called again when `fileno` is writable."""
        return self._running.link.unsent

    @property
    def answered(self) -> bool:
        """Whether the step is over, but for an answer that takes long to read: in the next `go_on`."""
        return self._answer is not None

    def load(self, slice_ms: float) -> bool:
        """Wait about so long for the end of the top level. Returns whether it has come; `notes` say what it exports.

        Raises an `ImageError`. No step may have begun.
        """
        self._running.link.wait(slice_ms / 1e3)
        try:
            return self._load()
        except BaseException:
            self.give_up()
            raise

    def give_up(self) -> None:
        """End it, whatever it does just now."""
        self._stepping = True
        self.stop()

    def _load(self) -> bool:
        answer = self._receive(LOAD_OUTPUT_BYTES)
        if answer is not None:
            self.notes = notes_of(read_answer(answer))
            self._loading = False
            self._began_ns = self._running.cpu_ns()
            return True
        if self._used_ms() > self.limits.startup_ms:
            raise TopLevelTooSlow(
                f"the worker's top level used more than {self.limits.startup_ms} ms of CPU time "
                "(limits.startup_ms); move work into a handler, or raise the limit"
            )
        return False

    def begin(self, events: Events, budget_ms: float) -> None:
        """Hand in events. The budget is CPU time of the interpreter's thread."""
        if self._stepping:
            raise ClosedIsolate("this isolate runs a step already")
        self._check_life()
        self._stepping = True
        self.steps += 1
        self.last_step_ms, self._budget_ms = 0.0, budget_ms
        self._began_ns = self._running.cpu_ns()
        try:
            self._running.link.send(events.short_frame())
        except Trap:
            self._fail()

    def go_on(self, slice_ms: float) -> Output | None:
        """Wait about so long for the end of the step. None if it has not come: go on later.

        Raises `Trap`, `ProtocolError` or, if its top level fails, an `ImageError`; the isolate is dead then.
        """
        try:
            return self._go_on(slice_ms)
        except BaseException:
            self.stop()
            raise

    def _go_on(self, slice_ms: float) -> Output | None:
        self._check_life()
        if self._answer is not None:
            return self._read()
        self._running.link.flush()
        if slice_ms:
            self._running.link.wait(slice_ms / 1e3)
        if self._loading and not self._load():
            return None
        answer = self._receive(self.limits.output_bytes)
        self.last_step_ms = max(self._used_ms(), self.last_step_ms)
        if answer is None:
            if self.last_step_ms >= self._budget_ms:
                raise CpuExhausted("the step used up its CPU time")
            return None
        self._answer = answer
        if len(answer) > LONG_HEADER and int.from_bytes(answer[:4], "little") > LONG_HEADER:
            return None
        return self._read()

    def hears(self) -> None:
        """Between steps: look whether there was a knock. Raises `Trap` if it has ended by itself."""
        if not self._stepping and self._receive(0) is not None:
            self._fail()  # nothing else is to be said between steps

    def _receive(self, most: int) -> bytes | None:
        try:
            while (frame := self._running.link.receive(most)) == b"":
                self.knocked = True
        except Trap:
            self._fail()
        return frame

    def _read(self) -> Output:
        answer, self._answer = self._answer, None
        assert answer is not None
        output = decode_effects(answer, self.limits, let_others)
        self._stepping = False
        return output

    def _used_ms(self) -> float:
        return (self._running.cpu_ns() - self._began_ns) / 1e6

    def _check_life(self) -> None:
        if self.state is State.DEAD:
            raise ClosedIsolate("this isolate has ended")

    def _fail(self) -> NoReturn:
        reason = self._running.failure.strip().rpartition("\n")[2]  # the rest names files of the host
        raise Trap(f"the isolate's interpreter has ended: {reason}" if reason else "the isolate has ended")

    def stop(self) -> None:
        """Give up the step that has begun; the isolate has ended then. What runs is told to end."""
        self.state = next_state(self.state, Cause.END)
        if self._stepping:
            self._stepping, self._answer = False, None
            self._running.break_off()
        else:
            self._running.close()

    def end(self) -> None:
        """Let its interpreter end: at once, or with the next `go_on` of the step that has begun."""
        self.state = next_state(self.state, Cause.END)
        if not self._stepping:
            self._running.close()

    # what its kind cannot do -----------------------------------------------------------------------------------------

    def wake(self, *, wait: bool = True) -> bool:
        """It never hibernates."""
        del wait
        return True

    def trim(self) -> int:
        """Its memory is the process's: nothing of it can be told apart."""
        return 0

    def put_away(self, heaps: Heaps) -> Heap:
        """Nobody but the interpreter knows what is in its memory. Raises `HeapError`."""
        del heaps
        raise HeapError("a subinterpreter cannot hibernate")

    def hibernate(self, heaps: Heaps, heap: Heap) -> Instance:
        """Never called, since nothing was put away."""
        del heaps, heap
        raise ClosedIsolate("a subinterpreter cannot hibernate")
