"""The examples of some pages, each run from top to bottom in one namespace, as a reader would."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import importlib.util
import inspect
import io
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {"cache.md": 1, "library.md": 11, "kv.md": 1, "d1.md": 1, "r2.md": 1, "sandbox.md": 1}
"""And how many blocks there are more than."""
_BLOCK = re.compile(r"^```python ?(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PRINTS = re.compile(r"# -> (.*)$", re.MULTILINE)


class Block(NamedTuple):
    line: int
    needs: str
    code: str


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    return [Block(text[: m.start(2)].count("\n"), m[1], m[2]) for m in _BLOCK.finditer(text)]


async def run(page: Path, block: Block, names: dict[str, Any]) -> None:
    code = compile("\n" * block.line + block.code, str(page), "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if block.needs and importlib.util.find_spec(block.needs) is None:
        return
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        result = eval(code, names)
        if inspect.iscoroutine(result):
            await result
    assert printed.getvalue().splitlines() == _PRINTS.findall(block.code), f"line {block.line}"


@pytest.mark.parametrize("name", PAGES)
def test_the_examples_run(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = blocks(DOCS / name)
    assert len(found) > PAGES[name]

    async def main() -> None:
        names: dict[str, Any] = {"__name__": "library"}
        for block in found:
            await run(DOCS / name, block, names)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())
