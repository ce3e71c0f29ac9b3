"""`pyworkerd bench throughput`: requests per second of one server on one processor, beside peers, and on two."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import suite
from .contestant import (
    GRANIAN,
    PER_SECOND,
    STARLETTE,
    TIMES,
    WASMTIME_REUSED,
    WORKERD_SERVE,
    Figure,
    Target,
)
from .load import CONNECTIONS
from .peers.asgi import Granian, Uvicorn
from .peers.wasmtime_reused import WasmtimeReused
from .peers.workerd_serve import WorkerdServe
from .shapes import BODY_BYTES, TENANTS
from .subject.throughput import ThroughputSubject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .contestant import Contestant

_HOW = (
    f"closed loop of {CONNECTIONS} kept connections, the server on one processor and the load generator on another; "
    "every contestant gets the same bytes, and its answer is checked before each run"
)


def _figure(key: str, title: str, what: str, *targets: Target) -> Figure:
    return Figure(key, title, PER_SECOND, f"{what}; {_HOW}", targets, better="higher")


FIGURES: tuple[Figure, ...] = (
    _figure(
        "hello",
        "hello",
        "GET, five bytes back",
        Target(1.2, 2.5, WORKERD_SERVE),
        Target(0.8, 1.5, STARLETTE),
    ),
    _figure("json", "JSON both ways", "POST an order as JSON, get its bill as JSON"),
    _figure("body", "body of 10 KB both ways", f"POST {BODY_BYTES} bytes, get the same back"),
    _figure(
        "chain",
        "chain of 3 services",
        "GET to a worker that asks a second over a binding, which asks a third, which answers hello",
    ),
    _figure(
        "tenants",
        f"{TENANTS} tenants in turn",
        f"GET to each of {TENANTS} warm workers in turn (workerd: {TENANTS} workers of its worker loader)",
        Target(1.5, 3, WORKERD_SERVE),
    ),
    Figure(
        "second",
        "two processes / one",
        TIMES,
        "requests per second of two processes on two processors divided by those of one on one, measured one right "
        "after the other: GET to a worker that computes for about a millisecond, so that the load generator, which "
        "shares the two processors if there are no more, needs a hundredth of them",
        (Target(1.7, 1.9),),
        better="higher",
    ),
)

PEERS: Mapping[str, Callable[[], Contestant]] = {
    WORKERD_SERVE: WorkerdServe,
    STARLETTE: Uvicorn,
    GRANIAN: Granian,
    WASMTIME_REUSED: WasmtimeReused,
}

SUITE = suite.Suite(
    "throughput", "Measure requests per second, side by side.", FIGURES, ThroughputSubject, PEERS
)


def main(arguments: Sequence[str] | None = None, subjects: Sequence[Contestant] | None = None) -> int:
    """The command line; see `suite.main`."""
    return suite.main(SUITE, arguments, subjects)


if __name__ == "__main__":
    sys.exit(main())
