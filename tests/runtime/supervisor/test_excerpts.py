"""Lines of a source beside what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.problems import Fault
from pyworkerd.supervisor.excerpts import MAX_COLUMNS, excerpt, with_excerpt

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        (1, ["> 1 | one", "  2 |", "  3 | three"]),
        (3, ["  1 | one", "  2 |", "> 3 | three", "  4 | four"]),
        (4, ["  2 |", "  3 | three", "> 4 | four"]),
        (0, []),
        (5, []),
        (10**9, []),
    ],
)
def test_the_line_and_those_around_it(tmp_path: Path, line: int, shown: list[str]) -> None:
    (tmp_path / "a.py").write_text("one\n\nthree\nfour\n")
    assert excerpt(tmp_path / "a.py", line).splitlines() == shown


def test_numbers_are_as_wide_as_the_widest_and_lines_are_cut(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x\n" * 8 + "y" * 10_000 + "\nz\n")
    shown = excerpt(tmp_path / "a.py", 9).splitlines()
    assert shown[0] == "   7 | x"
    assert shown[2] == ">  9 | " + "y" * MAX_COLUMNS


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"\xff\x00\n")
    assert excerpt(tmp_path, 1) == excerpt(tmp_path / "gone", 1) == ""
    assert excerpt(tmp_path / "bytes", 1) == "> 1 | \ufffd\x00"


def test_a_fault_that_begins_with_a_place(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("x = (\n")
    fault = Fault(f"{tmp_path}/a.py:1: SyntaxError: no", line=1)
    assert with_excerpt(fault) == fault._replace(text=f"{fault.text}\n\n> 1 | x = (")
    for text in ("nothing", "a.py: no line", f"{tmp_path}/a.py:9: beyond", f"{tmp_path}\n:1: two lines"):
        assert with_excerpt(Fault(text)) == Fault(text)


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    assert with_excerpt(Fault(text)).text.startswith(text)
