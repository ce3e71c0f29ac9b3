"""pyworkerd with JavaScript and TypeScript workers."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

from pyworkerd_bench.contestant import Probe

from .calls import CallsSubject
from .programs import JAVASCRIPT, PYTHON, TYPESCRIPT
from .pyworkerd import DEPLOYS, Pyworkerd, about
from .throughput import HelloSubject

if TYPE_CHECKING:
    from collections.abc import Sequence


class JavaScriptHello(HelloSubject):
    """JavaScript's hello under load."""

    program = JAVASCRIPT


class JavaScriptSubject(Pyworkerd):
    """All figures of cold starts, those of TypeScript, and of servers for what is measured of one process."""

    program = JAVASCRIPT

    def __init__(self) -> None:
        super().__init__()
        self._loaded = JavaScriptHello()
        self._calls = CallsSubject()

    def about(self) -> str:
        """Versions and settings."""
        return f"{about(JAVASCRIPT, PYTHON)} with defaults, one process for hello and calls"

    def start(self) -> None:
        """Start a server for each kind of figure."""
        super().start()
        self._loaded.start()
        self._calls.start()

    def stop(self) -> None:
        """End all of them."""
        with ExitStack() as stack:
            for stop in (super().stop, self._loaded.stop, self._calls.stop):
                stack.callback(stop)

    def probes(self) -> Sequence[Probe]:
        """Everything."""
        typed = partial(self._engine().deploy, TYPESCRIPT)
        return [
            *super().probes(),
            Probe("deploy_typescript", typed, DEPLOYS, warmups=1),
            *self._loaded.probes(),
            *self._calls.probes(),
        ]
