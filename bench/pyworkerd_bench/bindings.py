"""`pyworkerd bench bindings`: what state costs: KV, D1, queues, R2, Durable Objects, beside peers that have it too."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import suite
from .contestant import MICROSECONDS, MILLISECONDS, MINIFLARE, PER_SECOND, PLAIN_SQLITE, Figure, Target, Unit
from .peers.miniflare import Miniflare
from .peers.plain_sqlite import PlainSQLite
from .subject.bindings import CALLS, MEGABYTES, MESSAGES, OBJECTS, PAIRS, QUERIES, ROWS, BindingsSubject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .contestant import Contestant

MEGABYTES_PER_SECOND = Unit("B/s", "MB/s", 1e-6, 0)

FIGURES: tuple[Figure, ...] = (
    Figure(
        "kv",
        "KV put and get",
        MILLISECONDS,
        f"a request whose worker puts a value and gets it back, {PAIRS} times one after the other, divided by {PAIRS}; "
        "each put is on disk before the next get",
        (Target(5, 20, MINIFLARE),),
    ),
    Figure(
        "d1",
        "D1 point query",
        MICROSECONDS,
        f"a request whose worker asks for one of {ROWS} rows by its key, {QUERIES} times one after the other, divided "
        f"by {QUERIES}; beside it the same query by miniflare's D1, and by Python's own module, in one thread and "
        "without a sandbox",
        (Target(1 / 5, 1 / 2, PLAIN_SQLITE),),
    ),
    Figure(
        "d1_batch",
        "D1 query in a batch",
        MICROSECONDS,
        f"the same {QUERIES} queries as one batch, divided by {QUERIES}",
    ),
    Figure(
        "object_call",
        "call of a Durable Object",
        MICROSECONDS,
        f"a request whose worker calls a method of a warm object {CALLS} times one after the other, divided by {CALLS}",
        (Target(150e-6, 60e-6),),
    ),
    Figure(
        "object_wake",
        "wake of a hibernated object",
        MILLISECONDS,
        f"a request whose worker calls a method of an object that hibernates, to its answer; {OBJECTS} objects one "
        "after the other, each of which has to know how often it was called, and to have hibernated by the server's "
        "own count",
        (Target(5e-3, 1.5e-3),),
    ),
    Figure(
        "queue",
        "queue messages",
        PER_SECOND,
        f"{MESSAGES} messages sent in batches of 100 by one worker and handled by another in batches of 100, from the "
        "first that is sent to the last that is acknowledged; each is on disk before send_batch returns",
        (Target(5_000, 20_000),),
        better="higher",
    ),
    Figure(
        "r2_put",
        f"R2 put of {MEGABYTES} MB",
        MEGABYTES_PER_SECOND,
        "an upload that a worker streams into a bucket, the object on disk before it is answered",
        (Target(200e6, 1e9),),
        better="higher",
    ),
    Figure(
        "r2_get",
        f"R2 get of {MEGABYTES} MB",
        MEGABYTES_PER_SECOND,
        "the same object, streamed to the client",
        (Target(200e6, 1e9),),
        better="higher",
    ),
)

PEERS: Mapping[str, Callable[[], Contestant]] = {MINIFLARE: Miniflare, PLAIN_SQLITE: PlainSQLite}

SUITE = suite.Suite("bindings", "Measure what state costs, side by side.", FIGURES, BindingsSubject, PEERS)


def main(arguments: Sequence[str] | None = None, subjects: Sequence[Contestant] | None = None) -> int:
    """The command line; see `suite.main`."""
    return suite.main(SUITE, arguments, subjects)


if __name__ == "__main__":
    sys.exit(main())
