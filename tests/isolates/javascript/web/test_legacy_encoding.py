"""Decoders of legacy encodings: what is right as Python reads it, what is wrong as the standard says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

DECODE = "return new TextDecoder(label).decode(new Uint8Array(data));"
CODECS = {
    "big5": "big5hkscs",
    "euc-jp": "euc_jp",
    "euc-kr": "cp949",
    "gb18030": "gb18030",
    "gbk": "gbk",
    "ibm866": "cp866",
    "iso-2022-jp": "iso2022_jp",
    "iso-8859-7": "iso8859_7",
    "koi8-r": "koi8_r",
    "macintosh": "mac_roman",
    "shift_jis": "shift_jis",
    "windows-1251": "cp1251",
}
TEXT = (
    "ASCII, Привет, мир, 日本語のテキスト, 漢字, 中文字符, 國語, 한국어, カタカナ, Ελληνικά, café, 𠀀𝄞, ｱｲｳ"
)


@pytest.mark.parametrize("label", CODECS)
def test_text_that_python_wrote(run: Callable[..., Any], label: str) -> None:
    data = "".join(each for each in TEXT if encodes(each, CODECS[label])).encode(CODECS[label])
    assert len(data) > 30
    assert run(DECODE, label=label, data=list(data)) == data.decode(CODECS[label])


def encodes(character: str, codec: str) -> bool:
    try:
        return character.encode(codec).decode(codec) == character
    except UnicodeError:
        return False


@pytest.mark.parametrize(
    ("label", "data", "text"),
    [
        ("big5", "8862 8864 88a3 88a5", "Ê̄Ê̌ê̄ê̌"),
        ("big5", "877a", "㡵"),
        ("big5", "877b", "\U00021d53"),
        ("big5", "8141 81ff 80 a1", "\ufffdA\ufffd\ufffd\ufffd"),
        ("euc-jp", "8eb1 8fb0a1 8fa2b7 8e41", "ｱ丂\uff5e\ufffdA"),
        ("euc-jp", "8fa141 8fa180 8f a1", "\ufffdA\ufffd\ufffd"),
        ("euc-kr", "fe69 c8a1 8140 ff", "\ufffdi혤\ufffd@\ufffd"),
        ("gb18030", "80 ff a3a0 8130 84", "€\ufffd　\ufffd"),
        ("gb18030", "8135f437 90308130 e3329a35 e3329a36 8431a530", "\ue7c7\U00010000\U0010ffff\ufffd\ufffd"),
        ("gb18030", "81308141 813041 8120", "\ufffd0丄\ufffd0A\ufffd "),
        ("gbk", "a2e3", "€"),
        ("shift_jis", "80 a0 b1 f040 fafc 8140 813f", "\x80\ufffdｱ\ue000浯　\ufffd?"),
        ("iso-2022-jp", "1b2842 41 1b244a 42", "A\ufffd$JB"),
        ("iso-2022-jp", "1b2842 1b2842 41", "\ufffdA"),
        ("iso-2022-jp", "1b2442 2422 24 1b2842 41", "あ\ufffdA"),
        ("iso-2022-jp", "1b284a 5c7e 1b2849 31 80", "¥‾ｱ\ufffd"),
        ("iso-2022-jp", "0e 0f 41 1b", "\ufffd\ufffdA\ufffd"),
        ("iso-2022-jp", "41 1b24", "A\ufffd$"),
        ("iso-8859-8-i", "e0 a1", "א\ufffd"),
        ("windows-1253", "81 d2", "\x81\ufffd"),
        ("x-user-defined", "41 80 ff", "A\uf780\uf7ff"),
    ],
)
def test_borders(run: Callable[..., Any], label: str, data: str, text: str) -> None:
    bytes_ = list(bytes.fromhex(data))
    assert run(DECODE, label=label, data=bytes_) == text
    fatal = """
    try { return new TextDecoder(label, { fatal: true }).decode(new Uint8Array(data)); }
    catch (error) { return error.message; }
    """
    wrong = f"The encoded data was not valid for encoding {label}"
    assert run(fatal, label=label, data=bytes_) == (wrong if "\ufffd" in text else text)


@settings(max_examples=40)
@given(
    st.sampled_from(["big5", "euc-jp", "euc-kr", "gb18030", "iso-2022-jp", "shift_jis", "koi8-r"]),
    st.lists(
        st.sampled_from([0x1B, 0x24, 0x28, 0x42, 0x30, 0x41, 0x81, 0x8F, 0xA1, 0xFE, 0xFF])
        | st.integers(0, 255)
    ),
)
def test_pieces_are_decoded_as_the_whole_is(run: Callable[..., Any], label: str, data: list[int]) -> None:
    body = """
    const decoder = new TextDecoder(label);
    let text = "";
    for (const byte of data) text += decoder.decode(Uint8Array.of(byte), { stream: true });
    text += decoder.decode();
    return [text, text === new TextDecoder(label).decode(new Uint8Array(data)), decoder.decode(Uint8Array.of(65))];
    """
    text, same, after = run(body, label=label, data=data)
    assert (same, after, len(text) <= len(data)) == (True, "A", True)


def test_a_decoder_that_failed_begins_anew(run: Callable[..., Any]) -> None:
    body = """
    const decoder = new TextDecoder("iso-2022-jp", { fatal: true });
    decoder.decode(Uint8Array.of(0x1b, 0x24, 0x42, 0x24), { stream: true });
    try { decoder.decode(Uint8Array.of(0xff)); } catch { /* as it should */ }
    return decoder.decode(Uint8Array.of(0x24, 0x22));
    """
    assert run(body) == '$"'
