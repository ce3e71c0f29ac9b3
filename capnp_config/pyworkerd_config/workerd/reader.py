"""Reads the values of workerd's configuration into the model. Pure: what pycapnp and the disk do was done before.

Relative paths of disks start from the working directory, as in workerd; files that the configuration embeds from the
file that names them.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_config.model import (
    FORWARDED,
    Config,
    Disk,
    Extension,
    External,
    Network,
    Place,
    Service,
    Socket,
    flat,
)
from pyworkerd_config.problems import did_you_mean, quote
from pyworkerd_config.toml.reader import STATE_DIR, with_internet

from .bindings import designated
from .options import DEFAULTS, WorkerdOptions
from .tls import read_https, trusts_browsers
from .values import Document, Struct
from .worker import Program, read_programs

if TYPE_CHECKING:
    from pyworkerd_config.model import Worker
    from pyworkerd_config.problems import ProblemList

    from .files import Where

EVERYBODY: Final = ("0.0.0.0/0", "::/0", "unix")
"""Peers: workerd believes a forwardedProtoHeader whoever sent it."""
_STORAGE: Final = 'write durableObjectStorage = (localDisk = "...") or (inMemory = void)'


def read_workerd(
    values: dict[str, Any], where: Where, document: Document, file: Path, options: WorkerdOptions = DEFAULTS
) -> Config:
    """The model of a configuration, as far as it can be made; `document.problems` has what is wrong."""
    reading = _Reading(Struct(values, where, document), document, file.parent, options)
    if reading.root.judge():
        reading.read()
    reading.check_options()
    config = Config(
        sockets=tuple(reading.sockets),
        services=tuple(reading.services),
        extensions=tuple(reading.extensions),
        state_dir=reading.state_dir(),
        warnings=tuple(document.warnings),
        place=Place(file),
    )
    return with_internet(config)


class _Reading:
    def __init__(self, root: Struct, document: Document, folder: Path, options: WorkerdOptions) -> None:
        self.root, self.document, self.folder, self.options = root, document, folder, options
        self.problems: ProblemList = document.problems
        self.sockets: list[Socket] = []
        self.services: list[Service] = []
        self.extensions: list[Extension] = []
        self.programs: dict[str, Program] = {}

    def read(self) -> None:
        structs = {each.text("name"): each for each in self.root.structs("services")}
        workers = {name: worker for name, each in structs.items() if (worker := each.struct("worker"))}
        self.programs = read_programs(workers, self.folder)
        for each in self.root.structs("extensions"):
            self.extensions += filter(None, map(_extension, each.structs("modules")))
        for each in self.root.structs("services"):
            self._service(each)
        for each in self.root.structs("sockets"):
            self._socket(each)

    # sockets -----------------------------------------------------------------------------------------

    def _socket(self, struct: Struct) -> None:
        name, secure = struct.text("name"), struct.struct("https")
        options = struct.struct("http") if secure is None else secure.struct("options")
        designator = struct.struct("service")
        if designator is None:
            struct.report(f"the socket {quote(name)} leads nowhere", 'write service = "..."')
            return
        address = self.options.sockets.get(name) or struct.text("address")
        if not address:
            remedy = f'write address = "*:8080", or start with --socket-addr {name}=127.0.0.1:8080'
            struct.report(f"the socket {quote(name)} has no address", remedy)
            return
        service, meant = designated(designator)
        socket = Socket(
            name,
            with_port(address, 80 if secure is None else 443),
            service,
            None if secure is None else read_https(secure),
            place=struct.where.place,
            **meant,
            **_trust(options),
        )
        if secure is None or socket.https is not None:
            self.sockets.append(socket)

    # services ----------------------------------------------------------------------------------------

    def _service(self, struct: Struct) -> None:
        name = struct.text("name")
        kind: Any = None
        if struct.has("worker"):
            kind = self._worker(name)
        elif (network := struct.struct("network")) is not None:
            kind = _network(network)
        elif (external := struct.struct("external")) is not None:
            kind = self._external(name, external)
        elif (disk := struct.struct("disk")) is not None:
            kind = self._disk(name, disk)
        if kind is not None:
            self.services.append(Service(name, kind, place=struct.where.place))

    def _worker(self, name: str) -> Any:
        program = self.programs.get(name)
        if program is None or program.abstract:
            return None
        if program.worker.durable_objects and program.storage in (None, "none"):
            program.struct.report("nothing says where its Durable Objects are stored", _STORAGE)
        return program.worker

    def _external(self, name: str, struct: Struct) -> External | None:
        secure = struct.struct("https")
        options = struct.struct("http") if secure is None else secure.struct("options")
        if options is not None:
            _host_only(options)
            if options.text("forwardedProtoHeader"):
                options.report('"HttpOptions.forwardedProtoHeader" is of sockets only', "leave it out")
        if secure is not None and not trusts_browsers(secure.struct("tlsOptions")):
            remedy = "write tlsOptions = (trustBrowserCas = true)"
            secure.report("the server's certificate is trusted by nobody", remedy, "tlsOptions")
        address = self.options.externals.get(name) or struct.text("address")
        if not address:
            remedy = f'write address = "127.0.0.1:9000", or start with --external-addr {name}=127.0.0.1:9000'
            struct.report(f"the external server {quote(name)} has no address", remedy)
            return None
        host = None if secure is None else secure.text("certificateHost") or None
        return External(with_port(address, 80 if secure is None else 443), secure is not None, host)

    def _disk(self, name: str, struct: Struct) -> Disk | None:
        path = self.options.directories.get(name) or struct.text("path")
        if not path:
            remedy = f'write path = "files", or start with --directory-path {name}=files'
            struct.report(f"the disk {quote(name)} has no path", remedy)
            return None
        return Disk(Path(path), struct.flag("writable"), struct.flag("allowDotfiles"))

    # what is said of all of them ---------------------------------------------------------------------

    def state_dir(self) -> Path:
        """Where Durable Objects are stored: one disk for all of them, or beside the file."""
        disks = {each.name: each.kind.path for each in self.services if isinstance(each.kind, Disk)}
        named: dict[str, Program] = {}
        for program in self.programs.values():
            if program.storage not in (None, "none", "inMemory") and not program.abstract:
                named.setdefault(str(program.storage), program)
        for text, program in named.items():
            if text not in map(quote, disks):
                remedy = partial(did_you_mean, text[1:-1], disks, "name a service that is a disk")
                program.struct.report(f"there is no disk {text} to store Durable Objects on", remedy)
        if len(named) > 1:
            program = list(named.values())[1]
            program.struct.report(
                "all Durable Objects of a configuration are stored on one disk", "name one disk"
            )
        paths = [path for name, path in disks.items() if quote(name) in named]
        return paths[0] if paths else self.folder / STATE_DIR

    def check_options(self) -> None:
        """Report names on the command line that mean nothing."""
        if self.problems:
            return
        disks = [each.name for each in self.services if isinstance(each.kind, Disk)]
        servers = [each.name for each in self.services if isinstance(each.kind, External)]
        sockets = [each.name for each in self.sockets]
        for option, given, known in (
            ("--directory-path", self.options.directories, disks),
            ("--external-addr", self.options.externals, servers),
            ("--socket-addr", self.options.sockets, sockets),
        ):
            for name in given:
                if name not in known:
                    there = f"there are: {', '.join(known)}" if known else "there are none"
                    self.root.report(f"{option} {name}: the configuration has none of this name", there)
        abstract = {name: program for name, program in self.programs.items() if program.abstract}
        used = {each.service for each in self.sockets}
        for program in self.programs.values():
            used |= _named(program.worker)
        for name, program in abstract.items():
            if name in used:
                message = (
                    f"the worker {quote(name)} cannot run: nothing fills in {', '.join(program.abstract)}"
                )
                program.struct.report(message, "let another worker inherit it, and name that one")


def _named(worker: Worker) -> set[str | None]:
    """The services that a worker names."""
    bindings = list(flat(worker.bindings))
    services = {each.value for each in bindings if each.kind == "service"}
    owners = {each.options.get("service_name") for each in bindings if each.kind == "durable_object"}
    return {*services, *owners, *worker.tails, worker.global_outbound}


def with_port(address: str, port: int) -> str:
    """An address with the port that its protocol has, where it names none (workerd.capnp, Socket.address)."""
    if address.startswith(("unix:", "unix-abstract:", "systemd:")):
        return address
    if address.count(":") > 1 and not address.startswith("["):
        return f"[{address}]:{port}"
    return address if ":" in address.rpartition("]")[2] else f"{address}:{port}"


def _extension(struct: Struct) -> Extension | None:
    if not struct.has("esModule"):
        struct.report("the extension has no source", 'write esModule = embed "kitchen.js"')
        return None
    return Extension(
        struct.text("name"), struct.content("esModule"), struct.flag("internal"), struct.where.place
    )


def _network(struct: Struct) -> Network:
    if (options := struct.struct("tlsOptions")) is not None:
        trusts_browsers(options)
    return Network(struct.texts("allow"), struct.texts("deny"))


def _host_only(options: Struct) -> None:
    if options.values.get("style") == "proxy":
        options.report('"HttpOptions.style" can be host only', "leave it out", "style")


def _trust(options: Struct | None) -> dict[str, Any]:
    """Whose word about clients is believed."""
    if options is None:
        return {}
    _host_only(options)
    header = options.text("forwardedProtoHeader").lower()
    if not header:
        return {}
    if header != FORWARDED[1]:
        message = f'"HttpOptions.forwardedProtoHeader" cannot be {quote(header)}'
        options.report(message, "let the proxy write X-Forwarded-Proto", "forwardedProtoHeader")
    return {"trusted": EVERYBODY, "forwarded": (FORWARDED[1],)}
