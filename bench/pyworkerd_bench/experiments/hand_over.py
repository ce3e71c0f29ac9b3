"""What no call of a store can do without: a step of the guest, and a piece of work that a thread does meanwhile.

    python -m pyworkerd_bench.experiments.hand_over [--rounds 200]

Told are microseconds of a step in which nothing happens (an answer for which nobody waits), of an empty piece of work
that is handed to a storage thread and had back on uvloop, and of both in turns; each as the kernel places the threads,
and with all of them on one processor. CPU time is that of all threads.

What came of it, on two processors of a virtual machine at which others were at work: a step 21, a hand-over 18, both
in turns 61 (caches are not warm then); a query of D1 180 to 210, a get of KV 140 to 190 (`one_call`, least of rounds).
With `chrt -f 1` in front, to which a processor where others work is as good as an idle one, a hand-over takes 78, and
109 of CPU time, both 128, a query 340 to 400, a get 320 to 370; with `taskset -c 1` as well 17, 66, 210 and 170. It is
two wake-ups either way, no thread waits for the interpreter's lock and none changes its processor: to wake a thread on
the other processor takes 30 more than on the same. The kernel does so where one idles, so stores take longer on a
quiet machine than on a busy one.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import uvloop
from pyworkerd.interpreter import interval
from pyworkerd.storage.lane import Lane
from pyworkerd.storage.threads import Threads
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import Events
from pyworkerd_isolates.testing import Sandbox

from .javascript_steps import BUDGET_MS, META

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.isolate import Isolate

EACH: Final = 200
"""Of what is measured, in one round."""
SOURCE: Final = "from workers import WorkerEntrypoint\nclass Default(WorkerEntrypoint):\n    pass\n"
ANSWER: Final = wire.dump_value(None)


def step(isolate: Isolate) -> None:
    """One in which nothing happens."""
    events = Events()
    events.resolve_value(1, ANSWER)
    isolate.step(events, BUDGET_MS)


async def measure(name: str, once: Callable[[], object], lane: Lane | None, rounds: int) -> None:
    """Do it again and again, with a hand-over each time if there is a lane for that, and tell what one took."""
    took = []
    for _ in range(rounds):
        cpu, began = time.process_time(), time.perf_counter()
        for _ in range(EACH):
            once()
            if lane is not None:
                await lane.run(_nothing)
        took.append(((time.perf_counter() - began) / EACH * 1e6, (time.process_time() - cpu) / EACH * 1e6))
    wall, cpus = zip(*took, strict=True)
    print(
        f"{name:28} {statistics.median(wall):6.1f} us, CPU {statistics.median(cpus):6.1f}; "
        f"least {min(wall):6.1f}, CPU {min(cpus):6.1f}"
    )


def _nothing() -> None:
    """No work."""


def to_one_processor() -> None:
    """All threads of this process."""
    one = min(os.sched_getaffinity(0))
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), (one,))


async def all_of_it(isolate: Isolate, rounds: int) -> None:
    """As the kernel places the threads, and on one processor."""
    threads = Threads()
    lane = Lane(threads, "nothing")
    await lane.run(_nothing)
    for where in ("", ", one processor"):
        if where:
            to_one_processor()
        await measure(f"step{where}", lambda: step(isolate), None, rounds)
        await measure(f"hand-over{where}", _nothing, lane, rounds)
        await measure(f"both{where}", lambda: step(isolate), lane, rounds)
    await asyncio.to_thread(threads.close)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=200)
    given = parser.parse_args()
    interval.manage()
    with Sandbox(progress=print) as sandbox:
        isolate = sandbox.start(sandbox.image(SOURCE)).isolate
        events = Events()
        events.init((), META)
        isolate.step(events, BUDGET_MS)
        uvloop.run(all_of_it(isolate, given.rounds))


if __name__ == "__main__":
    main()
