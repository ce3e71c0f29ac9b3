"""Hostile bytes and text become one problem with a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_config import ConfigError, Place
from pyworkerd_config.toml.document import MAX_BYTES, decode_text, parse_document

PLACE = Place(Path("config.toml"))


def fault(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_document(text, PLACE)
    assert len(caught.value.problems) == 1
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a = 1\nb = \n", "config.toml:2: not valid TOML: invalid value"),
        ("a = 1\r\na = 2\r\n", "config.toml:2: not valid TOML: cannot overwrite a value"),
        ('\n\na = "', "config.toml:3: not valid TOML: unterminated string"),
        ("a = [[", "config.toml:1: not valid TOML: invalid value"),
        ("a = [" * 60_000, "config.toml:1: not valid TOML: invalid value"),
        ("\na = " + "[" * 500_000, "config.toml:2: nested deeper than 48 levels"),
        (".".join("a" * 500_000) + " = 1", "config.toml:1: nested deeper than 48 levels"),
        ("#" * (MAX_BYTES + 1), "config.toml: the file is larger than 16 MiB"),
        ("# " + "é" * (MAX_BYTES // 2), "config.toml: the file is larger than 16 MiB"),
    ],
)
def test_messages(text: str, message: str) -> None:
    assert fault(text) == message


def test_an_integer_of_too_many_digits() -> None:
    assert fault("a = " + "9" * 100_000).startswith("config.toml: a value that TOML does not allow")


@given(st.text(alphabet="[]{}=.,\"'\\#\n\r\x00 a1-é"))
def test_any_text_gives_values_or_a_config_error(text: str) -> None:
    try:
        data, places = parse_document(text, PLACE)
    except ConfigError:
        fault(text)
    else:
        assert all(places.at(key).line for key in data)


def test_line_ends_of_windows_count_once() -> None:
    assert parse_document("a = 1\r\n\r\nb = 2\r\n", PLACE)[1].at("b").line == 3


@given(st.binary())
def test_any_bytes_give_text_or_a_config_error(data: bytes) -> None:
    try:
        expected = data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError:
        with pytest.raises(ConfigError, match="this is not UTF-8 text: save the file as UTF-8"):
            decode_text(data, PLACE)
    else:
        assert decode_text(data, PLACE) == expected


def test_bytes_that_are_not_utf8_have_a_line() -> None:
    with pytest.raises(ConfigError, match=r"config\.toml:3: this is not UTF-8 text"):
        decode_text(b"a = 1\n\n\xff\n", PLACE)


def test_a_byte_order_mark_is_dropped() -> None:
    assert decode_text(b"\xef\xbb\xbfa = 1", PLACE) == "a = 1"
