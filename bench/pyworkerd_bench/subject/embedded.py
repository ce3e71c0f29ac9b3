"""pyworkerd without a server: one engine in this process, images and isolates made from it by hand."""

from __future__ import annotations

import itertools
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from pyworkerd_isolates.cache import Cache
from pyworkerd_isolates.engine import load_engine
from pyworkerd_isolates.errors import CpuExhausted, IsolateError
from pyworkerd_isolates.image import build_image, load_frame
from pyworkerd_isolates.isolate import Isolate
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.native import Machine
from pyworkerd_isolates.protocol import Events, Respond
from pyworkerd_isolates.slots import Slots
from pyworkerd_isolates.unfrozen import Loading

from pyworkerd_bench.errors import BenchError

from .hello import CPU_MS
from .programs import PYTHON

if TYPE_CHECKING:
    from pyworkerd_isolates.engine import Engine
    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.languages import Language
    from pyworkerd_isolates.protocol import Output

    from .programs import Program


def open_engine(language: Language) -> tuple[Machine, Cache, Engine]:
    """What an isolate needs besides its image. Builds a language's engine if the user's cache lacks it (10 s)."""
    machine, cache = Machine(), Cache()
    try:
        return machine, cache, load_engine(machine, cache, language.source())
    except IsolateError as error:
        machine.close()
        raise BenchError(f"the engine does not load: {error}") from error


def first_events() -> Events:
    """What a server hands a new isolate for its first request: no bindings, one GET."""
    events = Events()
    events.init([], {})
    events.fetch(1, None, {}, "GET", "http://bench.test/", (("host", "bench.test"),), None)
    return events


def must_say_hello(output: Output) -> None:
    """Raises BenchError if a step did not answer as hello does: a fast wrong answer is no figure."""
    answers = [effect for effect in output.effects if isinstance(effect, Respond)]
    if [(answer.status, answer.body) for answer in answers] != [(200, b"hello")]:
        raise BenchError(f"the isolate did not answer hello: {output.effects!r:.300}")


class Embedded:
    """The isolates' figures of a program. Every method is one measurement, in seconds."""

    def __init__(self, program: Program = PYTHON) -> None:
        self._program = program
        self._machine, self._cache, self._engine = open_engine(program.bundle(program.hello).language)
        self._limits = Limits(cpu_ms=CPU_MS)
        self._slots = Slots()
        self._hello = self._image(program, program.hello)
        self._loop = self._image(program, program.loop)
        self._versions = itertools.count(time.time_ns())
        self.first_step()  # from which the image knows what first steps write to

    def deploy(self, program: Program | None = None) -> float:
        """A version of hello that the cache has never seen: sources to image. It leaves the cache as it was.

        Another `program` has to be one that the same engine runs.
        """
        program = program or self._program
        version = program.version(next(self._versions))
        began = time.perf_counter()
        image = self._image(program, version)
        seconds = time.perf_counter() - began
        built = image.built
        image.close()
        for path in self._cache.folder.glob(f"{image.name}*"):
            path.unlink(missing_ok=True)
        if not built:
            raise BenchError("the image was not built: the cache knew it")
        return seconds

    def start(self) -> float:
        """Image to live isolate."""
        began = time.perf_counter()
        isolate = Isolate(self._engine, self._hello, self._limits)
        seconds = time.perf_counter() - began
        isolate.end()
        return seconds

    def first_step(self) -> float:
        """Image to the effects of the first step, decoded. Its end is not part of it, as with the peers."""
        return self._first_step(None)

    def slot_step(self) -> float:
        """The same, with a slot where an ended isolate left one: the first time there is none."""
        return self._first_step(self._slots)

    def _first_step(self, slots: Slots | None) -> float:
        began = time.perf_counter()
        isolate = Isolate(self._engine, self._hello, self._limits, slots)
        output = isolate.step(first_events(), CPU_MS)
        seconds = time.perf_counter() - began
        isolate.end()
        must_say_hello(output)
        return seconds

    def new_source(self) -> float:
        """A version of hello that nobody has seen: sources to the effects of the first step, without an image."""
        bundle = self._program.bundle(self._program.version(next(self._versions)))
        began = time.perf_counter()
        loading = Loading(self._engine, load_frame(bundle), self._limits)
        while (image := loading.go_on(CPU_MS)) is None:
            pass
        isolate = Isolate(self._engine, image, self._limits)
        output = isolate.step(first_events(), CPU_MS)
        seconds = time.perf_counter() - began
        isolate.end()
        must_say_hello(output)
        return seconds

    def runaway(self) -> float:
        """CPU seconds that an endless loop gets past its limit: on a busy machine its wall time says little."""
        isolate = Isolate(self._engine, self._loop, self._limits)
        events = first_events()
        began = time.thread_time()
        try:
            isolate.step(events, CPU_MS)
        except CpuExhausted:
            return time.thread_time() - began - CPU_MS / 1e3
        finally:
            isolate.end()
        raise BenchError("an endless loop ended by itself")

    def _image(self, program: Program, source: str) -> Image:
        return build_image(self._engine, self._cache, program.bundle(source), self._limits)

    def close(self) -> None:
        """Let go of the engine."""
        self._slots.forget(self._hello)
        self._hello.close()
        self._loop.close()
        self._engine.close()
        self._machine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(IsolateError):
            self.close()
