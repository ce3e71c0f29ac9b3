"""Programs as lists of modules, for dialects of the configuration that have no folders of programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_config import ConfigError, Problem
from pyworkerd_config.model import Module
from pyworkerd_config.workerd.writer import listed_kind
from pyworkerd_isolates.errors import BundleError

from pyworkerd.foreign import Foreign

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_config import Config
    from pyworkerd_config.model import Worker


def modules_of(config: Config) -> Callable[[str, Worker], tuple[Module, ...]]:
    """How a program is listed: the modules of its configuration, or the files of its folder, the main one first.

    What comes back takes the name of a service and its worker, blocks on the disk, and raises `ConfigError`.
    """
    foreign = Foreign(config)
    places = {service.name: service.place for service in config.services}

    def listed(service: str, worker: Worker) -> tuple[Module, ...]:
        if worker.modules:
            return worker.modules
        try:
            files = foreign.folder(worker, places[service]).read().files
        except BundleError as error:
            raise ConfigError([Problem(places[service], str(error))]) from None
        main = worker.main.resolve().relative_to(worker.root.resolve()).as_posix()
        names = [main, *sorted(files.keys() - {main})]
        return tuple(Module(name, listed_kind(name), worker.root / name) for name in names)

    return listed
