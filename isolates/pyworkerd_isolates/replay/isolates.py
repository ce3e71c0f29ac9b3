"""Isolates that are recorded, and isolates that are run again from what was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.errors import CpuExhausted, IsolateError, MemoryExhausted, ProtocolError, Trap
from pyworkerd_isolates.events import Events
from pyworkerd_isolates.isolate import Isolate

from .recording import MAX_STEPS, STEPS_BYTES, Step

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.limits import Limits
    from pyworkerd_isolates.native import Instance
    from pyworkerd_isolates.protocol import Output

SLICE_MS: Final = 100.0
"""After so long somebody who wants to stop a replay is heard."""


class Tape:
    """What is kept of an isolate while it lives: its steps, as many and as large as fit.

    One thread at a time writes to it, the one that steps the isolate.
    """

    __slots__ = ("_left", "complete", "key", "steps")

    def __init__(self, most: int = STEPS_BYTES) -> None:
        self.key = b""
        self.steps: list[Step] = []
        self.complete = True
        """Whether everything found room."""
        self._left = most

    @property
    def size(self) -> int:
        """Bytes that it holds."""
        return sum(step.size for step in self.steps)

    def begins(self, now_ns: int, events: bytes) -> None:
        """A step begins."""
        self._left -= len(events)
        if not self.complete or self._left < 0 or len(self.steps) == MAX_STEPS:
            self.complete = False
            return
        self.steps.append(Step(now_ns, events, None))

    def ends(self, answer: bytes) -> None:
        """It gave this out."""
        self._left -= len(answer)
        if self.complete and self._left < 0:
            self.complete = False
            self.steps.pop()
        elif self.complete:
            self.steps[-1] = self.steps[-1]._replace(answer=answer)

    def fails(self, error: BaseException) -> None:
        """It ended the isolate."""
        if self.complete and self.steps and self.steps[-1].failure is None:
            self.steps[-1] = self.steps[-1]._replace(failure=failure_of(error))


class RecordedIsolate(Isolate):
    """An isolate that writes down on a tape what it is handed and what it gives out."""

    __slots__ = ("_tape",)

    def __init__(self, image: Image, limits: Limits, tape: Tape) -> None:
        self._tape = tape
        super().__init__(image.engine, image, limits)
        self._short = None  # what is kept is events as JSON

    def _key(self) -> bytes:
        self._tape.key = key = super()._key()
        return key

    def _begin_step(self, instance: Instance, handed: bytes) -> None:
        now_ns = self.now_ns()
        self._tape.begins(now_ns, handed)
        instance.begin("step", now_ns, handed)

    def go_on(self, slice_ms: float) -> Output | None:
        """See `Isolate.go_on`."""
        try:
            return super().go_on(slice_ms)
        except CpuExhausted as error:
            self._tape.fails(error)
            raise

    def _read(self, let_others: Callable[[], object] | None = None) -> Output:
        assert self._answer is not None
        self._tape.ends(self._answer)
        return super()._read(let_others)

    def _fail(self, error: BaseException) -> None:
        try:
            super()._fail(error)
        except MemoryExhausted as starved:
            self._tape.fails(starved)
            raise
        self._tape.fails(error)


class ReplayedIsolate(Isolate):
    """An isolate whose clock and random numbers are those of another one."""

    __slots__ = ("_given", "_now_ns", "_raw")

    def __init__(self, image: Image, limits: Limits, key: bytes) -> None:
        self._given, self._now_ns = key, 0
        self._raw: bytes | None = None
        super().__init__(image.engine, image, limits)

    def _key(self) -> bytes:
        return self._given

    def now_ns(self) -> int:
        """Time as it was."""
        return self._now_ns

    def again(self, step: Step, budget_ms: float) -> Step:
        """Run a step once more. Returns it with what came out this time; after a failure the isolate is dead."""
        self._now_ns, self._raw = step.now_ns, None
        failure = None
        try:
            self.begin(_Recorded(step.events), budget_ms)
            while self.go_on(min(SLICE_MS, budget_ms)) is None:
                pass
        except (Trap, ProtocolError) as error:
            failure = failure_of(error)
        return step._replace(answer=self._raw, failure=failure)

    def _read(self, let_others: Callable[[], object] | None = None) -> Output:
        self._raw = self._answer
        return super()._read(let_others)


class _Recorded(Events):
    """A batch of events, as it was written down."""

    __slots__ = ("_frame",)

    def __init__(self, frame: bytes) -> None:
        super().__init__()
        self._frame = frame

    def frame(self) -> bytes:
        return self._frame


def failure_of(error: BaseException) -> tuple[str, str]:
    """An error as a recording names it."""
    return type(error).__name__, str(error) if isinstance(error, IsolateError) else ""
