"""A program as an isolate: the same life, the same steps, the same events and effects as that of any other language.

A step runs the program until it is over, or until it waits for something that only an event or time can bring. Then
the step is over and the program's native stack stays where it is; the next step goes on in the middle of the call.

An isolate holds one invocation in its life: WASI says that each request has an instance of its own.
"""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.errors import HeapError
from pyworkerd_isolates.isolate import Isolate

from .host import Exit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_isolates.heaps import Heap, Heaps
    from pyworkerd_isolates.limits import Limits
    from pyworkerd_isolates.protocol import Events, Log, Output
    from pyworkerd_isolates.slots import Slots

    from .image import ProgramImage
    from .instance import ProgramInstance

_SPARE_S: Final = 0.002
"""How much longer than its slice a program that asks all the time may run: as long as one that computes."""


class ProgramIsolate(Isolate):
    """One instance of a program."""

    __slots__ = ("_ended", "_host", "_program", "_runs", "_written")

    def __init__(self, image: ProgramImage, limits: Limits, slots: Slots | None = None) -> None:
        super().__init__(image.engine, image, limits, slots)
        self._program: ProgramInstance = self._live()  # type: ignore[assignment]  # what its image makes
        self._host = image.host(self._program, limits)
        self._runs = False
        """It can go on: it does not wait for an answer."""
        self._ended = False
        """The program is over: what still comes is for nobody."""
        self._written = 0
        """Bytes of its memory that were its own when it last began to wait."""

    def _hand_in(self, events: Events) -> None:
        self._live()  # its memory may be another's by now
        host, program = self._host, self._program
        host.now_ns = self.now_ns()
        begun = host.happened(*events.parts())
        if begun is not None:
            program.start(host.now_ns, *begun)
            self._runs, self._sound = True, False
        elif (answer := host.look_again()) is not None:
            program.answer_with(answer)
            self._runs = True

    def _advance(self, slice_ms: float) -> Output | None:
        host, program = self._host, self._program
        if self._runs and not host.cancelled:
            until = monotonic() + slice_ms / 1e3 + _SPARE_S
            try:
                state = program.run(min(slice_ms, self._budget_ms - self.last_step_ms), host.ask, until)
            except Exit:
                return self._over()
            if state == "over":
                self._sound = True  # it is in no call any more: its memory can be used again
                return self._over()
            if state == "paused":
                return None
            self._runs = False
        if (host.cancelled or host.refused) and not self._ended:
            return self._over()
        if not self._ended:
            runs = program.written()
            self._written = self.memory_size if runs is None else sum(end - start for start, end in runs)
        self._stepping = False
        return host.output(over=False)

    def _last_words(self) -> Sequence[Log]:
        """See `Isolate`: a panic says why before it traps. The host has it already."""
        return self._host.last_words()

    def _over(self) -> Output:
        self._runs = self._stepping = False
        self._ended = True
        self._program.abandon()
        return self._host.output(over=True)

    @property
    def growth(self) -> int:
        """What it holds while it waits. A program begins with as much memory as its file says, which costs nothing
        before it is written to: no other measure than the kernel's would be both just and safe.
        """
        return self._written

    def put_away(self, heaps: Heaps) -> Heap:
        """A native stack cannot be written down. Raises `HeapError`."""
        del heaps
        raise HeapError("a component does not hibernate")
