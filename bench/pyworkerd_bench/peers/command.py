"""Peers that are a whole process per start: spawned, and waited for until they end."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pyworkerd_bench.contestant import NODE, PYTHON, Probe
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.locate import PROGRAMS, find, missing
from pyworkerd_bench.processes import output_of, run_to_exit

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SAMPLES = 60
"""Tens of milliseconds each: a few seconds in all."""


class CommandPeer:
    """A command that does nothing, timed from spawn to exit."""

    def __init__(
        self, name: str, locate: Callable[[], Path | None], arguments: Sequence[str], lack: str
    ) -> None:
        self.name = name
        self._locate, self._arguments, self._lack = locate, arguments, lack

    def available(self) -> str | None:
        """Whether the program is installed."""
        return None if self._locate() else self._lack

    def start(self) -> None:
        """Nothing stays up between samples."""

    def about(self) -> str:
        """Its version."""
        return output_of([str(self._program()), "--version"]) + ", spawn to exit"

    def probes(self) -> Sequence[Probe]:
        """It has no isolates and no HTTP: only the start."""
        command = [str(self._program()), *self._arguments]
        return [Probe("first_step", lambda: run_to_exit(command), SAMPLES, warmups=3)]

    def stop(self) -> None:
        """Every sample has ended its own process."""

    def _program(self) -> Path:
        program = self._locate()
        if program is None:
            raise BenchError(self._lack)
        return program


def node() -> CommandPeer:
    """Node.js with an empty program."""
    program = PROGRAMS["node"]
    return CommandPeer(NODE, lambda: find(program), ["-e", "0"], missing(program))


def python() -> CommandPeer:
    """This very interpreter with an empty program, without the packages of its virtual environment.

    A virtual environment, and the `.pth` files of editable installs in it, would make the peer slower.
    """
    interpreter = Path(sys.executable).resolve()
    return CommandPeer(
        PYTHON, lambda: interpreter if interpreter.is_file() else None, ["-c", "pass"], "no interpreter file"
    )
