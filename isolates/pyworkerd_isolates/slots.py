"""Slots: memories that stay mapped when their isolate ends, put back to what their image says.

To start an isolate is to map its image and to copy the pages that it writes to, most of which every isolate of the
image writes to. Where isolates come and go (`reuse = "request"`) an ended one leaves its instance here. What it wrote
to is overwritten from an instance that never ran, its globals get their first values, and the next isolate of the same
image begins with a new key on pages that are there already. This is what the pooling allocators of WebAssembly engines
do, except that only pages that were written to are looked at.

Nothing is left of the isolate before: the kernel names the pages that are no longer the image's, all of them; memories
that have grown, that hold too much, or whose isolate ended by a trap are not kept. A slot only serves its own image.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from .errors import Trap
from .pages import PAGES

if TYPE_CHECKING:
    from .image import Image
    from .limits import Limits
    from .native import Instance

CAPACITY: Final = 64
"""Slots of one process: twice the connections that keep one core busy (`pyworkerd bench`)."""
MAX_BYTES: Final = 1 << 20
"""What an isolate may have written to for its slot to be kept: so all slots together hold 64 MiB at most."""


@dataclass(slots=True)
class _Shelf:
    """The slots of one image, from the first isolate that asked for one until the image is closed."""

    untouched: Instance | None = None
    instances: list[Instance] = field(default_factory=list)


class Slots:
    """All slots of one process. Safe for threads."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity if PAGES is not None else 0
        self._shelves: OrderedDict[int, _Shelf] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return self._held

    def take(self, image: Image) -> Instance | None:
        """An instance of this image as good as new, still to be seeded; None if there is none."""
        with self._lock:
            shelf = self._shelves.setdefault(id(image), _Shelf())
            self._shelves.move_to_end(id(image))
            if not shelf.instances:
                return None
            self._held -= 1
            return shelf.instances.pop()

    def give(self, image: Image, limits: Limits, instance: Instance) -> None:
        """Take what an ended isolate of this image leaves, and keep it if it can be put back."""
        try:
            untouched = self._untouched(image, limits)
            kept = untouched is not None and instance.reset(untouched, MAX_BYTES)
        except (Trap, OSError):
            kept = False
        victim = None
        with self._lock:
            shelf = self._shelves.get(id(image))
            if not kept or shelf is None:
                victim = instance
            else:
                shelf.instances.append(instance)
                self._shelves.move_to_end(id(image))
                self._held += 1
                if self._held > self._capacity:
                    victim = self._least_recently_used()
        if victim is not None:
            victim.close()

    def _untouched(self, image: Image, limits: Limits) -> Instance | None:
        with self._lock:
            shelf = self._shelves.get(id(image))
            if shelf is None or not self._capacity:
                return None
            if shelf.untouched is None:
                shelf.untouched = image.instance(limits.memory_bytes)
            return shelf.untouched

    def _least_recently_used(self) -> Instance:
        self._held -= 1
        return next(shelf for shelf in self._shelves.values() if shelf.instances).instances.pop(0)

    def forget(self, image: Image) -> None:
        """End the slots of an image that is about to be closed."""
        with self._lock:
            shelf = self._shelves.pop(id(image), None)
            if shelf is None:
                return
            self._held -= len(shelf.instances)
        for instance in (shelf.untouched, *shelf.instances):
            if instance is not None:
                instance.close()
