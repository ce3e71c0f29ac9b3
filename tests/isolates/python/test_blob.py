"""Blobs and files."""

from __future__ import annotations

import asyncio

import pytest
from guest_workers.blob import Blob, BlobEnding, File, decode_text, encode_text
from hypothesis import given
from hypothesis import strategies as st


def content(blob: Blob) -> bytes:
    return asyncio.run(blob.bytes())


def test_parts_are_joined() -> None:
    blob = Blob(["aé", b"b", bytearray(b"c"), memoryview(b"xdx")[1:2], Blob("e")], content_type="Text/Plain")
    assert content(blob) == b"a\xc3\xa9bcde"
    assert blob.size == len(blob) == 7
    assert blob.content_type == blob.js_object.type == "text/plain"
    assert asyncio.run(blob.text()) == "aébcde"
    assert repr(blob) == "Blob(size=7, content_type='text/plain')"


@pytest.mark.parametrize(
    "parts", ["text", b"text", bytearray(b"text"), memoryview(b"text"), ("te", "xt"), iter(["text"])]
)
def test_one_part_may_stand_alone(parts: object) -> None:
    assert content(Blob(parts)) == b"text"


def test_only_a_blob_alone_hands_its_type_on() -> None:
    typed = Blob(["test"], content_type="application/json")
    assert Blob(typed).content_type == "application/json"
    assert Blob(typed, content_type="other/type").content_type == "other/type"
    assert Blob([typed]).content_type == ""
    assert Blob("", content_type="a\nb").content_type == ""


def test_an_empty_blob_is_true() -> None:
    assert Blob()
    assert content(Blob()) == b""


@given(st.binary(max_size=20), st.none() | st.integers(-25, 25), st.none() | st.integers(-25, 25))
def test_slices_are_those_of_bytes(data: bytes, start: int | None, end: int | None) -> None:
    part = Blob(data, "a/b").slice(start, end, "c/d")
    assert content(part) == data[start:end]
    assert part.content_type == "c/d"


def test_native_endings_touch_text_only() -> None:
    parts = ["a\r\nb\rc\n", b"\r\n"]
    assert content(Blob(parts, endings=BlobEnding.NATIVE)) == b"a\nb\nc\n\r\n"
    assert content(Blob(parts, endings="transparent")) == b"a\r\nb\rc\n\r\n"
    with pytest.raises(ValueError):
        Blob(parts, endings="other")


@pytest.mark.parametrize("parts", [5, None, [5], [None], [["a"]]])
def test_other_parts_are_refused(parts: object) -> None:
    with pytest.raises(TypeError):
        Blob(parts)


def test_a_file_has_a_name_and_a_date() -> None:
    file = File("my file", filename="test.txt", content_type="text/plain", last_modified=12)
    assert isinstance(file, Blob)
    assert (file.name, file.last_modified, file.content_type, file.size) == ("test.txt", 12, "text/plain", 7)
    assert repr(file) == "File(name='test.txt', size=7, content_type='text/plain')"
    assert type(file.slice(0, 2)) is Blob
    assert File("", "now").last_modified > 1_700_000_000_000
    with pytest.raises(TypeError):
        File("", b"name")


def test_text_is_that_of_the_web() -> None:
    assert encode_text("a\ud800b\ud83d\ude00") == "a\ufffdb\U0001f600".encode()
    assert decode_text(b"\xef\xbb\xbfa\xff") == "a\ufffd"


@given(st.text())
def test_text_comes_back(text: str) -> None:
    assert decode_text(encode_text(f"x{text}")) == f"x{text}"
