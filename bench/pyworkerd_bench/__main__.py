"""`python -m pyworkerd_bench cold-start` and the like; `pyworkerd bench` is the same."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING

from pyworkerd.cli.bench import BENCHMARKS

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark that the first argument names, with the rest."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    if name not in BENCHMARKS:
        print(f"usage: pyworkerd bench {{{','.join(BENCHMARKS)}}} ...", file=sys.stderr)
        return 0 if name in {"-h", "--help"} else 2
    status: int = importlib.import_module(BENCHMARKS[name]).main(rest)
    return status


if __name__ == "__main__":
    sys.exit(main())
