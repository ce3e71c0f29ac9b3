"""The range of each limit, and of what processes may use.

A value outside of it is a mistake in the file, not a wish to be rounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Range:
    """Smallest and largest value that a limit can have, in the unit of the limit."""

    minimum: int
    maximum: int


LIMIT_RANGES: Mapping[str, Range] = MappingProxyType(
    {
        "cpu_ms": Range(1, 300_000),  # five minutes, the most that Workers' paid plan grants
        "memory_mb": Range(16, 4096),  # wasm32 addresses 4 GiB; less than 16 MiB holds no language's heap
        "subrequests": Range(0, 10_000),  # 0: nothing leaves the process; Workers' paid plan starts at 10,000
        "calls": Range(0, 1_000_000),  # 0: no binding may be called but those that leave the process
        "startup_ms": Range(1, 60_000),
        "wall_ms": Range(1, 86_400_000),  # one day
        "background_cpu_ms": Range(
            1, 900_000
        ),  # a quarter of an hour, the longest that Workers lets them run
        "background_wall_ms": Range(1, 86_400_000),
        "concurrency": Range(1, 10_000),
        "isolates": Range(1, 1_000),
        "queue": Range(0, 100_000),  # 0: refuse at once
        "queue_ms": Range(0, 60_000),
        "log_kb": Range(0, 65_536),  # 0: keep no log; Workers keeps 256 KB
        "weight": Range(1, 10_000),  # that of cpu.weight in Linux's control groups (v2)
        "request_body_mb": Range(0, 4096),  # 0: requests have no body; Cloudflare's largest plan takes 500 MB
        "websockets": Range(0, 1_000_000),  # 0: none; Durable Objects hold 32,768 each
        "websocket_message_mb": Range(1, 1024),  # Workers take 32 MiB
        "cache_mb": Range(0, 1 << 20),  # 0: no caches; 1 TiB
    }
)

QUEUE_RANGES: Mapping[str, Range] = MappingProxyType(
    {
        "delivery_delay": Range(0, 86_400),  # seconds; a day, as in Workers
        "max_batch_size": Range(1, 100),
        "max_batch_timeout": Range(0, 60),
        "max_retries": Range(0, 100),
        "retry_delay": Range(0, 86_400),
        "max_concurrency": Range(1, 250),
        "size_mb": Range(1, 1 << 20),
    }
)
"""What Cloudflare's queues take, and sizes of our own."""

RATE_LIMIT_RANGES: Mapping[str, Range] = MappingProxyType(
    {
        "limit": Range(1, 1_000_000_000),
        "period": Range(1, 86_400),  # seconds; a day, the longest that Cloudflare's own rules count
    }
)
"""What is said of requests that come in."""

OBJECT_RANGES: Mapping[str, Range] = MappingProxyType(
    {
        "idle_ms": Range(1, 86_400_000),  # one day
        "max_objects": Range(1, 1_000_000),  # a folder of files is what they are counted in
    }
)
"""What is said of classes of Durable Objects."""

PROCESSES_RANGES: Mapping[str, Range] = MappingProxyType(
    {
        "count": Range(1, 256),
        "memory_mb": Range(64, 1 << 24),  # one isolate has to fit; 16 TiB
        "replace_mb": Range(128, 1 << 24),  # a process that serves nothing yet has some 60 MiB
        "hang_s": Range(2, 3600),
        "hibernate_mb": Range(0, 1 << 24),  # 0: nothing hibernates
    }
)
