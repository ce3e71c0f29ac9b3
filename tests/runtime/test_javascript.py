"""What the page about JavaScript workers and the example show, for real."""

from __future__ import annotations

import asyncio
import shutil
from typing import TYPE_CHECKING

import aiohttp
from pyworkerd.runtime import Runtime
from pyworkerd.serving import Serving
from pyworkerd_config import load

from tests.packaging.markdown import code_blocks, page
from tests.packaging.tree import ROOT

if TYPE_CHECKING:
    from pathlib import Path


def get(config: Path, *paths: str) -> list[tuple[int, str]]:
    """What these paths of the configuration's socket answer."""
    config.write_text(config.read_text().replace("127.0.0.1:8787", "127.0.0.1:0"))

    async def main() -> list[tuple[int, str]]:
        async with Runtime(load(config)) as runtime:
            serving = Serving(runtime)
            (socket,) = await serving.start()
            try:
                async with aiohttp.ClientSession() as client:
                    found = []
                    for path in paths:
                        async with client.get(f"http://{socket.address}{path}") as response:
                            found.append((response.status, await response.text()))
                        await runtime.quiet()  # what it promised to finish is done
                    return found
            finally:
                await serving.aclose()

    return asyncio.run(main())


def test_the_page(tmp_path: Path) -> None:
    text = page("docs/javascript.md")
    (tmp_path / "config.toml").write_text(code_blocks(text, "toml")[0])
    (tmp_path / "front.ts").write_text(code_blocks(text, "ts")[0])
    (tmp_path / "prices.py").write_text(code_blocks(text, "python")[0])
    answers = get(tmp_path / "config.toml", "/?article=tea", "/?article=gold")
    assert answers == [(200, '{"article":"tea","price":4}'), (200, '{"article":"gold","price":9}')]


def test_the_example(tmp_path: Path) -> None:
    ignored = shutil.ignore_patterns(".pyworkerd")
    folder = shutil.copytree(ROOT / "examples/typescript", tmp_path / "example", ignore=ignored)
    front, tea, again, none = get(folder / "config.toml", "/", "/tea", "/tea", "/%3Cgold%3E")
    assert front[0] == 200
    assert '<a href="/cocoa">cocoa</a></li><li><a href="/coffee">' in front[1]
    assert "4.50 EUR until" in tea[1]
    assert "asked 1 times" in tea[1]
    assert "asked 2 times" in again[1]
    assert (none[0], "there is no such article" in none[1]) == (404, True)
