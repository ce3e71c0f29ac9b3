"""What is printed, logged and warned of becomes entries, accounted to its invocation and cut when it is a flood."""

from __future__ import annotations

import pytest

WORKER = """
import asyncio, logging, sys, traceback, warnings
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def run(self, code):
        exec(code)

    async def slowly(self, name):
        print(name, end=" ")
        await asyncio.sleep(1)
        print("done")

    async def in_steps(self, steps, lines):
        for _ in range(steps):
            for _ in range(lines):
                print("x" * 936)
            await asyncio.sleep(1)
"""
ENTRIES = {
    "print('hello')": [("info", "stdout", "hello")],
    "print('a', 'b', sep='\\n')": [("info", "stdout", "a"), ("info", "stdout", "b")],
    "print()": [("info", "stdout", "")],
    "print('a', end=''); print('b', end=''); print()": [("info", "stdout", "ab")],
    "print('unfinished', end='')": [("info", "stdout", "unfinished")],
    "print('a', end='', flush=True); print('b')": [("info", "stdout", "a"), ("info", "stdout", "b")],
    "sys.stdout.write('x\\ny\\nz')": [
        ("info", "stdout", "x"),
        ("info", "stdout", "y"),
        ("info", "stdout", "z"),
    ],
    "print('oh', file=sys.stderr)": [("error", "stderr", "oh")],
    "sys.__stdout__.write('x')": [("info", "stdout", "x")],
    "print('\\ud800 caf\\u00e9 \\U0001f600')": [("info", "stdout", "\ufffd caf\u00e9 \U0001f600")],
    "logging.info('told %s', 'so')": [("info", "root", "told so")],
    "logging.getLogger('shop').warning('low')": [("warning", "shop", "low")],
    "logging.getLogger('shop').critical('out')": [("critical", "shop", "out")],
    "logging.debug('hidden')": [],
    "logging.getLogger().setLevel(10); logging.debug('shown')": [("debug", "root", "shown")],
    "logging.log(25, 'between')": [("info", "root", "between")],
    "logging.getLogger('x' * 500).error('named')": [("error", "x" * 256, "named")],
    "logging.basicConfig(force=True); logging.warning('again')": [("error", "stderr", "WARNING:root:again")],
    "logging.error('%d', 'wrong')": None,
    "warnings.warn('careful')": [("warning", "py.warnings", "<string>:1: UserWarning: careful")],
    "logging.captureWarnings(True); warnings.warn('careful')": None,
}


@pytest.mark.parametrize("code", ENTRIES)
def test_entries(start, code):
    run = start(WORKER).call("run", code)
    assert run.failure is None
    if ENTRIES[code] is None:
        assert run.logs
        return
    assert [(log.level, log.source, log.message) for log in run.logs] == ENTRIES[code]
    assert all(log.invocation == run.number for log in run.logs)


def test_a_traceback_is_one_entry_of_logging_and_lines_of_stderr(start):
    code = "try: 1 / 0\nexcept ZeroDivisionError: {}"
    (entry,) = start(WORKER).call("run", code.format("logging.exception('divided')")).logs
    assert entry.message.startswith("divided\nTraceback")
    assert entry.message.endswith("ZeroDivisionError: division by zero")
    lines = start(WORKER).call("run", code.format("traceback.print_exc()")).logs
    assert lines[-1].message == "ZeroDivisionError: division by zero"
    assert {line.level for line in lines} == {"error"}


def test_invocations_do_not_share_a_line(start):
    driver = start(WORKER)
    runs = [driver.begin_call("slowly", name) for name in "abc"]
    driver.settle()
    for run, name in zip(runs, "abc", strict=True):
        assert [log.message for log in run.logs] == [f"{name} done"]


def test_a_long_entry_is_cut(start):
    (entry,) = start(WORKER).call("run", "print('x' * 100_000)").logs
    assert entry.message == "x" * 16_384 + " [cut: 100000 characters]"
    (entry,) = start(WORKER).call("run", "sys.stdout.write('x' * 100_000)").logs
    assert len(entry.message) < 20_000


FLOODS = {
    "short lines": "for n in range(100_000): print(n)",
    "long lines": "for n in range(1000): print('x' * 10_000)",
    "empty lines": "for n in range(100_000): print()",
    "text that grows when it is written": "for n in range(1000): print('\\U0001f600' * 1000)",
    "control characters": "for n in range(1000): print('\\x00' * 1000)",
    "no line end": "for n in range(100_000): sys.stdout.write('x' * 100)",
    "logging": "for n in range(20_000): logging.warning('flood %d', n)",
    "at once": "print('\\n'.join(['x'] * 1_000_000))",
}


@pytest.mark.parametrize("flood", FLOODS)
def test_a_flood_is_cut_and_ends_nothing(start, flood):
    driver = start(WORKER, cpu_ms=60_000)
    run = driver.call("run", FLOODS[flood])
    assert run.failure is None
    assert 5 < len(run.logs) < 5000
    size = sum(len(log.message.encode()) + 64 for log in run.logs)
    assert size <= 262_144 + 16_384 + 128
    if size < 262_144:  # what one step may give out was used up before
        assert run.logs[-1].message == "this invocation logs too much at once: the rest is dropped"
    after = driver.call("run", "print('quiet')")
    assert [log.message for log in after.logs] == ["quiet"]


@pytest.mark.parametrize("limit", [0, 100_000, 1_000_000])
def test_the_limit_is_that_of_the_worker(start, limit):
    run = start(WORKER, meta={"log_bytes": limit}, cpu_ms=60_000).call("in_steps", 4, 300)
    assert sum(len(log.message) + 64 for log in run.logs) == limit


def test_floods_of_many_invocations_in_one_step_are_cut(start):
    driver = start(WORKER, cpu_ms=60_000)
    runs = [driver.begin_call("run", "for n in range(100): print('x' * 2000)") for _ in range(20)]
    driver.settle()
    assert all(run.done for run in runs)
    assert len(runs[0].logs) == 100
    assert sum(len(log.message) for log in driver.logs) <= 600_000
    assert [log.message for log in driver.call("run", "print('quiet')").logs] == ["quiet"]


@pytest.mark.parametrize(
    "code",
    ["sys.stdout.write(b'x')", "sys.stdout.fileno()", "sys.stdout.read()", "input()", "sys.stdout.buffer"],
)
def test_there_is_no_stdio_behind_it(start, code):
    assert start(WORKER).call("run", code).failure.type_name in (
        "TypeError",
        "UnsupportedOperation",
        "RuntimeError",
        "AttributeError",
    )
