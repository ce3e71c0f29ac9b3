"""Checks of static assets: what lies in their folder is for everybody to read. Pure."""

from __future__ import annotations

from pathlib import Path
from posixpath import normpath
from typing import TYPE_CHECKING

from pyworkerd_config.model import Config, Worker
from pyworkerd_config.problems import Problem, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_config.kinds import BindingKinds


def assets(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    """Folders of static assets with something in them that nobody but the server may read."""
    private = [(what, _plain(path)) for what, path in _private(config)]
    for service in config.services:
        if not isinstance(service.kind, Worker) or service.kind.assets is None:
            continue
        directory = _plain(service.kind.assets.directory)
        for what, path in private:
            if _is_served(path, directory):
                at = service.places.at("worker", "assets", "directory")
                owner = f"the assets of {quote(service.name)}, which everybody may read"
                yield Problem(
                    at if service.places.lines else service.place,
                    f"{what} ({quote(str(path))}) is among {owner}",
                    'write directory = "public", and have in it what is for clients alone',
                )


def _private(config: Config) -> Iterator[tuple[str, Path]]:
    yield "state_dir", config.state_dir
    if config.admin is not None and config.admin.tokens is not None:
        yield "the file of tokens", config.admin.tokens
    for socket in config.sockets:
        for certificate in socket.https.certificates if socket.https is not None else ():
            yield "the key of a certificate", certificate.key


def _plain(path: Path) -> Path:
    return Path(normpath(path))


def _is_served(path: Path, directory: Path) -> bool:
    """Names with a dot first are not, nor is what lies in folders of such names."""
    if not path.is_relative_to(directory):
        return False
    return not any(
        part.startswith(".") and part != ".well-known" for part in path.relative_to(directory).parts
    )
