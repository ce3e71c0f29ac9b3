"""`pyworkerd bench javascript`: JavaScript and TypeScript workers, beside Node.js and workerd."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import suite
from .contestant import (
    KIBIBYTES,
    LIVE_ISOLATES,
    MICROSECONDS,
    MILLISECONDS,
    NODE,
    PER_SECOND,
    WORKERD,
    WORKERD_SERVE,
    Figure,
    Target,
)
from .load import CONNECTIONS
from .peers.command import node
from .peers.workerd_loader import WorkerdLoader
from .peers.workerd_serve import WorkerdServe
from .subject.calls import CALLS
from .subject.javascript import JavaScriptSubject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .contestant import Contestant

_DEPLOY = "sources to image, the worker's top level run; engine loaded, nothing of this worker cached"

FIGURES: tuple[Figure, ...] = (
    Figure(
        "first_step",
        "isolate start plus first step",
        MILLISECONDS,
        "image to the end of the first step, in one process. Node.js: spawn to exit. workerd: a request to a new "
        "isolate minus a request to a live one, measured in pairs, so that its HTTP is not held against it",
        (Target(200, 400, NODE), Target(6, 12, WORKERD)),
    ),
    Figure(
        "http_fresh",
        "HTTP request on a fresh isolate",
        MILLISECONDS,
        "one keep-alive connection, request sent to answer complete, each request served by its own isolate, which "
        "starts from the worker's image; workerd: its worker loader is asked for a new id each time, with the same "
        "source",
        (Target(6, 12, WORKERD),),
    ),
    Figure(
        "memory",
        "private memory per live isolate",
        KIBIBYTES,
        f"growth of the unique set size (psutil USS) of a fresh process over {LIVE_ISOLATES} live isolates, divided "
        f"by {LIVE_ISOLATES}; each has answered once and been idle since, until memory that is its image's was given "
        "back",
        (Target(200 * 1024, 100 * 1024),),
    ),
    Figure(
        "memory_answered",
        "the same just after its answer",
        KIBIBYTES,
        "before it has given any back",
    ),
    Figure(
        "hello",
        "hello",
        PER_SECOND,
        f"GET, five bytes back; closed loop of {CONNECTIONS} kept connections, the server, one process, on one "
        "processor and the load generator on another; the answer is checked before each run",
        (Target(0.6, 1.0, WORKERD_SERVE),),
        better="higher",
    ),
    Figure("deploy", "deploy of hello, image built", MILLISECONDS, _DEPLOY, (Target(20e-3, 8e-3),)),
    Figure(
        "deploy_typescript",
        "the same of a TypeScript hello",
        MILLISECONDS,
        f"{_DEPLOY}; its types are left out first, by a compiler that has compiled before",
    ),
    Figure(
        "call",
        "call of a TypeScript worker by a Python worker",
        MICROSECONDS,
        "a request whose Python worker calls a method of a TypeScript worker over a service binding "
        f"{CALLS} times one after the other, divided by {CALLS}; both warm, in one process",
        (Target(200e-6, 80e-6),),
    ),
)

PEERS: Mapping[str, Callable[[], Contestant]] = {
    NODE: node,
    WORKERD: WorkerdLoader,
    WORKERD_SERVE: WorkerdServe,
}

SUITE = suite.Suite(
    "javascript", "Measure JavaScript workers, side by side.", FIGURES, JavaScriptSubject, PEERS
)


def main(arguments: Sequence[str] | None = None, subjects: Sequence[Contestant] | None = None) -> int:
    """The command line; see `suite.main`."""
    return suite.main(SUITE, arguments, subjects)


if __name__ == "__main__":
    sys.exit(main())
