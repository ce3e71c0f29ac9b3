"""Figures that need a process of their own: `python -m pyworkerd_bench.subject.in_process FIGURE PROGRAM`.

It prints a number.

A process that has measured something else has arenas to fill and pages in place; a fresh one starts from nothing,
like a user's.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from typing import TYPE_CHECKING

import psutil
from pyworkerd.runtime import Runtime

from pyworkerd_bench.contestant import LIVE_ISOLATES
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.processes import START_TIMEOUT, output_of

from .embedded import open_engine
from .programs import PROGRAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .programs import Program


def engine_load(program: Program) -> float:
    """Seconds from nothing to an engine that isolates can be started from; Python's imports are done."""
    language = program.bundle(program.hello).language
    began = time.perf_counter()
    machine, _, engine = open_engine(language)
    seconds = time.perf_counter() - began
    engine.close()
    machine.close()
    return seconds


def memory(program: Program, isolates: int = LIVE_ISOLATES) -> float:
    """Bytes per live isolate that is idle, with all that a runtime keeps beside it."""
    return asyncio.run(_memory(program, isolates, idle=True))


def memory_answered(program: Program, isolates: int = LIVE_ISOLATES) -> float:
    """The same just after it has answered."""
    return asyncio.run(_memory(program, isolates, idle=False))


async def _memory(program: Program, isolates: int, *, idle: bool) -> float:
    async with Runtime() as runtime:
        # Two live isolates before the first reading: clean pages of the image that one alone had mapped would count as
        # private until a second one maps them, and tens of megabytes would seem to go away meanwhile.
        await _live(runtime, program, "warm", 2)
        before = _uss()
        alive = await _live(runtime, program, "many", isolates)
        if alive != isolates:
            raise BenchError(f"{alive} isolates live instead of {isolates}")
        while idle and len(runtime.fleet.trimming):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.1)
        return (_uss() - before) / isolates


async def _live(runtime: Runtime, program: Program, name: str, count: int) -> int:
    """So many workers of the same program, each with an isolate that has answered once. Returns how many live more.

    One worker would answer so fast that one isolate did for all.
    """
    before = runtime.statistics().isolates
    for number in range(count):
        worker = await runtime.load({program.main: program.hello}, name=f"{name}-{number}")
        response = await worker.fetch("/")
        if response.status != 200 or await response.read() != b"hello":
            raise BenchError("the worker did not answer hello")
    return runtime.statistics().isolates - before


def _uss() -> int:
    return int(psutil.Process().memory_full_info().uss)


FIGURES: Mapping[str, Callable[[Program], float]] = {
    "engine_load": engine_load,
    "memory": memory,
    "memory_answered": memory_answered,
}


def apart(figure: str, program: Program) -> float:
    """One of `FIGURES`, measured with one of `PROGRAMS` in a process of its own. Raises BenchError."""
    name = next(name for name, one in PROGRAMS.items() if one is program)
    command = [sys.executable, "-m", "pyworkerd_bench.subject.in_process", figure, name]
    return float(output_of(command, timeout=START_TIMEOUT))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of that process."""
    parser = argparse.ArgumentParser(prog="pyworkerd_bench.subject.in_process")
    parser.add_argument("figure", choices=list(FIGURES))
    parser.add_argument("program", choices=list(PROGRAMS))
    options = parser.parse_args(arguments)
    try:
        print(FIGURES[options.figure](PROGRAMS[options.program]))
    except BenchError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
