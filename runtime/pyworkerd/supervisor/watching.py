"""`--watch`: whether the configuration or any file of a worker has changed, found out by looking.

Looking works on every file system and needs no thread, which the supervisor must not have. It costs a `stat` for each
file, so the pause between two looks grows with the time that one takes. A change is told when it has been quiet for one
pause: whoever writes a file piece by piece, or several files, causes one reload. Should what is loaded be half a file
even so, the reload is refused, nothing changes, and the rest of the file is the next change.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd_config.load import DEV_VARS, ENV, is_wrangler
from pyworkerd_config.model import Worker, flat
from pyworkerd_isolates.bundle import MAX_FILES
from pyworkerd_isolates.languages import LANGUAGES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_config import Config

PAUSE_S: Final = 0.25
"""Between two looks at least."""
SHARE: Final = 20
"""So many times as long as a look takes is the pause after it at least: one twentieth of a core."""
SKIPPED_SUFFIXES: Final = tuple(suffix for language in LANGUAGES for suffix in language.skipped_suffixes)
SKIPPED_FOLDERS: Final = frozenset(name for language in LANGUAGES for name in language.skipped_folders)
"""What no worker reads, or a tool installs: thousands of files that nobody edits."""

Look = dict[str, tuple[int, int, int]]
"""Modification time, size and inode of each file."""


class Watch:
    """Tells changes when they are over. Pure: it is handed what is seen."""

    def __init__(self, seen: Look) -> None:
        self._told = self._last = seen

    def changed(self, seen: Look) -> bool:
        """Whether there is something new that has been as it is for one look."""
        quiet, self._last = seen == self._last, seen
        if not quiet or seen == self._told:
            return False
        self._told = seen
        return True

    def learn(self, seen: Look) -> None:
        """Other files are looked at from now on: those that are new to it have not changed."""
        self._told = {name: self._told.get(name, state) for name, state in seen.items()}
        self._last = seen


def look(config: Config) -> Look:
    """Everything that a reload would read: the configuration, local secrets, data files, and what may be in bundles."""
    found: Look = {}
    places = (config.place, *(service.place for service in config.services))
    for file in dict.fromkeys(place.file for place in places if place.file is not None):
        _note(found, file)
        _note(found, file.parent / DEV_VARS)
        if is_wrangler(file):
            _note_secrets(found, file.parent)
    for extension in config.extensions:
        if isinstance(extension.content, Path):
            _note(found, extension.content)
    roots = set()
    for service in config.services:
        if not isinstance(service.kind, Worker):
            continue
        roots.add(service.kind.root)
        contents = (module.content for module in service.kind.modules)
        for value in (*contents, *(binding.value for binding in flat(service.kind.bindings))):
            if isinstance(value, Path):
                _note(found, value)
    stores = config.state_dir.absolute()
    for root in sorted(roots):
        for number, path in enumerate(_files(root, stores)):
            if number >= MAX_FILES:
                break  # a bundle cannot have more either
            _note(found, path)
    return found


def pause_after(seconds: float) -> float:
    """How long to wait after a look that took so long."""
    return max(PAUSE_S, SHARE * seconds)


def _note(found: Look, path: Path | os.DirEntry[str]) -> None:
    try:
        status = path.stat()
    except OSError:
        return
    found[os.fspath(path)] = (status.st_mtime_ns, status.st_size, status.st_ino)


def _note_secrets(found: Look, folder: Path) -> None:
    """Those of Wrangler's files of local secrets that are there, of whichever environment."""
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if f"{entry.name}.".startswith((f"{DEV_VARS}.", f"{ENV}.")) and entry.is_file():
                    _note(found, entry)
    except OSError:
        return


def _files(folder: Path, stores: Path) -> Iterator[os.DirEntry[str]]:
    """Those of a worker's folder, without what workers store: that changes with requests, and is in no bundle."""
    pending = [os.fspath(folder)]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.name.startswith(".") or entry.name.endswith(SKIPPED_SUFFIXES):
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        if entry.name not in SKIPPED_FOLDERS and Path(entry.path).absolute() != stores:
                            pending.append(entry.path)
                    else:
                        yield entry
        except OSError:
            continue  # it has just gone, or may not be read
