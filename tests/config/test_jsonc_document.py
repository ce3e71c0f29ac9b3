"""JSON with comments: the same values as `json` for what is JSON, lines, and one problem for what is not."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_config import ConfigError, Place
from pyworkerd_config.jsonc_document import parse_jsonc
from pyworkerd_config.toml.lines import MAX_DEPTH

PLACE = Place(Path("wrangler.jsonc"))
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=10,
)


def parse(text: str) -> dict[str, Any]:
    return parse_jsonc(text, PLACE)[0]


@given(st.dictionaries(TEXTS, VALUES, max_size=4), st.sampled_from([None, 1, "\t"]))
def test_json_is_read_as_json_reads_it(value: dict[str, Any], indent: int | str | None) -> None:
    assert parse(json.dumps(value, indent=indent)) == value
    assert parse(json.dumps(value, ensure_ascii=False)) == value


def test_comments_and_trailing_commas() -> None:
    text = '// first\n{ /* a */ "a": [1, 2, /* } */ ], // "b": 1\n "c": { "d": "// no /* comment", }, }\n/* last */'
    assert parse(text) == {"a": [1, 2], "c": {"d": "// no /* comment"}}


def test_lines_of_keys_and_items() -> None:
    _, places = parse_jsonc('{\n "a":\n  [1,\n   {"b": 2}],\r\n "c": 3 }', PLACE)
    paths = ((), ("a",), ("a", 0), ("a", 1), ("a", 1, "b"), ("c",))
    assert [places.at(*path).line for path in paths] == [1, 2, 3, 4, 4, 5]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "wrangler.jsonc:1: not valid JSON: expected a value"),
        ('{\n"a": 1', 'wrangler.jsonc:2: not valid JSON: expected "," or "}"'),
        ('{"a" 1}', 'wrangler.jsonc:1: not valid JSON: expected ":"'),
        ("{a: 1}", "wrangler.jsonc:1: not valid JSON: expected a text in double quotes"),
        ('{"a": 1,, "b": 2}', "wrangler.jsonc:1: not valid JSON: expected a text in double quotes"),
        ('{"a": [1 2]}', 'wrangler.jsonc:1: not valid JSON: expected "," or "]"'),
        ('{"a": nul}', 'wrangler.jsonc:1: not valid JSON: "nul" is no value'),
        ('{"a": NaN}', "wrangler.jsonc:1: not valid JSON: expected a value"),
        ('{"a": 01}', 'wrangler.jsonc:1: not valid JSON: expected "," or "}"'),
        ('{"a": "\\x"}', "wrangler.jsonc:1: not valid JSON: a text with an escape that JSON does not have"),
        ('{"a": "\\ud800"}', "wrangler.jsonc:1: not valid JSON: a text with half of a surrogate pair"),
        ('{"a": 1,\n"a": 2}', 'wrangler.jsonc:2: not valid JSON: the key "a" is given twice'),
        ('{"a": "b\nc"}', "wrangler.jsonc:1: not valid JSON: expected a text in double quotes"),
        ('{"a": ' + "9" * 5000 + "}", "wrangler.jsonc:1: not valid JSON: a number of too many digits"),
        ("{} {}", "wrangler.jsonc:1: not valid JSON: something follows after its end"),
        ("{} /*", "wrangler.jsonc:1: not valid JSON: something follows after its end"),
        ("[]", 'wrangler.jsonc: the file holds no object: write for example { "name": "shop" }'),
        ('{"a": ' * 500_000, f"wrangler.jsonc:1: not valid JSON: nested deeper than {MAX_DEPTH} levels"),
        ("/" * 100_000, "wrangler.jsonc:1: not valid JSON: expected a value"),
    ],
)
def test_messages(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text)
    assert str(caught.value) == message


@given(st.text(alphabet='{}[]",:/*\\ \n0123ae-.tru', max_size=40))
def test_whatever_it_is_nothing_else_is_raised(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert isinstance(parse(text), dict)
