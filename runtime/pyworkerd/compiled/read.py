"""Opens a compiled file: unpacked once, into a folder of this user's that is named after its content.

Everything in it is hostile: what was made on another machine, or by nobody's compiler. Native code is never taken from
it: engines and images are this machine's own, made and sealed as always.

Rule 1: a name in the archive is a plain path below `services/`, or one of the two files that have to be there.
Rule 2: sizes are counted as they come, not as they are announced.
Rule 3: the folder is there whole, or not at all: it is renamed when all of it has been written.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import struct
import tempfile
import zipfile
import zlib
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO, Final

from pyworkerd_config import ConfigError, Place, Problem, load
from pyworkerd_isolates.cache import default_home, private_folder

from .layout import (
    CONFIG,
    FOLDER,
    FORMAT,
    FREE_BYTES,
    MANIFEST,
    MAX_BYTES,
    MAX_ENTRIES,
    MAX_MANIFEST,
    MAX_RATIO,
    below,
    has_many_folders,
    inside,
    moved,
    problem,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_config import Config
    from pyworkerd_config.model import Extension, Service

KEPT: Final = 16
"""Unpacked files that are kept though nobody serves them: those that were opened last."""
HELD: Final = 8
"""Of one process: after so many reloads, each with another file, nothing of the first is served any more."""
_END: Final = struct.Struct("<4s4H2LH")
"""End of central directory record (APPNOTE.TXT 4.3.16), without a comment."""
_END_ZIP64: Final = b"PK\x06\x07"
_LOCATOR_BYTES: Final = 20
_MAX_DIRECTORY: Final = 32 << 20
"""Bytes of an archive's table of contents."""
_MAX_NAME: Final = 1024
_PIECE: Final = 1 << 18
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED: Final = 1
_in_use: dict[Path, int] = {}
"""Descriptors that say for the rest of this process's life that a folder is in use, and for its children's."""


def open_compiled(path: Path, home: Path | None = None) -> Config:
    """The configuration of a compiled file, all its files in place. Secrets come from the process's environment alone.

    `home` is where files are unpacked, by default where engines and images are cached. Raises `ConfigError`, and
    `EngineError` if that belongs to another user.
    """
    path = path.absolute()
    try:
        folder = _unpacked(path, (home or default_home()) / "compiled")
    except OSError as error:
        where = Path(error.filename) if error.filename else path
        raise problem(Place(where), f"cannot be read or written ({error.strerror})") from None
    try:
        config = load(folder / CONFIG)
    except ConfigError as error:
        raise _of_another_version(error, path, folder) from None
    parts: list[Service | Extension] = [*config.services, *config.extensions]
    for part in parts:
        if any(below(each, folder) is None for each in inside(part)):
            raise problem(Place(path), f"{part.name!r} names a file that is not in this one")
    return moved(
        replace(config, secrets={}),
        lambda found, what, _: path.parent / _beside(found, folder, what, path),
        lambda found: found if (part := below(found, folder)) is None else path.parent / part,
    )


def _of_another_version(error: ConfigError, path: Path, folder: Path) -> ConfigError:
    """The same, and that another version made the file, if so: that may be why."""
    made_by = _made_by((folder / MANIFEST).read_bytes())[0]
    if made_by == version("pyworkerd"):
        return error
    why = Problem(
        Place(path), f"it was compiled by pyworkerd {made_by!a}", "compile it again with this version"
    )
    return ConfigError([why, *error.problems], error.omitted)


def _beside(found: Path, folder: Path, what: str, path: Path) -> Path:
    part = below(found, folder)
    if part is None:
        raise problem(Place(path), f"{what} lies outside of the folder of this file")
    return part


def _unpacked(path: Path, cache: Path) -> Path:
    """The folder with the content of a compiled file, which stays as long as this process."""
    with path.open("rb") as file:
        if os.fstat(file.fileno()).st_size > MAX_BYTES:
            raise problem(Place(path), f"the file is larger than {MAX_BYTES >> 20:,} MiB")
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        for each in (cache.parent, cache):
            private_folder(each)
        folder = cache / digest
        _hold(folder)
        if not folder.is_dir():
            _unpack(file, path, folder)
        os.utime(folder)
    _trim(cache)
    return folder


def _hold(folder: Path) -> None:
    """Say that a folder is in use: `_trim` of any process leaves it alone."""
    while folder not in _in_use:
        descriptor = os.open(_lock_of(folder), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if os.fstat(descriptor).st_nlink:
            _in_use[folder] = descriptor
        else:  # it was removed just before
            os.close(descriptor)
    while len(_in_use) > HELD:
        os.close(_in_use.pop(next(iter(_in_use))))


def _trim(cache: Path) -> None:
    """Remove folders that nobody has in use, beyond the newest ones."""
    with os.scandir(cache) as entries:
        found = [
            (entry.stat(follow_symlinks=False).st_mtime_ns, cache / entry.name)
            for entry in entries
            if entry.is_dir(follow_symlinks=False)
        ]
    for _, folder in sorted(found, reverse=True)[KEPT:]:
        with contextlib.suppress(OSError), _lock_of(folder).open("ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
            _lock_of(folder).unlink()


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.lock")


def _unpack(file: BinaryIO, path: Path, folder: Path) -> None:
    place = Place(path)
    _check_end(file, place)
    try:
        with zipfile.ZipFile(file) as archive:
            entries = _checked(archive, place)
            _check_manifest(archive, place)
            temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix="new-"))
            try:
                _extract(archive, entries, temporary, place)
                with contextlib.suppress(FileExistsError, OSError):
                    temporary.rename(folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
    except _DAMAGED as error:
        raise problem(place, f"the file is damaged ({error})", _MAKE_ANEW) from None
    if not folder.is_dir():
        raise problem(Place(folder), "the file cannot be unpacked there", "make room, or set PYWORKERD_HOME")


_DAMAGED: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, struct.error, NotImplementedError, RuntimeError, ValueError, IndexError,
    OverflowError,
)  # fmt: skip
"""What zipfile raises for archives that are none."""
_MAKE_ANEW: Final = "make it again with pyworkerd compile"


def _check_end(file: BinaryIO, place: Place) -> None:
    """Whether the archive's own end says that its table of contents is small: it is read whole."""
    file.seek(0, os.SEEK_END)
    size = file.tell()
    file.seek(max(size - _END.size - _LOCATOR_BYTES, 0))
    tail = file.read()
    if len(tail) < _END.size or tail[-_END.size :][:4] != b"PK\x05\x06":
        raise problem(place, "this is no file that pyworkerd compile has made")
    *_, entries, directory, _, comment = _END.unpack(tail[-_END.size :])
    if comment or entries > MAX_ENTRIES or directory > _MAX_DIRECTORY or tail[:4] == _END_ZIP64:
        raise problem(place, f"a compiled file has at most {MAX_ENTRIES:,} files")


def _checked(archive: zipfile.ZipFile, place: Place) -> list[zipfile.ZipInfo]:
    """The entries, if all of them are such as `write` makes, and do not announce too much."""
    entries = archive.infolist()
    announced = sum(entry.file_size for entry in entries)
    packed = sum(entry.compress_size for entry in entries)
    if announced > MAX_BYTES:
        raise problem(place, f"the file has more than {MAX_BYTES >> 20:,} MiB unpacked")
    if announced > FREE_BYTES and announced > packed * MAX_RATIO:
        raise problem(place, f"unpacked the file would be more than {MAX_RATIO} times as large")
    if len({entry.filename for entry in entries}) < len(entries):
        raise problem(place, "a name is there twice")
    for entry in entries:
        if (
            not _is_name(entry.filename)
            or entry.compress_type not in _METHODS
            or entry.flag_bits & _ENCRYPTED
        ):
            raise problem(place, f"{entry.orig_filename[:60]!a} is nothing that a compiled file may have")
    if has_many_folders(entry.filename for entry in entries):
        raise problem(place, f"a compiled file has at most {MAX_ENTRIES:,} folders")
    if not {MANIFEST, CONFIG} <= {entry.filename for entry in entries}:
        raise problem(place, f"there is no {MANIFEST} or no {CONFIG} in it")
    return entries


def _is_name(name: str) -> bool:
    path = PurePosixPath(name)
    if name in (MANIFEST, CONFIG):
        return True
    plain = name.removesuffix("/") == str(path) and len(name) <= _MAX_NAME and name.isprintable()
    return plain and "\\" not in name and path.parts[:1] == (FOLDER,) and ".." not in path.parts


def _check_manifest(archive: zipfile.ZipFile, place: Place) -> None:
    with archive.open(MANIFEST) as file:
        raw = file.read(MAX_MANIFEST + 1)
    try:
        made_by, format_ = _made_by(raw if len(raw) <= MAX_MANIFEST else b"")
    except (ValueError, KeyError, TypeError, RecursionError):
        raise problem(place, f"its {MANIFEST} cannot be read", _MAKE_ANEW) from None
    if format_ != FORMAT or isinstance(format_, bool):
        raise problem(
            place,
            f"it was compiled by pyworkerd {made_by!a} in another form than pyworkerd {version('pyworkerd')} reads",
            f"compile it again with pyworkerd {version('pyworkerd')}",
        )


def _made_by(manifest: bytes) -> tuple[str, object]:
    """The version that made a file, cut short, and the form that it has."""
    values = json.loads(manifest)
    return str(values["pyworkerd"])[:40], values["format"]


def _extract(archive: zipfile.ZipFile, entries: list[zipfile.ZipInfo], folder: Path, place: Place) -> None:
    left = MAX_BYTES
    for entry in entries:
        target = folder / entry.filename
        try:
            if entry.is_dir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(entry) as source, target.open("xb") as written:
                for piece in _pieces(source):
                    left -= len(piece)
                    if left < 0:
                        raise problem(place, f"the file has more than {MAX_BYTES >> 20:,} MiB unpacked")
                    written.write(piece)
        except (FileExistsError, NotADirectoryError):
            raise problem(place, f"{entry.filename[:60]!a} stands where something else is") from None


def _pieces(source: object) -> Iterator[bytes]:
    while piece := source.read(_PIECE):  # type: ignore[attr-defined]
        yield piece
