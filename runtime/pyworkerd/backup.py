"""A copy of everything below a `state_dir` while servers use it, and the way back.

Each store is copied as it was at one moment; two stores may be copied at two. Databases are read through SQLite, in one
transaction, which keeps nobody from writing. Files of buckets never change, so they are linked where that can be, and
copied otherwise. A copy counts once its manifest is there, which is written last.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyworkerd.bindings.r2.catalogue import DESIGN as BUCKET
from pyworkerd.errors import StorageError
from pyworkerd.storage.layout import FILES, draft_of
from pyworkerd.versions.sites import BLOBS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FORMAT: Final = 1
MANIFEST: Final = "backup.json"
SUFFIX: Final = ".sqlite3"
VERSIONS: Final = "versions"
TRIES: Final = 20
"""How often objects of one bucket may be deleted between reading its catalogue and linking its files."""
MAX_MANIFEST: Final = 256 << 20


class _Gone(Exception):
    """A store is not there any more."""


@dataclass(frozen=True, slots=True)
class Summary:
    """What was copied."""

    stores: int
    files: int
    """Of buckets."""
    size: int
    """Bytes, linked ones included."""


def backup(state_dir: Path, folder: Path, progress: Callable[[str], None] = lambda _: None) -> Summary:
    """Copy a `state_dir` into a folder that is not there yet, or empty. Blocks.

    Raises `StorageError` if something cannot be copied; then there is no manifest.
    """
    if not state_dir.is_dir():
        raise StorageError(f"there is no state in {state_dir}: nothing has been stored yet")
    _must_be_empty(folder, "name another folder for the backup")
    stores: dict[str, dict[str, Any]] = {}
    for _ in range(2):  # a store that is moved meanwhile may be missed where it was, and where it came to
        for path in _databases(state_dir):
            name = path.relative_to(state_dir)
            if name.as_posix() in stores:
                continue
            progress(str(name.with_suffix("")))
            with contextlib.suppress(_Gone):
                files = _copy_store(path, folder / name)
                stores[name.as_posix()] = {"bytes": (folder / name).stat().st_size, "files": files}
    versions = _copy_versions(state_dir, folder)
    manifest = {"format": FORMAT, "created": time.time(), "stores": stores, "versions": versions}
    _write_manifest(folder, manifest)
    return _summary(stores)


def restore(folder: Path, state_dir: Path, progress: Callable[[str], None] = lambda _: None) -> Summary:
    """Make a `state_dir` of a backup. It must not be there yet, or be empty. Blocks.

    Raises `StorageError` for a backup that is not whole, and then leaves nothing.
    """
    stores, versions = _read_manifest(folder)
    _must_be_empty(state_dir, "stop the server and move it away, or name another state_dir")
    draft = draft_of(state_dir)
    shutil.rmtree(draft, ignore_errors=True)
    try:
        for name, store in stores.items():
            progress(str(Path(name).with_suffix("")))
            _restore_store(folder / name, draft / name, store["files"])
        for name in versions:
            _private((draft / name).parent)
            shutil.copyfile(folder / name, draft / name)
            shutil.copystat(folder / name, draft / name)  # the times: ETags of static assets are made of them
            (draft / name).chmod(0o600)
            _sync(draft / name)
        _private(draft)
        if state_dir.exists():
            state_dir.rmdir()
        draft.rename(state_dir)
        _sync(state_dir.parent)
    except OSError as error:
        raise StorageError(f"the backup cannot be restored: {error.strerror} ({error.filename})") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return _summary(stores)


# copying ---------------------------------------------------------------------------------------------


def _databases(state_dir: Path) -> Iterator[Path]:
    for base, folders, names in os.walk(state_dir):
        folders[:] = sorted(name for name in folders if not name.endswith(FILES))
        if Path(base) == state_dir and VERSIONS in folders:
            folders.remove(VERSIONS)  # what lies there is a tenant's, whatever it is called
        yield from (Path(base) / name for name in sorted(names) if name.endswith(SUFFIX))


def _copy_versions(state_dir: Path, folder: Path) -> list[str]:
    """Versions that were deployed, and what is known of them: files that are replaced, never changed. Their names."""
    found = []
    try:
        for base, folders, names in os.walk(state_dir / VERSIONS):
            depth = len(Path(base).relative_to(state_dir).parts)
            folders[:] = sorted(name for name in folders if not _is_passing(name, depth))
            for name in sorted(names):
                place = (Path(base) / name).relative_to(state_dir)
                _private((folder / place).parent)
                with contextlib.suppress(FileNotFoundError):  # it was one of the oldest, and is gone
                    _link(state_dir / place, folder / place)
                    found.append(place.as_posix())
    except OSError as error:
        raise StorageError(f"the versions in {state_dir} cannot be copied: {error}") from error
    return found


def _is_passing(name: str, depth: int) -> bool:
    """Whether a folder is a draft, or what sites are linked from: versions are whole without it."""
    return (depth <= 3 and name.startswith(".")) or (depth == 2 and name == BLOBS)


def _copy_store(source: Path, target: Path) -> dict[str, int]:
    """Returns the files that belong to it, with their sizes."""
    try:
        _private(target.parent)
        for _ in range(TRIES):
            _copy_database(source, target)
            listed = _listed(target) if source.with_suffix(FILES).is_dir() or _is_bucket(target) else {}
            if _link_all(source.with_suffix(FILES), target.with_suffix(FILES), listed):
                return listed
    except (sqlite3.Error, OSError) as error:
        if source.is_dir() or not os.path.lexists(source):  # what is left in place of one that was moved
            raise _Gone from None
        raise StorageError(f"{source} cannot be copied: {error}") from error
    raise StorageError(
        f"{source} changes too fast to be copied, or has lost files: try again when less is deleted"
    )


def _copy_database(source: Path, target: Path) -> None:
    draft = target.with_name(f"{target.name}.draft")
    draft.unlink(missing_ok=True)
    # Opened as its own processes open it: one that only reads could not make sense of a log that is not written back.
    # What is gone since it was found is not made anew: a server would take it for a store.
    uri = f"{source.absolute().as_uri()}?mode=rw"
    with closing(sqlite3.connect(uri, uri=True)) as from_, closing(sqlite3.connect(draft)) as to:
        from_.execute("PRAGMA query_only = ON")
        from_.backup(to)
        to.execute("PRAGMA journal_mode = DELETE")
    draft.chmod(0o600)
    _sync(draft)
    draft.rename(target)


def _is_bucket(copy: Path) -> bool:
    """Also one whose files are not there: it may be about to be moved, and they are moved first."""
    with closing(sqlite3.connect(copy)) as connection:
        (kind,) = connection.execute("PRAGMA application_id").fetchone()
    return bool(kind == BUCKET.schema.application_id)


def _listed(catalogue: Path) -> dict[str, int]:
    if not _is_bucket(catalogue):
        raise StorageError(f"{catalogue} has files beside it and is no bucket")
    with closing(sqlite3.connect(catalogue)) as connection:
        return dict(connection.execute("SELECT name, size FROM files ORDER BY name"))


def _link_all(source: Path, target: Path, names: dict[str, int]) -> bool:
    """Whether every file is there now: one may have been deleted since it was listed."""
    for name in names:
        place = target / name[:2] / name
        if place.exists():
            continue
        _private(place.parent)
        try:
            _link(source / name[:2] / name, place)
        except FileNotFoundError:
            return False
    for path in [*target.glob("??/*")]:
        if path.name not in names:
            path.unlink()
    return True


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, or one without links
        draft = target.with_name(f"{target.name}.draft")
        shutil.copy2(source, draft)
        _sync(draft)
        draft.rename(target)


def _restore_store(source: Path, target: Path, files: dict[str, int]) -> None:
    _private(target.parent)
    shutil.copyfile(source, target)
    target.chmod(0o600)
    try:
        with closing(sqlite3.connect(target)) as connection:
            (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        found = str(error)
    if found != "ok":
        raise StorageError(f"{source} is damaged: {found}")
    _sync(target)
    for name, size in files.items():
        place = target.with_suffix(FILES) / name[:2] / name
        _private(place.parent)
        shutil.copyfile(source.with_suffix(FILES) / name[:2] / name, place)
        place.chmod(0o600)
        if place.stat().st_size != size:
            raise StorageError(f"{source}: the file {name} is not as large as it was")
        _sync(place)


# the manifest ----------------------------------------------------------------------------------------


def _write_manifest(folder: Path, manifest: dict[str, Any]) -> None:
    _private(folder)
    draft = folder / f"{MANIFEST}.draft"
    draft.write_text(json.dumps(manifest, indent=1))
    _sync(draft)
    draft.rename(folder / MANIFEST)
    _sync(folder)


def _read_manifest(folder: Path) -> tuple[dict[str, dict[str, Any]], list[str]]:
    """The stores of a backup, and the files of versions. What it says of paths is not believed."""
    path = folder / MANIFEST
    try:
        if path.stat().st_size > MAX_MANIFEST:
            raise StorageError(f"{path} is too large to be a manifest")
        manifest = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError):
        raise StorageError(f"{folder} holds no backup that was finished: there is no {MANIFEST}") from None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise StorageError(f"{path} is of another version")
    stores = manifest.get("stores")
    if not isinstance(stores, dict) or not all(map(_is_store, stores.items())):
        raise StorageError(f"{path} is damaged")
    versions = manifest.get("versions", [])  # backups of earlier versions have none
    if not isinstance(versions, list) or not all(map(_is_of_version, versions)):
        raise StorageError(f"{path} is damaged")
    return stores, versions


def _is_of_version(name: Any) -> bool:
    path = Path(name) if isinstance(name, str) else Path()
    return len(path.parts) > 2 and path.parts[0] == VERSIONS and ".." not in path.parts


def _is_store(item: tuple[Any, Any]) -> bool:
    name, store = item
    parts = Path(name).parts
    if not name.endswith(SUFFIX) or Path(name).is_absolute() or ".." in parts or len(parts) > 16:
        return False
    files = store.get("files") if isinstance(store, dict) else None
    return (
        isinstance(files, dict)
        and type(store.get("bytes")) is int
        and all(name.isalnum() and len(name) == 32 and type(size) is int for name, size in files.items())
    )


def _summary(stores: dict[str, dict[str, Any]]) -> Summary:
    files = [size for store in stores.values() for size in store["files"].values()]
    return Summary(len(stores), len(files), sum(files) + sum(store["bytes"] for store in stores.values()))


def as_json(summary: Summary) -> dict[str, int]:
    """For a program to read."""
    return asdict(summary)


# the disk --------------------------------------------------------------------------------------------


def _must_be_empty(folder: Path, remedy: str) -> None:
    try:
        if any(folder.iterdir()):
            raise StorageError(f"{folder} is not empty: {remedy}")
    except FileNotFoundError:
        return
    except NotADirectoryError:
        raise StorageError(f"{folder} is no folder: {remedy}") from None


def _private(folder: Path) -> None:
    """Make a folder, and those above it that are not there, for this user alone."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
