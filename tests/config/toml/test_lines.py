"""The line map against documents whose values are their own markers, and against hostile text."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_config.toml.lines import MAX_DEPTH, TooDeepError, scan

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_config.model import KeyPath

KEYS = st.sampled_from(["a", "b-c", "1", '"quoted"', "'lit.eral'", '"es\\u0063\\"ape"', '"a#b"', '""'])
DISTRACTORS = st.sampled_from(
    [
        '"plain # [x] = {"',
        "'literal [[y]]'",
        '"""\n[fake]\nk = """',
        '"""\\"""\n"" x"""""',
        "'''\n[[fake]]\n'' = '''",
        "1979-05-27 07:32:00Z",
        "1979-05-27",
        "+1_000.5e-3",
        "inf",
        "0xdead_beef",
        "true",
        '"\\\\"',
    ]
)
GAPS = st.sampled_from(["", "\n", "# c = [ {\n", " \n\t# ]\n\n"])


class Document:
    """Draws a valid document. Each marker is an integer that occurs once in the text."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.next = 7_000_000

    def marker(self) -> str:
        self.next += 1
        return str(self.next)

    def value(self, depth: int) -> str:
        form = self.draw(st.integers(0, 3 if depth < 3 else 1))
        if form == 0:
            return self.marker()
        if form == 1:
            return self.draw(DISTRACTORS)
        size = self.draw(st.integers(0, 3))
        if form == 2:
            items = [self.draw(GAPS) + self.value(depth + 1) + self.draw(GAPS) for _ in range(size)]
            comma = "," if items and self.draw(st.booleans()) else ""
            return f"[{','.join(items)}{comma}{self.draw(GAPS)}]"
        pairs = [f"{key} = {self.value(depth + 1)}" for key in self.keys(size)]
        return f"{{ {', '.join(pairs)} }}"

    def keys(self, size: int) -> list[str]:
        """Distinct keys, some of them dotted. A number keeps dotted ones from meeting."""
        plain = self.draw(st.lists(KEYS, max_size=size, unique=True))
        dotted = [f"d{i} . {key}.x" for i, key in enumerate(plain)]
        return [d if self.draw(st.booleans()) else p for p, d in zip(plain, dotted, strict=True)]

    def body(self) -> str:
        pairs = [f"{self.draw(GAPS)}{self.pair(key)}\n" for key in self.keys(3)]
        return "".join(pairs)

    def pair(self, key: str) -> str:
        """As most people write it, or with whatever else is allowed around it."""
        if self.draw(st.booleans()):
            return f"{key} = {self.value(0)}"
        return f"\t{key}  =  {self.value(0)} # = {{"

    def text(self) -> str:
        parts = [self.body()]
        for i in range(self.draw(st.integers(0, 3))):
            parts.append(f"[t{i} . 'x y']\n{self.body()}[t{i}]\nm = {self.marker()}\n")
            for _ in range(self.draw(st.integers(0, 3))):
                parts.append(f" [[ list{i} ]] # c\n{self.body()}[list{i}.sub.deep]\n{self.body()}")
                parts.extend(f"[[list{i}.inner]]\n{self.body()}" for _ in range(self.draw(st.integers(0, 2))))
        return "".join(parts)


@st.composite
def documents(draw: st.DrawFn) -> str:
    return Document(draw).text()


def leaves(value: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(item, (*path, key))
    else:
        yield path, value


@given(documents())
def test_every_marker_is_on_the_line_that_the_map_says(text: str) -> None:
    lines = scan(text)
    for path, value in leaves(tomllib.loads(text)):
        assert path in lines
        if isinstance(value, int) and value > 7_000_000 and str(value) in text:
            assert lines[path] == text.count("\n", 0, text.index(str(value))) + 1, path


@given(documents())
def test_every_path_of_the_map_exists(text: str) -> None:
    data = tomllib.loads(text)
    for path in scan(text):
        value: Any = data
        for key in path:
            value = value[key]


@given(st.text(alphabet="[]{}=.,\"'\\#\n a1-"))
def test_any_text_can_be_scanned(text: str) -> None:
    lines = scan(text)
    assert all(1 <= line <= text.count("\n") + 1 for line in lines.values())


@given(st.text(alphabet="[]{}=.,\"'\\#\n a1"))
def test_what_tomllib_accepts_is_never_cut_short(text: str) -> None:
    try:
        data = tomllib.loads(text)
    except ValueError:
        return
    assert all(path in scan(text) for path, _ in leaves(data))


@pytest.mark.parametrize(
    "text",
    [
        ".".join("a" * (MAX_DEPTH + 1)) + " = 1",
        "a = " + "[" * 100_000,
        "a = " + "{a = " * 100_000,
        "[" + "a." * 100_000 + "a]",
        "".join(f"[[{'.'.join('a' * i)}]]\n" for i in range(1, MAX_DEPTH)),
    ],
)
def test_nesting_is_bounded(text: str) -> None:
    with pytest.raises(TooDeepError):
        scan(text)


def test_a_header_is_a_better_place_than_its_sub_table() -> None:
    assert scan("[a.b]\nx = 1\n[a]\n")[("a",)] == 3


def test_a_broken_text_keeps_the_lines_before() -> None:
    assert scan("[a]\nx = 1\n= broken\n[b]\n") == {("a",): 1, ("a", "x"): 2}
