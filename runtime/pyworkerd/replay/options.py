"""What an operator says about recording, and whether it can be done."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from os import getuid
from typing import TYPE_CHECKING, Final

from pyworkerd_config.model import Worker
from pyworkerd_isolates.languages import language_of

from pyworkerd.errors import ConfigurationError
from pyworkerd.foreign import part_of
from pyworkerd.isolation import TRUSTED

if TYPE_CHECKING:
    from pathlib import Path

    from pyworkerd_config import Config

KEPT: Final = 100
"""Recordings in a folder, of all processes together, unless another number is given."""
OPTION: Final = "--record"


@dataclass(frozen=True, slots=True)
class RecordOptions:
    """Which invocations are recorded, and where to."""

    folder: Path
    workers: tuple[str, ...] = ()
    """Names; none means all that can be recorded."""
    rate: float = 1.0
    """The share of their invocations, each chosen by chance."""
    only_failures: bool = False
    """Whether to keep only those that failed, or were answered with a status from 500 on."""
    keep: int = KEPT
    """How many recordings stay; the oldest go first."""

    def chooses(self, worker: str) -> bool:
        """Whether invocations of this worker may be recorded."""
        return not self.workers or worker in self.workers


def check(options: RecordOptions, config: Config) -> None:
    """Make the folder if need be. Raises `ConfigurationError` for one that is not private, and for a worker that is
    named and is none, or cannot be recorded.
    """
    wrong = [why for name in options.workers if (why := _cannot(name, config))]
    wrong += _is_part_of(options.folder, config)
    if wrong:
        raise ConfigurationError(*wrong)
    _must_be_private(options.folder)


def _cannot(name: str, config: Config) -> str:
    workers = {service.name: service.kind for service in config.services if isinstance(service.kind, Worker)}
    worker = workers.get(name)
    if worker is None:
        known = ", ".join(sorted(workers))
        return f"{OPTION}-worker: there is no worker named {name!r}; there are: {known or 'none'}"
    if worker.isolation == TRUSTED:
        return f"{OPTION}-worker: {name!r} is trusted: what it does with files and sockets cannot be recorded"
    language = language_of(worker.main.name)
    if language is not None and language.is_program:
        return (
            f"{OPTION}-worker: {name!r} is a component: only Python, JavaScript and TypeScript are recorded"
        )
    return ""


def _is_part_of(folder: Path, config: Config) -> list[str]:
    """What is wrong with a folder that would be read as files of a worker: with each deploy, and by its code."""
    found = part_of(folder, config)
    if found is None:
        return []
    name, root = found
    wrong = (
        f"{OPTION}: {folder.resolve()} lies in the folder of the worker {name!r}, and what is in there is part "
        f"of it: name another one, or one whose name begins with a dot, such as {root / '.recordings'}"
    )
    return [wrong]


def _must_be_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except OSError as error:
        raise ConfigurationError(f"{OPTION}: {folder} cannot be used: {error.strerror or error}") from None
    if status.st_uid != getuid():
        raise ConfigurationError(f"{OPTION}: {folder} belongs to another user: name a folder of your own")
    if status.st_mode & 0o077:
        mode = stat.filemode(status.st_mode)
        raise ConfigurationError(
            f"{OPTION}: others may look into {folder} ({mode}), and recordings hold what users sent: chmod 700 {folder}"
        )
