"""A hostile tenant behind a real server: each case ends with the right answer, and its neighbour never notices."""

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from pyworkerd.errors import PyworkerdError
from pyworkerd.loaded import LoadedWorker
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.server import HttpServer
from pyworkerd_config.model import Limits

from tests.memory import in_use

if TYPE_CHECKING:
    from pyworkerd.observe.logs import LogEntry

TENANT = Path(__file__).with_name("tenant.py").read_text()
NEIGHBOUR = """
from workers import Response, WorkerEntrypoint

served = 0

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        global served
        served += 1
        return Response(f"{served} served by one isolate")
"""
CPU, MEMORY, OUTPUT = "exceeded_cpu", "exceeded_memory", "exceeded_output"
BAD, RAISED = "bad_effect", "worker_exception"

# What the client is told: the code of the error, or None where the tenant's own answer is an ordinary one.
CASES = {
    "loop": {CPU},
    "loop_in_del": {CPU},
    "busy_wait": {CPU},
    "list_bomb": {MEMORY, CPU},
    "bytes_bomb": {MEMORY, CPU},  # whichever is used up first
    "string_bomb": {MEMORY, CPU},  # whichever is used up first
    "string_bomb_in_place": {MEMORY, RAISED},  # CPython 3.14.0 loses its way when growing one in place fails
    "recursion": {RAISED},
    "nested_json": {RAISED},
    "regex": {CPU},
    "million_effects": {CPU, MEMORY},
    "many_calls": {RAISED},
    "gigabyte": {MEMORY, CPU},  # whichever is used up first
    "log_flood": {None},
    "log_more_than_allowed": {None},
    "log_flood_forged": {OUTPUT, CPU, MEMORY, BAD},  # it may run out of memory while it writes the frame
    "unknown_effect": {BAD},
    "wrong_types": {BAD},
    "wrong_arity": {BAD},
    "huge_number": {BAD},
    "no_such_blob": {BAD},
    "capability_never_given": {BAD},
    "negative_capability": {BAD},
    "other_invocation": {BAD},
    "answer_twice": {None, BAD},
    "stream_twice": {None, BAD},
    "foreign_body": {BAD},
    "credit_fraud": {None, BAD},
    "too_much_of_a_body": {None, BAD},
    "header_injection": {BAD},
    "header_null": {BAD},
    "header_name": {BAD},
    "many_headers": {BAD},
    "status_zero": {BAD},
    "switching_protocols": {BAD},
    "calls_taken_back": {CPU},
    "more_calls_taken_back": {BAD},
    "calls_that_are_refused": {CPU},
    "empty_logs": {CPU},
    "broken_frame": {BAD, OUTPUT},
    "truncated_frame": {BAD},
    "deep_frame": {OUTPUT},  # it has more brackets than a step may give out values
    "wake_of_no_time": {BAD},
    "wake_of_nobody": {BAD},
    "endless_wakes": {CPU},
    "exit": {RAISED},
    "os_exit": {RAISED},
    "abort": {RAISED},
    "raise_base": {RAISED},
    "hostile_str": {RAISED},
    "environment": {None},
}
SPARED = {
    "recursion", "many_calls", "credit_fraud", "busy_wait", "endless_wakes", "exit", "raise_base", "hostile_str",
    "environment",
}  # fmt: skip
"""What ends only its own invocation: others of the same isolate, which wait for effects, go on."""
LOG_BYTES = 64 * 1024


async def slow(index: int) -> int:
    await asyncio.sleep(30)
    return index


class Attack:
    """What came of it."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str | None, str]] = []
        self.neighbour: list[str] = []
        self.bystanders: list[str] = []
        """Other invocations of the tenant itself, each of which had an effect out."""
        self.logs: list[LogEntry] = []
        """All that was written to the operator's log."""
        self._opened = asyncio.Event()
        self._waiting = asyncio.Semaphore(0)

    async def hold(self) -> str:
        self._waiting.release()
        await self._opened.wait()
        return "unharmed"

    async def begin(self, tenant: LoadedWorker, bystanders: int) -> list[asyncio.Task[str]]:
        async def ask() -> str:
            try:
                return await (await tenant.fetch("/wait")).text()
            except PyworkerdError as error:
                return error.code

        waiting = [asyncio.create_task(ask()) for _ in range(bystanders)]
        for _ in waiting:
            await self._waiting.acquire()
        return waiting

    async def finish(self, waiting: list[asyncio.Task[str]]) -> None:
        self._opened.set()
        self.bystanders += await asyncio.gather(*waiting)


async def attack(mode: str, times: int = 1, bystanders: int = 2) -> Attack:
    """Send the tenant its mode while others wait in its isolate, and its neighbour a request around and beside it."""
    outcome = Attack()
    neighbour = outcome.neighbour
    async with Runtime(options=RuntimeOptions(sinks=(outcome.logs.append,))) as runtime:
        bad = await runtime.load(
            {"tenant.py": TENANT},
            bindings={"SLOW": slow, "HOLD": outcome.hold},
            limits=Limits(cpu_ms=200, wall_ms=60_000, isolates=1, log_kb=LOG_BYTES // 1024),
        )
        good = await runtime.load({"neighbour.py": NEIGHBOUR})
        server = HttpServer(bad.service.fetch)
        address = await server.start("127.0.0.1:0")

        async def ask_neighbour() -> None:
            neighbour.append(await (await good.fetch("/")).text())

        waiting = await outcome.begin(bad, bystanders)
        async with aiohttp.ClientSession() as client:
            for _ in range(times):
                await ask_neighbour()
                asking = asyncio.create_task(ask_neighbour())
                async with client.get(f"http://{address}/{mode}") as response:
                    try:
                        text = await response.text()
                    except aiohttp.ClientPayloadError:
                        text = "<broken off>"
                    assert "x-injected" not in response.headers
                    outcome.answers.append((response.status, response.headers.get("x-pyworkerd-error"), text))
                await asking
                await ask_neighbour()
        await outcome.finish(waiting)
        await server.aclose()
    return outcome


@pytest.mark.parametrize("mode", CASES)
def test_hostile_tenant(mode: str, sandbox: object) -> None:
    outcome = asyncio.run(attack(mode))
    status, code, text = outcome.answers[0]
    assert code in CASES[mode], (status, code, text)
    if code is not None:
        assert status in (500, 503)
        assert "Traceback" not in text
        assert "tenant.py" not in text
    assert outcome.neighbour == [f"{n} served by one isolate" for n in (1, 2, 3)]
    assert set(outcome.bystanders) <= ({"unharmed"} if mode in SPARED else {"unharmed", "isolate_lost"})
    written = sum(len(entry.message) for entry in outcome.logs if entry.source in ("stdout", "forged"))
    assert written <= LOG_BYTES + 1024
    if mode in ("log_flood", "log_more_than_allowed"):
        assert written > LOG_BYTES // 2
        assert any("log limit" in entry.message for entry in outcome.logs)


def test_every_mode_is_a_case(sandbox: object) -> None:
    modes = {
        line.split("mode_")[1].split("(")[0] for line in TENANT.splitlines() if "async def mode_" in line
    }
    assert modes - set(CASES) == {"loop_in_finally", "wait"}


def test_loop_in_finally_after_the_client_left(sandbox: object) -> None:
    async def main() -> str:
        async with Runtime() as runtime:
            bad = await runtime.load(
                {"tenant.py": TENANT}, bindings={"SLOW": slow}, limits=Limits(cpu_ms=100)
            )
            good = await runtime.load({"neighbour.py": NEIGHBOUR})
            asking = asyncio.create_task(bad.fetch("/loop_in_finally"))
            while bad.service.statistics()["states"] != ["busy"]:
                await asyncio.sleep(0)
            asking.cancel()
            while bad.service.statistics()["isolates"]:
                await (await good.fetch("/")).text()
            return await (await good.fetch("/")).text()

    assert asyncio.run(main()).endswith("served by one isolate")


def test_the_memory_of_hostile_isolates_returns(sandbox: object) -> None:
    def again_and_again(mode: str, times: int) -> None:
        # Without bystanders: for them an isolate that has used up its memory would live on, and be in the way of the
        # next one.
        outcome = asyncio.run(attack(mode, times, bystanders=0))
        assert {code for _, code, _ in outcome.answers} <= CASES[mode]

    again_and_again("string_bomb", 3)
    before = in_use()
    for mode in ("string_bomb", "list_bomb", "broken_frame", "loop"):
        again_and_again(mode, 5)
    assert in_use() - before < 64 * 1024 * 1024


def test_environment_and_arguments_of_the_host_are_not_there(sandbox: object) -> None:
    answers = asyncio.run(attack("environment")).answers
    assert answers == [(200, None, "{}[]")] or answers == [(200, None, "{}['']")]
