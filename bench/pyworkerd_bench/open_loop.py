"""An open-loop client: requests leave at times that were drawn beforehand, whether or not earlier ones were answered.

A client that waits for an answer before it asks again asks least while the server is slow, and so hardly sees its
slowness (coordinated omission). Here every request has a moment at which it is due, of a Poisson process with a fixed
seed, and its latency is counted from that moment: if this client is late, or waits for a connection, that is part of
it. It runs in a process of its own, `python -m pyworkerd_bench.open_loop`, and spins for the last part of a wait, so
give it a processor of its own.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import select
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .errors import BenchError
from .http_client import RECEIVE, TIMEOUT, connect, get_request, parse_response

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

CONNECTIONS = 64
"""Kept alive: as many requests may be under way at once before the next has to wait, which counts as latency."""
SPIN_S = 0.0003
"""A wait ends this much early and is spun to its end: the kernel wakes a sleeper 50 us late, or later."""
SEED = 20_261_125


@dataclass
class _Lane:
    """One connection, the moment at which its request was due, and the part of its answer that has arrived."""

    sock: socket.socket
    due: float = 0.0
    buffer: bytearray = field(default_factory=bytearray)


def arrivals(rate: float, seconds: float, seed: int = SEED) -> list[float]:
    """Moments of a Poisson process of `rate` per second, from 0 to `seconds`; the same ones for the same seed."""
    draw = random.Random(seed)  # not for secrets
    moments, now = [], draw.expovariate(rate)
    while now < seconds:
        moments.append(now)
        now += draw.expovariate(rate)
    return moments


class Client:
    """Connections to 127.0.0.1:`port`, and requests under way. Raises BenchError, OSError."""

    def __init__(self, port: int, path: str, connections: int = CONNECTIONS) -> None:
        self._request = get_request(path)
        self._free: deque[_Lane] = deque()
        self._busy: dict[socket.socket, _Lane] = {}
        self._latencies: list[float] = []
        try:
            for _ in range(connections):
                self._free.append(_Lane(connect("127.0.0.1", port)))
        except BaseException:
            self.close()
            raise

    def run(self, moments: Sequence[float]) -> list[float]:
        """Send a request at each moment, in seconds from now. Returns their latencies in order of the answers."""
        self._latencies = []
        began = time.perf_counter()
        waiting: deque[float] = deque()
        for moment in moments:
            self._receive_until(began + moment, waiting)
            waiting.append(began + moment)
            self._send(waiting)
        while self._busy:
            self._receive(TIMEOUT, waiting)
        return self._latencies

    def _receive_until(self, moment: float, waiting: deque[float]) -> None:
        while (left := moment - time.perf_counter()) > 0:
            self._receive(max(left - SPIN_S, 0.0), waiting, idle=True)

    def _receive(self, timeout: float, waiting: deque[float], *, idle: bool = False) -> None:
        """Take what arrives within `timeout` seconds. Raises BenchError if that is nothing, unless it is `idle`."""
        # Unlike epoll, select counts in microseconds.
        ready, _, _ = select.select(list(self._busy), [], [], timeout)
        now = time.perf_counter()
        if not ready and not idle:
            raise BenchError(f"no answer at all for {timeout:g} s")
        for sock in ready:
            lane = self._busy[sock]
            if self._answered(lane):
                self._latencies.append(now - lane.due)
                self._free.append(self._busy.pop(sock))
        self._send(waiting)

    def _send(self, waiting: deque[float]) -> None:
        while waiting and self._free:
            lane = self._free.popleft()
            lane.due = waiting.popleft()
            lane.sock.sendall(self._request)
            self._busy[lane.sock] = lane

    def _answered(self, lane: _Lane) -> bool:
        data = lane.sock.recv(RECEIVE)
        if not data:
            raise BenchError("a connection was closed")
        lane.buffer += data
        parsed = parse_response(lane.buffer)
        if parsed is None:
            return False
        response, used = parsed
        if response.status != 200:
            raise BenchError(f"answered {response.status} instead of 200: {response.body[:200]!r}")
        del lane.buffer[:used]
        return True

    def close(self) -> None:
        """Close every connection."""
        for lane in (*self._free, *self._busy.values()):
            lane.sock.close()


def latencies(
    port: int, path: str, *, rate: float, seconds: float, warmup: float = 0.5, cpu: int | None = None
) -> tuple[float, ...]:
    """Latencies in seconds, measured from another process pinned to `cpu`. Raises BenchError."""
    command = [sys.executable, "-m", "pyworkerd_bench.open_loop", str(port), path]
    command += ["--rate", str(rate), "--seconds", str(seconds), "--warmup", str(warmup)]
    command += [] if cpu is None else ["--cpu", str(cpu)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=seconds + warmup + 2 * TIMEOUT, check=False
        )
    except subprocess.TimeoutExpired:
        raise BenchError("the open-loop client did not finish") from None
    if done.returncode != 0:
        raise BenchError(f"the open-loop client failed: {done.stderr.strip().splitlines()[-1:]}")
    return tuple(json.loads(done.stdout))


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of the client's process; prints latencies in seconds as a JSON list."""
    parser = argparse.ArgumentParser(prog="pyworkerd_bench.open_loop")
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--warmup", type=float, default=0.5)
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args(arguments)
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    try:
        client = Client(options.port, options.path)
        try:
            client.run(arrivals(options.rate, options.warmup, SEED + 1))
            measured = client.run(arrivals(options.rate, options.seconds))
        finally:
            client.close()
    except (BenchError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
