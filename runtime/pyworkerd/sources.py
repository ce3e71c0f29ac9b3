"""The files of a configured worker: those of its folder, or the modules that its configuration lists."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from pyworkerd_config.model import flat
from pyworkerd_isolates.bundle import MAX_BUNDLE_BYTES, Bundle, Listed
from pyworkerd_isolates.errors import BundleError, ImageError
from pyworkerd_isolates.languages import JAVASCRIPT

from .remedies import remedy_of

if TYPE_CHECKING:
    from pyworkerd_config.model import Extension, Module, Worker
    from pyworkerd_isolates.bundle import Folder

    from pyworkerd.dispatch.fleet import Fleet


async def source_of(
    folder: Folder, worker: Worker, extensions: tuple[Extension, ...], fleet: Fleet
) -> Folder | Bundle:
    """What the worker is deployed from: its folder, unless modules are listed, of its own or extensions.

    Raises `BundleError`.
    """
    if not worker.modules and (not extensions or folder.language is not JAVASCRIPT):
        return folder
    return await fleet.run(read_bundle, folder, worker, extensions)


def read_bundle(folder: Folder, worker: Worker, extensions: tuple[Extension, ...]) -> Bundle:
    """All of it, read now; blocks on the disk. Raises `BundleError`."""
    bundle = read_modules(worker.modules) if worker.modules else folder.read()
    if not extensions or bundle.language is not JAVASCRIPT:
        return bundle
    found = [
        Listed(each.name, "internal" if each.internal else "extension", _content(each.content))
        for each in extensions
    ]
    wrappers = dict.fromkeys(str(each.value) for each in flat(worker.bindings) if each.kind == "wrapped")
    return bundle.extended(found, tuple(wrappers))


def read_modules(modules: tuple[Module, ...]) -> Bundle:
    """The bundle of listed modules; blocks on the disk. Raises `BundleError`."""
    found, size = [], 0
    for module in modules:
        content = _content(module.content)
        size += len(content)
        if size > MAX_BUNDLE_BYTES:
            raise BundleError(f"the worker's modules have more than {MAX_BUNDLE_BYTES} bytes")
        found.append(Listed(module.name, module.kind, content))
    return Bundle.listed(found)


def source_text(extension: Extension) -> str:
    """The source of an extension; blocks on the disk. Raises `BundleError`."""
    try:
        return _content(extension.content).decode()
    except UnicodeDecodeError:
        raise BundleError(f"the extension {extension.name!r} is not UTF-8 text") from None


def _content(content: str | bytes | Path) -> bytes:
    if not isinstance(content, Path):
        return content.encode() if isinstance(content, str) else content
    try:
        # Not to be kept waiting by a pipe, or fed by a device.
        descriptor = os.open(content, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise BundleError(f"{content} is not a file")
            return file.read(MAX_BUNDLE_BYTES + 1)
    except OSError as error:
        raise BundleError(f"{content} cannot be read: {error.strerror or error}") from None


def sentence(error: ImageError, root: Path, main: Path) -> str:
    """Where a worker's top level failed, and how; its main module where the place is not known."""
    return _sentence(error, main if error.file is None else root / error.file)


def sentence_of(error: ImageError, worker: Worker) -> str:
    """The same of a configured worker: the file that a module was embedded from, where it was."""
    listed = {module.name: module.content for module in worker.modules}
    content = listed.get(error.file or worker.main.name)
    if isinstance(content, Path):
        return _sentence(error, content)
    return sentence(error, worker.root, worker.main)


def _sentence(error: ImageError, place: Path) -> str:
    line = f":{error.line}" if error.line is not None else ""
    remedy = remedy_of(str(error))
    said = f"{place}{line}: {error}"
    return said if remedy is None else f"{said.removesuffix('.')}: {remedy}"
