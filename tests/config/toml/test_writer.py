"""What is written is read again as it was."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_config.toml.writer import toml_key, toml_lines, toml_value

VALUES: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.text(max_size=5),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=4))
def test_round_trip(table: dict[str, Any]) -> None:
    # repr() as well, because True == 1 == 1.0.
    again = tomllib.loads("\n".join(toml_lines(table)))
    assert again == table
    assert repr(again) == repr(table)


@pytest.mark.parametrize("value", [None, 1 << 63, float("inf"), "\ud800", object(), [{"a": None}]])
def test_what_toml_has_not(value: object) -> None:
    with pytest.raises(ValueError, match="TOML cannot hold"):
        toml_value(value)


def test_keys_are_bare_where_they_can_be() -> None:
    assert (toml_key("cpu_ms"), toml_key("a b"), toml_key("")) == ("cpu_ms", '"a b"', '""')
