"""Hostile JavaScript behind a real server: an attack ends with an error of the tenant, and nobody else notices."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import psutil
import pytest
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.server import HttpServer
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from pyworkerd.observe.logs import LogEntry

SOURCE = Path(__file__).with_name("javascript.js").read_text(encoding="utf-8")
NEIGHBOUR = (
    "let served = 0; export default { fetch() { served += 1; return new Response(`served ${served}`); } };"
)
CPU, MEMORY, OUTPUT, TIME = "exceeded_cpu", "exceeded_memory", "exceeded_output", "exceeded_wall_time"
BAD, RAISED, ANSWERED = "bad_effect", "worker_exception", None
ITS_OWN = {BAD, RAISED, ANSWERED, TIME, "no_handler"}
"""What it broke is its own isolate: whether that shows is its own affair."""

CASES: dict[str, set[str | None]] = {
    "loop": {CPU},
    "microtasks": {CPU, MEMORY},
    "ticks": {CPU},
    "timers": {RAISED, CPU},
    "recursion": {RAISED},
    "deep_json": {RAISED},
    "deep_value": {RAISED, CPU},
    "proxies": {RAISED},
    "regex": {CPU},
    "array_bomb": {MEMORY, CPU},
    "buffer_bomb": {MEMORY, CPU},
    "string_bomb": {RAISED, MEMORY},
    "huge_array": {RAISED, MEMORY},
    "gigabyte": {RAISED, MEMORY},
    "sparse": {RAISED, MEMORY, CPU},
    "log_flood": {ANSWERED, CPU},
    "array_prototype": ITS_OWN,
    "array_iterator": ITS_OWN,
    "array_join": ITS_OWN,
    "to_json": ITS_OWN,
    "json": ITS_OWN,
    "map_get": ITS_OWN,
    "then": ITS_OWN,
    "thenable": {CPU},
    "setters": ITS_OWN,
    "getters": {RAISED},
    "status": {RAISED},
    "header_value": {RAISED},
    "header_name": {RAISED},
    "many_headers": {RAISED, CPU},
    "throw_proxy": {RAISED},
    "throw_nothing": {RAISED},
    "stack_getter": {RAISED, CPU},
    "generator": {RAISED, MEMORY},
    "finalizers": {ANSWERED, CPU},
    "waits_for_ever": {ANSWERED},
    "keeps": {ANSWERED, RAISED},
    "pairs": {MEMORY, CPU},
    "ping_pong": {CPU},
    "sends": {CPU, MEMORY},
    "sockets_of_others": {RAISED},
    "dispatches": {RAISED, CPU},
    "listeners": {CPU, MEMORY},
    "caches_of_all": {ANSWERED, RAISED},
    "deep_equal": {RAISED},
    "buffers": {MEMORY, CPU, RAISED},
    "emitters": {RAISED},
    "rejections": {CPU, MEMORY},
    "rejected": ITS_OWN,
    "contexts": {CPU, MEMORY},
    "stores": ITS_OWN,
    "large_keys": {RAISED},
    "many_keys": {CPU, RAISED},
    "passwords": {CPU},
    "endless_key": {RAISED, MEMORY, CPU},
    "seals": {CPU},
    "seals_at_once": {RAISED, CPU},
    "large_seals": {RAISED, MEMORY, CPU, ANSWERED},
    "key_prototypes": ITS_OWN,
    "guest": {ANSWERED},
}

WAITING = ("then", "stores")
"""They leave themselves without an answer, and wait out their wall time."""


class Outcome:
    """What came of an attack."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str | None, str]] = []
        self.neighbour: list[str] = []
        self.logs: list[LogEntry] = []
        self.grown = 0


async def attack(mode: str, times: int = 2, source: str = SOURCE) -> Outcome:
    outcome = Outcome()
    wall_ms = 1_000 if mode in WAITING else 5_000
    limits = Limits(cpu_ms=200, wall_ms=wall_ms, memory_mb=64, isolates=1, log_kb=64)
    async with Runtime(options=RuntimeOptions(sinks=(outcome.logs.append,))) as runtime:
        bad = await runtime.load({"worker.js": source}, limits=limits)
        good = await runtime.load({"worker.js": NEIGHBOUR})
        server = HttpServer(bad.service.fetch)
        address = await server.start("127.0.0.1:0")
        async with aiohttp.ClientSession() as client:
            before = psutil.Process().memory_full_info().uss
            for path in [mode] * times + [""]:
                asking = asyncio.create_task(good.fetch("/"))
                async with client.get(f"http://{address}/{path}") as response:
                    assert "x-injected" not in response.headers
                    text = await response.text()
                    outcome.answers.append((response.status, response.headers.get("x-pyworkerd-error"), text))
                outcome.neighbour.append(await (await asking).text())
            outcome.grown = psutil.Process().memory_full_info().uss - before
        await server.aclose()
    return outcome


@pytest.mark.parametrize("mode", CASES)
def test_hostile_javascript(mode: str, sandbox: object) -> None:
    outcome = asyncio.run(attack(mode))
    for status, code, text in outcome.answers[:-1]:
        assert code in CASES[mode], (status, code, text)
        if code is not None:
            assert status in (500, 503)
            assert "worker.js" not in text
    assert outcome.neighbour == [f"served {n}" for n in (1, 2, 3)]
    assert outcome.grown < 96 << 20
    written = sum(len(entry.message) for entry in outcome.logs if entry.source == "console")
    assert written <= 2 * (64 << 10) + 1024
    if CASES[mode] is not ITS_OWN:
        assert outcome.answers[-1] == (200, None, "fine")


def test_nothing_of_the_guest_is_there_for_programs(sandbox: object) -> None:
    outcome = asyncio.run(attack("guest", times=1))
    assert outcome.answers[0] == (200, None, "")


def test_every_mode_is_a_case() -> None:
    assert set(re.findall(r"^  async (\w+)\(", SOURCE, re.MULTILINE)) - {"fetch"} == CASES.keys()
