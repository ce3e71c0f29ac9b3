"""Which `test` handlers there are, and one run."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd import Runtime
from pyworkerd.testing.handlers import Case, Filter, find, run
from pyworkerd_config import load

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
[[services]]
name = "a"
[services.worker]
main = "a.py"
limits = { background_cpu_ms = 100 }
"""
WORKER = """\
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    def test(self): pass

class Loops(WorkerEntrypoint):
    def test(self):
        while True: pass

class Calls(WorkerEntrypoint):
    def test(self):
        self.ctx.waitUntil(self.later())
    async def later(self):
        print("later")
"""


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("a", "a a:One a:Two"),
        ("a:*", "a a:One a:Two"),
        ("a:One", "a:One"),
        (":One", "a:One b:One"),
        ("*:default", "a"),
        ("[ab]:T*", "a:Two"),
        ("A", ""),
        ("*:one", ""),
        ("a:b:c", ""),
        ("", "a a:One a:Two b:One"),
    ],
)
def test_filters(text: str, taken: str) -> None:
    cases = [Case("a", None), Case("a", "One"), Case("a", "Two"), Case("b", "One")]
    assert [str(case) for case in cases if Filter.of(text).takes(case)] == taken.split()


def test_a_run_that_loops_is_a_failure_and_the_next_one_passes(tmp_path: Path) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "a.py").write_text(WORKER)

    async def main() -> None:
        async with Runtime(load(tmp_path / "config.toml")) as runtime:
            assert [str(case) for case in find(runtime, ())] == ["a", "a:Loops", "a:Calls"]
            outcome = await run(runtime, Case("a", "Loops"))
            assert outcome.failure is not None
            assert outcome.failure.message.startswith("exceeded_cpu: ")
            assert (await run(runtime, Case("a", "Calls"))).failure is None
            assert (await run(runtime, Case("a", None))).failure is None
            gone = (await run(runtime, Case("a", "Gone"))).failure
            assert gone is not None
            assert gone.message.startswith("no_entrypoint: ")
            await runtime.quiet()
            assert runtime.worker("a").logs[-1].message == "later"

    asyncio.run(main())
