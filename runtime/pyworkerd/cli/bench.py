"""`pyworkerd bench NAME ...`: hands over to a benchmark of `pyworkerd_bench`, which is found at run time.

The runtime does not import the benchmarks: they stand above it and measure it from outside.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
from typing import Final

from pyworkerd.errors import ConfigurationError

BENCHMARKS: Final = {
    "bindings": "pyworkerd_bench.bindings",
    "cold-start": "pyworkerd_bench.cold_start",
    "components": "pyworkerd_bench.components",
    "density": "pyworkerd_bench.density",
    "fairness": "pyworkerd_bench.fairness",
    "javascript": "pyworkerd_bench.javascript",
    "soak": "pyworkerd_bench.soak",
    "throughput": "pyworkerd_bench.throughput",
    "websockets": "pyworkerd_bench.websockets",
}
"""Name, and the module whose `main(arguments)` returns the exit status."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments; those of a benchmark are its own."""
    parser.epilog = "examples: pyworkerd bench cold-start;  pyworkerd bench throughput --quick --json"
    parser.add_argument("benchmark", choices=BENCHMARKS, help="what to measure")
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="...", help="see `pyworkerd bench NAME --help`"
    )


def run(options: argparse.Namespace) -> int:
    """Run it. Raises `ConfigurationError` where the benchmarks are not installed."""
    name = BENCHMARKS[options.benchmark]
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        raise ConfigurationError(
            "the benchmarks are not installed: install pyworkerd from its sources or its wheel"
        )
    status: int = importlib.import_module(name).main(options.arguments)
    return status
