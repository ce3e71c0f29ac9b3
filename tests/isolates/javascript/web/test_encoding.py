"""TextEncoder, TextDecoder, and UTF-8 both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

MALFORMED = [
    b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"a\xf0\x9f\x98b", b"\xff\xfe", b"\x80\x80",
    b"\xf0\x9f\x98\x80\xe0\x80\x80", b"\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41", b"\xf0\x80\x80\x41",
]  # fmt: skip


def test_encoding(run: Callable[..., Any]) -> None:
    texts = ["", "abc", "é", "€", "😀", "a\x00b", "x" * 70_000, "é" * 70_000, "😀" * 40_000]
    assert run("return texts.map((text) => new TextEncoder().encode(text).toBase64());", texts=texts) == run(
        "return bytes.map((list) => new Uint8Array(list).toBase64());",
        bytes=[list(t.encode()) for t in texts],
    )


def test_lone_surrogates_are_replaced(run: Callable[..., Any]) -> None:
    assert run(r"return new TextEncoder().encode('\ud800a\udc00');") == list("�a�".encode())


@pytest.mark.parametrize(
    ("source", "room", "read", "written"),
    [
        ("abc", 5, 3, [97, 98, 99, 0, 0]),
        ("é€", 4, 1, [195, 169, 0, 0]),
        ("a😀", 4, 1, [97, 0, 0, 0]),
        ("é", 0, 0, []),
    ],
)
def test_encoding_into(
    run: Callable[..., Any], source: str, room: int, read: int, written: list[int]
) -> None:
    body = """
    const into = new Uint8Array(room);
    const { read, written } = new TextEncoder().encodeInto(source, into);
    return [read, written, into];
    """
    count = len(source[:read].encode())
    assert run(body, source=source, room=room) == [read, count, written]


@settings(max_examples=30)
@given(st.binary(max_size=40))
def test_decoding_is_that_of_python(run: Callable[..., Any], data: bytes) -> None:
    text = run(
        "return new TextDecoder('utf-8', { ignoreBOM: true }).decode(new Uint8Array(data));", data=list(data)
    )
    assert text == data.decode(errors="replace")


@pytest.mark.parametrize("data", MALFORMED, ids=lambda data: data.hex())
def test_malformed_bytes(run: Callable[..., Any], data: bytes) -> None:
    whole = "return new TextDecoder().decode(new Uint8Array(data));"
    assert run(whole, data=list(data)) == data.decode(errors="replace")
    fatal = "try { new TextDecoder('utf-8', { fatal: true }).decode(new Uint8Array(data)); } catch (e) { return e; }"
    assert run(fatal, data=list(data)) == "TypeError: The encoded data was not valid for encoding utf-8"


@pytest.mark.parametrize("label", ["utf-8", "utf-16le", "utf-16be", "windows-1252"])
def test_streams_are_decoded_as_wholes_are(run: Callable[..., Any], label: str) -> None:
    samples = [
        *MALFORMED,
        "a\ufeffé€😀".encode(),
        "\ufeffa😀".encode("utf-16-le"),
        "é😀".encode("utf-16-be") + b"\xd8",
    ]
    body = """
    return samples.map((sample) => {
      const bytes = new Uint8Array(sample);
      const decoder = new TextDecoder(label);
      let text = "";
      for (const byte of bytes) text += decoder.decode(Uint8Array.of(byte), { stream: true });
      text += decoder.decode();
      return text === new TextDecoder(label).decode(bytes);
    });
    """
    assert run(body, samples=[list(sample) for sample in samples], label=label) == [True] * len(samples)


def test_pieces_of_a_long_text_are_cut_between_characters(run: Callable[..., Any]) -> None:
    body = """
    const text = `x${"€😀".repeat(60_000)}`;
    return new TextDecoder().decode(new TextEncoder().encode(text)) === text;
    """
    assert run(body) is True


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("new TextDecoder().encoding", "utf-8"),
        ("new TextDecoder(' UTF8\\n').encoding", "utf-8"),
        ("new TextDecoder('latin1').encoding", "windows-1252"),
        ("new TextDecoder('ascii').decode(Uint8Array.of(0x80, 0x41, 0xe9, 0x9f))", "€AéŸ"),
        ("new TextDecoder().decode(Uint8Array.of(0xef, 0xbb, 0xbf, 0x41))", "A"),
        (
            "new TextDecoder('utf8', { ignoreBOM: true }).decode(Uint8Array.of(0xef, 0xbb, 0xbf, 0x41))",
            "\ufeffA",
        ),
        ("new TextDecoder('utf-16').decode(Uint8Array.of(0xff, 0xfe, 0x3d, 0xd8, 0, 0xde))", "😀"),
        ("new TextDecoder('utf-16be').decode(Uint8Array.of(0xd8, 0x3d, 0xde, 0x00, 0xdc))", "😀�"),
        ("new TextDecoder('utf-16be').decode(Uint8Array.of(0x00, 0x41, 0xd8, 0x3d, 0xde))", "A�"),
        ("new TextDecoder().decode(new DataView(Uint8Array.of(1, 65, 66).buffer, 1, 1))", "A"),
        ("new TextDecoder().decode(Uint8Array.of(65).buffer)", "A"),
        (
            (
                "(() => { const d = new TextDecoder(); const bom = Uint8Array.of(0xef, 0xbb, 0xbf); "
                "return [bom, bom, Uint8Array.of(65)].map((b) => d.decode(b, { stream: true })).join('|') + "
                "d.decode(bom); })()"
            ),
            "|\ufeff|A\ufeff",
        ),
        ("btoa('\\xff') + atob(' /w== ').charCodeAt(0)", "/w==255"),
    ],
)
def test_what_it_gives(run: Callable[..., Any], expression: str, expected: object) -> None:
    assert run(f"return {expression};") == expected


@pytest.mark.parametrize(
    ("expression", "name"),
    [
        ("new TextDecoder('klingon')", "RangeError"),
        ("new TextDecoder('utf-16', { fatal: true }).decode(Uint8Array.of(0))", "TypeError"),
        ("new TextDecoder().decode('text')", "TypeError"),
        ("new TextEncoder().encodeInto('a', [])", "TypeError"),
        ("atob('a')", "InvalidCharacterError"),
        ("btoa('\\u0100')", "InvalidCharacterError"),
    ],
)
def test_what_it_refuses(run: Callable[..., Any], expression: str, name: str) -> None:
    assert run(f"try {{ {expression}; }} catch (error) {{ return error.name; }}") == name
