"""`pyworkerd bench components`: a component as a worker, beside `wasmtime serve` with the same component."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import suite
from .contestant import MILLISECONDS, PER_SECOND, WASMTIME, WASMTIME_TUNED, Figure, Target
from .load import CONNECTIONS
from .peers.wasmtime_serve import WasmtimeServe, WasmtimeTuned
from .subject.components import ComponentsSubject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .contestant import Contestant

_WHAT = "CPython by componentize-py, five bytes back; an instance of its own for each request"

FIGURES: tuple[Figure, ...] = (
    Figure(
        "fresh_rate",
        "requests per second, each on a fresh instance",
        PER_SECOND,
        f"{_WHAT}; closed loop of {CONNECTIONS} kept connections, the server on one processor and the load "
        "generator on another",
        (Target(0.4, 1.0, WASMTIME),),
        better="higher",
    ),
    Figure(
        "http_fresh",
        "HTTP request on a fresh instance",
        MILLISECONDS,
        f"{_WHAT}; one keep-alive connection, request sent to answer complete",
    ),
    Figure(
        "first_200",
        "command to first 200",
        MILLISECONDS,
        f"{_WHAT}; compiled before, the process started anew",
    ),
)

PEERS: Mapping[str, Callable[[], Contestant]] = {WASMTIME: WasmtimeServe, WASMTIME_TUNED: WasmtimeTuned}

SUITE = suite.Suite("components", "Measure components, side by side.", FIGURES, ComponentsSubject, PEERS)


def main(arguments: Sequence[str] | None = None, subjects: Sequence[Contestant] | None = None) -> int:
    """The command line; see `suite.main`."""
    return suite.main(SUITE, arguments, subjects)


if __name__ == "__main__":
    sys.exit(main())
