"""`wasmtime serve` with CPython: each request gets its own instance of an ahead-of-time compiled component.

It takes part twice. The plain one has the settings that servers usually take, the pooling allocator and nothing
else; the project's target was measured against it. Which of wasmtime's settings are fastest depends on the
machine, so the tuned one tries the rows of `SETTINGS` when it starts, plays with the one that does best, and names
it.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from pyworkerd_bench.contestant import WASMTIME, WASMTIME_TUNED, Probe
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.http_client import Connection, get_request
from pyworkerd_bench.http_contestant import HttpContestant
from pyworkerd_bench.locate import PROGRAMS, find, missing
from pyworkerd_bench.measure import interleave
from pyworkerd_bench.processes import Server, output_of

from . import wasi_hello

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

TRIAL_REQUESTS = 80
TRIAL_WARMUPS = 20

_POOLING = ("-O", "pooling-allocator=y")
_RESIDENT = (
    *("-O", "pooling-memory-keep-resident=33554432"),
    *("-O", "pooling-table-keep-resident=262144"),
    *("-O", "pooling-async-stack-keep-resident=1048576"),
)

PLAIN = "pooling allocator"

SETTINGS: Mapping[str, Sequence[str]] = {
    "on-demand allocator": (),
    PLAIN: _POOLING,
    "pooling allocator, 32 MiB kept resident": (*_POOLING, *_RESIDENT),
    # PAGEMAP_SCAN finds the pages that an instance wrote (Linux 6.7); wasmtime falls back by itself where it
    # is absent.
    "pooling allocator, 32 MiB kept resident, pagemap scan": (
        *_POOLING,
        *_RESIDENT,
        *("-O", "pooling-pagemap-scan=auto"),
    ),
}
"""Worth trying: the default, the usual choice of servers, and two that reset memory but keep it."""


class WasmtimeServe(HttpContestant):
    """The wasmtime command line's own server, WASI 0.2: one instance per request, as it does by default."""

    name = WASMTIME

    def __init__(self) -> None:
        super().__init__()
        self._settings: str | None = None

    def available(self) -> str | None:
        """Whether wasmtime and what builds its program are installed."""
        return wasi_hello.lacking() if find(PROGRAMS["wasmtime"]) else missing(PROGRAMS["wasmtime"])

    def about(self) -> str:
        """Version and settings."""
        return f"{version()}, {self._settings}"

    def start(self) -> None:
        """Build the component, choose the settings, start one server with them."""
        self._settings = self.choose()
        self.renew()

    def choose(self) -> str:
        """The row of SETTINGS to play with."""
        return PLAIN

    def spawn(self, cpu: int | None = None) -> Server:
        """A server with the chosen settings."""
        if self._settings is None:
            raise BenchError("the settings have not been chosen")
        return serve(self._settings, cpu)

    def probes(self) -> Sequence[Probe]:
        """An instance lives for one request: there is no warm one, and none to weigh."""
        return self.common_probes()


class WasmtimeTuned(WasmtimeServe):
    """The same with the settings that do best here."""

    name = WASMTIME_TUNED

    def __init__(self) -> None:
        super().__init__()
        self._trials = ""

    def about(self) -> str:
        """Version, settings, and what the other settings would have given."""
        return f"{super().about()} (tried: {self._trials})"

    def choose(self) -> str:
        """The row of SETTINGS with the lowest median, measured in turns."""
        with ExitStack() as stack:
            probes = {}
            for settings in SETTINGS:
                server = stack.enter_context(serve(settings))
                connection = stack.enter_context(Connection(server.port))
                probes[settings] = self._trial(connection)
            outcome = interleave(probes)
        if not outcome.samples:
            raise BenchError(f"no settings of wasmtime serve work: {dict(outcome.failures)}")
        medians = {settings: samples.p50 for settings, samples in outcome.samples.items()}
        self._trials = "; ".join(f"{settings} {median * 1e3:.2f} ms" for settings, median in medians.items())
        return min(medians, key=medians.__getitem__)

    def _trial(self, connection: Connection) -> Probe:
        request = get_request(self.fresh_path)
        return Probe("http_fresh", lambda: connection.timed(request), TRIAL_REQUESTS, TRIAL_WARMUPS)


def serve(settings: str, cpu: int | None = None, options: Sequence[str] = ()) -> Server:
    """A server with a row of SETTINGS and further options. Raises BenchError."""
    program, flags = _program(), SETTINGS[settings]
    # The allocator is chosen when serving; the compiled code is the same for all rows.
    module = wasi_hello.compiled(program)
    command = [str(program), "serve", "--addr", "127.0.0.1:0", "-S", "cli", "--allow-precompiled", *flags]
    return Server([*command, *options, str(module)], r"http://[^\s/]+:(\d+)", cpu=cpu)


def version() -> str:
    """What serves, and what is served. Raises BenchError."""
    return f"{output_of([str(_program()), '--version'])}, CPython by componentize-py, compiled ahead"


def _program() -> Path:
    program = find(PROGRAMS["wasmtime"])
    if program is None:
        raise BenchError(missing(PROGRAMS["wasmtime"]))
    return program
