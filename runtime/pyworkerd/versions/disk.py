"""Files and folders that are whole or not there: what the stores of versions have in common. Blocks; raises OSError."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from .archive import UploadError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

MAX_DEPTH: Final = 64
"""Folders above a file of a version."""
MAX_FOLDERS: Final = 20_000
"""Folders of a version: as many as its files may be. A path of a kilobyte may name five hundred."""

Names = tuple[str, ...]


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


def folders_of(paths: Iterable[Names]) -> list[Names]:
    """The folders that files need, by the names on their way, each after the one that it lies in.

    Raises `UploadError` for more of them than a version may have.
    """
    found: dict[Names, None] = {}
    for names in paths:
        if len(names) - 1 > MAX_DEPTH:
            raise UploadError(
                f"{'/'.join(names)[:200]!r} lies in {len(names) - 1} folders: {MAX_DEPTH} at most"
            )
        for depth in range(1, len(names)):
            found[names[:depth]] = None
        if len(found) > MAX_FOLDERS:
            raise UploadError(
                f"the files lie in more than {MAX_FOLDERS} folders: give fewer of them one of their own"
            )
    return list(found)


@contextlib.contextmanager
def whole(base: Path, name: str, folders: Iterable[Names]) -> Iterator[Path]:
    """A folder to be filled, with these in it, which is in `base` under its name once it is whole.

    Somebody who is at work on the same one, and was given up perhaps, is in nobody's way: whoever is first has made it.
    """
    draft = base / f".{secrets.token_hex(8)}.draft"
    made = [draft, *(draft.joinpath(*names) for names in folders)]
    try:
        for folder in made:
            folder.mkdir(mode=0o700)
        yield draft
        for folder in made:
            sync(folder)
        try:
            draft.rename(base / name)
        except OSError:
            if not (base / name).is_dir():
                raise
            shutil.rmtree(draft, ignore_errors=True)
        sync(base)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
