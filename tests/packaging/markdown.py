"""Just enough of Markdown to hold the project's pages against its code: sections, and the rows of their tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.packaging.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TEST = re.compile(r"`(tests/[\w/]+\.py)(?:::(\w+))?`")


def page(name: str) -> str:
    """A page by its path from the top of the project."""
    return (ROOT / name).read_text(encoding="utf-8")


def section(name: str, heading: str) -> str:
    """What stands below a heading, up to the next one of its level or above."""
    lines = page(name).splitlines()
    start = next(
        (i for i, line in enumerate(lines) if line.lstrip("#").strip() == heading and line[:1] == "#"), None
    )
    assert start is not None, f"{name} has no section {heading!r}"
    level = len(lines[start]) - len(lines[start].lstrip("#"))
    found: list[str] = []
    fenced = False
    for line in lines[start + 1 :]:
        fenced ^= line.startswith("```")
        depth = len(line) - len(line.lstrip("#"))
        if not fenced and 0 < depth <= level:
            break
        found.append(line)
    return "\n".join(found)


def rows(name: str, heading: str) -> list[list[str]]:
    """The cells of every table row below a heading, without head and rule, code marks taken off."""
    tables = [line for line in section(name, heading).splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in tables]
    rules = {i for i, row in enumerate(cells) if all(set(cell) <= set("-: ") for cell in row)}
    heads = {i - 1 for i in rules}
    return [[cell.strip("`") for cell in row] for i, row in enumerate(cells) if i not in rules | heads]


def first_column(name: str, heading: str) -> list[str]:
    """The first cell of each row."""
    return [row[0] for row in rows(name, heading)]


def local_links(path: Path) -> list[str]:
    """Links of a page that lead to files of the project."""
    found = _LINK.findall(path.read_text(encoding="utf-8"))
    return [
        link.partition("#")[0]
        for link in found
        if "://" not in link and not link.startswith(("#", "mailto:"))
    ]


def named_tests(path: Path) -> list[tuple[str, str]]:
    """Tests that a page names as evidence: file, and function or nothing."""
    return _TEST.findall(path.read_text(encoding="utf-8"))


def code_blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
