"""What the README shows is run as it stands."""

from __future__ import annotations

import asyncio

import pytest
from pyworkerd.runtime import Runtime
from pyworkerd_config import Binding

from tests.packaging.markdown import code_blocks, page

BLOCKS = code_blocks(page("README.md"), "python")


def block(word: str) -> str:
    (found,) = (text for text in BLOCKS if word in text)
    return found


def test_the_library_in_ten_lines(sandbox: object, capsys: pytest.CaptureFixture[str]) -> None:
    text = block("asyncio.run(main())")
    exec(compile(text, "README.md", "exec"), {"__name__": "readme"})
    said = [line.partition("  # ")[2] for line in text.splitlines() if "print(" in line]
    assert capsys.readouterr().out.splitlines() == said


def test_the_worker_of_the_tour(sandbox: object) -> None:
    auth = """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def who(self, token):
        return "ada" if token == "t" else None
"""

    async def main() -> tuple[object, int]:
        async with Runtime() as runtime:
            limiter = Binding("LIMITER", "rate_limit", {"limit": 1, "period": 60})
            bindings = {
                "GREETING": "hello",
                "AUTH": await runtime.load({"auth.py": auth}),
                "LIMITER": limiter,
            }
            shop = await runtime.load({"shop.py": block("# src/shop.py")}, bindings=bindings)
            headers = {"host": "shop.example", "authorization": "t"}
            first = await (await shop.fetch("/", headers=headers)).json()
            status = 200
            while status == 200:  # a window of the limit may end in between
                status = (await shop.fetch("/", headers=headers)).status
            return first, status

    assert asyncio.run(main()) == ({"greeting": "hello", "user": "ada"}, 429)


@pytest.mark.parametrize("name", ["README.md", "docs/python-workers.md"])
def test_every_python_block_compiles(name: str) -> None:
    for text in code_blocks(page(name), "python"):
        compile(text, name, "exec")
