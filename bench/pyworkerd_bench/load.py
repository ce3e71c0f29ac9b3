"""A closed-loop load generator: N connections, each sends its next request when its answer is complete.

It runs in a process of its own, `python -m pyworkerd_bench.load`, so that it shares neither the interpreter
lock nor the processor with what it measures. Its own ceiling is some tens of thousands of requests per
second: right for fresh isolates, too low to measure a plain HTTP server.
"""

from __future__ import annotations

import argparse
import json
import os
import selectors
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .errors import BenchError
from .http_client import RECEIVE, TIMEOUT, connect, parse_response, request_bytes

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Sequence

CONNECTIONS = 32
"""The number at which the peers were first compared (wrk -c32):

enough to keep a core busy, no queueing contest.
"""


@dataclass
class _Lane:
    """One connection, what is sent on it in turn, and the part of an answer that has arrived."""

    sock: socket.socket
    requests: Iterator[bytes]
    buffer: bytearray


class Post(NamedTuple):
    """A body that every request has."""

    file: Path
    content_type: str


@dataclass(frozen=True)
class Load:
    """What a load run saw in its measured interval."""

    answers: int
    seconds: float
    refused: int
    """Answers of another status than was expected, at any time: a run that has any measured something else."""

    @property
    def rate(self) -> float:
        """Answers per second."""
        return self.answers / self.seconds


def generate(
    port: int,
    requests: Sequence[bytes],
    *,
    connections: int,
    warmup: float,
    seconds: float,
    status: int = 200,
) -> Load:
    """Load 127.0.0.1:`port` for `warmup` plus `seconds` seconds; only the latter count.

    Each connection sends every request in turn if there are more of them than connections; with as many, each has its
    own. Raises BenchError, OSError.
    """
    lanes: list[_Lane] = []
    with selectors.DefaultSelector() as selector:
        try:
            for number in range(connections):
                turn = _every(requests, number, connections)
                lane = _Lane(connect("127.0.0.1", port), turn, bytearray())
                lanes.append(lane)
                selector.register(lane.sock, selectors.EVENT_READ, lane)
            for lane in lanes:
                lane.sock.sendall(next(lane.requests))
            warm = _run(selector, status, time.perf_counter() + warmup)
            began = time.perf_counter()
            measured = _run(selector, status, began + seconds)
            return Load(measured[0], time.perf_counter() - began, warm[1] + measured[1])
        finally:
            for lane in lanes:
                lane.sock.close()


def _every(requests: Sequence[bytes], first: int, stride: int) -> Iterator[bytes]:
    """Requests of one of `stride` connections, which together send them all in turn."""
    number = first
    while True:
        yield requests[number % len(requests)]
        number += stride


def _run(selector: selectors.BaseSelector, expected: int, until: float) -> tuple[int, int]:
    """Answers, and those of another status, until a point in time. Silence longer than TIMEOUT is an error."""
    answers = refused = 0
    while time.perf_counter() < until:
        ready = selector.select(TIMEOUT)
        if not ready:
            raise BenchError(f"no answer at all for {TIMEOUT:g} s")
        for key, _ in ready:
            status = _receive(key.data)
            if status is not None:
                answers += 1
                refused += status != expected
                key.data.sock.sendall(next(key.data.requests))
    return answers, refused


def _receive(lane: _Lane) -> int | None:
    """The status of a completed answer, or None while it is incomplete."""
    data = lane.sock.recv(RECEIVE)
    if not data:
        raise BenchError("a connection was closed under load")
    lane.buffer += data
    parsed = parse_response(lane.buffer)
    if parsed is None:
        return None
    response, used = parsed
    del lane.buffer[:used]
    return response.status


def measure_rate(
    port: int,
    path: str,
    *,
    seconds: float,
    warmup: float = 0.5,
    connections: int = CONNECTIONS,
    cpu: int | None = None,
) -> float:
    """Answers per second of the server at `port`, loaded from another process pinned to `cpu`.

    Raises BenchError.
    """
    generator = Generator(port, [path], seconds=seconds, warmup=warmup, connections=connections, cpu=cpu)
    return generator.finish().rate


class Generator:
    """A load generator at work in a process of its own, pinned to `cpu`."""

    def __init__(
        self,
        port: int,
        paths: Sequence[str],
        *,
        seconds: float,
        warmup: float = 0.0,
        connections: int = CONNECTIONS,
        status: int = 200,
        cpu: int | None = None,
        post: Post | None = None,
    ) -> None:
        command = [sys.executable, "-m", "pyworkerd_bench.load", str(port), *paths]
        command += ["--seconds", str(seconds), "--warmup", str(warmup)]
        command += ["--connections", str(connections), "--status", str(status)]
        command += [] if cpu is None else ["--cpu", str(cpu)]
        command += [] if post is None else ["--body", str(post.file), "--content-type", post.content_type]
        self._status = status
        self._patience = seconds + warmup + 2 * TIMEOUT
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self) -> Load:
        """Wait for its end. Raises BenchError if it failed, and if any answer had another status than expected."""
        try:
            out, err = self._process.communicate(timeout=self._patience)
        except BaseException as error:
            self._process.kill()
            self._process.communicate()
            if isinstance(error, subprocess.TimeoutExpired):
                raise BenchError("the load generator did not finish") from None
            raise
        if self._process.returncode != 0:
            raise BenchError(f"the load generator failed: {err.strip().splitlines()[-1:]}")
        load = Load(**json.loads(out))
        if load.refused:
            raise BenchError(f"{load.refused} answers under load were not {self._status}")
        return load

    def stop(self) -> None:
        """End it, whatever it has measured."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line of the load generator's process; prints one JSON object."""
    parser = argparse.ArgumentParser(prog="pyworkerd_bench.load")
    parser.add_argument("port", type=int)
    parser.add_argument("paths", nargs="+")
    parser.add_argument("--body", type=Path, help="a file to POST; without it the requests are GETs")
    parser.add_argument("--content-type", default="application/octet-stream")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--warmup", type=float, default=0.5)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--status", type=int, default=200, help="of every answer")
    parser.add_argument("--cpu", type=int)
    options = parser.parse_args(arguments)
    if options.cpu is not None:
        os.sched_setaffinity(0, {options.cpu})
    try:
        body = None if options.body is None else options.body.read_bytes()
        method = "GET" if body is None else "POST"
        load = generate(
            options.port,
            [request_bytes(method, path, body, options.content_type) for path in options.paths],
            connections=options.connections,
            warmup=options.warmup,
            seconds=options.seconds,
            status=options.status,
        )
    except (BenchError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({"answers": load.answers, "seconds": load.seconds, "refused": load.refused}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
