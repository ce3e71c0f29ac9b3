"""`pyworkerd bench cold-start`: from nothing to an answer, beside peers that start something for each request."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import suite
from .contestant import (
    KIBIBYTES,
    MILLISECONDS,
    NODE,
    PER_SECOND,
    WASMTIME,
    WORKERD,
    Figure,
    Target,
)
from .peers import PEERS
from .subject import Pyworkerd

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .contestant import Contestant

FIGURES: tuple[Figure, ...] = (
    Figure(
        "engine_load",
        "engine load, warm cache",
        MILLISECONDS,
        "open the cached engine until isolates can be started from it",
    ),
    Figure(
        "deploy",
        "deploy of hello, image built",
        MILLISECONDS,
        "sources to image, the worker's top level run; engine loaded, nothing of this worker cached",
        (Target(0.25, 0.1),),
    ),
    Figure(
        "isolate_start",
        "isolate start",
        MILLISECONDS,
        "image to live isolate, before its first step",
    ),
    Figure(
        "first_step",
        "isolate start plus first step",
        MILLISECONDS,
        "image to the end of the first step. Processes: spawn to exit. workerd: a request to a new isolate "
        "minus a request to a live one, measured in pairs, so that its HTTP is not held against it",
        (Target(100, 250, NODE), Target(6, 12, WORKERD)),
    ),
    Figure(
        "slot_step",
        "the same on the memory of an ended isolate",
        MILLISECONDS,
        'as where isolates come and go (`reuse = "request"`): the pages that the one before wrote to were put back',
    ),
    Figure(
        "new_source",
        "source that nobody has seen, to its first answer",
        MILLISECONDS,
        "sources in memory to the end of the first step, without an image, as the worker loader does it. workerd: as "
        "above; its loader is asked for a new id each time, with the same source",
    ),
    Figure(
        "http_fresh",
        "HTTP request on a fresh isolate",
        MILLISECONDS,
        "one keep-alive connection, request sent to answer complete, each request served by its own isolate; "
        "both sides keep the memory of ended isolates mapped",
        (Target(3, 6, WASMTIME),),
    ),
    Figure(
        "http_warm",
        "HTTP request on a warm isolate",
        MILLISECONDS,
        "one keep-alive connection, request sent to answer complete, one isolate serves all",
    ),
    Figure(
        "fresh_rate",
        "fresh isolates per second and core",
        PER_SECOND,
        "closed loop of 32 connections, each request served by its own isolate; the server on one core, "
        "the load generator on another",
        (Target(1200, 2500),),
        better="higher",
    ),
    Figure(
        "memory",
        "private memory per live isolate",
        KIBIBYTES,
        "growth of the unique set size (psutil USS) of a fresh process over 500 live isolates, divided "
        "by 500; each has answered once and been idle since, until memory that is its image's was given back",
        (Target(350 * 1024, 200 * 1024),),
    ),
    Figure(
        "memory_answered",
        "the same just after its answer",
        KIBIBYTES,
        "before it has given any back",
    ),
    Figure(
        "first_200",
        "command to first 200, warm cache",
        MILLISECONDS,
        "the serve command spawned to the first complete answer with status 200",
        (Target(0.4, 0.2),),
    ),
    Figure(
        "runaway",
        "runaway loop stopped, past its limit",
        MILLISECONDS,
        "an endless loop in a handler: time to its 503 over HTTP minus the CPU limit",
        (Target(0.020, 0.005),),
        judged="worst",
    ),
    Figure(
        "runaway_step",
        "runaway loop stopped, in process",
        MILLISECONDS,
        "the same loop without a server: CPU time until its step is broken off minus the CPU limit",
        (Target(0.020, 0.005),),
        judged="worst",
    ),
)

SUITE = suite.Suite("cold-start", "Measure cold starts, side by side.", FIGURES, Pyworkerd, PEERS)


def main(arguments: Sequence[str] | None = None, subjects: Sequence[Contestant] | None = None) -> int:
    """The command line; see `suite.main`."""
    return suite.main(SUITE, arguments, subjects)


if __name__ == "__main__":
    sys.exit(main())
