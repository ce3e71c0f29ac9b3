"""An isolate: an engine on top of an image, alive. Events go in, effects come out, nothing else happens.

    isolate = Isolate(engine, image, limits)
    events = Events(); events.init(...); events.fetch(...)
    output = isolate.step(events, budget_ms=50)

`step` is synchronous and may be called from any thread, one at a time. It raises `Trap` or `ProtocolError`, after
either of which the isolate is dead. `begin` and `go_on` are the same in slices, between which others have the thread.

Between steps it can be trimmed: `trim` gives back the memory that is as in its image. Or it can hibernate: `put_away`
writes its memory down, `hibernate` gives it back, and `wake` has to be called before the next step. All that it had is
there then, its time goes on, and its entropy is new.
"""

from __future__ import annotations

import secrets
from contextlib import closing
from time import monotonic_ns, time_ns
from typing import TYPE_CHECKING, Final

from . import cpu_clock, last_words, short
from .errors import (
    ClosedIsolate,
    CpuExhausted,
    EngineError,
    HeapError,
    IsolateError,
    MemoryExhausted,
    ProtocolError,
    Refused,
    Trap,
)
from .lifecycle import Cause, State, next_state
from .pages import PAGES
from .protocol import LONG_HEADER, Events, Output, decode_effects

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from .engine import Engine
    from .heaps import Heap, Heaps
    from .image import Image
    from .limits import Limits
    from .native import Instance
    from .pages import Run
    from .protocol import Log
    from .slots import Slots
    from .unfrozen import Running


NEAR_LIMIT: Final = 4 << 20
"""A guest that breaks down with less than this left broke down for want of memory."""
QUICK: Final = 5 << 18
"""Bytes of a heap that are read while an event loop waits: six tenths of a millisecond. A small object of a Python
worker has a megabyte."""
MAX_TRIMMED: Final = 1 << 20
"""Bytes that it may have written to for a look at each of their pages: a quarter of a millisecond."""
ENDED: Final = "this isolate has ended"
_FILLED: Final = object()
_DEAD: Final = State.DEAD
_STARVING: Final = frozenset((Trap, Refused))
"""How CPython ends when it cannot allocate where it cannot raise: it traps, or tries to say so on stderr."""


class Isolate:
    """One live isolate and its life cycle. `invocations` is how many it holds, as its owner counts them.

    With `slots` it begins on the memory of one that has ended, where there is one, and leaves its own there.
    """

    __slots__ = (
        "_answer",
        "_budget_ms",
        "_engine",
        "_handed",
        "_heap",
        "_instance",
        "_loading",
        "_short",
        "_slots",
        "_sound",
        "_stepping",
        "_trimmed",
        "_waking",
        "_wall_offset",
        "cpu_ns",
        "image",
        "invocations",
        "last_step_ms",
        "limits",
        "state",
        "steps",
    )

    def __init__(self, engine: Engine, image: Image, limits: Limits, slots: Slots | None = None) -> None:
        self.limits = limits
        self.image = image
        self.state = next_state(State.COLD, Cause.START)
        self.invocations = 0
        self.steps = 0
        self.cpu_ns = 0
        """CPU time of all steps so far."""
        self.last_step_ms = 0.0
        self._budget_ms = 0.0
        self._answer: bytes | None = None
        """What the step gave out, if reading it takes so long that it is a slice of its own: on the event loop's thread
        a step has only one."""
        self._stepping = False
        """A step has begun and not ended."""
        self._wall_offset = time_ns() - monotonic_ns()
        self._engine = engine
        self._short = short.WRITERS.get(engine.language)
        self._slots = slots if image.sources is None else None  # a slot is what an image says
        self._sound = True
        """No step of it has failed."""
        self._loading: Running | None = None
        """The top level, where it is not frozen in the image and has not run yet (`unfrozen`)."""
        self._handed: bytes | None = None
        """The events of the step that has begun, until its first slice: to hand them in is for its account, as the
        guest's allocator runs then, and that is guest code like any other."""
        self._trimmed: tuple[Run, ...] = ()
        """Pages that were given back since the last step, which may want them."""
        self._heap: tuple[Heaps, Heap] | None = None
        """What it had in memory, while it hibernates."""
        self._waking: tuple[Instance, Iterator[None]] | None = None
        """The memory that is being filled with it."""
        source = image.sources or self._slots
        instance = (source.take(image) if source is not None else None) or self._new_instance()
        self._instance: Instance | None = instance
        if self._loading is None:
            instance.seed(self._key())

    def __repr__(self) -> str:
        return f"<Isolate {self.state.value} of {self.image.name}: {self.steps} steps>"

    def _key(self) -> bytes:
        """What its random numbers are made from, from now on."""
        return secrets.token_bytes(32)

    def _untouched(self) -> Instance:
        return self.image.instance(self.limits.memory_bytes)

    def _new_instance(self) -> Instance:
        engine, image = self._engine, self.image
        instance = self._untouched()
        if hot := image.hot.runs or engine.hot.runs:
            instance.prefault(hot)
        if image.sources is not None:
            self._loading = image.sources.run(instance)
        return instance

    def now_ns(self) -> int:
        """Time as this isolate sees it: wall clock at its start, moved on by the monotonic clock. Never back."""
        return monotonic_ns() + self._wall_offset

    def move(self, cause: Cause) -> None:
        """Go on in the life cycle."""
        self.state = next_state(self.state, cause)

    def step(self, events: Events, budget_ms: float) -> Output:
        """Hand in events and run until nothing is ready. The budget is CPU time; past it, `CpuExhausted`."""
        self.begin(events, budget_ms)
        while (output := self.go_on(budget_ms)) is None:
            pass
        return output

    def begin(self, events: Events, budget_ms: float) -> None:
        """The first part of `step`: hand in events. They are worked at when `go_on` is called."""
        if self._stepping:
            raise ClosedIsolate("this isolate runs a step already, on another thread")
        self._stepping = True
        self.steps += 1
        self.last_step_ms = 0.0
        self._budget_ms = budget_ms
        try:
            self._hand_in(events)
        except BaseException as error:
            self._fail(error)
            raise

    def _hand_in(self, events: Events) -> None:
        if self._trimmed:
            self._have_back()
        written = self._short if self._loading is None else None
        self._handed = events.frame() if written is None else events.short_frame(written)

    def go_on(self, slice_ms: float) -> Output | None:
        """Run for about so long on the wall, on whatever thread. None if the step is not at its end: go on later.

        Raises `ClosedIsolate` if `end` was called meanwhile.
        """
        began = cpu_clock.begin()
        output = None
        loading = self._loading
        try:
            state = self.state
            if state is _DEAD:
                raise ClosedIsolate(ENDED)  # noqa: TRY301 - one way for all that ends a step
            output = self._advance(slice_ms)
        except BaseException as error:
            self._fail(error)
            raise
        finally:
            used = cpu_clock.used_ns(began)
            self.cpu_ns += used
            if loading is None:  # no invocation pays for the top level
                self.last_step_ms += used / 1e6
            if self.state is _DEAD and not self._stepping:
                self._release()
            elif output is not None and self.steps == 1 and self._may_learn():
                self._learn()
        if output is None and self.last_step_ms >= self._budget_ms:
            exhausted = CpuExhausted("the step used up its CPU time")
            exhausted.said = self._last_words()
            self.stop()
            raise exhausted
        return output

    def _advance(self, slice_ms: float) -> Output | None:
        """One slice of the step. Returns what it gave out if it is over."""
        if (instance := self._instance) is None:
            raise ClosedIsolate(ENDED)
        if self._loading is not None:
            if self._loading.go_on(slice_ms) is not None:
                self._loading = None  # as when it was tried; only now there is entropy, and what it may use
                instance.seed(self._key())
            return None
        if self._handed is not None:
            handed, self._handed = self._handed, None
            self._begin_step(instance, handed)
        if self._answer is not None:
            return self._read(cpu_clock.let_others)
        left_ms = self._budget_ms - self.last_step_ms
        if not instance.go_on(slice_ms if slice_ms < left_ms else left_ms):
            return None
        self._answer = answer = instance.answer("step", self.limits.output_bytes)
        if len(answer) > LONG_HEADER and int.from_bytes(answer[:4], "little") > LONG_HEADER:
            return None
        return self._read()

    def _begin_step(self, instance: Instance, handed: bytes) -> None:
        """Hand in what its guest is told in this step."""
        instance.begin("step", self.now_ns(), handed)

    def _read(self, let_others: Callable[[], object] | None = None) -> Output:
        answer, self._answer = self._answer, None
        assert answer is not None
        output = decode_effects(answer, self.limits, let_others)
        self._stepping = False
        return output

    def stop(self) -> None:
        """Break off the step that has begun and is not running; the isolate has ended then. Harmless without one."""
        self._sound = self._sound and not self._stepping
        self._stepping, self._answer, self._handed = False, None, None
        self.end()

    def _last_words(self) -> Sequence[Log]:
        """What it has logged in the step that has begun, and that nobody has heard of."""
        instance = self._instance
        if instance is None or self._loading is not None:
            return ()
        return last_words.read(instance, self._engine.words, self.limits)

    def _fail(self, error: BaseException) -> None:
        if isinstance(error, Trap) and self._stepping and not error.said:
            error.said = self._last_words()
        starved = (
            isinstance(error, Trap | ProtocolError)
            and not self.hibernates
            and is_starved(error, self.memory_size, self.limits)
        )
        self.stop()
        if starved:
            exhausted = MemoryExhausted("the guest could not go on without more memory")
            exhausted.said = error.said if isinstance(error, Trap) else ()
            raise exhausted from None

    @property
    def memory_size(self) -> int:
        """Size of its linear memory in bytes, most of it shared with its image."""
        return self._heap[1].memory_size if self._heap is not None else self._live().memory_size

    @property
    def growth(self) -> int:
        """Bytes by which its memory had grown since the image when it last ran: private without doubt."""
        instance = self._instance
        size = instance.size if instance is not None else self.memory_size
        grown = size - self.image.memory_size
        return grown if grown > 0 else 0

    def memory(self) -> bytes:
        """A copy of its heap."""
        return self._live().memory()

    # trimming --------------------------------------------------------------------------------------------------------

    def trim(self) -> int:
        """Give back the pages that have again what the image says, for which this takes a quarter of a millisecond;
        its next step begins with getting them at once. Returns the bytes that it takes less.

        Between two steps, by whoever steps it. Where the system cannot tell which pages are its own, there are none.
        """
        if self._stepping or self._loading is not None:
            raise ClosedIsolate("this isolate is not between two steps")
        instance = self._live()
        try:
            with closing(self._untouched()) as untouched:
                back = instance.trim(untouched, MAX_TRIMMED)
        except (IsolateError, OSError):  # no room for one more mapping, perhaps
            return 0
        self._trimmed += back
        return sum(end - start for start, end in back)

    def _have_back(self) -> None:
        runs, self._trimmed = self._trimmed, ()
        self._live().prefault(runs)

    # hibernating -----------------------------------------------------------------------------------------------------

    @property
    def hibernates(self) -> bool:
        """Whether it has to `wake` before its next step."""
        return self._heap is not None

    def put_away(self, heaps: Heaps) -> Heap:
        """Write down what it has in memory; between two steps, on whatever thread, and it may block on the disk.

        The isolate may go on as if nothing had been, if the heap is dropped; or `hibernate`. Raises `HeapError`, and it
        may go on as well; or `Trap`.
        """
        if self._stepping or self._loading is not None or not self.steps:
            raise ClosedIsolate("this isolate is not between two steps")
        instance = self._live()
        self._stepping = True
        try:
            instance.finish("step")
            if not instance.at_rest():
                raise HeapError("the isolate is not at rest")
            runs = self._own_pages(instance)
            return heaps.put(instance.memory_size, runs, instance.views(runs))
        except Trap as error:
            self._fail(error)
            raise
        finally:
            self._stepping = False

    def _own_pages(self, instance: Instance) -> list[Run]:
        if PAGES is not None:
            return instance.own(None)
        untouched = self._untouched()
        try:
            return instance.own(untouched)
        finally:
            untouched.close()

    def hibernate(self, heaps: Heaps, heap: Heap) -> Instance:
        """Do without its memory, which is in this heap; no step has begun since it was put there. Returns what has to
        be closed, on whatever thread: that takes a tenth of a millisecond, and longer if the memory is large.
        """
        self.move(Cause.HIBERNATE)
        instance, self._instance = self._live(), None
        self._heap, self._trimmed = (heaps, heap), ()
        return instance

    def wake(self, *, wait: bool = True) -> bool:
        """Have the memory back. Returns whether it has: if not, go on later, on whatever thread. Without `wait` nothing
        is done that has to wait for the disk, or takes long.

        Raises `HeapError` if it cannot be had back; the isolate is dead then.
        """
        if self._heap is None:
            return True
        heaps, heap = self._heap
        if not wait and (heap.size > QUICK or self._waking is not None):
            return False
        try:
            instance, filling = self._waking or self._begin_to_wake(heaps, heap)
            self._waking = instance, filling
            if wait and next(filling, _FILLED) is not _FILLED:
                return False
            if not wait and not heaps.fill_now(heap, instance.views(heap.runs)):
                return False
            instance.seed(self._key())
        except (HeapError, Trap, EngineError) as error:
            self._fail(error)
            raise HeapError(f"its memory cannot be had back: {error}") from error
        self._instance, self._heap, self._waking = instance, None, None
        heaps.drop(heap)
        self.move(Cause.WAKE)
        return True

    def _begin_to_wake(self, heaps: Heaps, heap: Heap) -> tuple[Instance, Iterator[None]]:
        instance = self._untouched()
        try:
            instance.grow(heap.memory_size)
        except BaseException:
            instance.close()
            raise
        return instance, heaps.fill(heap, instance.views(heap.runs))

    # the end ---------------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Give its memory back: at once, or with the next `go_on` of the step that has begun. Harmless when called
        again."""
        self.state = next_state(self.state, Cause.END)
        if not self._stepping:
            self._release()

    def _release(self) -> None:
        if self._heap is not None:
            heaps, heap = self._heap
            self._heap = None
            heaps.drop(heap)
        if self._waking is not None:
            self._waking[0].close()
            self._waking = None
        instance, self._instance = self._instance, None
        if instance is None:
            return
        if self._slots is not None and self._sound and self.steps:
            self._slots.give(self.image, self.limits, instance)
        else:
            instance.close()

    def _live(self) -> Instance:
        if self._instance is None:
            raise ClosedIsolate(ENDED)
        return self._instance

    def _may_learn(self) -> bool:
        # What a top level writes to is not what first steps of other images do.
        return self.image.hot.runs is None and self.image.sources is None

    def _learn(self) -> None:
        """The first step of the first isolate of an image: what it wrote to, others will write to as well."""
        found = self._live().written()
        if found is not None:
            self.image.hot.learn(found)
            self._engine.hot.learn(found)


def is_starved(error: Exception, memory: int, limits: Limits) -> bool:
    """Whether a guest with so much memory (bytes) broke down because it got no more."""
    return type(error) in _STARVING and memory > limits.memory_bytes - NEAR_LIMIT
