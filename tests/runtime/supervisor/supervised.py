"""A supervised server under test: its processes, and a client that never gives up on its own account."""

from __future__ import annotations

import os
import signal
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import psutil

from tests.runtime.cli import command
from tests.runtime.cli.command import PATIENCE_S, Served, project, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = f"{command.CONFIG}limits = {{ memory_mb = 512, cpu_ms = 5000 }}\n"
SAYS = """\
import asyncio
from workers import Response, WorkerEntrypoint

kept = []

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/eat"):
            kept.append(bytearray(b"x") * (160 << 20))
            self.ctx.waitUntil(asyncio.sleep(4))  # an idle isolate would be ended, and its memory given back
        if request.url.endswith("/log"):
            print("x" * 16_000)
        if request.method == "POST":
            print("began")
            await request.bytes()
        return Response("{version}")
"""


def write(folder: Path, version: str = "one", top: str = "") -> Path:
    """A configuration whose worker says its version."""
    return project(folder, f"{top}\n{CONFIG}", w=SAYS.replace("{version}", version))


class Supervised(Served):
    """`pyworkerd serve` with its processes."""

    def children(self) -> list[psutil.Process]:
        """Its serving processes, the oldest first."""
        found = psutil.Process(self.process.pid).children()
        return sorted(found, key=lambda each: (each.create_time(), each.pid))

    def site(self) -> tuple[str, int]:
        """Wait for the admin address, which is told after the sockets."""
        host, _, port = self.errors.until("admin: ").removeprefix("admin: http://").rpartition(":")
        return host, int(port)

    def complete(self) -> tuple[str, int]:
        """Wait until all processes serve. Returns the address."""
        address = self.address()
        self.errors.until("serving with")
        return address

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send the oldest of the processes a signal; returns its pid."""
        pid = self.children()[0].pid
        os.kill(pid, number)
        return pid

    def settled(self, count: int, gone: set[int]) -> None:
        """Wait until so many processes are there, and certain ones are not."""
        until = time.monotonic() + PATIENCE_S
        while True:
            pids = {child.pid for child in self.children() if _lives(child)}
            if len(pids) == count and not pids & gone:
                return
            assert time.monotonic() < until, f"{pids}, and {gone} should be gone"
            os.sched_yield()


def _lives(child: psutil.Process) -> bool:
    try:
        return bool(child.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:  # since it was listed
        return False


@contextmanager
def supervised(config: Path, *arguments: str, processes: int | None = 2) -> Iterator[Supervised]:
    """A running server with so many processes; None leaves it to the command."""
    with serve(config, *arguments, processes=processes) as served:
        served.__class__ = Supervised
        assert isinstance(served, Supervised)
        yield served
