"""Hostile components and CGI modules behind a real server: an attack ends with an error of the tenant, and nobody else
notices.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import aiohttp
import psutil
import pytest
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.server import HttpServer
from pyworkerd_config.model import Limits
from pyworkerd_isolates.component import compiler

from tests.isolates.component.programs import (
    HELLO,
    LINE,
    RESPOND,
    RESPONDING,
    cgi,
    compiled_here,
    component,
    handle,
)

if TYPE_CHECKING:
    from pyworkerd.observe.logs import LogEntry

CPU, MEMORY, OUTPUT, TIME = "exceeded_cpu", "exceeded_memory", "exceeded_output", "exceeded_wall_time"
BAD, RAISED, ANSWERED = "bad_effect", "worker_exception", None

USES = {
    **RESPONDING,
    "clone": f"{LINE}fields.clone",
    "append": f"{LINE}fields.append",
    "path": f"{LINE}incoming-request.path-with-query",
    "now": "wasi:clocks/monotonic-clock now",
    "after": "wasi:clocks/monotonic-clock subscribe-duration",
    "block": "wasi:io/poll pollable.block",
    "poll": "wasi:io/poll poll",
    "stdout": "wasi:cli/stdout get-stdout",
    "write": f"{LINE}outgoing-body.write",
    "say": "wasi:io/streams output-stream.write",
    "exit": "wasi:cli/exit exit",
    "asked": f"{LINE}outgoing-request",
    "send": "wasi:http/outgoing-handler handle",
    "authority": f"{LINE}outgoing-request.set-authority",
    "random": "wasi:random/random get-random-bytes",
    "drop": "drop",
    "log": "wasi:logging/logging log",
    "assign": f"{LINE}fields.set",
}
FOREVER = "(loop $l {} (br $l))"
STREAM = "(local.set $j (call $respond (local.get $out)))"
LIST_OF_VALUES = """(loop $l (i64.store (i32.shl (local.get $k) (i32.const 3)) (i64.const 0x1ec3000000400))
  (local.set $k (i32.add (local.get $k) (i32.const 1))) (br_if $l (i32.lt_u (local.get $k) (i32.const 256))))"""
"""256 times the same 126,000 bytes."""
NINE = "(i32.const 0) (i64.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)"

COMPONENTS: dict[str, tuple[str, set[str | None]]] = {
    "loop": (FOREVER.format(""), {CPU}),
    "questions": (FOREVER.format("(drop (call $now))"), {CPU}),
    "recursion": ("(call $handle (local.get $request) (local.get $out))", {RAISED}),
    "memory": (FOREVER.format("(drop (memory.grow (i32.const 16)))"), {CPU, MEMORY}),
    "unreachable": ("(unreachable)", {RAISED}),
    "resources": (FOREVER.format("(drop (call $fields))"), {RAISED, CPU}),
    "fields": (
        "(local.set $i (call $fields))"
        + FOREVER.format(
            "(call $append (local.get $i) (i32.const 1024) (i32.const 5)"
            " (i32.const 1024) (i32.const 5) (i32.const 32))"
        ),
        {RAISED, CPU},
    ),
    "huge_field": (
        "(call $append (call $fields) (i32.const 1024) (i32.const 5) (i32.const 0) (i32.const -1) (i32.const 8))",
        {RAISED},
    ),
    "forged": ("(drop (call $response (i32.const 12345)))", {RAISED}),
    "of_another_kind": ("(drop (call $response (local.get $request)))", {RAISED}),
    "given_up_twice": (
        "(local.set $i (call $fields)) (call $drop (local.get $i)) (call $drop (local.get $i))",
        {RAISED},
    ),
    "outside": ("(call $path (local.get $request) (i32.const -4))", {RAISED}),
    "no_answer": ("", {"worker_exception"}),
    "waits_for_ever": ("(call $block (call $after (i64.const -1)))", {TIME}),
    "answers_and_waits": (STREAM + "(call $block (call $after (i64.const -1)))", {ANSWERED}),
    "two_answers": (
        STREAM + f"(call $set (local.get $out) (i32.const 0) (i32.const 1) {NINE})",
        {ANSWERED, RAISED},
    ),
    "too_much_at_once": (
        STREAM + "(call $say (local.get $j) (i32.const 0) (i32.const 65537) (i32.const 32))",
        {ANSWERED, RAISED},
    ),
    "body_flood": (
        STREAM + FOREVER.format("(call $put (local.get $j) (i32.const 0) (i32.const 65536) (i32.const 32))"),
        {ANSWERED},
    ),
    "log_flood": (
        "(local.set $j (call $stdout))"
        + FOREVER.format("(call $say (local.get $j) (i32.const 0) (i32.const 60000) (i32.const 32))"),
        {CPU},
    ),
    "line_flood": (
        "(memory.fill (i32.const 0) (i32.const 10) (i32.const 60000)) (local.set $j (call $stdout))"
        + FOREVER.format("(call $say (local.get $j) (i32.const 0) (i32.const 60000) (i32.const 32))"),
        {CPU},
    ),
    "poll_nothing": ("(call $poll (i32.const 0) (i32.const 0) (i32.const 32))", {RAISED}),
    "poll_much": ("(call $poll (i32.const 0) (i32.const 100000000) (i32.const 32))", {RAISED}),
    "requests": (
        FOREVER.format(
            "(local.set $i (call $asked (call $fields)))"
            "(drop (call $authority (local.get $i) (i32.const 1) (i32.const 1024) (i32.const 5)))"
            "(call $send (local.get $i) (i32.const 0) (i32.const 0) (i32.const 32))"
        ),
        {RAISED, CPU, OUTPUT},
    ),
    "random_gigabytes": ("(call $random (i64.const 0x7fffffff) (i32.const 32))", {RAISED}),
    "random_megabytes": (
        FOREVER.format("(call $random (i64.const 0x100000) (i32.const 32))"),
        {RAISED, CPU, MEMORY},
    ),
    "log_of_all_memory": (
        "(drop (memory.grow (i32.const 900)))"
        + FOREVER.format(
            "(call $log (i32.const 3) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0x3800000))"
        ),
        {CPU},
    ),
    "values_at_once": (
        LIST_OF_VALUES
        + "(call $assign (call $fields) (i32.const 4096) (i32.const 5) (i32.const 0) (i32.const 256) (i32.const 8))",
        {RAISED},
    ),
    "body_given_up": (
        STREAM + "(call $drop (i32.load (i32.const 4))) (call $block (call $after (i64.const -1)))",
        {ANSWERED},
    ),
    "ends_itself": ("(call $exit (i32.const 1))", {"worker_exception"}),
}


def hostile(code: str) -> bytes:
    return component(handle(code, RESPOND), USES, '(data (i32.const 1024) "hello")')


def with_allocator(text: str) -> bytes:
    """A component whose allocator does this."""
    code = "(call $path (local.get $request) (i32.const 32))"
    return component(handle(code, RESPOND), USES, "", text)


HEAD = "A: b\\n\\n"
SAY = "(call $say (i32.const 1024) (i32.const 6))"
MODULES: dict[str, tuple[bytes, set[str | None]]] = {
    "allocates_outside": (with_allocator("(return (i32.const -8))"), {RAISED}),
    "allocates_for_ever": (with_allocator(FOREVER.format("")), {CPU}),
    "cgi_loop": (cgi(FOREVER.format("")), {CPU}),
    "cgi_nothing": (cgi(""), {RAISED}),
    "cgi_no_header": (cgi("(call $say (i32.const 1024) (i32.const 6))", "abcdef"), {RAISED}),
    "cgi_header_flood": (cgi(FOREVER.format("(call $say (i32.const 2048) (i32.const 65536))")), {BAD, CPU}),
    "cgi_status": (cgi("(call $say (i32.const 1024) (i32.const 14))", "Status: 999\\n\\n "), {BAD}),
    "cgi_injection": (
        cgi("(call $say (i32.const 1024) (i32.const 24))", "A: b\\rX-Injected: yes\\n\\n "),
        {BAD},
    ),
    "cgi_body_flood": (
        cgi(SAY + FOREVER.format("(call $say (i32.const 2048) (i32.const 65536))"), HEAD),
        {ANSWERED},
    ),
    "cgi_buffers": (
        cgi("(drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1000000) (i32.const 8)))"),
        {RAISED},
    ),
    "cgi_outside": (
        cgi("(drop (call $fd_write (i32.const 1) (i32.const -8) (i32.const 9) (i32.const 8)))"),
        {RAISED},
    ),
    "cgi_file": (
        cgi(
            "(drop (call $open))",
            imports='(import "wasi_snapshot_preview1" "path_unlink_file" (func $open (result i32)))',
        ),
        {RAISED},
    ),
}
CASES = {**{mode: (hostile(code), codes) for mode, (code, codes) in COMPONENTS.items()}, **MODULES}


class Outcome:
    """What came of an attack."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, str | None]] = []
        self.neighbour: list[bytes] = []
        self.logs: list[LogEntry] = []
        self.grown = 0


async def attack(binary: bytes, wall_ms: int, times: int = 2) -> Outcome:
    outcome = Outcome()
    limits = Limits(cpu_ms=100, wall_ms=wall_ms, memory_mb=64, log_kb=64)
    async with Runtime(options=RuntimeOptions(sinks=(outcome.logs.append,))) as runtime:
        bad = await runtime.load({"bad.wasm": binary}, limits=limits)
        good = await runtime.load({"good.wasm": HELLO})
        server = HttpServer(bad.service.fetch)
        address = await server.start("127.0.0.1:0")
        async with aiohttp.ClientSession() as client:
            before = psutil.Process().memory_full_info().uss
            for _ in range(times):
                asking = asyncio.create_task(good.fetch("/"))
                async with client.get(f"http://{address}/") as response:
                    assert "x-injected" not in response.headers
                    outcome.answers.append((response.status, response.headers.get("x-pyworkerd-error")))
                    response.close()
                outcome.neighbour.append(await (await asking).read())
            outcome.grown = psutil.Process().memory_full_info().uss - before
        await server.aclose()
    return outcome


@pytest.mark.parametrize("mode", CASES)
def test_hostile_program(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiler, "compiled", compiled_here)
    binary, codes = CASES[mode]
    outcome = asyncio.run(attack(binary, 400 if TIME in codes else 10_000))
    for status, code in outcome.answers:
        assert code in codes, (status, code, [entry.message for entry in outcome.logs][-3:])
        assert status in ((200,) if code is None else (500, 503))
    assert outcome.neighbour == [b"hello"] * 2
    assert outcome.grown < 64 << 20
    assert (
        sum(len(entry.message) for entry in outcome.logs if entry.source == "stdout") <= 2 * (64 << 10) + 1024
    )
