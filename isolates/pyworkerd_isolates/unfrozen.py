"""Workers that run from their sources, without an image of their own.

    loading = Loading(engine, load_frame(bundle), limits)
    while (image := loading.go_on(slice_ms)) is None: ...

To freeze a heap takes a tenth of a second and 28 MB of disk, which pays for a worker that lives. One that is made up at
run time, asked twice and forgotten is better off without: its isolates begin on the engine's own base image and run the
top level themselves, under the same rules (no entropy, no binding, `limits.startup_ms`). That takes some milliseconds
for each of them. The isolate in which the top level was tried is kept, and becomes the first one.
"""

from __future__ import annotations

import hashlib
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from .cpu_clock import charged_s
from .errors import CpuExhausted
from .image import LOAD_OUTPUT_BYTES, Image, explained, notes_of, read_answer, start

if TYPE_CHECKING:
    from .engine import Engine
    from .limits import Limits
    from .native import Instance

KEPT_GROWTH: Final = 4 << 20
"""An isolate whose top level took more memory than this is not kept for later: nobody accounts for it meanwhile."""


class Sources:
    """What each isolate of such a worker has to run first. Safe for threads."""

    def __init__(self, frame: bytes, limits: Limits) -> None:
        self.frame = frame
        self._limits = limits
        self._ready: Instance | None = None
        self._lock = threading.Lock()

    def keep(self, instance: Instance | None) -> None:
        """Have this instance, in which the top level has run, for the next isolate; None: have none."""
        with self._lock:
            before, self._ready = self._ready, instance
        if before is not None:
            before.close()

    def take(self, image: Image) -> Instance | None:  # noqa: ARG002 (as `Slots.take`, which has many images)
        """The instance that was kept, still to be seeded; None if there is none."""
        with self._lock:
            kept, self._ready = self._ready, None
        return kept

    def run(self, instance: Instance) -> Running:
        """Run the top level in another instance, which is new."""
        return Running(instance, self.frame, self._limits)


class Running:
    """A top level that runs, in slices."""

    def __init__(self, instance: Instance, frame: bytes, limits: Limits) -> None:
        self.instance = instance
        self._limits = limits
        self._left_ms = float(limits.startup_ms)
        with explained(instance, limits):
            instance.begin("load", time.time_ns(), frame)

    def go_on(self, slice_ms: float) -> list[object] | None:
        """Run for about so long, on whatever thread. What `load` answered, unread; None if it is not over.

        Raises an `ImageError`; the instance is for the caller to close.
        """
        began = charged_s()
        instance = self.instance
        with explained(instance, self._limits):
            over = instance.go_on(min(slice_ms, self._left_ms))
            self._left_ms -= (charged_s() - began) * 1e3
            if over:
                answer = read_answer(instance.answer("load", LOAD_OUTPUT_BYTES))
                instance.finish("load")
                return answer
            if self._left_ms <= 0:
                raise CpuExhausted("the top level used up its CPU time")
        return None


class Loading:
    """A worker that is loaded from its sources, in slices. `close` it unless it has ended with an image or an error."""

    def __init__(self, engine: Engine, frame: bytes, limits: Limits) -> None:
        self._began = time.perf_counter()
        self._engine, self._limits = engine, limits
        self._sources = Sources(frame, limits)
        self._running: Running | None = None

    def go_on(self, slice_ms: float) -> Image | None:
        """Run for about so long, on whatever thread. The image, once its top level is over. Raises `ImageError`."""
        try:
            if self._running is None:
                instance = start(self._engine, self._engine.base(), self._limits)
                try:
                    self._running = self._sources.run(instance)
                except BaseException:
                    instance.close()
                    raise
            answer = self._running.go_on(slice_ms)
            if answer is None:
                return None
            notes = notes_of(answer)
        except BaseException:
            self.close()
            raise
        return self._image(self._running.instance, notes)

    def _image(self, instance: Instance, notes: dict[str, Any]) -> Image:
        base = self._engine.base_memory
        if instance.memory_size - base > KEPT_GROWTH:
            instance.close()
        else:
            self._sources.keep(instance)
        return Image(
            name=f"unfrozen-{hashlib.sha256(self._sources.frame).hexdigest()[:32]}",
            engine=self._engine,
            module=self._engine.base(),
            memory_size=base,
            handlers={key: tuple(names) for key, names in notes["handlers"].items()},
            objects={key: tuple(names) for key, names in notes["objects"].items()},
            logs=tuple((level, source, text) for level, source, text in notes["logs"]),
            deploy_ms=(time.perf_counter() - self._began) * 1000,
            sources=self._sources,
        )

    def close(self) -> None:
        """Break it off."""
        running, self._running = self._running, None
        if running is not None:
            running.instance.close()
