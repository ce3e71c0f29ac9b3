"""Exported `test` handlers: which there are, and one run of each (workerd, `test`).

A test is an entrypoint with a handler `test(controller, env, ctx)`; it passes if that returns. Tests run one after
another, so that what they log stands beside their names.
"""

from __future__ import annotations

import asyncio
import re
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_config.model import Worker as WorkerModel
from pyworkerd_isolates import wire

from pyworkerd.errors import PyworkerdError, WorkerException
from pyworkerd.services.base import Target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pyworkerd_config import Config

    from pyworkerd.runtime import Runtime

HANDLER: Final = "test"
TIMEOUT_S: Final = 60.0
"""For one test."""
_PLACES: Final = (
    re.compile(r'File "/session/metadata/([^"]+)", line (\d+)'),  # Python's innermost frame comes last
    re.compile(r"(?:at |\()/([^\s:]+):(\d+)(?::\d+)?\)?$", re.MULTILINE),  # JavaScript's comes first
)
_NOTHING: Final = wire.dump_value(None)


class Case(NamedTuple):
    """One test: a worker's entrypoint, None for the default export."""

    service: str
    entrypoint: str | None

    def __str__(self) -> str:
        return self.service if self.entrypoint is None else f"{self.service}:{self.entrypoint}"


class Failure(NamedTuple):
    """Why a test failed. `file` and `line` are those of the innermost frame of the worker's own, where it is known."""

    message: str
    traceback: str = ""
    file: str | None = None
    line: int | None = None


class Outcome(NamedTuple):
    """What came of a test."""

    case: Case
    seconds: float
    failure: Failure | None


class Filter(NamedTuple):
    """`service` or `service:entrypoint`, each a glob. The default export is called `default`."""

    service: str
    entrypoint: str

    @classmethod
    def of(cls, text: str) -> Filter:
        """Read one. Without a colon it is for all entrypoints."""
        service, _, entrypoint = text.partition(":")
        return cls(service or "*", entrypoint or "*")

    def takes(self, case: Case) -> bool:
        """Whether the test is meant."""
        entrypoint = "default" if case.entrypoint is None else case.entrypoint
        return fnmatchcase(case.service, self.service) and fnmatchcase(entrypoint, self.entrypoint)


def find(runtime: Runtime, filters: Sequence[Filter]) -> list[Case]:
    """The tests of deployed workers that are meant, in the order of the configuration."""
    found = []
    for service in runtime.config.services:
        if not isinstance(service.kind, WorkerModel):
            continue
        for entrypoint, handlers in runtime.worker(service.name).service.entrypoints().items():
            case = Case(service.name, entrypoint or None)
            if HANDLER in handlers and (not filters or any(f.takes(case) for f in filters)):
                found.append(case)
    return found


async def run(runtime: Runtime, case: Case, timeout_s: float = TIMEOUT_S) -> Outcome:
    """Run one test. Whatever a guest does wrong is its failure."""
    worker = runtime.worker(case.service)
    began = time.monotonic()
    failure = None
    try:
        async with asyncio.timeout(timeout_s):
            await worker.service.handle(HANDLER, _NOTHING, Target(case.entrypoint))
    except TimeoutError:
        failure = Failure(f"it has not ended within {timeout_s:g} s")
    except WorkerException as error:
        failure = Failure(str(error), error.traceback, *_place(error.traceback, _root(runtime.config, case)))
    except PyworkerdError as error:
        failure = Failure(f"{error.code}: {error}")
    return Outcome(case, time.monotonic() - began, failure)


def _root(config: Config, case: Case) -> Path | None:
    for service in config.services:
        if service.name == case.service and isinstance(service.kind, WorkerModel):
            return service.kind.root
    return None


def _place(traceback: str, root: Path | None) -> tuple[str | None, int | None]:
    if root is None:
        return None, None
    python, javascript = (pattern.findall(traceback) for pattern in _PLACES)
    found = python[-1] if python else javascript[0] if javascript else None
    return (None, None) if found is None else (str(root / found[0]), int(found[1]))
