"""Processes with objects are killed at any moment: no acknowledged write is lost, and none is half there."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from pyworkerd_config.model import Binding

ROOT = Path(__file__).parents[3]
BANK = {"BANK": Binding("BANK", "durable_object", "Bank")}
SOURCE = {
    "worker.py": """
from workers import DurableObject, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def move(self, amount):
        return await self.env.BANK.get_by_name("b").move(amount)

    async def look(self):
        return await self.env.BANK.get_by_name("b").look()

class Bank(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, amount INTEGER)")
        ctx.storage.sql.exec("INSERT OR IGNORE INTO accounts VALUES ('a', 0), ('b', 0)")

    async def move(self, amount):
        sql, kv = self.ctx.storage.sql, self.ctx.storage.kv
        sql.exec("UPDATE accounts SET amount = amount - ? WHERE name = 'a'", amount)
        sql.exec("UPDATE accounts SET amount = amount + ? WHERE name = 'b'", amount)
        kv.put("moves", (kv.get("moves") or 0) + 1)
        kv.put("filler%d" % (kv.get("moves") % 50), "x" * 5000)
        return kv.get("moves")

    async def look(self):
        total = self.ctx.storage.sql.exec("SELECT sum(amount) AS n FROM accounts").one().n
        return [self.ctx.storage.kv.get("moves") or 0, total]
"""
}
PROGRAM = textwrap.dedent("""
    import asyncio, sys
    from pathlib import Path
    from tests.runtime.objects.test_kills import BANK, SOURCE
    from pyworkerd.runtime import Runtime, RuntimeOptions

    async def main():
        async with Runtime(options=RuntimeOptions(state_dir=Path(sys.argv[1]))) as runtime:
            worker = await runtime.load(SOURCE, name="shop", bindings=BANK)
            while True:
                print(await worker.call("move", 7), flush=True)

    asyncio.run(main())
""")


def acknowledged(folder: Path, moves: int) -> int:
    """Let a process move amounts, kill it after about so many, and say what it was told last."""
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(moves):
            line = process.stdout.readline()
            assert line, "the process ended by itself"
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().split("\n")[:-1]  # the last line may be cut
        return int([line, *rest][-1])


def kills(folder: Path, rounds: int, seed: int) -> None:
    from pyworkerd.runtime import Runtime, RuntimeOptions  # noqa: PLC0415 - the program has its own

    draw = random.Random(seed)

    async def look() -> list[int]:
        async with Runtime(options=RuntimeOptions(state_dir=folder)) as runtime:
            worker = await runtime.load(SOURCE, name="shop", bindings=BANK)
            found: list[int] = await worker.call("look")
            return found

    for _ in range(rounds):
        told = acknowledged(folder, draw.randint(1, 30))
        moves, total = asyncio.run(look())
        assert told <= moves <= told + 1
        assert total == 0


def test_a_few_kills(tmp_path: Path) -> None:
    kills(tmp_path, 3, 1)


@pytest.mark.soak
@pytest.mark.timeout(1800)
def test_hundreds_of_kills(tmp_path: Path) -> None:
    kills(tmp_path, 200, 2)
