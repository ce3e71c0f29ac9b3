"""The peers: each a contestant like pyworkerd, skipped with a reason where it is not installed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_bench.contestant import NODE, PYTHON, WASMTIME, WASMTIME_TUNED, WORKERD, Contestant

from .command import node, python
from .wasmtime_serve import WasmtimeServe, WasmtimeTuned
from .workerd_loader import WorkerdLoader

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PEERS: Mapping[str, Callable[[], Contestant]] = {
    NODE: node,
    PYTHON: python,
    WORKERD: WorkerdLoader,
    WASMTIME: WasmtimeServe,
    WASMTIME_TUNED: WasmtimeTuned,
}
"""One row per peer, in the order of the report."""
