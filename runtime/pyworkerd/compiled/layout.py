"""What lies where in a compiled file, and its limits. Pure.

Inside: programs, data, migrations, assets, folders that are only read. Beside the file: stores, folders that are
written to, certificates that the server has signed itself. Wherever they were: other certificates, their keys, tokens,
which are the machine's and never in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from os.path import normpath
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from pyworkerd_config import ConfigError, Problem
from pyworkerd_config.model import Disk, Extension, Place
from pyworkerd_isolates.languages import COMPILED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from pyworkerd_config import Config
    from pyworkerd_config.model import Admin, Https, Service, Socket

Beside: TypeAlias = "Callable[[Path, str, Place], Path]"

SUFFIX: Final = COMPILED
FORMAT: Final = 1
MANIFEST: Final = "manifest.json"
CONFIG: Final = "config.toml"
FOLDER: Final = "services"
"""Has a folder for each service, and in it one for each of the following."""
CODE, DATA, MIGRATIONS, ASSETS, DISK = "code", "data", "migrations", "assets", "disk"

MAX_ENTRIES: Final = 60_000
"""Files of an archive; one with more would be another kind of archive (ZIP64). And folders that they lie in: a name of
a thousand characters can bring five hundred."""
MAX_BYTES: Final = 1 << 30
"""Of an archive, and of all its files unpacked."""
MAX_RATIO: Final = 200
"""How many times larger files may be unpacked than packed, once they are large: text is packed ten times smaller, and
what is packed a thousand times smaller was made to fill a disk."""
FREE_BYTES: Final = 64 << 20
"""Unpacked, up to which no ratio is looked at."""
MAX_MANIFEST: Final = 64 << 10


def place_of(service: str, part: str, name: str = "") -> str:
    """The path of something of a service, from the top of the archive."""
    return f"{FOLDER}/{service}/{part}" + (f"/{name}" if name else "")


def has_many_folders(names: Iterable[str]) -> bool:
    """Whether the files of an archive lie in more folders than there may be files."""
    found: set[str] = set()
    for name in names:
        folder = name.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            if len(found) > MAX_ENTRIES:
                return True
            folder = folder.rpartition("/")[0]
    return False


def below(path: Path, folder: Path) -> Path | None:
    """The way from a folder down to a path; None if the path lies elsewhere. Links are not looked at."""
    whole, top = Path(normpath(path)), Path(normpath(folder))
    return whole.relative_to(top) if whole.is_relative_to(top) else None


def moved(config: Config, beside: Beside, anywhere: Callable[[Path], Path]) -> Config:
    """The configuration with other paths to what is never inside: what is written to, stores, writable folders, signed
    certificates, by `beside`, which is told what each is and where that was written; other certificates, and tokens,
    by `anywhere`.
    """
    return replace(
        config,
        state_dir=beside(config.state_dir, "state_dir", config.places.at("state_dir")),
        admin=None if config.admin is None else _admin(config.admin, anywhere),
        sockets=tuple(_socket(socket, beside, anywhere) for socket in config.sockets),
        services=tuple(
            replace(
                each,
                kind=replace(each.kind, path=beside(each.kind.path, f"the disk {each.name!r}", each.place)),
            )
            if isinstance(each.kind, Disk) and each.kind.writable
            else each
            for each in config.services
        ),
    )


def _admin(admin: Admin, anywhere: Callable[[Path], Path]) -> Admin:
    return admin if admin.tokens is None else replace(admin, tokens=anywhere(admin.tokens))


def _socket(socket: Socket, beside: Beside, anywhere: Callable[[Path], Path]) -> Socket:
    if socket.https is None:
        return socket
    if socket.https.acme is None:
        return replace(socket, https=_https(socket.https, anywhere))
    # These are written, by whoever has them signed.
    return replace(
        socket, https=_https(socket.https, lambda path: beside(path, "a certificate", socket.place))
    )


def _https(https: Https, to: Callable[[Path], Path]) -> Https:
    pairs = tuple(replace(each, cert=to(each.cert), key=to(each.key)) for each in https.certificates)
    authority = None if https.client_ca is None else to(https.client_ca)
    return replace(https, certificates=pairs, client_ca=authority)


def inside(service: Service | Extension) -> list[Path]:
    """The paths of a part that have to be inside of the archive: all but those of a folder that is written to."""
    if isinstance(service, Extension):
        return list(_paths(service))
    outside = isinstance(service.kind, Disk) and service.kind.writable
    return [] if outside else list(_paths(service.kind))


def _paths(value: object) -> Iterator[Path]:
    """Every path that a part of a model names, wherever in it."""
    if isinstance(value, Path):
        yield value
    elif is_dataclass(value) and not isinstance(value, Place):
        yield from (path for each in fields(value) for path in _paths(getattr(value, each.name)))
    elif isinstance(value, Mapping):
        yield from (path for each in value.values() for path in _paths(each))
    elif isinstance(value, tuple | list):
        yield from (path for each in value for path in _paths(each))


def problem(place: Place, message: str, remedy: str = "") -> ConfigError:
    """One thing that is wrong."""
    return ConfigError([Problem(place, message, remedy)])
