"""Names, vectors and sections: round trips and bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.wasm import WasmFormatError
from pyworkerd_isolates.wasm.binary import (
    COMPONENT_HEADER,
    MODULE_HEADER,
    Reader,
    name,
    section,
    sections,
    vector,
)


@given(st.lists(st.tuples(st.integers(0, 12), st.binary(max_size=300))), st.sampled_from((bytes, memoryview)))
def test_sections_round_trip(parts, wrap):
    binary = MODULE_HEADER + b"".join(section(number, content) for number, content in parts)
    assert [(number, bytes(content)) for number, content in sections(wrap(binary))] == parts


@given(st.text(), st.binary(max_size=4))
def test_names_round_trip(text, rest):
    reader = Reader(name(text) + rest)
    assert reader.name() == text
    assert reader.take(len(rest)) == rest
    reader.finish()


@given(st.lists(st.text(max_size=5)))
def test_vectors_round_trip(texts):
    reader = Reader(vector([name(text) for text in texts]))
    assert [reader.name() for _ in range(reader.count())] == texts


@given(st.binary(max_size=40))
def test_any_bytes_are_sections_or_an_error(raw):
    try:
        found = list(sections(MODULE_HEADER + raw))
    except WasmFormatError:
        return
    assert sum(len(content) + 2 for _, content in found) <= len(raw)


@pytest.mark.parametrize("header", [b"", b"\0asm", COMPONENT_HEADER, b"\0asn\x01\0\0\0"])
def test_the_header_is_checked(header):
    with pytest.raises(WasmFormatError, match="header"):
        list(sections(header))


@pytest.mark.parametrize(
    "read",
    [
        lambda r: r.byte(),
        lambda r: r.peek(),
        lambda r: r.take(1),
        lambda r: r.unsigned(),
        lambda r: r.signed(),
        lambda r: r.name(),
    ],
)
def test_reading_past_the_end(read):
    with pytest.raises(WasmFormatError):
        read(Reader(b""))


def test_a_count_beyond_the_bytes_left():
    with pytest.raises(WasmFormatError, match="4 items announced"):
        Reader(b"\x04abc").count()


def test_a_name_that_is_not_utf8():
    with pytest.raises(WasmFormatError, match="UTF-8"):
        Reader(b"\x01\xff").name()


def test_bytes_left_over():
    reader = Reader(b"ab")
    assert reader.peek() == reader.byte() == ord("a")
    with pytest.raises(WasmFormatError, match="1 bytes too many"):
        reader.finish()
