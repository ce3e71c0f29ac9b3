"""What of a worker's folder is another worker's: it stays out of the bundle.

A bundle is all that lies below the folder of the main module. Where workers lie side by side, or one below another,
each would otherwise be able to read the programs of the others. Files that are no worker's own are shared by all of a
folder.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from pyworkerd_config.model import Worker

if TYPE_CHECKING:
    from pathlib import Path

    from pyworkerd_config.model import Config


class Foreign:
    """The folders of one configuration."""

    def __init__(self, config: Config) -> None:
        workers = {kind.main: kind for s in config.services if isinstance(kind := s.kind, Worker)}
        self._state = config.state_dir.absolute()
        self._workers = sorted(
            ((worker.root.parts, worker) for worker in workers.values()), key=lambda each: each[0]
        )

    def to(self, worker: Worker) -> frozenset[Path]:
        """The stores, main modules beside that of this worker, and folders of workers below its own."""
        parts = worker.root.parts
        below = self._state.is_relative_to(worker.root.absolute())
        found: set[Path] = {self._state.resolve()} if below else set()
        for index in range(bisect_left(self._workers, parts, key=lambda each: each[0]), len(self._workers)):
            theirs, other = self._workers[index]
            if theirs[: len(parts)] != parts:
                break
            if other.main != worker.main:
                found.add((other.main if theirs == parts else other.root).resolve())
        return frozenset(found)
