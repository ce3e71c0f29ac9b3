"""`pyworkerd serve config.toml`: deploy the workers, listen, and end in good order."""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd_config import Worker, load

from pyworkerd.observe import logs
from pyworkerd.observe.background import Background
from pyworkerd.observe.own import OwnLogs
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.server import ServerOptions
from pyworkerd.serving import DRAIN_S, Serving

from . import reports
from .sockets import OPTION, with_addresses
from .stopping import Stopping
from .terminal import has_colours

if TYPE_CHECKING:
    import argparse

    from pyworkerd_config import Config

    from pyworkerd.server import ErrorPage

LOOPS: Final = {"uvloop": "uvloop", "asyncio": "asyncio"}
"""Event loops, and the module whose `new_event_loop` makes one."""
PARSERS: Final = ("httptools", "h11")
LOGS: Final = ("readable", "json")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add = parser.add_argument
    add("config", type=Path, metavar="CONFIG", help="the configuration, for example config.toml")
    add(OPTION, action="append", default=[], metavar="NAME=ADDRESS", help="listen there instead; repeatable")
    add("--parser", choices=PARSERS, default=PARSERS[0], help="HTTP parser (default: %(default)s)")
    add("--loop", choices=LOOPS, default="uvloop", help="event loop (default: %(default)s)")
    add(
        "--log",
        choices=LOGS,
        default=LOGS[0],
        help="how logs are written to standard error (default: %(default)s)",
    )
    add("--access-log", action="store_true", help="log every request, in the same form; off by default")
    add("--json", action="store_true", help="print addresses and deploys as JSON, one object per line")
    add("--dev", action="store_true", help="show what a worker raised to the client; never use it in public")
    wait = f"how long running requests may take to finish after SIGTERM (default: {DRAIN_S:g})"
    add("--drain", type=float, default=DRAIN_S, metavar="SECONDS", help=wait)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal comes. Raises `ConfigError`, `ConfigurationError` or `EngineError`."""
    config = with_addresses(load(options.config), options.socket_addr)
    make_loop = importlib.import_module(LOOPS[options.loop]).new_event_loop
    with (
        closing(Background(_lines(options.log).write)) as sink,
        OwnLogs(sink),
        asyncio.Runner(loop_factory=make_loop) as runner,
    ):
        return runner.run(_serve(config, options, sink))


async def _serve(config: Config, options: argparse.Namespace, sink: Background) -> int:
    report: reports.Reports = reports.Json() if options.json else reports.Readable()
    runtime = Runtime(config, RuntimeOptions(sinks=(sink,), progress=report.progress))
    server = ServerOptions(
        parser=options.parser,
        error_page=_error_page(options.dev),
        access_log=sink if options.access_log else None,
    )
    serving = Serving(runtime, server)
    with Stopping() as stopping:
        try:
            if await stopping.unless_asked(_start(runtime, serving, report)):
                await stopping.asked.wait()
                report.stopping()
                await stopping.unless_urgent(serving.drain(options.drain))
        finally:
            await serving.aclose()
            await runtime.aclose()
        return stopping.status


async def _start(runtime: Runtime, serving: Serving, report: reports.Reports) -> None:
    await runtime.open()
    names = [service.name for service in runtime.config.services if isinstance(service.kind, Worker)]
    if runtime.config.deploy == "lazy":
        report.dormant(len(names))
    else:
        for worker in map(runtime.worker, names):
            report.deployed(worker.name, worker.deploy_ms, built=worker.service.image.built)
    for socket in await serving.start():
        report.listening(socket)
    gc.freeze()  # what is here now stays: no later collection has to look through it


def _lines(form: str) -> logs.Readable | logs.Json:
    return (
        logs.Json(sys.stderr) if form == "json" else logs.Readable(sys.stderr, colour=has_colours(sys.stderr))
    )


def _error_page(dev: bool) -> ErrorPage | None:
    if not dev:
        return None
    from .error_page import error_page  # noqa: PLC0415 (only with --dev)

    return error_page
