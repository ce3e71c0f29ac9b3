"""`pyworkerd serve config.toml`: deploy the workers, listen with several processes, and end in good order."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import TYPE_CHECKING, Final

from pyworkerd_config import PROCESSES_RANGES, parse_address

from pyworkerd.isolation import ALLOW, ALLOW_HELP
from pyworkerd.server import ServerOptions
from pyworkerd.serving import DRAIN_S
from pyworkerd.supervisor.run import run as supervise
from pyworkerd.supervisor.settings import Settings

from .configuration import add_configuration, read_configuration
from .descriptors import raise_limit
from .sockets import OPTION, with_addresses
from .terminal import has_colours

if TYPE_CHECKING:
    from pyworkerd_config import Config

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
    wait = f"how long running requests may take to finish after SIGTERM (default: {DRAIN_S:g})"
    add("--drain", type=float, default=DRAIN_S, metavar="SECONDS", help=wait)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal comes. Raises `ConfigError`, `ConfigurationError` or `Refusal`."""

    def configuration() -> Config:
        return with_addresses(read_configuration(options), options.socket_addr)

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
    )
    return supervise(settings)


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
