"""A folder of recordings: the newest ones, within a number and a size, for all processes that write there."""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MAX_BYTES: Final = 256 * 1024 * 1024
"""Of all recordings in the folder."""
SUFFIX: Final = ".recording"
_NEW: Final = ".new"
STALE_S: Final = 3600.0
"""What is still being written after an hour is what a killed process left behind."""
_NAME: Final = re.compile(r"[0-9]{13}-[A-Za-z0-9_-]{1,64}-[0-9a-f]{24}\.recording(\.new)?")
_ODD: Final = re.compile(r"[^A-Za-z0-9_-]")


class Ring:
    """Safe for several processes. Blocks on the disk."""

    def __init__(self, folder: Path, keep: int, most: int = MAX_BYTES) -> None:
        self._folder, self._keep, self._most = folder, keep, most

    def put(self, worker: str, request_id: str, began_ms: int, data: bytes) -> Path:
        """Write a recording, and remove the oldest ones that there is no room for any more. Raises OSError."""
        who = _ODD.sub("_", worker)[:64] or "_"
        path = self._folder / f"{began_ms:013}-{who}-{request_id[:16]:0>16}{secrets.token_hex(4)}{SUFFIX}"
        new = path.with_name(path.name + _NEW)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(new, flags, 0o600), "wb") as file:
                file.write(data)
            new.rename(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        self._trim()
        return path

    def _trim(self) -> None:
        count = size = 0
        for path, status in self._ours():
            if path.name.endswith(_NEW):
                if time.time() - status.st_mtime > STALE_S:
                    path.unlink(missing_ok=True)
                continue
            count, size = count + 1, size + status.st_size
            if count > self._keep or size > self._most:
                path.unlink(missing_ok=True)

    def _ours(self) -> Iterator[tuple[Path, os.stat_result]]:
        """What this has written, the newest first. Other files in the folder are nobody's to remove."""
        with os.scandir(self._folder) as found:
            names = sorted((each.name for each in found if _NAME.fullmatch(each.name)), reverse=True)
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # another process has removed it
                path = self._folder / name
                yield path, path.lstat()
