"""Lines of a source beside what is wrong with them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.problems import Fault
from pyworkerd.supervisor.excerpts import MAX_COLUMNS, excerpt, folders_of, with_excerpt
from pyworkerd_config import load

from tests.runtime.cli.command import WORKER, project


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
    assert with_excerpt(fault, [tmp_path]) == fault._replace(text=f"{fault.text}\n\n> 1 | x = (")
    for text in ("nothing", "a.py: no line", f"{tmp_path}/a.py:9: beyond", f"{tmp_path}\n:1: two lines"):
        assert with_excerpt(Fault(text), [tmp_path]) == Fault(text)


def test_no_place_that_a_worker_chooses_shows_what_is_not_its_own(tmp_path: Path) -> None:
    """The place is what its program says, and the page is shown to every browser."""
    own, other = tmp_path / "own", tmp_path / "other"
    for folder in (own, own / ".git", other):
        folder.mkdir()
    for path in (other / "secret.py", own / ".dev.vars", own / ".git/config", own / "plain.py"):
        path.write_text("secret\n")
    (own / "link.py").symlink_to(other / "secret.py")
    (own / "loop.py").symlink_to(own / "loop.py")
    os.mkfifo(own / "pipe.py")
    for name in (
        "../other/secret.py",
        ".dev.vars",
        ".git/config",
        "link.py",
        "loop.py",
        "pipe.py",
        "gone.py",
        "",
    ):
        fault = Fault(f"{own / name}:1: no")
        assert with_excerpt(fault, [own]) == fault, name
    assert with_excerpt(Fault(f"{other}/secret.py:1: no"), [own]).text.endswith(": no")
    assert with_excerpt(Fault(f"{own}/plain.py:1: no"), [own]).text.endswith("> 1 | secret")
    assert with_excerpt(Fault(f"{own}/plain.py:1: no"), []).text.endswith(": no")


def test_folders(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    text = '[[services]]\nname = "w"\nworker = { main = "src/w.py" }\n'
    config = load(project(tmp_path, text, **{"src/w": WORKER}))
    assert folders_of(config) == {tmp_path, tmp_path / "src"}


@given(st.text())
def test_no_text_is_too_odd(text: str) -> None:
    assert with_excerpt(Fault(text), [Path()]).text.startswith(text)
