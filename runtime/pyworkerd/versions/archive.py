"""An upload: a tar archive, compressed with gzip, of a worker's files and a manifest. Hostile until it has been read.

Everything is bounded by what has been decompressed so far, never by what the archive says of itself. Nothing is
unpacked to a path that the archive names: files are read into memory and checked as a `Bundle` is.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from hashlib import sha256
from typing import IO, TYPE_CHECKING, Final

import msgspec
from pyworkerd_isolates.bundle import MAX_BUNDLE_BYTES, MAX_FILES, Bundle
from pyworkerd_isolates.errors import BundleError

from .model import Manifest

if TYPE_CHECKING:
    from collections.abc import Mapping

MANIFEST: Final = ".pyworkerd.json"
"""Its name: a hidden file, which is never part of a worker."""
MAX_MANIFEST: Final = 256 << 10
MAX_DEPTH: Final = 64
"""Of brackets in a var: what is nested deeper would not get through all that reads it."""
MAX_BYTES: Final = MAX_BUNDLE_BYTES + MAX_FILES * 2048 + MAX_MANIFEST
"""Decompressed: all that a worker may have, and headers for each of its files."""
_END: Final = 1024
"""Zeros at the end of every archive (POSIX, pax, ustar Interchange Format)."""
_NO_ARCHIVE: Final = (
    tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, UnicodeError, ValueError,
    OverflowError, RecursionError,
)  # fmt: skip
"""What the readers raise. The last two: a length of twenty digits, and headers of headers by the thousand, which
`tarfile` reads by calling itself."""


class UploadError(Exception):
    """It is no worker; the sentence says why."""


def pack(bundle: Bundle, main: str, variables: Mapping[str, object]) -> bytes:
    """An archive of a worker. `main` is the path of its main file. The same worker gives the same bytes."""
    packed = io.BytesIO()
    manifest = msgspec.json.encode(Manifest(main, dict(variables)), order="sorted")
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, filename="") as compressed,
        tarfile.open(fileobj=compressed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, data in [(MANIFEST, manifest), *sorted(bundle.files.items())]:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return packed.getvalue()


def unpack(file: IO[bytes]) -> tuple[Bundle, Manifest]:
    """The worker in an archive, and its manifest. Blocks. Raises `UploadError`."""
    try:
        files = _members(file)
    except _NO_ARCHIVE as error:
        raise UploadError(f"the upload is no whole archive: {error}") from None
    if MANIFEST not in files:
        raise UploadError(f"the upload has no {MANIFEST}")
    try:
        manifest = msgspec.json.decode(files.pop(MANIFEST), type=Manifest)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise UploadError(f"{MANIFEST}: {error}") from None
    if any(not _is_shallow(value, MAX_DEPTH) for value in manifest.vars.values()):
        raise UploadError(f"{MANIFEST}: a var is nested more than {MAX_DEPTH} times")
    try:
        return Bundle.of(files, manifest.main), manifest
    except BundleError as error:
        raise UploadError(str(error)) from None


def id_of(bundle: Bundle, manifest: Manifest) -> str:
    """A name for exactly this content."""
    said = msgspec.json.encode(manifest, order="sorted")
    return sha256(b"%s\0%s" % (bundle.digest().encode(), said)).hexdigest()[:16]


def _is_shallow(value: object, depth: int) -> bool:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth >= 0 and all(_is_shallow(part, depth - 1) for part in parts)


def _members(file: IO[bytes]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    with gzip.GzipFile(fileobj=file, mode="rb") as decompressed:
        bounded = _Bounded(decompressed)
        with tarfile.open(fileobj=bounded, mode="r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                _take(archive, member, files)
                archive.members = []  # the reader would keep each of them
        while bounded.read(1 << 16):  # to where the checksum is
            pass
        if bounded.tail != bytes(_END):  # the reader takes a header that is cut for the end
            raise EOFError("it has no end")
    return files


def _take(archive: tarfile.TarFile, member: tarfile.TarInfo, files: dict[str, bytes]) -> None:
    name = member.name.removeprefix("./")
    if member.isdir():
        return
    if not member.isreg() or member.issparse():
        raise UploadError(f"{name!r} is no plain file: links and devices are not taken")
    if name in files:
        raise UploadError(f"{name!r} is there twice")
    if len(files) > MAX_FILES:
        raise UploadError(f"the upload has more than {MAX_FILES} files")
    if name == MANIFEST and member.size > MAX_MANIFEST:
        raise UploadError(f"{MANIFEST} is larger than {MAX_MANIFEST} bytes")
    content = archive.extractfile(member)
    assert content is not None
    data = content.read()
    if len(data) != member.size:
        raise EOFError("it ends within a file")
    files[name] = data


class _Bounded:
    """Reads no more than an upload may hold: what comes out, not what goes in."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self._file = file
        self._left = MAX_BYTES
        self.tail = b""
        """The last bytes that came."""

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._left + 1))
        self._left -= len(data)
        if self._left < 0:
            raise UploadError(
                f"the upload holds more than a worker may have ({MAX_FILES} files, {MAX_BUNDLE_BYTES} bytes)"
            )
        self.tail = (self.tail + data)[-_END:]
        return data
