"""CompressionStream and DecompressionStream, with zlib at the other end."""

from __future__ import annotations

import gzip
import random
import zlib
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

WINDOW = {"deflate": 15, "deflate-raw": -15, "gzip": 31}
NOISE = random.Random(1).randbytes(70_000)
TEXT = b"".join(b"line %d of some text that repeats itself\n" % (i % 97) for i in range(6000))
SAMPLES = {
    "nothing": b"",
    "a byte": b"a",
    "a run": b"a" * 1000,
    "a pattern": b"abc" * 500,
    "noise": NOISE,
    "text": TEXT,
    "what is far apart": NOISE[:20_000] + bytes(13_000) + NOISE[:20_000],
}

DECOMPRESS = """
const bytes = Uint8Array.fromBase64(data);
const chunks = [];
for (let i = 0; i < bytes.length; i += step) chunks.push(bytes.slice(i, i + step));
const stream = ReadableStream.from(chunks).pipeThrough(new DecompressionStream(kind));
try {
  return new Uint8Array(await new Response(stream).arrayBuffer()).toBase64();
} catch (error) {
  return `${error}`;
}
"""


def base64(data: bytes) -> str:
    return b64encode(data).decode()


def compressed(data: bytes, kind: str, level: int = 9, strategy: int = zlib.Z_DEFAULT_STRATEGY) -> bytes:
    made = zlib.compressobj(level, zlib.DEFLATED, WINDOW[kind], 9, strategy)
    return made.compress(data) + made.flush()


@pytest.mark.parametrize("kind", WINDOW)
@pytest.mark.parametrize("name", SAMPLES)
def test_what_is_compressed_here_is_read_by_zlib(run: Callable[..., Any], name: str, kind: str) -> None:
    body = """
    const stream = ReadableStream.from([Uint8Array.fromBase64(data)]).pipeThrough(new CompressionStream(kind));
    return new Uint8Array(await new Response(stream).arrayBuffer()).toHex();
    """
    data = SAMPLES[name]
    result = bytes.fromhex(run(body, data=base64(data), kind=kind))
    assert zlib.decompress(result, WINDOW[kind]) == data
    if name == "text":
        assert len(result) < len(data) / 8


@pytest.mark.parametrize("kind", WINDOW)
@pytest.mark.parametrize(
    ("level", "strategy"),
    [(9, zlib.Z_DEFAULT_STRATEGY), (1, zlib.Z_FIXED), (0, zlib.Z_DEFAULT_STRATEGY), (6, zlib.Z_HUFFMAN_ONLY)],
    ids=["dynamic", "fixed", "stored", "Huffman only"],
)
@pytest.mark.parametrize("name", ["nothing", "a run", "noise", "text"])
def test_what_zlib_compressed_is_read_here(
    run: Callable[..., Any], name: str, level: int, strategy: int, kind: str
) -> None:
    data = SAMPLES[name]
    packed = compressed(data, kind, level, strategy)
    assert run(DECOMPRESS, data=base64(packed), kind=kind, step=1 << 16) == base64(data)


@pytest.mark.parametrize("kind", WINDOW)
def test_single_bytes_are_enough(run: Callable[..., Any], kind: str) -> None:
    assert run(DECOMPRESS, data=base64(compressed(TEXT, kind)), kind=kind, step=1) == base64(TEXT)


def test_headers_of_gzip_may_have_more(run: Callable[..., Any]) -> None:
    plain = gzip.compress(b"hello", mtime=0)
    flags = bytes((4 + 8 + 16 + 2,))
    head = plain[:3] + flags + plain[4:10] + b"\x03\x00abc" + b"name\0" + b"comment\0" + b"\x00\x00"
    assert run(DECOMPRESS, data=base64(head + plain[10:]), kind="gzip", step=7) == base64(b"hello")


BROKEN = compressed(TEXT, "gzip")


@pytest.mark.parametrize(
    ("data", "kind", "message"),
    [
        (BROKEN[:-1], "gzip", "it ends too early"),
        (BROKEN[:100], "gzip", "it ends too early"),
        (b"", "gzip", "it ends too early"),
        (BROKEN + b"x", "gzip", "something follows its end"),
        (BROKEN[:-8] + bytes(8), "gzip", "its sum or its length is wrong"),
        (b"not gzip at all", "gzip", "it is no gzip"),
        (b"\x00\x00", "deflate", "it is no zlib"),
        (compressed(TEXT, "deflate")[:-1] + b"\x00", "deflate", "its sum is wrong"),
        (b"\x07", "deflate-raw", "a block is of no type"),
        (b"\x01\x01\x00\x01\x00", "deflate-raw", "the length of a stored block is wrong"),
        (b"\x03\x02", "deflate-raw", "a distance reaches before the beginning"),
        (b"\xfd\xff\xff\xff", "deflate-raw", "a block has too many codes"),
    ],
)
def test_what_is_not_valid_is_refused(run: Callable[..., Any], data: bytes, kind: str, message: str) -> None:
    found = run(DECOMPRESS, data=base64(data), kind=kind, step=1 << 16)
    assert found == f"TypeError: The compressed data is not valid: {message}."


def test_a_bomb_is_made_as_fast_as_it_is_read(run: Callable[..., Any]) -> None:
    """A hundred megabytes of zeros, of which two pieces are read: the rest never comes into being."""
    bomb = compressed(bytes(100 << 20), "gzip")
    body = """
    const stream = new Blob([Uint8Array.fromBase64(data)]).stream().pipeThrough(new DecompressionStream("gzip"));
    const reader = stream.getReader();
    const sizes = [(await reader.read()).value.length, (await reader.read()).value.length];
    await reader.cancel("enough");
    return sizes;
    """
    sizes = run(body, data=base64(bomb))
    assert all(size <= 1 << 17 for size in sizes)


@pytest.mark.parametrize("expression", ["new CompressionStream('br')", "new DecompressionStream()"])
def test_formats_are_checked(run: Callable[..., Any], expression: str) -> None:
    assert run(f"try {{ {expression}; }} catch (error) {{ return error.name; }}") == "TypeError"
