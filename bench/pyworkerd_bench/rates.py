"""Requests per second of a server, and whether it was the server that set the limit."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage
from typing import TYPE_CHECKING

from . import wrk
from .load import Generator, Post
from .locate import PROGRAMS, find, missing

if TYPE_CHECKING:
    from .load import Load
    from .processes import Server
    from .shapes import Shape

BUSY = 0.95
"""From this part of its processor's time on, a load generator may be what sets the limit."""
SATURATED = 0.9
"""From this part of its processor's time on, a server does all it can, whatever the generator does."""


@dataclass(frozen=True)
class Rate:
    """One measured run. Shares are parts of one processor's time."""

    per_second: float
    generator: float
    server: float
    by_wrk: bool

    def doubt(self, processors: int = 1) -> str | None:
        """Why the server, which has so many processors, may be able to do more than was measured; None if it is."""
        if self.server >= SATURATED * processors:
            return None
        used = f"it used {self.generator:.0%} of its processor, the server {self.server:.0%}"
        if self.generator >= BUSY:
            tool = "wrk" if self.by_wrk else f"in Python, since {missing(PROGRAMS['wrk'])}"
            return f"the load generator ({tool}) was the bottleneck: {used}; the server can do more"
        paid = (
            f"; it answered {self.per_second / self.server:.0f} a second of its own time"
            if self.server
            else ""
        )
        return f"something else took their processors: of the load generator, {used}{paid}"


def measure(
    port: int, server: Server, shape: Shape, *, seconds: float, warmup: float, cpu: int | None
) -> Rate:
    """Load a server for `warmup` seconds that do not count, then for `seconds`. Raises BenchError."""
    program = find(PROGRAMS["wrk"])
    if warmup:
        _load(program, port, shape, warmup, cpu)
    before, worked = getrusage(RUSAGE_CHILDREN), server.cpu_seconds()
    began = time.perf_counter()
    seen = _load(program, port, shape, seconds, cpu)
    elapsed = time.perf_counter() - began
    after = getrusage(RUSAGE_CHILDREN)
    used = (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
    return Rate(
        seen.rate, used / elapsed, (server.cpu_seconds() - worked) / elapsed, by_wrk=program is not None
    )


def _load(program: Path | None, port: int, shape: Shape, seconds: float, cpu: int | None) -> Load:
    if program is not None:
        return wrk.load(program, port, shape, seconds=seconds, cpu=cpu)
    with tempfile.TemporaryDirectory(prefix="pyworkerd-bench-") as folder:
        post = None
        if shape.body is not None:
            post = Post(Path(folder) / "body", shape.content_type)
            post.file.write_bytes(shape.body)
        return Generator(port, shape.paths, seconds=seconds, cpu=cpu, post=post).finish()
