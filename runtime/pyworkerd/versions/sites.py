"""Static assets of versions on disk: each content once, and for each version a folder that is served as any site is.

state_dir/versions/shop/blobs/4f2a...                  contents by their SHA-256, each once
state_dir/versions/shop/sites/0123456789abcdef/        the site of a version: files that are links to them

What a version names is its own by those links, so nothing has to be counted: a content that has no other name is one of
no version, and goes an hour after somebody has last asked for it. Where a file system has no links, or not that many, a
site has copies.

Contents are never shared between services: whoever may deploy to one would learn which files another one has.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from pyworkerd.services.assets.index import is_hidden

from .archive import UploadError
from .disk import folders_of, forget_others, private, sync, whole, write

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping
    from pathlib import Path

BLOBS, SITES = "blobs", "sites"
MAX_ASSETS: Final = 20_000
"""Files of a site that is deployed (Workers: 20,000, or 100,000 in a paid plan)."""
MAX_ASSET: Final = 25 << 20
"""Bytes of one of them (Workers: 25 MiB)."""
MAX_SITE: Final = 1 << 30
"""Bytes of all of them, and of all contents of a service that are not yet those of a version."""
MAX_WAITING: Final = 2 * MAX_ASSETS
"""Contents of a service that are not yet those of a version: small ones take no room, and each an inode."""
MAX_PATH: Final = 1024
"""Bytes of the path of one of them."""
MAX_NAME: Final = 255
"""Bytes of each name in it (NAME_MAX)."""
WAITS_S: Final = 3600.0
"""How long a content is kept that is none of a version's."""


def path_of(text: str) -> tuple[str, ...]:
    """The names on the path of a file. Raises `UploadError` for a path that leads elsewhere, or is not served."""
    first, *names = text.split("/")
    if first or not names or any(name in ("", ".", "..") or "\0" in name for name in names):
        raise UploadError(f"the asset {text[:200]!r} has no plain path that begins with a slash")
    if any(is_hidden(name) for name in names):
        raise UploadError(f"the asset {text[:200]!r} is hidden: names with a dot first are not served")
    try:
        sizes = [len(name.encode()) for name in names]
    except UnicodeEncodeError:
        raise UploadError(f"the path of the asset {text[:200]!r} is not valid UTF-8") from None
    if max(sizes) > MAX_NAME or sum(sizes) + len(sizes) > MAX_PATH:
        raise UploadError(
            f"the path of the asset {text[:200]!r} is too long: {MAX_PATH} bytes at most, {MAX_NAME} each name"
        )
    return tuple(names)


class Sites:
    """Those of one service. Every method blocks on the disk, and raises OSError where that fails."""

    def __init__(self, folder: Path) -> None:
        """`folder` has all that is kept of the service."""
        self.blobs, self.sites = folder / BLOBS, folder / SITES

    def missing(self, digests: Iterable[str]) -> list[str]:
        """Those that have to be uploaded. The others are kept for another hour."""
        return [digest for digest in dict.fromkeys(digests) if not self._asked_for(digest)]

    def _asked_for(self, digest: str) -> bool:
        try:
            _date(self.blobs / digest, digest)
        except FileNotFoundError:
            return False
        return True

    def take(self, contents: Iterable[tuple[str, bytes]]) -> int:
        """Keep contents, which are named as they have to be by whoever sent them; how many.

        All of them, or none. Raises `UploadError` for one that is another, or too many that no version names.
        """
        drafts: dict[Path, Path] = {}
        private(self.blobs)
        self._tidy(time.time())
        waiting = [status.st_size for _, status in self._unnamed()]
        room, places = MAX_SITE - sum(waiting), MAX_WAITING - len(waiting)
        try:
            for digest, data in contents:
                room, places = room - len(data), places - 1
                if sha256(data).hexdigest() != digest:
                    raise UploadError(f"{digest[:64]!r} is not the SHA-256 of its content")
                if len(data) > MAX_ASSET:
                    raise UploadError(f"{digest} has {len(data)} bytes: an asset has {MAX_ASSET} at most")
                if room < 0 or places < 0:
                    raise UploadError(
                        f"{MAX_WAITING} assets of {MAX_SITE} bytes at most may wait for a version that names them: "
                        "deploy it, or try again in an hour, when they are gone"
                    )
                draft = self.blobs / f".{secrets.token_hex(8)}.draft"
                drafts[draft] = self.blobs / digest
                write(draft, data)
                _date(draft, digest)
            for draft in drafts:  # once all are written, see `store`
                sync(draft)
            for draft, blob in drafts.items():
                draft.replace(blob)
            sync(self.blobs)
        finally:
            for draft in drafts:
                draft.unlink(missing_ok=True)
        return len(drafts)

    def keep(self, id_: str, files: Mapping[str, str]) -> int:
        """Make the site of a version of what was taken: its bytes. `files` are digests by path.

        Raises `UploadError` for what cannot be a site, and for contents that are not there.
        """
        if len(files) > MAX_ASSETS:
            raise UploadError(f"the version has {len(files)} assets: {MAX_ASSETS} at most")
        paths = {path_of(text): digest for text, digest in files.items()}
        sizes = self._sizes(files)
        size = sum(sizes[digest] for digest in files.values())
        if size > MAX_SITE:
            raise UploadError(f"the assets have {size} bytes: {MAX_SITE} at most")
        if not (self.sites / id_).is_dir():
            self._link(id_, paths)
        return size

    def _sizes(self, files: Mapping[str, str]) -> dict[str, int]:
        sizes: dict[str, int] = {}
        for text, digest in files.items():
            if digest not in sizes:
                try:
                    sizes[digest] = (self.blobs / digest).stat().st_size
                except FileNotFoundError:
                    raise UploadError(
                        f"the content of the asset {text[:200]!r} is not there: upload it, and deploy within an hour"
                    ) from None
        return sizes

    def _link(self, id_: str, paths: Mapping[tuple[str, ...], str]) -> None:
        folders = folders_of(paths)
        private(self.sites)
        with whole(self.sites, id_, folders) as site:
            for names, digest in paths.items():
                self._name(digest, site.joinpath(*names))

    def _name(self, digest: str, path: Path) -> None:
        blob = self.blobs / digest
        try:
            path.hardlink_to(blob)
        except (FileExistsError, FileNotFoundError, NotADirectoryError):
            raise
        except OSError:  # EMLINK, or a file system without links
            write(path, blob.read_bytes())
            _date(path, digest)
            sync(path)

    def forget(self, known: Collection[str]) -> None:
        """Remove the sites of all other versions, and contents that only they named, in time."""
        private(self.sites)
        forget_others(self.sites, known)
        self._tidy(time.time())

    def _unnamed(self) -> Iterator[tuple[Path, os.stat_result]]:
        """Contents that are no version's, and drafts of a process that was killed."""
        with contextlib.suppress(FileNotFoundError), os.scandir(self.blobs) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):
                    status = entry.stat(follow_symlinks=False)
                    if status.st_nlink == 1:
                        yield self.blobs / entry.name, status

    def _tidy(self, now: float) -> None:
        for path, status in tuple(self._unnamed()):
            if status.st_ctime < now - WAITS_S:  # when its last other name was removed, or it was asked for
                path.unlink(missing_ok=True)


def _date(path: Path, digest: str) -> None:
    """A time that is made of its content, since an ETag is made of the time: two that were uploaded in the same tick of
    the clock would be one to a browser.
    """
    moment = (int(digest[:8], 16) >> 1) * 1_000_000_000 + int(digest[8:16], 16) % 1_000_000_000
    os.utime(path, ns=(moment, moment))
