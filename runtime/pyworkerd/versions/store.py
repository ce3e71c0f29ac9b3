"""Versions, records and secrets on disk. What is there is whole: every file is written beside the old one and renamed.

state_dir/versions/.incoming/4f2a.upload              what is being uploaded
state_dir/versions/shop/record.json                   versions and deployments of the service "shop"
state_dir/versions/shop/secrets.json                  its secrets, mode 0600
state_dir/versions/shop/files/0123456789abcdef/       the files of a version, which never change
state_dir/versions/shop/sites/0123456789abcdef/       its static assets, see `sites`

A folder of files that no record names is one that was stored and never deployed, because the server was killed or the
version did not work: it goes when another one is stored.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from math import inf
from pathlib import Path
from time import monotonic, time
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from pyworkerd.errors import ConfigurationError, StorageError, StorageFull
from pyworkerd.storage.layout import encoded

from .archive import UploadError, contents, id_of, unpack
from .disk import folders_of, forget_others, private, sync, whole, write
from .model import FORMAT, Record, Secrets, Site
from .rules import RuleError, must_be_sound
from .sites import Sites

if TYPE_CHECKING:
    from collections.abc import Collection, Generator, Iterable

    from pyworkerd_isolates.bundle import Bundle

FOLDER: Final = "versions"
INCOMING: Final = ".incoming"
RECORD, SECRETS, FILES = "record.json", "secrets.json", "files"
MAX_FILE: Final = 32 << 20
"""Bytes of a record or of secrets."""
LONGEST_UPLOAD_S: Final = 3600.0
FULL: Final = frozenset((errno.ENOSPC, errno.EDQUOT))

_Kept = TypeVar("_Kept", Record, Secrets)


class Store:
    """What lies below one `state_dir`. Every method blocks on the disk; those that read or write records are short."""

    def __init__(self, state_dir: Path) -> None:
        self.root = state_dir.absolute() / FOLDER

    def folder(self, service: str) -> Path:
        """All of a service."""
        return self.root / encoded(service)

    def files(self, service: str) -> Path:
        """Where the files of its versions are, each in a folder of its id."""
        return self.folder(service) / FILES

    # records and secrets -----------------------------------------------------------------------------

    def services(self) -> frozenset[str]:
        """Names of folders: of services that something is known of, as `encoded` writes them."""
        try:
            return frozenset(entry.name for entry in os.scandir(self.root) if entry.name != INCOMING)
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise ConfigurationError(f"{self.root} cannot be read: {error.strerror}") from None

    def record(self, service: str) -> Record:
        """What is known of a service. Raises `ConfigurationError` if that cannot be read."""
        path = self.folder(service) / RECORD
        record = self._read(path, Record(service), Record)
        try:
            must_be_sound(record, record.live)
        except RuleError as error:
            raise _damaged(path, error) from None
        return record

    def secrets(self, service: str) -> Secrets:
        """Its secrets. Raises `ConfigurationError` if they cannot be read."""
        return self._read(self.folder(service) / SECRETS, Secrets(service), Secrets)

    def _read(self, path: Path, default: _Kept, kind: type[_Kept]) -> _Kept:
        try:
            with path.open("rb") as file:
                data = file.read(MAX_FILE + 1)
            form = msgspec.json.decode(data, type=_Format).format
            if form > FORMAT:
                raise ConfigurationError(
                    f"{path} was written by a later version of pyworkerd ({form}): run that one, or another state_dir"
                )
            found = msgspec.json.decode(data, type=kind)
        except FileNotFoundError:
            return default
        except OSError as error:
            raise ConfigurationError(f"{path} cannot be read: {error.strerror}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise _damaged(path, error) from None
        if found.service != default.service:
            raise ConfigurationError(f"{path} is that of another service, {found.service!r}")
        return found

    def writing(self, kept: Record | Secrets) -> Generator[Path]:
        """Keep it, in steps: what each gives has to be on disk (`sync`) before the next. After the last it is kept.

        An OSError of syncing is thrown in. Raises `StorageError`, `StorageFull` where the disk is.
        """
        folder = self.folder(kept.service)
        name = RECORD if isinstance(kept, Record) else SECRETS
        data = msgspec.json.encode(kept)
        if len(data) > MAX_FILE:
            raise StorageError(
                f"{name} of {kept.service!r} would have {len(data)} bytes, and {MAX_FILE} are read: nothing has changed"
            )
        try:
            private(folder)
            draft = folder / f"{name}.draft"
            draft.unlink(missing_ok=True)
            write(draft, data, 0o600)
            yield draft
            draft.replace(folder / name)
            yield folder
        except OSError as error:
            raise _storage_error(f"what is known of the versions of {kept.service!r}", error) from error

    # files of versions -------------------------------------------------------------------------------

    def incoming(self) -> tuple[Path, int]:
        """A new file for an upload, and its descriptor. Raises `StorageError`."""
        self._tidy(time())
        path = self.root / INCOMING / f"{secrets.token_hex(8)}.upload"
        try:
            private(path.parent)
            return path, os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _storage_error("an upload", error) from error

    def discard(self, upload: Path) -> None:
        """Remove the file of an upload."""
        upload.unlink(missing_ok=True)

    def _tidy(self, now: float) -> None:
        """Remove uploads that a server which was killed did not finish. Another one may be at work on younger ones."""
        with contextlib.suppress(OSError):
            for entry in tuple(os.scandir(self.root / INCOMING)):
                if entry.stat().st_mtime < now - LONGEST_UPLOAD_S:
                    Path(entry.path).unlink(missing_ok=True)

    def keep_upload(
        self, service: str, upload: Path, known: Collection[str], until: float = inf
    ) -> tuple[str, str, dict[str, object], int, int, Site | None]:
        """Make a version's folder of an upload: its id, main file, vars, files, bytes and site. `known` are ids of
        records, which may be others once `monotonic` is beyond `until`.

        Raises `UploadError` for what is no worker, `StorageError`.
        """
        with upload.open("rb") as file:
            bundle, manifest, listed = unpack(file)
        id_ = id_of(bundle, manifest, listed)
        base, sites = self.files(service), self.sites(service)
        site: Site | None = None
        if monotonic() > until:  # its thread came late: a version that is `known` since would be removed here
            raise StorageError("it took too long to come to the upload, and nothing has changed")
        try:
            private(base)
            forget_others(base, {*known, id_})
            sites.forget({*known, id_})
            if listed is not None:
                size = sites.keep(id_, listed.files)
                site = Site(listed.settings, len(listed.files), size)
            if not (base / id_).is_dir():
                _keep(base, id_, bundle)
        except OSError as error:
            if error.errno in (errno.ENAMETOOLONG, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.EINVAL):
                raise UploadError(
                    f"a name of the upload cannot be that of a file: {error.strerror}"
                ) from None
            raise _storage_error("a version", error) from error
        size = sum(map(len, bundle.files.values()))
        return id_, manifest.main, manifest.vars, len(bundle.files), size, site

    # static assets of versions -----------------------------------------------------------------------

    def sites(self, service: str) -> Sites:
        """Where the static assets of its versions are."""
        return Sites(self.folder(service))

    def missing_assets(self, service: str, digests: Iterable[str]) -> list[str]:
        """Contents that have to be uploaded before a version can name them. Raises `StorageError`."""
        try:
            return self.sites(service).missing(digests)
        except OSError as error:
            raise _storage_error("assets", error) from error

    def keep_assets(self, service: str, upload: Path) -> int:
        """Keep contents that were uploaded; how many. Raises `UploadError`, `StorageError`."""
        try:
            with upload.open("rb") as file:
                return self.sites(service).take(contents(file))
        except OSError as error:
            raise _storage_error("assets", error) from error


def _damaged(path: Path, error: Exception) -> ConfigurationError:
    return ConfigurationError(f"{path} is damaged ({error}): restore it from a backup")


class _Format(msgspec.Struct):
    format: int


def _keep(base: Path, id_: str, bundle: Bundle) -> None:
    folders = folders_of(tuple(name.split("/")) for name in bundle.files)
    with whole(base, id_, folders) as version:
        for name, data in bundle.files.items():
            write(version / name, data)
        # Once all are written: one by one, thousands of small files would take a minute.
        for name in bundle.files:
            sync(version / name)


def _storage_error(what: str, error: OSError) -> StorageError:
    if error.errno in FULL:
        return StorageFull(f"the disk is full: {what} could not be kept, and nothing has changed")
    return StorageError(f"{what} could not be kept ({error.strerror}), and nothing has changed")
