"""Files and folders that are whole or not there: what the stores of versions have in common. Blocks; raises OSError."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection


def private(folder: Path) -> None:
    """Make a folder, and those above it that are not there, for this user alone."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        with contextlib.suppress(FileExistsError):
            each.mkdir(mode=0o700)


def write(path: Path, data: bytes, mode: int = 0o400) -> None:
    """Write a new file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)


def sync(path: Path) -> None:
    """Have a file, or the names in a folder, on disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def forget_others(base: Path, known: Collection[str]) -> None:
    """Remove all in a folder that is not among these names."""
    for entry in tuple(os.scandir(base)):
        if entry.name in known:
            continue
        # Out of the way first: a thread that was given up may be at work in it still, and must not end up with a
        # version of which half is gone.
        gone = base / f".{secrets.token_hex(8)}.gone"
        with contextlib.suppress(OSError):
            Path(entry.path).rename(gone)
        shutil.rmtree(gone, ignore_errors=True)
