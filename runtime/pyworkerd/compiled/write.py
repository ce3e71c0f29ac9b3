"""Writes a compiled file. Blocks on the disk, and reads every file of every service.

The same configuration and files give the same bytes: names are in order, and entries have no times.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from secrets import token_hex
from time import time_ns
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_config import ConfigError, Place, Problem, read_data
from pyworkerd_config.dialects import print_as
from pyworkerd_config.model import Assets, Disk, Worker
from pyworkerd_isolates.errors import BundleError

from pyworkerd.bindings.d1.migrations import read as read_migrations
from pyworkerd.foreign import Foreign
from pyworkerd.services.assets.index import OWN, Index
from pyworkerd.sources import read_bundle, source_text
from pyworkerd.storage.tree import Tree

from .layout import (
    ASSETS,
    CODE,
    CONFIG,
    DATA,
    DISK,
    FORMAT,
    MANIFEST,
    MAX_BYTES,
    MAX_ENTRIES,
    MIGRATIONS,
    below,
    has_many_folders,
    inside,
    moved,
    place_of,
    problem,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_config import Config
    from pyworkerd_config.model import Binding, Service

_TOP: Final = Path("compiled")
"""Stands for the folder of the archive while its configuration is written."""
_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The first time that a ZIP archive can tell."""


class Summary(NamedTuple):
    """What was written."""

    workers: int
    files: int
    size: int
    """Bytes of the compiled file."""


class _Files:
    """What goes into the archive, by name, within its limits."""

    def __init__(self) -> None:
        self.content: dict[str, Path | bytes] = {}
        self._size = 0

    def add(self, name: str, content: Path | bytes) -> None:
        """Note a file, whose bytes are read when it is written. A name that ends in `/` is a folder."""
        self.content[name] = content
        self._size += len(content) if isinstance(content, bytes) else content.stat().st_size
        if len(self.content) > MAX_ENTRIES or self._size > MAX_BYTES:
            raise problem(
                Place(),
                f"a compiled file has at most {MAX_ENTRIES:,} files and {MAX_BYTES >> 20:,} MiB unpacked",
            )


def compile_to(config: Config, output: Path) -> Summary:
    """Write the compiled file of a configuration that was read from the disk; one that is there is replaced, all at
    once. Raises `ConfigError`.
    """
    folder = config.place.file.parent if config.place.file else Path()
    _refuse_secrets_of_folders(config)
    files = _Files()
    try:
        services = tuple(_packed(service, config, files) for service in config.services)
        extensions = tuple(replace(each, content=source_text(each)) for each in config.extensions)
    except BundleError as error:
        raise problem(config.place, str(error)) from None
    except OSError as error:
        raise problem(Place(Path(error.filename or "")), f"cannot be read ({error.strerror})") from None
    for service in services:
        if any(below(path, _TOP) is None for path in inside(service)):
            raise problem(service.place, f"service {service.name!r} has a path that cannot be compiled")
    if has_many_folders(files.content):
        raise problem(config.place, f"a compiled file has at most {MAX_ENTRIES:,} folders")
    packed = moved(
        replace(config, services=services, extensions=extensions),
        lambda path, what, place: _TOP / _beside(path, folder, what, place),
        lambda path: path if path.is_absolute() else _TOP / os.path.relpath(path, folder),
    )
    printed = print_as(CONFIG, replace(packed, place=Place(_TOP / CONFIG)), _TOP)
    if printed.lost:
        raise ConfigError(
            [Problem(config.place, f"config.toml cannot say it: {phrase}") for phrase in printed.lost]
        )
    manifest = {"format": FORMAT, "pyworkerd": version("pyworkerd")}
    head = {MANIFEST: json.dumps(manifest).encode(), CONFIG: printed.files[0].text.encode()}
    workers = sum(isinstance(each.kind, Worker) for each in services)
    return Summary(workers, len(files.content), _write(output, {**head, **files.content}))


def _refuse_secrets_of_folders(config: Config) -> None:
    """Secrets that two folders have different values for have names of their own, of no environment."""
    found = [
        Problem(
            each.place, f"secret {each.name!r} is not the same in every folder", "give each a name of its own"
        )
        for service in config.services
        if isinstance(service.kind, Worker)
        for each in service.kind.bindings
        if each.kind == "secret" and ":" in each.value
    ]
    if found:
        raise ConfigError(found)


def _beside(path: Path, folder: Path, what: str, place: Place) -> Path:
    found = below(path, folder)
    if found is None:
        raise problem(
            place,
            f"{what} lies outside of the folder of the configuration",
            "a compiled file writes only below the folder that it lies in: name a folder below it",
        )
    return found


def _packed(service: Service, config: Config, files: _Files) -> Service:
    """The service with the paths that its files have in the archive."""
    kind = service.kind
    if isinstance(kind, Disk) and not kind.writable:
        top = place_of(service.name, DISK)
        files.add(f"{top}/", b"")
        for name, path in _shown(kind):
            files.add(f"{top}/{name}", path)
        return replace(service, kind=replace(kind, path=_TOP / top))
    if isinstance(kind, Worker):
        return replace(service, kind=_packed_worker(service, kind, config, files))
    return service


def _packed_worker(service: Service, worker: Worker, config: Config, files: _Files) -> Worker:
    top = place_of(service.name, CODE)
    folder = Foreign(config).folder(worker, service.place)
    for name, content in read_bundle(folder, worker, ()).files.items():
        files.add(f"{top}/{name}", content)
    if worker.modules:
        main, root = _TOP / worker.modules[0].name, _TOP
    else:
        main, root = _TOP / top / worker.main.resolve().relative_to(worker.root.resolve()), _TOP / top
    assets = worker.assets
    if assets is not None:
        assets = _packed_assets(service.name, assets, files)
    return replace(
        worker,
        main=main,
        root=root,
        modules=tuple(replace(each, content=_TOP / top / each.name) for each in worker.modules),
        assets=assets,
        bindings=tuple(_packed_binding(service.name, each, files) for each in worker.bindings),
    )


def _packed_assets(service: str, assets: Assets, files: _Files) -> Assets:
    top = place_of(service, ASSETS)
    files.add(f"{top}/", b"")
    found = {
        name.removeprefix("/") for name in Index.empty().renewed(Tree(assets.directory), time_ns()).files
    }
    for name in sorted(found | {name for name in OWN if (assets.directory / name).is_file()}):
        files.add(f"{top}/{name}", assets.directory / name)
    return replace(assets, directory=_TOP / top)


def _packed_binding(service: str, binding: Binding, files: _Files, path: str = "") -> Binding:
    value, options = binding.value, dict(binding.options)
    if isinstance(value, Path):
        name = place_of(service, DATA, f"{path}{binding.name}")
        files.add(name, read_data(value))
        value = _TOP / name
    if isinstance(folder := options.get("migrations"), Path):
        options["migrations"] = _TOP / _packed_migrations(service, binding, folder, files)
    if binding.kind == "wrapped":
        inner = options.get("bindings", ())
        options["bindings"] = tuple(
            _packed_binding(service, each, files, f"{path}{binding.name}/") for each in inner
        )
    return replace(binding, value=value, options=options)


def _packed_migrations(service: str, binding: Binding, folder: Path, files: _Files) -> str:
    top = place_of(service, MIGRATIONS, binding.name)
    files.add(f"{top}/", b"")
    try:
        for name, text in read_migrations(folder):
            files.add(f"{top}/{name}", text.encode())
    except ValueError as error:
        raise problem(binding.place, f"migrations of {binding.name!r}: {error}") from None
    return top


def _shown(disk: Disk) -> Iterator[tuple[str, Path]]:
    """Path below a folder and path of each file that it serves, links aside."""
    for where, folders, names in os.walk(disk.path, onerror=_raise):
        folders[:] = sorted(name for name in folders if disk.allow_dotfiles or not name.startswith("."))
        for name in sorted(names):
            path = Path(where) / name
            if path.is_file() and not path.is_symlink() and (disk.allow_dotfiles or not name.startswith(".")):
                yield path.relative_to(disk.path).as_posix(), path


def _raise(error: OSError) -> None:
    raise error


def _write(output: Path, content: dict[str, Path | bytes]) -> int:
    new = output.with_name(f".{output.name}.{token_hex(8)}")
    try:
        with new.open("xb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in content.items():
                _write_entry(archive, name, data)
        size = new.stat().st_size
        new.replace(output)
    except OSError as error:
        raise problem(
            Place(Path(error.filename or output)), f"cannot be written ({error.strerror})"
        ) from None
    finally:
        new.unlink(missing_ok=True)
    return size


def _write_entry(archive: zipfile.ZipFile, name: str, data: Path | bytes) -> None:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.compress_type = zipfile.ZIP_DEFLATED
    info.external_attr = (0o40700 if name.endswith("/") else 0o100600) << 16
    if isinstance(data, bytes):
        archive.writestr(info, data)
        return
    with data.open("rb") as source:
        info.file_size = os.fstat(source.fileno()).st_size  # zipfile chooses its form by it
        with archive.open(info, "w") as written:
            shutil.copyfileobj(source, written)
