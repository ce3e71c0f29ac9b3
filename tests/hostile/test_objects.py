"""Hostile Durable Objects in JavaScript: what they do to their storage ends with an error of theirs, and other objects
of the same class, not to speak of other tenants, never notice.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
from pyworkerd.errors import PyworkerdError
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config.model import Binding, Limits

if TYPE_CHECKING:
    from pyworkerd.loaded import LoadedWorker

SOURCE = Path(__file__).with_name("objects.js").read_text(encoding="utf-8")
ROOM = {"ROOM": Binding("ROOM", "durable_object", "Room")}
CPU, MEMORY, TIME = "exceeded_cpu", "exceeded_memory", "exceeded_wall_time"
BAD, RAISED, LOST = "bad_effect", "worker_exception", "isolate_lost"
OWN = {BAD, RAISED, MEMORY, CPU, "8", "1", "[]", "null", '"stolen"', "no_method"}
"""What it broke is its own: how that shows is its own affair."""
CASES: dict[str, set[str]] = {
    "fine": {"1"},
    "endless": {CPU},
    "rows": {CPU, MEMORY, RAISED},
    "sorts": {CPU, MEMORY, RAISED},
    "groups": {CPU, MEMORY, RAISED},
    "fills": {RAISED, CPU},
    "temporary": {RAISED, CPU, MEMORY},
    "statements": {CPU, MEMORY},
    "blobs": {RAISED, CPU, MEMORY},
    "deep": {RAISED, CPU},
    "recursion": {RAISED},
    "bombs": {RAISED},
    "likes": {CPU},
    "triggers": {"null", RAISED},
    "gate": {TIME},
    "alarms": {CPU},
    "files": {"8"},
    "prototypes": OWN,
    "numbers": {BAD},
    "forges": OWN,
    "schema": OWN,
    "reenters": OWN,
    "reenters_for_ever": OWN,  # what it has done to Set lasts, as its isolate does
    "setters": OWN,
    "then": OWN,
    "host": {"[]"},
}


async def said(worker: LoadedWorker, path: str) -> str:
    try:
        return await (await worker.fetch(path)).text()
    except PyworkerdError as error:
        return error.code


async def attack(mode: str, folder: Path) -> tuple[list[str], list[str], str, int]:
    """What it comes to, twice; what another object says meanwhile; what the same one says then; bytes."""
    limits = Limits(cpu_ms=300, wall_ms=400 if mode == "gate" else 10_000, memory_mb=64)
    async with Runtime(options=RuntimeOptions(state_dir=folder)) as runtime:
        worker = await runtime.load({"w.js": SOURCE}, name="bad", bindings=ROOM, limits=limits)
        before = psutil.Process().memory_full_info().uss
        answers, others = [], []
        for _ in range(2):
            other = asyncio.create_task(said(worker, "/other/fine"))
            answers.append(await said(worker, f"/victim/{mode}"))
            others.append(await other)
        grown = psutil.Process().memory_full_info().uss - before
        return answers, others, await said(worker, "/victim/fine"), grown


@pytest.mark.parametrize("mode", CASES)
def test_hostile_objects(mode: str, tmp_path: Path, sandbox: object) -> None:
    answers, others, then, grown = asyncio.run(attack(mode, tmp_path))
    if mode != "fine":
        assert set(answers) <= CASES[mode], answers
        if mode == "gate":
            assert then == TIME  # until its isolate ends (`live.GRACE_S`)
        elif CASES[mode] is not OWN:
            assert then == "1"  # nothing of what was broken off was kept
    assert others == ["1", "2"]
    assert grown < 128 << 20
    assert not Path("/tmp/pyworkerd-hostile").exists()


def test_every_mode_is_a_case() -> None:
    assert set(re.findall(r"^  async (\w+)\(", SOURCE, re.MULTILINE)) - {"fetch"} == CASES.keys()
