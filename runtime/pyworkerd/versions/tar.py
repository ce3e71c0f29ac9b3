"""Files in a tar archive, as they come. Hostile until they have been read. Pure: the bytes are asked of a function.

A header is taken apart by the standard library, one by one. Its reader of whole archives is not used: it looks for a
word in what extends a header with an expression that takes the square of its length, and lets no other thread run
meanwhile (CVE-2024-6232), and it calls itself for each of a chain of headers.

Sources: POSIX, pax, "ustar Interchange Format" and "pax Header Block"; GNU tar, "Basic Tar Format".
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

Read = Callable[[int], bytes]
"""Gives so many of the next bytes; fewer where there are no more."""
Admit = Callable[[str, int], None]

MAX_EXTENDED: Final = 64 << 10
"""Bytes that extend a header: a path, and times, owners and attributes of files that nobody asks for."""
MAX_CHAIN: Final = 4
"""Headers that extend one: GNU tar writes two, pax one, and one for all files."""
_PLAIN: Final = (tarfile.REGTYPE, tarfile.AREGTYPE)
_PAX: Final = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_EXTENDED: Final = (*_PAX, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK)
_SPARSE: Final = "GNU.sparse."


class NotPlain(Exception):
    """It is a link, a device or a file with holes; its name is what it says."""


def files(read: Read, admit: Admit) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the files up to the first block of zeros; folders are passed over.

    `admit` is told name and size before a content is read, and raises what it will for one that is not wanted. Raises
    `NotPlain`, `tarfile.TarError`, `EOFError`, `ValueError`.
    """
    said: dict[str, str] = {}
    chain = 0
    while (block := exactly(read, tarfile.BLOCKSIZE)) != bytes(tarfile.BLOCKSIZE):
        header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if header.size < 0:
            raise tarfile.HeaderError("a size is less than nothing")
        if header.type in _EXTENDED:
            chain += 1
            if chain > MAX_CHAIN or header.size > MAX_EXTENDED:
                raise tarfile.HeaderError("too much is said of one file")
            said |= _extended(header.type, _content(read, header.size))
            continue
        name, is_whole = said.get("path", header.name), not any(key.startswith(_SPARSE) for key in said)
        if said.get("size", str(header.size)) != str(header.size):
            raise tarfile.HeaderError("a size is said in two ways")
        said, chain = {}, 0
        if header.isdir():
            continue
        if header.type not in _PLAIN or not is_whole:
            raise NotPlain(name)
        admit(name, header.size)
        yield name, _content(read, header.size)


def exactly(read: Read, size: int) -> bytes:
    """The next bytes. Raises `EOFError` where there are fewer."""
    data = read(size)
    if len(data) < size:
        raise EOFError("it has no end")
    return data


def _content(read: Read, size: int) -> bytes:
    data = exactly(read, size)
    exactly(read, -size % tarfile.BLOCKSIZE)
    return data


def _extended(kind: bytes, data: bytes) -> dict[str, str]:
    """What a header says of the next one."""
    if kind == tarfile.GNUTYPE_LONGNAME:
        return {"path": _text(data.partition(b"\0")[0])}
    return _records(data) if kind in _PAX else {}


def _records(data: bytes) -> dict[str, str]:
    """`27 path=...` and a newline, as often as it comes; the number is the length of all of it."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        digits, space, _ = data[at : at + 8].partition(b" ")
        if not space or not digits.isdigit():
            raise tarfile.HeaderError("an extended header has no length")
        end = at + int(digits)
        key, equals, value = data[at + len(digits) + 1 : end].partition(b"=")
        if end > len(data) or not equals or not value.endswith(b"\n"):
            raise tarfile.HeaderError("an extended header is cut off")
        found[_text(key)] = _text(value[:-1])
        at = end
    return found


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")
