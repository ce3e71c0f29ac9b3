"""`.dev.vars`: the grammar, exact errors, and that no message repeats a value."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_config import ConfigError, Place
from pyworkerd_config.dev_vars import parse_dev_vars

PLACE = Place(Path(".dev.vars"))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", {}),
        ("\n  # only a comment\n\n", {}),
        ("A=1", {"A": "1"}),
        ("A=1\r\nB=2\r\n", {"A": "1", "B": "2"}),
        ("  export A = x y  # comment\n", {"A": "x y"}),
        ("A=x \t# y\n", {"A": "x"}),
        ('A="x#y" #z\n', {"A": "x#y"}),
        ("A=\nB= # nothing\n", {"A": "", "B": ""}),
        ("A=a=b'c\n", {"A": "a=b'c"}),
        ("A=${HOME}\\n", {"A": "${HOME}\\n"}),
        ("A='x\\n # y'  # comment\n", {"A": "x\\n # y"}),
        ('A="x\\ny\\r\\t"\n', {"A": "x\ny\r\\t"}),
        ('A="say \\"hi\\""\n', {"A": 'say \\"hi\\"'}),
        ('A=`it\'s "so"`\n', {"A": 'it\'s "so"'}),
        ('KEY="-----BEGIN\nabc\n-----END"\nB=2', {"KEY": "-----BEGIN\nabc\n-----END", "B": "2"}),
    ],
)
def test_values(text: str, found: dict[str, str]) -> None:
    assert parse_dev_vars(text, PLACE) == found


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("A 1\n", [1]),
        ("A: 1\nB=2\n=3\n", [1, 3]),
        ("OK=1\n1A=2\nA-B=3\n", [2, 3]),
        ('K="a\nb"\nbroken\n', [3]),
        ("A='never closed\nB=2\n", [1]),
        ("A='x' y\n", [1]),
        ("A=x#y\nB=#\n", [1, 2]),
    ],
)
def test_lines_that_are_not_understood(text: str, lines: list[int]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_dev_vars(text, PLACE)
    assert str(caught.value).splitlines() == [
        f'.dev.vars:{line}: not understood: write NAME=value or NAME="value" on a line of its own'
        for line in lines
    ]


def test_a_name_given_twice() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_dev_vars("A=hunter2\n\nA=hunter3\n", PLACE)
    assert str(caught.value) == '.dev.vars:3: "A" is given twice: keep one'


@given(
    st.dictionaries(
        st.from_regex(r"[A-Z_][A-Z0-9_]*", fullmatch=True),
        st.text(alphabet=st.characters(exclude_characters="'\r")),
    )
)
def test_any_value_in_single_quotes_comes_back(values: dict[str, str]) -> None:
    text = "".join(f"{name}='{value}'\n" for name, value in values.items())
    assert parse_dev_vars(text, PLACE) == values


@given(st.text(alphabet="AB=#'\"`\\ \n\rn1 "))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        found = parse_dev_vars(text, PLACE)
    except ConfigError:
        return
    assert all(name.isidentifier() for name in found)


@pytest.mark.parametrize("unit", ['A="', "A='\n", 'A="\\', "export ", "A= #"])
def test_a_megabyte_of_nonsense_ends(unit: str) -> None:
    with pytest.raises(ConfigError):
        parse_dev_vars("B B\n" + unit * (200_000 // len(unit)), PLACE)
