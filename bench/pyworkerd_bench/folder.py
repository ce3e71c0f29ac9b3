"""A contestant's temporary folder: its configurations lie there from its start until it is stopped."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from .errors import BenchError


class Folder:
    """Not there until `make`; removed with all that is in it by `remove`, which may be called at any time."""

    def __init__(self) -> None:
        self._path: Path | None = None

    @property
    def path(self) -> Path:
        """Where it is. Raises BenchError unless it was made."""
        if self._path is None:
            raise BenchError("the configurations have not been written: the contestant was not started")
        return self._path

    def make(self) -> Path:
        """A new, empty one."""
        self.remove()
        self._path = Path(tempfile.mkdtemp(prefix="pyworkerd-bench-"))
        return self._path

    def remove(self) -> None:
        """Harmless when there is none."""
        path, self._path = self._path, None
        if path is not None:
            shutil.rmtree(path, ignore_errors=True)
