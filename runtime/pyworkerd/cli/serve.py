"""`pyworkerd serve config.toml`: deploy the workers, listen with several processes, and end in good order."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd_config import PROCESSES_RANGES, parse_address

from pyworkerd.isolation import ALLOW, ALLOW_HELP
from pyworkerd.server import ServerOptions
from pyworkerd.serving import DRAIN_S
from pyworkerd.supervisor.run import run as supervise
from pyworkerd.supervisor.settings import Settings

from .configuration import add_configuration, must_keep, read_configuration
from .descriptors import raise_limit
from .sockets import OPTION, with_addresses
from .telemetry import add_otel, wants_otel
from .terminal import has_colours

if TYPE_CHECKING:
    from pyworkerd_config import Config

    from pyworkerd.replay.options import RecordOptions
    from pyworkerd.server import ErrorPage

LOOPS: Final = {"uvloop": "uvloop", "asyncio": "asyncio"}
"""Event loops, and the module whose `new_event_loop` makes one."""
PARSERS: Final = ("httptools", "h11")
LOGS: Final = ("readable", "json")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add = parser.add_argument
    parser.epilog = (
        "examples: pyworkerd serve config.toml;  pyworkerd serve -c wrangler.toml --env production"
    )
    add_configuration(parser)
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
    add(
        "--processes",
        type=_count,
        metavar="N",
        help="processes that serve (default: the configuration's, or one for each core)",
    )
    add(
        "--admin",
        type=address,
        metavar="ADDRESS",
        help="tell there how the server is, for example 127.0.0.1:9090",
    )
    add("--watch", action="store_true", help="reload when the configuration or a worker's file changes")
    add(ALLOW, action="store_true", help=ALLOW_HELP)
    add_otel(parser)
    _add_recording(parser)
    wait = f"how long running requests may take to finish after SIGTERM (default: {DRAIN_S:g})"
    add("--drain", type=float, default=DRAIN_S, metavar="SECONDS", help=wait)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal comes. Raises `ConfigError`, `ConfigurationError` or `Refusal`."""

    record = _recording(options)

    def configuration() -> Config:
        config = must_keep(with_addresses(read_configuration(options), options.socket_addr))
        if record is not None:
            from pyworkerd.replay.options import check  # noqa: PLC0415 (only with --record)

            check(record, config)
        return config

    raise_limit()
    settings = Settings(
        load=configuration,
        server=ServerOptions(parser=options.parser, error_page=_error_page(options.dev)),
        make_loop=importlib.import_module(LOOPS[options.loop]).new_event_loop,
        log=options.log,
        colour=has_colours(sys.stderr),
        json=options.json,
        drain_s=options.drain,
        access_log=options.access_log,
        processes=options.processes,
        admin=options.admin,
        watch=options.watch,
        allow_trusted=options.allow_trusted,
        otel=wants_otel(options),
        record=record,
    )
    return supervise(settings)


def _add_recording(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("recording", "what `pyworkerd replay` runs again: see docs/replay.md")
    add = group.add_argument
    add("--record", type=Path, metavar="FOLDER", help="record invocations there; off by default")
    add(
        "--record-worker", action="append", default=[], metavar="NAME",
        help="only those of this worker; repeatable",
    )  # fmt: skip
    add(
        "--record-rate",
        type=_share,
        default=1.0,
        metavar="SHARE",
        help="so many of them, from 0 to 1 (default: all)",
    )
    add("--record-failures", action="store_true", help="keep only those that failed")
    add("--record-keep", type=_kept, default=100, metavar="N", help="how many stay (default: %(default)s)")


def _recording(options: argparse.Namespace) -> RecordOptions | None:
    if options.record is None:
        return None
    from pyworkerd.replay.options import RecordOptions  # noqa: PLC0415 (only with --record)

    return RecordOptions(
        options.record.absolute(), tuple(options.record_worker), options.record_rate, options.record_failures,
        options.record_keep,
    )  # fmt: skip


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share <= 1:
        raise argparse.ArgumentTypeError("a number above 0, 1 at most")
    return share


def _kept(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError("a number from 1 to 10000")
    return int(text)


def _count(text: str) -> int:
    allowed = PROCESSES_RANGES["count"]
    if not text.isdecimal() or not allowed.minimum <= int(text) <= allowed.maximum:
        raise argparse.ArgumentTypeError(f"a number from {allowed.minimum} to {allowed.maximum}")
    return int(text)


def address(text: str) -> str:
    """An argument that is an address."""
    if parse_address(text) is None:
        raise argparse.ArgumentTypeError("write host:port or unix:/path")
    return text


def _error_page(dev: bool) -> ErrorPage | None:
    if not dev:
        return None
    from .error_page import error_page  # noqa: PLC0415 (only with --dev)

    return error_page
