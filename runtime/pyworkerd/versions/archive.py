"""Uploads: tar archives, compressed with gzip. Hostile until they have been read.

One kind has a worker's files, a manifest, and what it says of static assets; the other has contents of those, each of
them called by its SHA-256.

Everything is bounded by what has been decompressed so far, never by what the archive says of itself. Nothing is
unpacked to a path that the archive names: files are read into memory and checked as a `Bundle` is.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Final, NamedTuple, TypeVar

import msgspec
from pyworkerd_config.names import binding_name_fault
from pyworkerd_isolates.bundle import MAX_BUNDLE_BYTES, MAX_FILES, Bundle
from pyworkerd_isolates.errors import BundleError

from . import tar
from .model import Listed, Manifest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

ARCHIVE: Final = "application/gzip"
"""The media type of an upload."""
MANIFEST: Final = ".pyworkerd.json"
"""Its name: a hidden file, which is never part of a worker."""
MAX_MANIFEST: Final = 256 << 10
SITE: Final = ".pyworkerd.assets.json"
"""The name of another one, which lists static assets."""
MAX_LISTED: Final = 8 << 20
"""Bytes of that."""
MAX_CONTENTS: Final = 64 << 20
"""Decompressed bytes of static assets in one upload."""
MAX_CONTENT_FILES: Final = 5000
"""And how many they may be: each has to be brought to disk."""
MAX_DEPTH: Final = 64
"""Of brackets in a var: what is nested deeper would not get through all that reads it."""
MAX_BYTES: Final = MAX_BUNDLE_BYTES + MAX_FILES * 2048 + MAX_MANIFEST + MAX_LISTED
"""Decompressed: all that a worker may have, and headers for each of its files."""
_END: Final = 1024
"""Zeros at the end of every archive (POSIX, pax, ustar Interchange Format)."""
_NO_ARCHIVE: Final = (
    tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError,
)  # fmt: skip
"""What the readers raise."""
_DIGEST: Final = re.compile(r"[0-9a-f]{64}")

_Said = TypeVar("_Said", Manifest, Listed)


class UploadError(Exception):
    """It is no worker; the sentence says why."""


def pack(bundle: Bundle, main: str, variables: Mapping[str, object], site: Listed | None = None) -> bytes:
    """An archive of a worker. `main` is the path of its main file. The same worker gives the same bytes."""
    said = [(MANIFEST, msgspec.json.encode(Manifest(main, dict(variables)), order="sorted"))]
    if site is not None:
        said.append((SITE, msgspec.json.encode(site, order="sorted")))
    return packed([*said, *sorted(bundle.files.items())])


def packed(files: Iterable[tuple[str, bytes]]) -> bytes:
    """An archive of files by their names."""
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0, filename="") as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, data in files:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def unpack(file: IO[bytes]) -> tuple[Bundle, Manifest, Listed | None]:
    """The worker in an archive, its manifest, and its static assets if it brings any. Blocks. Raises `UploadError`."""
    files: dict[str, bytes] = {}
    for name, data in _members(file, _of_a_worker()):
        if name in files:
            raise UploadError(f"{name!r} is there twice")
        files[name] = data
    if MANIFEST not in files:
        raise UploadError(f"the upload has no {MANIFEST}")
    manifest = _decoded(files, MANIFEST, Manifest)
    site = _decoded(files, SITE, Listed) if SITE in files else None
    binding = site.settings.binding if site is not None else None
    if binding is not None and (fault := binding_name_fault(binding)):
        # A reload would say so as well, and where the operator's configuration is.
        raise UploadError(f"{SITE}: {binding!r} cannot be the name of a binding: {fault}")
    if any(not _is_shallow(value, MAX_DEPTH) for value in manifest.vars.values()):
        raise UploadError(f"{MANIFEST}: a var is nested more than {MAX_DEPTH} times")
    try:
        return Bundle.of(files, manifest.main), manifest, site
    except BundleError as error:
        raise UploadError(str(error)) from None


def contents(file: IO[bytes]) -> Iterator[tuple[str, bytes]]:
    """Contents of static assets in an archive, by their names. Blocks. Raises `UploadError`."""
    for name, data in _members(file, _of_contents()):
        if not _DIGEST.fullmatch(name):
            raise UploadError(f"{name[:200]!r} is no SHA-256 in 64 hexadecimal digits")
        yield name, data


def id_of(bundle: Bundle, manifest: Manifest, site: Listed | None = None) -> str:
    """A name for exactly this content."""
    said = msgspec.json.encode(manifest, order="sorted")
    if site is not None:
        said += b"\0" + msgspec.json.encode(site, order="sorted")
    return sha256(b"%s\0%s" % (bundle.digest().encode(), said)).hexdigest()[:16]


def _decoded(files: dict[str, bytes], name: str, kind: type[_Said]) -> _Said:
    try:
        return msgspec.json.decode(files.pop(name), type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UploadError(f"{name}: {error}") from None


def _is_shallow(value: object, depth: int) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth >= 0 and all(_is_shallow(part, depth - 1) for part in parts)


class _Bounds(NamedTuple):
    """What an archive may have."""

    files: int
    size: int
    what: str


def _of_a_worker() -> _Bounds:
    what = f"a worker may have ({MAX_FILES} files, {MAX_BUNDLE_BYTES} bytes)"
    return _Bounds(MAX_FILES, MAX_BYTES, what)


def _of_contents() -> _Bounds:
    what = f"one upload of assets may ({MAX_CONTENT_FILES} files, {MAX_CONTENTS} bytes): send several"
    return _Bounds(MAX_CONTENT_FILES, MAX_CONTENTS + MAX_CONTENT_FILES * 2048, what)


_MOST: Final = {MANIFEST: MAX_MANIFEST, SITE: MAX_LISTED}


def _members(file: IO[bytes], bounds: _Bounds) -> Iterator[tuple[str, bytes]]:
    try:
        with gzip.GzipFile(fileobj=file, mode="rb") as decompressed:
            bounded = _Bounded(decompressed, bounds)
            for name, data in tar.files(bounded.read, _admitting(bounds)):
                yield name.removeprefix("./"), data
            while bounded.read(1 << 16):  # to where the checksum is
                pass
            if bounded.tail != bytes(_END):
                raise EOFError("it has no end")
    except tar.NotPlain as error:
        raise UploadError(f"{str(error)!r} is no plain file: links and devices are not taken") from None
    except _NO_ARCHIVE as error:
        raise UploadError(f"the upload is no whole archive: {error}") from None


def _admitting(bounds: _Bounds) -> tar.Admit:
    left = bounds.files

    def admit(name: str, size: int) -> None:
        nonlocal left
        name = name.removeprefix("./")
        left -= name not in _MOST
        if left < 0:
            raise UploadError(f"the upload has more than {bounds.files} files")
        if size > _MOST.get(name, size):
            raise UploadError(f"{name} is larger than {_MOST[name]} bytes")

    return admit


class _Bounded:
    """Reads no more than an upload may hold: what comes out, not what goes in."""

    def __init__(self, file: gzip.GzipFile, bounds: _Bounds) -> None:
        self._file, self._what = file, bounds.what
        self._left = bounds.size
        self.tail = b""
        """The last bytes that came."""

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise UploadError(f"the upload holds more than {self._what}")
        self.tail = (self.tail + data)[-_END:]
        return data
