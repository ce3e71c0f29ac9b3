"""Which files there are, so that nobody has to ask the disk for each request. Blocks: for threads of the storage.

A folder is listed again when it has changed since it was listed (a file that is made, removed or renamed changes the
folder that it lies in). One that has changed just now may change once more in the same tick of its clock: it is not
believed yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd.storage.tree import DIRECTORY, FILE

if TYPE_CHECKING:
    from pyworkerd.storage.tree import Tree

MAX_FILES: Final = 100_000
"""Files of a site (Workers: 100,000 in a paid plan). What is beyond it is not there."""
MAX_ENTRIES: Final = 100_000
"""Entries of one of its folders; one with more is an error."""
SETTLED_NS: Final = 2_000_000_000
"""How coarse a file system's clock may be: FAT's, two seconds."""

Path = tuple[str, ...]


class _Listed(NamedTuple):
    """A folder, as it was."""

    modified_ns: int
    files: tuple[str, ...]
    folders: tuple[Path, ...]


class Index:
    """The files below a folder, by their paths from it. Not changed once it is made."""

    def __init__(self, folders: dict[Path, _Listed], files: frozenset[str]) -> None:
        self._folders = folders
        self.files = files

    @classmethod
    def empty(cls) -> Index:
        """Of no folder yet."""
        return cls({}, frozenset())

    def renewed(self, tree: Tree, now_ns: int) -> Index:
        """What is there now; this one if nothing has changed. Raises `StorageError`."""
        folders: dict[Path, _Listed] = {}
        waiting: list[Path] = [()]
        number = 0
        while waiting and number < MAX_FILES:
            path = waiting.pop()
            listed = self._look(tree, path, now_ns)
            if listed is not None:
                folders[path] = listed
                number += len(listed.files)
                waiting += listed.folders
        if folders == self._folders:
            return self
        names = frozenset(name for listed in folders.values() for name in listed.files)
        return Index(folders, names)

    def _look(self, tree: Tree, path: Path, now_ns: int) -> _Listed | None:
        entry = tree.look(path)
        if entry is None or entry.kind != DIRECTORY:
            return None
        before = self._folders.get(path)
        if (
            before is not None
            and before.modified_ns == entry.modified_ns
            and now_ns - entry.modified_ns > SETTLED_NS
        ):
            return before
        found = tree.listing(path, MAX_ENTRIES) or []
        shown = [(name, kind) for name, kind in found if not is_hidden(name)]
        prefix = "/" + "".join(f"{name}/" for name in path)
        return _Listed(
            entry.modified_ns,
            tuple(prefix + name for name, kind in shown if kind == FILE and not (not path and name in OWN)),
            tuple((*path, name) for name, kind in shown if kind == DIRECTORY),
        )


OWN: Final = frozenset(("_headers", "_redirects"))
"""Files of the folder's root that are for us, not for clients."""


def is_hidden(name: str) -> bool:
    """Whether it is as if it were not there: nothing begins with a dot but `.well-known`."""
    return name.startswith(".") and name != ".well-known"
