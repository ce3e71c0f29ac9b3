"""What ids, counting and logging cost a request, part by part: `python -m pyworkerd_bench.experiments.observing`.

Microseconds of this thread's CPU time, the least of several rounds, so that a busy machine changes little. The guest's
share (one more header to decode) is not in it.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from pyworkerd.messages import Request
from pyworkerd.observe.background import Background
from pyworkerd.observe.counters import WorkerCounters
from pyworkerd.observe.logs import Json, Readable
from pyworkerd.observe.scope import begin
from pyworkerd.server.info import ConnectionInfo
from pyworkerd.server.record import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyworkerd.messages import Headers
    from pyworkerd.observe.logs import Entry

ROUNDS, TIMES = 20, 2000
HEADERS: Headers = tuple((name, "value") for name in ("host", "user-agent", "accept", "accept-encoding"))
TRACED: Headers = (*HEADERS, ("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"))


def cost(work: Callable[[], object]) -> float:
    """Microseconds that one call takes."""
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.thread_time_ns()
        for _ in range(TIMES):
            work()
        best = min(best, time.thread_time_ns() - began)
    return best / TIMES / 1000


class _Nowhere:
    def write(self, text: str) -> None:
        """Let go of it."""


def _count(counters: WorkerCounters) -> None:
    counters.waits += 1
    counters.steps += 1
    counters.cpu_ns += 50_000
    counters.answered(200, 1_500_000)


def parts() -> dict[str, Callable[[], object]]:
    """What is measured, by what it is called."""
    record, info, counters = Record(), ConnectionInfo("203.0.113.9", 1, "127.0.0.1:80"), WorkerCounters()
    record.begin(begin(HEADERS)[0], "1.1")
    record.request = Request("GET", "http://127.0.0.1:8787/path", HEADERS)
    record.status, record.sent = 200, 181
    entry = record.entry(info, None)
    waiting: list[Sequence[Entry]] = []
    background = Background(waiting.append)
    readable, plain = Readable(_Nowhere(), colour=False), Json(_Nowhere())  # type: ignore[arg-type]
    single = [entry]
    return {
        "begin a trace, and the header that carries it": lambda: begin(HEADERS)[0].headers,
        "continue a trace, and the header": lambda: begin(TRACED)[0].headers,
        "count a request": lambda: _count(counters),
        "access log: make an entry": lambda: record.entry(info, None),
        "access log: hand it to the writer": lambda: background(entry),
        "access log: write it as JSON, on the writer's thread": lambda: plain.write(single),
        "access log: write it for people, on the writer's thread": lambda: readable.write(single),
    }


if __name__ == "__main__":
    for name, work in parts().items():
        print(f"{cost(work):9.2f} us  {name}")
