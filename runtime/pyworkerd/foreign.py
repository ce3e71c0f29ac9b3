"""What of a worker's folder is another worker's, or the server's: it stays out of the bundle.

A bundle is all that lies below a worker's folder, by default that of its main module. Where workers lie side by side,
or one below another, each would otherwise be able to read the programs of the others. Files that are no worker's own
are shared by all of a folder.
"""

from __future__ import annotations

import contextlib
import os
import stat
from bisect import bisect_left
from dataclasses import replace
from os.path import normpath, sep
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from pyworkerd_config.model import Disk, Worker
from pyworkerd_isolates.bundle import Folder

from pyworkerd.storage.layout import draft_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_config.model import Config, Place


def _parts(path: Path) -> tuple[str, ...]:
    return tuple(part for part in normpath(path.absolute()).split(sep) if part)


def part_of(folder: Path, config: Config) -> tuple[str, Path] | None:
    """The worker that would have a folder, which the server is to write to, among its files: its name and its root."""
    folder = folder.resolve()
    for service in config.services:
        if isinstance(service.kind, Worker) and folder.is_relative_to(root := service.kind.root.resolve()):
            if any(part.startswith(".") for part in folder.relative_to(root).parts):
                continue  # hidden files are never a worker's
            return service.name, root
    return None


class Foreign:
    """The folders of one configuration."""

    def __init__(self, config: Config) -> None:
        workers = {
            kind.main: kind
            for service in config.services
            for kind in (service.kind, service.configured)
            if isinstance(kind, Worker)
        }.values()
        self._written = {
            config.state_dir.absolute(),
            draft_of(config.state_dir.absolute()),
            *(
                s.kind.path.absolute()
                for s in config.services
                if isinstance(s.kind, Disk) and s.kind.writable
            ),
        }
        places = (config.place, *(service.place for service in config.services))
        self._configurations = frozenset(each.file.resolve() for each in places if each.file is not None)
        self._keys = frozenset(
            certificate.key.resolve()
            for socket in config.sockets
            if socket.https is not None
            for certificate in socket.https.certificates
        ) | ({config.admin.tokens.resolve()} if config.admin is not None and config.admin.tokens else set())
        self._real: dict[Path, Path] = {}
        """Links followed: to ask the disk for every neighbour of every worker would take minutes."""
        self._by_root = sorted(((_parts(each.root), each) for each in workers), key=_first)
        self._by_main = sorted(((_parts(each.main), each) for each in workers), key=_first)

    def to(self, worker: Worker) -> frozenset[Path]:
        """The stores, disks that are written to, keys of TLS, tokens, files that this process's output goes to, main
        modules of other workers below this one's folder, and workers' folders below its own."""
        parts, own = _parts(worker.root), _parts(worker.main)
        root, main = worker.root.absolute(), worker.main.absolute()
        found = {
            each for each in self._written if each.is_relative_to(root) and not main.is_relative_to(each)
        }
        found |= {other.main for _, other in _below(parts, self._by_main) if other.main != worker.main}
        found |= {
            other.root
            for theirs, other in _below(parts, self._by_root)
            if theirs != parts and own[: len(theirs)] != theirs
        }
        return (self._keys | _OUTPUT).union(map(self._resolved, found))

    def folder(self, worker: Worker, place: Place) -> Folder:
        """What this worker's bundle is read from. It was configured there."""
        exclude = self.to(worker) | self._configurations
        if place.file is not None:
            exclude |= {place.file.resolve()}
        if worker.assets is not None:
            exclude |= {worker.assets.directory.resolve()}
        return Folder(worker.main, worker.root, exclude)

    def to_site(self, worker: Worker, site: Path) -> frozenset[Path]:
        """The same of a folder of static assets, which need not lie below the worker's: everybody may read them."""
        return self.to(replace(worker, root=site)) | self._configurations

    def _resolved(self, path: Path) -> Path:
        if path not in self._real:
            self._real[path] = path.resolve()
        return self._real[path]


def _output() -> Iterator[Path]:
    """Files that what this process says goes to, as after `pyworkerd serve > log`: all tenants' words are in them."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISREG(os.fstat(descriptor).st_mode):
                yield Path(f"/proc/self/fd/{descriptor}").resolve(strict=True)


_OUTPUT: Final = frozenset(_output())
"""Found out once, as the command begins: what a serving process says goes to the supervisor, which writes it there."""


_Placed: TypeAlias = "tuple[tuple[str, ...], Worker]"


def _first(placed: _Placed) -> tuple[str, ...]:
    return placed[0]


def _below(parts: tuple[str, ...], placed: list[_Placed]) -> Iterator[_Placed]:
    """Those, of ones in order, that begin with these parts."""
    for index in range(bisect_left(placed, parts, key=_first), len(placed)):
        if placed[index][0][: len(parts)] != parts:
            break
        yield placed[index]
