"""The Durable Objects of one version of a worker that are in memory, by class and id."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import NoSuchEntrypoint

from .options import ClassOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd.objects.storage import ObjectStores
    from pyworkerd.services.base import Target

    from .resident import Resident
    from .worker import Worker

_versions: Final = count(1)


class Objects:
    """Made by `Worker`. Where a newer version of the worker has the objects of a class already, it answers for this
    one as well: the objects are those of the newest version that was asked.
    """

    def __init__(self, worker: Worker, options: Mapping[str, ClassOptions]) -> None:
        self._worker = worker
        self._options = options
        self._version = next(_versions)
        self.storage: ObjectStores | None = None
        """Where they are stored; None: what one writes is an error."""
        self._defaults: dict[str, ClassOptions] = {}
        self._residents: dict[tuple[str, str], Resident] = {}
        self._closed = False

    def __len__(self) -> int:
        return len(self._residents)

    def options(self, class_name: str) -> ClassOptions:
        """What was configured for a class, or the defaults."""
        found = self._options.get(class_name) or self._defaults.get(class_name)
        if found is None:
            found = self._defaults[class_name] = ClassOptions(f"{self._worker.name}-{class_name}")
        return found

    def find(self, target: Target) -> Resident:
        """Who answers for an object: there is one from now on. Raises `NoSuchEntrypoint`."""
        class_name, id_ = target.entrypoint or "", target.object or ""
        there = self._residents.get((class_name, id_))
        if there is not None and self._worker.fleet.newest.get(self.options(class_name).unique_key) is self:
            return there
        if class_name not in self._worker.image.objects:
            raise NoSuchEntrypoint(
                f"worker {self._worker.name!r} exports no Durable Object class {class_name!r}"
            )
        newest = self._newest(class_name)
        if newest is not self and class_name in newest._worker.image.objects:  # noqa: SLF001 - one of us
            return newest.find(target)
        found = self._residents.get((class_name, id_))
        if found is None:
            from .resident import Resident  # noqa: PLC0415 - it is a worker, which has these

            found = Resident(self._worker, self, class_name, id_)
            self._residents[class_name, id_] = found
        if target.name is not None:
            found.object_name = target.name
        return found

    def _newest(self, class_name: str) -> Objects:
        newest = self._worker.fleet.newest
        key = self.options(class_name).unique_key
        other = newest.get(key)
        if other is None or other._closed or other._version < self._version:  # noqa: SLF001 - one of us
            newest[key] = self
            if other is not None:
                other.leave(class_name)
            return self
        return other

    def leave(self, class_name: str) -> None:
        """A newer version has this class now: its objects end as soon as they have finished what they began."""
        for resident in [r for (name, _), r in self._residents.items() if name == class_name]:
            resident.leave()

    def dismiss(self, target: Target) -> None:
        """Somebody wants what an object has stored for himself: it ends, unless it has something under way."""
        class_name = target.entrypoint or ""
        residents = self._newest(class_name)._residents  # noqa: SLF001 - one of us
        if (found := residents.get((class_name, target.object or ""))) is not None:
            found.dismiss()

    def gone(self, resident: Resident) -> None:
        """It is not in memory any more."""
        key = resident.class_name, resident.object_id
        if self._residents.get(key) is resident:
            del self._residents[key]

    @property
    def busy(self) -> bool:
        """Whether any of them has something to do."""
        return any(resident.runs for resident in self._residents.values())

    async def quiet(self) -> None:
        """Wait until none of them has."""
        while busy := [resident for resident in self._residents.values() if resident.runs]:
            await asyncio.gather(*(resident.quiet() for resident in busy))

    async def aclose(self) -> None:
        """End all of them."""
        self._closed = True
        newest = self._worker.fleet.newest
        for key in [key for key, objects in newest.items() if objects is self]:
            del newest[key]
        while self._residents:
            await asyncio.gather(*(resident.aclose() for resident in tuple(self._residents.values())))
