"""What one call of a binding costs a Python worker, kind by kind: time, CPU time, steps.

    python -m pyworkerd_bench.experiments.one_call [--kind object] [--rounds 20] [--profile]

The runtime is embedded, on uvloop, as a serving process has it. Each round asks each kind's worker once, in turns, for
`CALLS` calls one after the other. Told are the median of rounds and the least, divided by the calls: on a busy machine
the least says more. CPU time is that of all threads, with the guests' in it. `--profile` adds where the host spends it.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import statistics
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import uvloop
from pyworkerd.interpreter import interval
from pyworkerd.messages import Request
from pyworkerd.runtime import Runtime
from pyworkerd_config.load import load

from pyworkerd_bench.subject.bindings import FILL, QUERY, SCHEMA
from pyworkerd_bench.subject.configuration import service, write

if TYPE_CHECKING:
    from collections.abc import Sequence

CALLS: Final = 200
LIMITS: Final = {"cpu_ms": 60_000, "background_cpu_ms": 60_000}
HEAD: Final = "from workers import DurableObject, Response, WorkerEntrypoint\n"
WORKER: Final = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        it = self.env.IT
        {before}
        for number in range({calls}):
            {call}
        return Response("hello")
"""
DATABASE: Final = {"d1": "shop", "migrations": "migrations"}
COUNTER: Final = """
class Counter(DurableObject):
    value = 0

    async def add(self, number):
        self.value += number
        return self.value

    async def keep(self, number):
        self.ctx.storage.kv.put("value", number)
        return number
"""
ADDER: Final = """
class Default(WorkerEntrypoint):
    async def add(self, number):
        return number + 1

    async def fetch(self, request):
        return Response("hello")
"""


class Kind(NamedTuple):
    """A worker of one kind: what it is bound to, what it does before its loop and in it, what it exports besides."""

    name: str
    binding: dict[str, str]
    call: str
    before: str = "pass"
    rest: str = ""


OBJECT: Final = {"durable_object": "Counter"}
ONE: Final = 'it = it.get_by_name("one")'
KINDS: Final = (
    Kind("object", OBJECT, "await it.add(1)", ONE, COUNTER),
    Kind("object_kept", OBJECT, "await it.keep(number)", ONE, COUNTER),
    Kind("d1", DATABASE, "await it.bind(number).first()", f'it = it.prepare("{QUERY}")'),
    Kind("kv_get", {"kv": "a"}, 'await it.get("key")', 'await it.put("key", "value")'),
    Kind("kv_put", {"kv": "b"}, 'await it.put(f"k{number % 10}", str(number))'),
    Kind("kv_pair", {"kv": "c"}, 'await it.put(f"k{number % 10}", str(number)); await it.get(f"k{number % 10}")'),
    Kind("service", {"service": "adder"}, "await it.add(1)"),
    Kind("fetch", {"service": "adder"}, 'await (await it.fetch("http://adder/")).text()'),
)  # fmt: skip


class Round(NamedTuple):
    """One request's cost for each of its calls, in microseconds but for the steps."""

    wall: float
    cpu: float
    guests: float
    """CPU time of steps, of all isolates."""
    steps: float


def configure(folder: Path) -> Path:
    """A configuration with a worker for each kind. Returns its file."""
    (folder / "migrations").mkdir()
    (folder / "migrations" / "0001.sql").write_text(f"{SCHEMA};\n{FILL};\n")
    services = [service(folder, "adder", HEAD + ADDER, {}, {"limits": LIMITS})]
    for kind in KINDS:
        source = HEAD + kind.rest + WORKER.format(before=kind.before, call=kind.call, calls=CALLS)
        worker = {"limits": LIMITS, "bindings": {"IT": kind.binding}}
        services.append(service(folder, kind.name, source, {}, worker))
    return write(folder / "config.toml", services)


def counted(runtime: Runtime) -> tuple[int, int]:
    """Steps of all isolates so far, and nanoseconds of CPU time in them."""
    counters = {worker.counters for worker in runtime.fleet.workers}
    return sum(each.steps for each in counters), sum(each.cpu_ns for each in counters)


async def once(runtime: Runtime, kind: Kind) -> Round:
    """A request of this kind."""
    steps, guests = counted(runtime)
    cpu, began = time.process_time(), time.perf_counter()
    response = await runtime.fetch(Request("GET", "http://localhost/"), kind.name)
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    if response.status != 200:
        raise SystemExit(f"{kind.name}: {response.status}")
    after = counted(runtime)
    costs = wall * 1e6, cpu * 1e6, (after[1] - guests) / 1e3, after[0] - steps
    return Round(*(each / CALLS for each in costs))


async def profile(runtime: Runtime, kind: Kind) -> None:
    """Where the event loop's thread spends its time."""
    profiler = cProfile.Profile()
    profiler.enable()
    for _ in range(5):
        await once(runtime, kind)
    profiler.disable()
    pstats.Stats(profiler).sort_stats("tottime").print_stats(50)


def line(name: str, rounds: Sequence[Round]) -> str:
    """What was found of one kind."""
    wall, cpu, guests, steps = (statistics.median(each) for each in zip(*rounds, strict=True))
    least = Round(*map(min, zip(*rounds, strict=True)))
    return (
        f"{name:12} {wall:6.0f} us, CPU {cpu:5.0f}, guests {guests:5.0f}; "
        f"least {least.wall:6.0f}, CPU {least.cpu:5.0f}, guests {least.guests:5.0f}; steps {steps:.2f}"
    )


async def measure(given: Any) -> None:
    """All kinds in turns."""
    kinds = [kind for kind in KINDS if given.kind is None or kind.name in given.kind]
    with tempfile.TemporaryDirectory() as folder:
        async with Runtime(load(configure(Path(folder)))) as runtime:
            for kind in kinds * 3:
                await once(runtime, kind)
            gc.collect()
            gc.freeze()
            found: dict[str, list[Round]] = {kind.name: [] for kind in kinds}
            for kind in kinds * given.rounds:
                found[kind.name].append(await once(runtime, kind))
            for name, rounds in found.items():
                print(line(name, rounds))
            for kind in kinds if given.profile else ():
                await profile(runtime, kind)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", action="append", choices=[kind.name for kind in KINDS])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--profile", action="store_true")
    interval.manage()  # as serving processes do
    uvloop.run(measure(parser.parse_args()))


if __name__ == "__main__":
    main()
