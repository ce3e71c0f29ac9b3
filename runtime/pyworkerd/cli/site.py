"""The static assets that `pyworkerd deploy` brings along: which files they are, and which of them are new."""

from __future__ import annotations

import os
import time
from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_isolates.bundle import is_secret

from pyworkerd.errors import ConfigurationError, StorageError
from pyworkerd.services.assets.index import OWN, Index
from pyworkerd.storage.tree import FILE, FileSource, Tree
from pyworkerd.versions.archive import ARCHIVE, packed
from pyworkerd.versions.model import Listed, SiteSettings
from pyworkerd.versions.sites import MAX_ASSET, MAX_ASSETS, MAX_SITE

from .remote import encode, path_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from pyworkerd_config.model import Assets

    from .remote import Remote

ASKED: Final = 10_000
"""Digests in one question."""
MAX_SENT: Final = 32 << 20
"""Bytes in one upload, or one file."""
MAX_FILES_SENT: Final = 2000


class Site(NamedTuple):
    """The files of a folder as they were when they were read."""

    tree: Tree
    digests: Mapping[str, str]
    """By their paths, which begin with a slash."""
    secrets: Sequence[str]
    """Paths of files that look like secrets: they are left out."""


def read_site(model: Assets, exclude: frozenset[Path]) -> Site:
    """What would be served of the folder, without what is another's (`exclude`, see `Foreign.to_site`).

    Raises `ConfigurationError`.
    """
    tree, root = Tree(model.directory), model.directory.resolve()
    exclude = exclude - {root}
    digests: dict[str, str] = {}
    secrets: list[str] = []
    size = 0
    try:
        for path in _paths(tree):
            real = root / path[1:]
            if not exclude.isdisjoint((real, *real.parents)):
                continue
            data = _content(tree, path)
            size += len(data)
            if is_secret(path, data):
                secrets.append(path[1:])
                continue
            digests[path] = sha256(data).hexdigest()
            if len(digests) > MAX_ASSETS or size > MAX_SITE:
                raise ConfigurationError(
                    f"{model.directory} holds more than the assets of a version may be "
                    f"({MAX_ASSETS} files, {MAX_SITE} bytes)"
                )
    except StorageError as error:
        raise ConfigurationError(f"the assets in {model.directory} cannot be read: {error}") from None
    return Site(tree, digests, secrets)


def listed(site: Site, model: Assets) -> Listed:
    """What the upload of a version says of it."""
    settings = SiteSettings(
        model.binding, model.html_handling, model.not_found_handling, model.run_worker_first
    )
    return Listed(dict(site.digests), settings)


def send(site: Site, remote: Remote, service: str) -> int:
    """Upload what the server has not got: how many files. Raises `Refusal`, `ConfigurationError`."""
    paths = {digest: path for path, digest in site.digests.items()}
    missing = _missing(list(paths), remote, service)
    for batch in _batches(site, {digest: paths[digest] for digest in missing}):
        remote.ask("POST", path_of(service, "assets"), body=packed(batch), kind=ARCHIVE)
    return len(missing)


def _missing(digests: list[str], remote: Remote, service: str) -> list[str]:
    found: list[str] = []
    for start in range(0, len(digests), ASKED):
        asked = encode({"digests": digests[start : start + ASKED]})
        found += remote.ask("POST", path_of(service, "assets", "missing"), body=asked)["missing"]
    return found


def _batches(site: Site, paths: Mapping[str, str]) -> Iterator[list[tuple[str, bytes]]]:
    batch: list[tuple[str, bytes]] = []
    size = 0
    for digest, path in paths.items():
        data = _content(site.tree, path)
        if sha256(data).hexdigest() != digest:
            raise ConfigurationError(f"{path} has changed while it was uploaded: deploy again")
        if batch and (size + len(data) > MAX_SENT or len(batch) == MAX_FILES_SENT):
            yield batch
            batch, size = [], 0
        batch.append((digest, data))
        size += len(data)
    if batch:
        yield batch


def _paths(tree: Tree) -> list[str]:
    """What is served, and what says how."""
    files = Index.empty().renewed(tree, time.time_ns()).files
    own = [f"/{name}" for name in OWN if (entry := tree.look((name,))) is not None and entry.kind == FILE]
    return sorted([*files, *own], key=os.fsencode)


def _content(tree: Tree, path: str) -> bytes:
    opened = tree.open(tuple(path.split("/")[1:]))
    if opened is None:
        raise ConfigurationError(f"{path} in {tree.root} has gone while it was read: deploy again")
    entry, descriptor = opened
    with closing(FileSource(descriptor, 0, entry.size)) as source:
        if entry.size > MAX_ASSET:
            raise ConfigurationError(
                f"{tree.root}{path} has {entry.size} bytes: an asset has {MAX_ASSET} at most"
            )
        return b"".join(iter(lambda: source.read(MAX_ASSET), b""))
