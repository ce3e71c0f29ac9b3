"""Run by test_shared in a process of its own, since the tests' own process has threads: prints what it found."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time

from pyworkerd.bindings.rate_limit.counters import Window
from pyworkerd.bindings.rate_limit.shared import SharedCounters, SharedRateLimits

LIMIT, KEYS = 400, 5
WINDOW = Window("w/L", LIMIT, 100_000_000)


async def count(table: SharedCounters) -> int:
    limits = SharedRateLimits(table)
    taken = 0
    for _ in range(LIMIT):
        for key in range(KEYS):
            taken += await limits.take(WINDOW, f"k{key}", time.time())
    return taken


def forked(number: int) -> dict[str, list[int]]:
    """Processes that begin at the same time and count as fast as they can."""
    table = SharedCounters()
    start, go = os.pipe()
    said, say = os.pipe()
    children = []
    for _ in range(number):
        pid = os.fork()
        if pid == 0:
            os.close(go)
            os.read(start, 1)
            os.write(say, f"{asyncio.run(count(table))}\n".encode())
            os._exit(0)
        children.append(pid)
    os.close(say)
    os.close(go)
    for pid in children:
        assert os.waitpid(pid, 0)[1] == 0
    with os.fdopen(said) as lines:
        return {"each": [int(line) for line in lines], "limit": [LIMIT], "keys": [KEYS]}


def killed() -> dict[str, list[int]]:
    """A process that dies with the lock, in the middle of making a counter."""
    table = SharedCounters(64)
    said, say = os.pipe()
    pid = os.fork()
    if pid == 0:
        assert table.lock()
        table._digests[:] = b"x" * len(table._digests)
        os.write(say, b"x")
        signal.pause()
    os.read(said, 1)
    assert not table.lock()
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    limits = SharedRateLimits(table)
    once = Window("w/L", 1, 60)

    async def main() -> list[int]:
        return [int(await limits.take(once, "k", 1.0)) for _ in range(2)]

    return {"taken": asyncio.run(main())}


if __name__ == "__main__":
    print(json.dumps(killed() if sys.argv[1] == "kill" else forked(int(sys.argv[2]))))
