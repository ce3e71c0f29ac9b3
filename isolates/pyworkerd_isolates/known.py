"""What was found before: a sealed index from the files of a worker to its image, so that neither has to be read again.

To find the image of a bundle is to read the bundle and to check the seal of the image, 27 MB of which most are the
engine's own: half a tenth of a second, for nothing if both are what they were. So it is noted down what both looked
like from outside when they were read: size, times, inode and device of each file, ctime among them, which no program
can set. The index is sealed like everything in the cache, so nobody else can write into it. Any difference, and it is
as if nothing were known.

A file that was changed less than `SETTLED_NS` before it was read is not noted down: file systems tell times in steps,
and a second change could hide in the same one.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgpack

from .cache import SEAL_LIMIT, Entry
from .image import kept_notes

if TYPE_CHECKING:
    from pathlib import Path

    from .bundle import Folder, Signature
    from .cache import Cache
    from .image import Image

log = logging.getLogger("pyworkerd.cache")

NAME: Final = "known-images"
SETTLED_NS: Final = 2_000_000_000
"""Two seconds: FAT tells modification times in steps of that size, all other file systems in finer ones."""
MAX_RECORDS: Final = 20_000
MAX_NOTES: Final = 4096
"""Bytes of an image's notes that are worth keeping twice."""
SAVE_AFTER_S: Final = 5.0
"""What became known is written down at most this often, and when the process ends."""


class _Record(NamedTuple):
    """One image, and what it and its worker's files looked like."""

    signature: str
    image: str
    identity: tuple[int, ...]
    notes: dict[str, Any]


class Known:
    """The index of one cache. Safe for threads, and for several processes: the last one to save keeps what all knew."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._lock = threading.Lock()
        self._records: dict[str, _Record] | None = None
        self._new: dict[str, _Record] = {}
        self._saved = time.monotonic()

    def has_objects(self, folder: Folder, suffix: str) -> bool:
        """Whether the worker of a folder exported Durable Objects when it was known last."""
        with self._lock:
            record = self._all().get(_key(folder, suffix))
        return record is not None and bool(record.notes.get("objects"))

    def find(self, folder: Folder, signature: Signature, prefix: str, suffix: str) -> Entry | None:
        """The image of a folder that has not changed, whose name begins and ends like this; None if it is not known.

        The image's file has not changed either since its seal was checked.
        """
        with self._lock:
            record = self._all().get(_key(folder, suffix))
        if record is None or record.signature != signature.digest or not record.image.startswith(prefix):
            return None
        if self._cache.identity(record.image) != record.identity:
            return None
        self._cache.touch(record.image)
        return Entry(record.image, self._cache.folder / record.image, record.notes, record.identity[0])

    def note(self, folder: Folder, signature: Signature, image: Image, suffix: str) -> None:
        """Remember an image whose seal has been checked or made, for the files as they were before and after."""
        settled = signature.changed_ns + SETTLED_NS < time.time_ns()
        identity = self._cache.identity(image.name)
        notes = kept_notes(image)
        if not settled or identity is None or len(msgpack.packb(notes)) > MAX_NOTES:
            return
        with self._lock:
            self._new[_key(folder, suffix)] = _Record(signature.digest, image.name, identity, notes)
            self._all().update(self._new)
            due = time.monotonic() - self._saved > SAVE_AFTER_S
        if due:
            self.save()

    def save(self) -> None:
        """Write down what became known since the last time, beside what other processes have written meanwhile."""
        with self._lock:
            new, self._new = self._new, {}
            self._saved = time.monotonic()
        if not new:
            return

        def merged() -> tuple[bytes, dict[str, Any]]:
            records = {**self._read(), **new}
            return b"index", {"records": _fitting(records)}

        try:
            self._cache.rebuild(NAME, merged)
        except OSError as error:  # a full disk: it is found out again the next time
            log.warning("%s cannot be written: %s", self._cache.folder / NAME, error.strerror or error)

    def _all(self) -> dict[str, _Record]:
        if self._records is None:
            self._records = self._read()
        return self._records

    def _read(self) -> dict[str, _Record]:
        entry = self._cache.get(NAME)
        found = {} if entry is None else entry.notes["records"]
        return {key: _Record(one[0], one[1], tuple(one[2]), one[3]) for key, one in found.items()}


def _key(folder: Folder, suffix: str) -> str:
    """What a record is found by: everything that decides which image it is, but for the content."""
    parts: list[Path | str] = [folder.main, folder.root, *sorted(folder.exclude), suffix]
    return hashlib.sha256(b"\0".join(os.fsencode(part) for part in parts)).hexdigest()[:32]


def _fitting(records: dict[str, _Record]) -> dict[str, list[Any]]:
    """As many of the newest records as may be sealed, as plain lists."""
    newest = list(records.items())[-MAX_RECORDS:]
    while len(msgpack.packb(newest)) > SEAL_LIMIT // 2:
        newest = newest[len(newest) // 2 :]
    return {key: list(record) for key, record in newest}
