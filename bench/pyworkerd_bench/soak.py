"""`pyworkerd bench soak`: thousands of requests, each on its own isolate, against a real server; is its memory flat?

    python -m pyworkerd_bench.soak [--requests N] [--every N] [--json]

Memory is what the server alone can have filled (`Server.own`), read between batches, when no request is under way.
A line is fitted to the readings by least squares, the first fifth left out, because allocators fill their first
arenas there. Flat means that the line rises by no more than `BOUND` over the rest of the run. Exit status: 0 flat,
1 not flat, 2 the run itself failed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import BenchError
from .http_client import Connection, get_request, wait_for_200
from .processes import terminable
from .subject.hello import FRESH, WARM, write_all
from .subject.pyworkerd import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

REQUESTS = 20_000
EVERY = 500
CONNECTIONS = 8
"""Kept alive throughout; each has a request under way at once, so isolates live beside each other."""
SETTLING = 0.2
"""Part of the run that is left out of the line."""
BOUND = 2 * 1024 * 1024
"""Bytes. An allocator takes memory by the arena (CPython: 1 MiB), so less than two of those proves nothing; over
20,000 requests it is 131 bytes a request, and an isolate that was forgotten is 200,000."""


@dataclass(frozen=True)
class Reading:
    """Private memory in bytes, after so many requests."""

    requests: int
    own: int


@dataclass(frozen=True)
class Verdict:
    """The line through the readings."""

    slope: float
    """Bytes per request."""
    growth: float
    """Bytes over the stretch that the line was fitted to."""

    @property
    def flat(self) -> bool:
        """Whether the line rises by no more than `BOUND`."""
        return self.growth <= BOUND


def judge(readings: Sequence[Reading]) -> Verdict:
    """Fit the line. Raises ValueError with fewer than three readings after settling."""
    settled = (
        [one for one in readings if one.requests >= readings[-1].requests * SETTLING] if readings else []
    )
    if len(settled) < 3:
        raise ValueError("a line needs three readings")
    mean_x = sum(one.requests for one in settled) / len(settled)
    mean_y = sum(one.own for one in settled) / len(settled)
    above = sum((one.requests - mean_x) * (one.own - mean_y) for one in settled)
    slope = above / sum((one.requests - mean_x) ** 2 for one in settled)
    return Verdict(slope, slope * (settled[-1].requests - settled[0].requests))


def soak(requests: int, every: int, progress: Callable[[Reading], None] = lambda _: None) -> list[Reading]:
    """Run it. Raises BenchError for any answer but 200, and when the server ends."""
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pyworkerd-soak-"))
        server = stack.enter_context(serve(write_all(Path(folder)), processes=1))
        wait_for_200(server.port, FRESH)
        connections = [stack.enter_context(Connection(server.port)) for _ in range(CONNECTIONS)]
        readings: list[Reading] = []
        done = 0
        while True:
            # One more answer, so that whatever the last fresh isolates left for the next turn of the loop is done.
            connections[0].timed(get_request(WARM))
            readings.append(Reading(done, server.own()))
            progress(readings[-1])
            if done >= requests:
                return readings
            batch = min(every, requests - done)
            _send(connections, batch)
            done += batch


def _send(connections: Sequence[Connection], requests: int) -> None:
    """So many requests, one on each connection at a time."""
    request = get_request(FRESH)
    while requests > 0:
        busy = connections[:requests]
        for connection in busy:
            connection.send(request)
        for connection in busy:
            response = connection.receive()
            if response.status != 200:
                raise BenchError(f"answered {response.status} instead of 200: {response.body[:200]!r}")
        requests -= len(busy)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. The series goes to standard output, and so does the verdict."""
    parser = argparse.ArgumentParser(
        prog="pyworkerd bench soak", description="Show that fresh isolates leave the server's memory flat."
    )
    parser.add_argument("--requests", type=int, default=REQUESTS, help=f"how many (default {REQUESTS})")
    parser.add_argument("--every", type=int, default=EVERY, help=f"requests per reading (default {EVERY})")
    parser.add_argument("--json", action="store_true", help="print JSON instead of lines")
    options = parser.parse_args(arguments)
    if options.every < 1 or options.requests < 4 * options.every:
        parser.error("--requests must be at least four times --every: a line needs readings")
    try:
        with terminable():
            readings = soak(options.requests, options.every, _say_nothing if options.json else _say)
    except BenchError as error:
        print(f"the soak failed: {error}", file=sys.stderr)
        return 2
    verdict = judge(readings)
    print(as_json(readings, verdict) if options.json else as_text(verdict))
    return 0 if verdict.flat else 1


def _say(reading: Reading) -> None:
    print(f"{reading.requests:>7} requests  {reading.own / 2**20:8.2f} MiB", flush=True)


def _say_nothing(_: Reading) -> None:
    """JSON is printed whole, at the end."""


def as_text(verdict: Verdict) -> str:
    """The verdict in one line."""
    word = "flat" if verdict.flat else "NOT flat"
    return (
        f"{word}: {verdict.slope:+.1f} bytes per request by least squares after the first "
        f"{SETTLING:.0%}, {verdict.growth / 2**20:+.2f} MiB in all (bound {BOUND / 2**20:.0f} MiB)"
    )


def as_json(readings: Sequence[Reading], verdict: Verdict) -> str:
    """Series and verdict; sizes in bytes."""
    return json.dumps(
        {
            "readings": [{"requests": one.requests, "own": one.own} for one in readings],
            "slope": verdict.slope,
            "growth": verdict.growth,
            "bound": BOUND,
            "flat": verdict.flat,
        },
        indent=2,
    )


if __name__ == "__main__":
    sys.exit(main())
