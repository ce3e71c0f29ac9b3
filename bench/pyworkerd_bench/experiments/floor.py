"""What a request would still take if our host took nothing: what bounds `pyworkerd bench throughput` from above.

    python -m pyworkerd_bench.experiments.floor

Two parts cannot be left out of a sandboxed worker behind a socket: the kernel and uvloop, shown by a server that hands
back the same bytes without looking at what it was sent, and the guest's own step. Their sum is the most that a host of
ours could answer on one processor; workerd stands beside it, measured in turns, with what issue 3 wants of it. The
guest's time is the least of several rounds and the median: the least flatters the bound, for under load its caches
are colder still.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from functools import partial
from typing import TYPE_CHECKING, Final, cast

import uvloop
from pyworkerd_isolates.protocol import Events
from pyworkerd_isolates.testing import Driver, Sandbox

from pyworkerd_bench.http_client import HOST
from pyworkerd_bench.load import CONNECTIONS
from pyworkerd_bench.loaded import LoadedContestant
from pyworkerd_bench.machine import load_cpus
from pyworkerd_bench.peers.workerd_serve import WorkerdServe
from pyworkerd_bench.processes import Server, terminable
from pyworkerd_bench.shapes import TENANTS
from pyworkerd_bench.subject.programs import PYTHON

if TYPE_CHECKING:
    from collections.abc import Sequence

ROUNDS, RUNS = 200, 3
BUDGET_MS: Final = 1000.0
ANSWER: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Type: text/plain;charset=UTF-8\r\n\r\nhello"
WANTED: Final = {"hello": 1.2, "tenants": 1.5}
"""How many times workerd, by shape: issue 3's "at least"."""
HEADERS: Final = (("host", HOST), ("traceparent", f"00-{'a' * 32}-{'b' * 16}-02"))


class _Echo(asyncio.Protocol):
    """Answers whatever comes, with one call of the transport."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._write = partial(cast("asyncio.Transport", transport).write, ANSWER)

    def data_received(self, data: bytes) -> None:
        del data
        self._write()


async def _serve() -> None:
    server = await asyncio.get_running_loop().create_server(_Echo, "127.0.0.1", 0)
    print(f"listening on port {server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


class Bare(LoadedContestant):
    """uvloop alone."""

    name = "uvloop alone"

    def available(self) -> str | None:
        """It is a dependency."""
        return None

    def about(self) -> str:
        """What it is."""
        return "a protocol that does not look at what it was sent"

    def spawn(self, cpu: int | None) -> Server:
        """This module, as a server."""
        return Server([sys.executable, "-m", __spec__.name, "--serve"], r"listening on port (\d+)", cpu=cpu)


def guest(isolates: int, together: int) -> tuple[float, float]:
    """Microseconds of a guest's own time for one hello: the least of `ROUNDS` rounds, and their median.

    In a round each of so many isolates takes one step with so many requests in it, one isolate after the other.
    """
    taken = []
    with Sandbox() as sandbox:
        drivers = [
            Driver(sandbox.start({"main.py": f"{PYTHON.hello}# {n}\n"}).isolate) for n in range(isolates)
        ]
        for driver in drivers:
            driver.fetch(headers=HEADERS).checked()
        number = 1000
        for _ in range(ROUNDS):
            before = sum(driver.isolate.cpu_ns for driver in drivers)
            for driver in drivers:
                events = Events()
                for _ in range(together):
                    number += 1
                    events.fetch(number, None, None, "GET", f"http://{HOST}/", HEADERS, None)
                driver.isolate.step(events, BUDGET_MS)
            taken.append(
                (sum(driver.isolate.cpu_ns for driver in drivers) - before) / isolates / together / 1000
            )
        for driver in drivers:
            driver.end()
    return min(taken), statistics.median(taken)


def main() -> None:
    """Print both sums, beside what is wanted."""
    workerd, bare = WorkerdServe(), Bare()
    rates: dict[str, list[float]] = {shape: [] for shape in ("bare", *WANTED)}
    workerd.start()
    bare.start()
    try:
        for _ in range(RUNS):
            rates["bare"].append(bare.rate("hello"))
            for shape in WANTED:
                rates[shape].append(workerd.rate(shape))
    finally:
        bare.stop()
        workerd.stop()
    loop_us = 1e6 / statistics.median(rates["bare"])
    steps = {"hello": guest(1, CONNECTIONS), "tenants": guest(TENANTS, 1)}
    print(f"processors {load_cpus()}; uvloop alone {loop_us:.1f} us a request")
    for shape, wanted in WANTED.items():
        peer = statistics.median(rates[shape])
        least, median = steps[shape]
        print(
            f"{shape}: guest {least:.1f} us at least, {median:.1f} at the median; with uvloop's at most "
            f"{1e6 / (loop_us + least):.0f}/s, {1e6 / (loop_us + median):.0f}/s; workerd {peer:.0f}/s; "
            f"wanted {wanted} times that, {peer * wanted:.0f}/s: {1e6 / peer / wanted:.1f} us for everything"
        )


def _main(arguments: Sequence[str]) -> None:
    if "--serve" in arguments:
        uvloop.run(_serve())
        return
    with terminable():
        main()


if __name__ == "__main__":
    _main(sys.argv[1:])
