"""Mapped images: each once, however many workers are made of the same bundle, and no longer than somebody may want it.

    image = images.get(Folder(main, root), limits)
    ...
    images.release(image)

A mapped image costs a file descriptor, some regions of address space and no memory of its own: its pages belong to the
file. So images that no worker uses stay mapped for a while, `UNUSED` of them at most, least recently used ones go.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from .bundle import Folder
from .component.children import Children
from .errors import EngineError
from .image import Image, build_image, image_name, image_prefix, image_suffix, needs_storage, open_image
from .known import Known

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from .bundle import Bundle
    from .cache import Cache
    from .engines import Engines
    from .limits import Limits
    from .slots import Slots

UNUSED: Final = 64
"""As many as the cache keeps on disk, more or less."""


@dataclass(slots=True)
class _Mapped:
    """One image and how many use it. Its lock is held while it is made, so that others wait for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    image: Image | None = None
    users: int = 0

    def close(self) -> None:
        """Let go of the mapping."""
        if self.image is not None:
            self.image.close()


class Images:
    """The images of all languages. Safe for threads; `get` takes a tenth of a second where it has to build."""

    def __init__(
        self, engines: Engines, cache: Cache, slots: Slots | None = None, unused: int = UNUSED
    ) -> None:
        self._engines, self._cache, self._slots = engines, cache, slots
        self._most_unused = unused
        self._children = Children()
        self._known = Known(cache)
        self._mapped: dict[str, _Mapped] = {}
        self._unused: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def folder(self) -> Path:
        """Where they are kept, by their names."""
        return self._cache.folder

    def __len__(self) -> int:
        return len(self._mapped)

    def get(self, source: Folder | Bundle, limits: Limits) -> Image:
        """The image of a worker's files: mapped already, known, found or built. `release` it.

        `built` and `deploy_ms` of what is returned are this caller's own. Raises `ImageError`.
        """
        began = time.perf_counter()
        image = (
            self._from_folder(source, limits) if isinstance(source, Folder) else self._built(source, limits)
        )
        return replace(image, deploy_ms=(time.perf_counter() - began) * 1000)

    def _from_folder(self, folder: Folder, limits: Limits) -> Image:
        if folder.language.is_program:
            return self._built(folder.read(), limits)
        signature, suffix = folder.signature(), image_suffix(limits)
        has_storage = folder.language.has_storage_engine and self._known.has_objects(folder, suffix)
        engine = self._engines.of(folder.language, has_storage=has_storage)
        entry = self._known.find(folder, signature, image_prefix(engine), suffix)
        if entry is not None:
            try:
                return self._hold(entry.name, lambda: open_image(engine, entry))
            except EngineError:
                pass  # it is not what it was: as if nothing were known
        image = self._built(folder.read(), limits)
        if folder.signature() == signature:
            self._known.note(folder, signature, image, suffix)
        return image

    def _built(self, bundle: Bundle, limits: Limits, *, has_storage: bool = False) -> Image:
        if bundle.language.is_program:
            return self._program(bundle)
        engine = self._engines.of(bundle.language, has_storage=has_storage)
        name = image_name(engine, bundle, limits)
        image = self._hold(name, lambda: build_image(engine, self._cache, bundle, limits))
        if has_storage or not needs_storage(image, bundle):
            return image
        self._drop(name)
        return self._built(bundle, limits, has_storage=True)

    def _program(self, bundle: Bundle) -> Image:
        from .component.image import build_program, program_name  # noqa: PLC0415 (start-up time)

        machine = self._engines.machine
        return self._hold(
            program_name(bundle), lambda: build_program(machine, self._cache, bundle, self._children)
        )

    def is_compiled(self, bundle: Bundle) -> bool:
        """Whether to `get` a program will take milliseconds, most likely: it is mapped, or cached."""
        from .component.image import is_cached, program_name  # noqa: PLC0415 (start-up time)

        name = program_name(bundle)
        mapped = self._mapped.get(name)
        return (mapped is not None and mapped.image is not None) or is_cached(self._cache, name)

    def _hold(self, name: str, make: Callable[[], Image]) -> Image:
        with self._lock:
            mapped = self._mapped.setdefault(name, _Mapped())
            mapped.users += 1
            self._unused.pop(name, None)
        try:
            with mapped.lock:
                if mapped.image is not None:
                    return replace(mapped.image, built=False)
                mapped.image = make()
                return mapped.image
        except BaseException:
            self._drop(name)
            raise

    def release(self, image: Image) -> None:
        """Its worker needs it no more. Live isolates keep what they have mapped. Harmless after `close`."""
        if self._slots is not None:
            self._slots.forget(image)  # slots are a worker's own, whoever else is made of the same bundle
        self._drop(image.name)

    def _drop(self, name: str) -> None:
        gone = []
        with self._lock:
            mapped = self._mapped.get(name)
            if mapped is None:
                return  # `close` was first
            mapped.users -= 1
            if not mapped.users:
                self._unused[name] = None
            if mapped.image is None and not mapped.users:
                del self._mapped[name], self._unused[name]  # it could not be made
            while len(self._unused) > self._most_unused:
                gone.append(self._mapped.pop(self._unused.popitem(last=False)[0]))
        for one in gone:
            one.close()

    def stop_compiling(self) -> None:
        """End the compilers of programs: whoever waits for one gets an error, at once."""
        self._children.close()

    def close(self) -> None:
        """Unmap everything, and write down what became known."""
        with self._lock:
            gone = list(self._mapped.values())
            self._mapped.clear()
            self._unused.clear()
            self._most_unused = 0  # what a deploy that was overtaken still maps goes with its release
        for one in gone:
            one.close()
        self._known.save()
