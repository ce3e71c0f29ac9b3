"""`python -m pyworkerd_bench cold-start` and the like; `pyworkerd bench` is the same."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from . import cold_start, density, fairness, soak, throughput, websockets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

COMMANDS: Mapping[str, Callable[[Sequence[str]], int]] = {
    "cold-start": cold_start.main,
    "density": density.main,
    "fairness": fairness.main,
    "soak": soak.main,
    "throughput": throughput.main,
    "websockets": websockets.main,
}
"""One row per benchmark; each reads its own arguments and returns an exit status."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark that the first argument names, with the rest."""
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["--help"]
    command = COMMANDS.get(name)
    if command is None:
        print(f"usage: pyworkerd bench {{{','.join(COMMANDS)}}} ...", file=sys.stderr)
        return 0 if name in {"-h", "--help"} else 2
    return command(rest)


if __name__ == "__main__":
    sys.exit(main())
