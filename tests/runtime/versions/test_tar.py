"""Tar archives as programs write them, and as attackers do."""

from __future__ import annotations

import io
import tarfile

import pytest
from pyworkerd.versions import tar
from pyworkerd.versions.tar import MAX_CHAIN, MAX_EXTENDED, NotPlain

END = bytes(1024)


def read(data: bytes) -> dict[str, bytes]:
    return dict(tar.files(io.BytesIO(data).read, lambda name, size: None))


def plain(name: str, content: bytes = b"") -> bytes:
    return header(tarfile.REGTYPE, content, name)


def header(kind: bytes, content: bytes, name: str = "x") -> bytes:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, len(content)
    return member.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_the_standard_library_writes(form: int) -> None:
    files = {"a": b"", "b/c.txt": b"x" * 512, "d": b"y" * 513}
    if form != tarfile.USTAR_FORMAT:
        files |= {"long/" * 60 + "e": b"e", "\N{SNOWMAN}/" * 40 + "f": b"f"}
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, pax_headers={"comment": "of all"}) as archive:
        archive.addfile(special("b", tarfile.DIRTYPE))
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(content), 1.5 if form == tarfile.PAX_FORMAT else 1
            archive.addfile(member, io.BytesIO(content))
    assert read(out.getvalue()) == files


def special(name: str, kind: bytes) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type = kind
    return member


def test_a_size_is_told_before_anything_of_that_size_is_read() -> None:
    asked: list[int] = []
    source = io.BytesIO(plain("big", b"x" * 4096) + END)

    def reading(size: int) -> bytes:
        asked.append(size)
        return source.read(size)

    def refuse(name: str, size: int) -> None:
        raise KeyError(name, size)

    with pytest.raises(KeyError, match=r"'big', 4096"):
        list(tar.files(reading, refuse))
    assert asked == [512]


@pytest.mark.parametrize(
    "data",
    [
        header(tarfile.SYMTYPE, b""),
        header(tarfile.LNKTYPE, b""),
        header(tarfile.CONTTYPE, b""),
        header(tarfile.GNUTYPE_SPARSE, b""),
        header(tarfile.XHDTYPE, b"22 GNU.sparse.major=1\n") + plain("x"),
        header(b"?", b""),
    ],
)
def test_what_is_no_plain_file(data: bytes) -> None:
    with pytest.raises(NotPlain, match="x"):
        read(data + END)


def negative() -> bytes:
    block = bytearray(plain("x")[:512])
    block[124:136] = b"\xff" * 11 + b"\x00"
    block[148:156] = b"%06o\0 " % (sum(block[:148]) + sum(block[156:]) + 8 * 32)
    return bytes(block)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"x" * 512, "bad checksum|invalid header"),
        (plain("x", b"content")[:600], "no end"),
        (plain("x", b"content"), "no end"),
        (negative(), "less than nothing"),
        (header(tarfile.XHDTYPE, b"12 comment=\n") * (MAX_CHAIN + 1), "too much"),
        (header(tarfile.GNUTYPE_LONGNAME, b"a") * 5000, "too much"),
        (header(tarfile.XHDTYPE, b"1" * (MAX_EXTENDED + 1)), "too much"),
        (header(tarfile.XHDTYPE, b"1" * MAX_EXTENDED), "no length"),
        (header(tarfile.XHDTYPE, b"99999999999999999999 a=b\n"), "no length"),
        (header(tarfile.XHDTYPE, b"-8 a=bc\n"), "no length"),
        (header(tarfile.XHDTYPE, b"0 a=b\n"), "cut off"),
        (header(tarfile.XHDTYPE, b"99 a=b\n"), "cut off"),
        (header(tarfile.XHDTYPE, b"5 a=b\n"), "cut off"),
        (header(tarfile.XHDTYPE, b"5 ab\n"), "cut off"),
        (header(tarfile.XHDTYPE, b"9 size=5\n") + plain("x"), "two ways"),
    ],
)
def test_what_is_no_archive(data: bytes, told: str) -> None:
    with pytest.raises((tarfile.TarError, EOFError), match=told):
        read(data + (END if "no end" not in told else b""))
