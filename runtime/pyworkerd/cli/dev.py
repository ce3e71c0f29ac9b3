"""`pyworkerd dev [CONFIG]`: serve a configuration while its workers are written."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd_config import Config, ConfigError, Place
from pyworkerd_config.model import Socket, Worker
from pyworkerd_config.names import TcpAddress, parse_address

from pyworkerd.isolation import ALLOW, ALLOW_HELP
from pyworkerd.messages import Body, Response
from pyworkerd.observe.text import printable
from pyworkerd.problems import MISTAKE, Refusal, faults_of, status_of
from pyworkerd.server import HttpServer, ServerOptions, bind_socket
from pyworkerd.serving import Listening, key_of
from pyworkerd.supervisor.dev_reports import DevReports
from pyworkerd.supervisor.excerpts import folders_of, with_excerpt
from pyworkerd.supervisor.reports import url
from pyworkerd.supervisor.run import run as supervise
from pyworkerd.supervisor.settings import Settings
from pyworkerd.supervisor.trouble import Trouble
from pyworkerd.supervisor.watching import Watch, look, pause_after

from .configuration import add_configuration, must_keep, paths_of, read_configuration
from .descriptors import raise_limit
from .error_page import error_page, trouble_page
from .serve import LOOPS, address
from .terminal import has_colours

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyworkerd.messages import Request
    from pyworkerd.problems import Fault
    from pyworkerd.server import Listener
    from pyworkerd.supervisor.watching import Look

IP: Final = "127.0.0.1"
PORT: Final = 8787
"""Where Wrangler listens, too, if nothing else is said."""
DRAIN_S: Final = 2.0
"""Who stops a server under development does not want to wait for it."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "examples: pyworkerd dev;  pyworkerd dev -c wrangler.toml -e staging --port 3000"
    add = parser.add_argument
    add_configuration(parser)
    add(
        "--port",
        type=_port,
        help=f"of the first socket (default: the configuration's, or {PORT}; 0: a free one)",
    )
    add(
        "--ip",
        type=_ip,
        metavar="ADDRESS",
        help=f"of the first socket (default: the configuration's, or {IP})",
    )
    add(
        "--persist-to",
        type=Path,
        metavar="FOLDER",
        help="for what is stored, in place of the configuration's",
    )
    add("--admin", type=address, metavar="ADDRESS", help="tell there how the server is: 127.0.0.1:9090")
    add(ALLOW, action="store_true", help=ALLOW_HELP)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal comes, in whatever state the files are. Raises `ConfigError` if none is there."""
    paths = paths_of(options)
    if not all(path.is_file() for path in paths):
        read_configuration(options)  # says which is missing
    raise_limit()
    colour = has_colours(sys.stderr)
    report = DevReports(sys.stdout, sys.stderr, colour=colour)
    files = Files(paths, lambda: for_dev(must_keep(read_configuration(options)), options))
    bound: dict[str, Listener] = {}
    settings = Settings(
        load=files.load,
        server=ServerOptions(error_page=error_page),
        make_loop=importlib.import_module(LOOPS["uvloop"]).new_event_loop,
        log="brief",
        colour=colour,
        drain_s=DRAIN_S,
        access_log=True,
        processes=1,
        admin=options.admin,
        watch=True,
        dev=trouble_page,
        bound=bound,
        allow_trusted=options.allow_trusted,
    )
    with contextlib.ExitStack() as closing:
        while True:
            try:
                return supervise(settings)
            except (ConfigError, Refusal) as error:
                if status_of(error) != MISTAKE:
                    raise
                faults = [with_excerpt(fault, files.folders()) for fault in faults_of(error)]
            report.broken(faults)
            socket = first_socket(files.config, options)
            key = key_of(socket)
            if key not in bound:
                bound[key] = bind_socket(socket)
                closing.callback(bound[key].close)
            asyncio.run(_wait(files, socket, bound[key], faults))


async def _wait(files: Files, socket: Socket, listener: Listener, faults: Sequence[Fault]) -> None:
    """Show what is wrong until a file changes. Whoever comes meanwhile waits in the queue of the same socket."""
    trouble = Trouble(trouble_page)
    trouble.faults = faults
    server = HttpServer(trouble(_Unavailable(faults)))
    if socket.https is None and not socket.proxy_protocol:  # certificates may be what is wrong
        at = Listening(socket.name, await server.start(listener.share()), None)
        sys.stderr.write(f"Waiting for a change; {url(at)} shows this, too.\n")
    else:
        sys.stderr.write("Waiting for a change.\n")
    try:
        while True:
            began = time.monotonic()
            if files.changed():
                return
            await asyncio.sleep(pause_after(time.monotonic() - began))
    finally:
        await server.drain(DRAIN_S)
        await server.aclose()


class _Unavailable:
    """A handler: there is nothing that could answer."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self._text = "".join(f"{printable(fault.text)}\n" for fault in faults)

    async def __call__(self, _: Request) -> Response:
        return Response(503, (("content-type", "text/plain;charset=UTF-8"),), Body(self._text.encode()))


class Files:
    """What a configuration is read from, and what it said last."""

    def __init__(self, paths: Sequence[Path], load: Callable[[], Config]) -> None:
        self._load = load
        self._paths = paths
        self.config: Config | None = None
        """The last one that could be read."""
        self._watch = Watch({})

    def load(self) -> Config:
        """Read it. Raises `ConfigError`."""
        try:
            self.config = self._load()
        finally:
            self._watch = Watch(self.look())
        return self.config

    def changed(self) -> bool:
        """Whether there is something else now than what was read last."""
        return self._watch.changed(self.look())

    def folders(self) -> frozenset[Path]:
        """Where lines may be shown from."""
        own = frozenset(path.parent for path in self._paths)
        return own if self.config is None else own | folders_of(self.config)

    def look(self) -> Look:
        """What of them is there."""
        found: Look = {}
        for path in self._paths:
            found |= look(Config(place=Place(path)))
        return found if self.config is None else found | look(self.config)


def for_dev(config: Config, options: argparse.Namespace) -> Config:
    """The same for one who writes it: mistakes show at once, and it listens even if it does not say where."""
    sockets = (first_socket(config, options), *config.sockets[1:])
    state_dir = config.state_dir if options.persist_to is None else options.persist_to.absolute()
    return replace(config, sockets=sockets, state_dir=state_dir, deploy="eager")


def first_socket(config: Config | None, options: argparse.Namespace) -> Socket:
    """Where it listens: as the command line says, or the configuration, or Wrangler."""
    if config is not None and config.sockets:
        socket = config.sockets[0]
    else:
        socket = Socket("http", f"{IP}:{PORT}", None if config is None else _only_service(config))
    if options.port is None and options.ip is None:
        return socket
    written = parse_address(socket.address)
    host, port = (written.host, written.port) if isinstance(written, TcpAddress) else (IP, PORT)
    host, port = options.ip or host, port if options.port is None else options.port
    return replace(socket, address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}")


def _only_service(config: Config) -> str | None:
    """The first worker, where no route says which."""
    if any(service.routes for service in config.services):
        return None
    return next((service.name for service in config.services if isinstance(service.kind, Worker)), None)


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError("a number from 0 to 65535")
    return int(text)


def _ip(text: str) -> str:
    host = text.removeprefix("[").removesuffix("]")
    if not host or parse_address(f"[{host}]:1" if ":" in host else f"{host}:1") is None:
        raise argparse.ArgumentTypeError("an address or a host name, without a port")
    return host
