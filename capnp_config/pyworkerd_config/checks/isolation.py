"""Checks of workers that are in no sandbox. Pure, but for the version of the Python that would run them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from pyworkerd_config.model import Worker
from pyworkerd_config.problems import Problem, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_config.kinds import BindingKinds
    from pyworkerd_config.model import Config, Place, Service

TRUSTED = "subinterpreter"
SINCE = (3, 13)
"""The first Python that they can be had of: see `pyworkerd_isolates.subinterpreter.interpreters`."""
SANDBOX = 'write isolation = "wasm"'


def isolation(
    config: Config, _kinds: BindingKinds, version: tuple[int, int] = sys.version_info[:2]
) -> Iterator[Problem]:
    """What a worker of the trusted kind cannot be."""
    for service in config.services:
        worker = service.kind
        if not isinstance(worker, Worker) or worker.isolation != TRUSTED:
            continue
        if version < SINCE:
            wanted, have = (".".join(map(str, each)) for each in (SINCE, version))
            yield Problem(
                _at(service, "isolation"),
                f'isolation = "{TRUSTED}" needs Python {wanted} or newer, and this is {have}',
                f"run pyworkerd with Python {wanted} or newer, or {SANDBOX}",
            )
        if worker.main.suffix != ".py":
            message = f'isolation = "{TRUSTED}" is for Python workers, and {quote(worker.main.name)} is none'
            yield Problem(_at(service, "isolation"), message, SANDBOX)
        if worker.durable_objects:
            message = f'a worker with isolation = "{TRUSTED}" has no Durable Objects'
            yield Problem(_at(service, "durable_objects"), message, f"leave them out, or {SANDBOX}")


def _at(service: Service, key: str) -> Place:
    return service.places.at("worker", key) if service.places.lines else service.place
