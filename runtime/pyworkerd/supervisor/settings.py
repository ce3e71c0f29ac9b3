"""What the command line decides about a supervised server, and what is made of it and the configuration."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from pyworkerd.dispatch.fleet import MEMORY_SHARE
from pyworkerd.machine import cores, memory
from pyworkerd.server import ServerOptions
from pyworkerd.serving import DRAIN_S

from .policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyworkerd_config import Config

    from pyworkerd.bindings.rate_limit.shared import SharedCounters
    from pyworkerd.observe.feed import Feed
    from pyworkerd.replay.options import RecordOptions
    from pyworkerd.server import Listener, Seat

    from .trouble import TroublePage

MIB: Final = 1024 * 1024
REPLACE_FACTOR: Final = 1.5
"""What a process may have of its own, in parts of its isolates' budget: what is reckoned for an isolate is not all
that it costs."""
REPLACE_BYTES: Final = 256 * MIB
"""And so much besides, for the process itself and what its connections hold."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The same for the whole life of the server."""

    load: Callable[[], Config]
    """Reads the configuration, the first time and for each reload. Raises `ConfigError`."""
    server: ServerOptions = field(default_factory=ServerOptions)
    make_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    """The event loop of a serving process. The supervisor's own is asyncio's: it forks."""
    log: Literal["readable", "json", "brief"] = "readable"
    colour: bool = False
    json: bool = False
    """Whether to report in JSON."""
    access_log: bool = False
    drain_s: float = DRAIN_S
    processes: int | None = None
    """Goes before the configuration's `count`."""
    admin: str | None = None
    """An address that goes before the configuration's."""
    watch: bool = False
    dev: TroublePage | None = None
    """For who writes workers: reports are theirs, and this page is shown while files cannot be loaded."""
    bound: Mapping[str, Listener] = field(default_factory=dict)
    """Sockets that are bound already, by `serving.key_of`."""
    otel: bool = False
    """Whether spans and metrics go to a collector: see `observe.otel`."""
    record: RecordOptions | None = None
    """Which invocations are recorded, if any."""
    allow_trusted: bool = False
    """Whether workers may run without a sandbox that ask for it: see `isolation`."""


def feed_of(settings: Settings, config: Config) -> Feed | None:
    """What keeps log entries and outcomes for the admin address; nothing does where there is none."""
    if settings.admin is None and config.admin is None:
        return None
    from pyworkerd.observe.feed import Feed  # noqa: PLC0415 (start-up time)

    return Feed()


class Shares(NamedTuple):
    """How many processes, and what each may have."""

    processes: int
    isolates: int
    """Bytes for the isolates of one process."""
    heaps: int
    """Bytes on disk for what hibernates in one process."""
    process: int
    """Bytes that one process may take before it refuses work: it is never replaced for what it could refuse."""
    threads: int
    """Threads for long steps of one process. All together are as many as there are cores, as far as that goes: a
    thread that holds its process's interpreter should not have to wait for a core."""
    policy: Policy


class Inheritance(NamedTuple):
    """What a serving process has from the supervisor when it is forked."""

    settings: Settings
    config: Config
    listeners: Mapping[str, Listener]
    seat: Seat
    """Among the processes that share the sockets."""
    counters: SharedCounters
    """Of rate limits."""


def shares(settings: Settings, config: Config) -> Shares:
    """Divide the machine among the processes."""
    wanted = config.processes
    count = settings.processes or wanted.count or cores()
    total = wanted.memory_mb * MIB if wanted.memory_mb is not None else int(memory() * MEMORY_SHARE)
    each = total // count
    most = wanted.replace_mb * MIB if wanted.replace_mb else int(each * REPLACE_FACTOR) + REPLACE_BYTES
    process, threads = min(memory() // count, most), max(cores() // count, 1)
    asleep = each if wanted.hibernate_mb is None else wanted.hibernate_mb * MIB // count
    return Shares(count, each, asleep, process, threads, Policy(count, wanted.hang_s, most))
