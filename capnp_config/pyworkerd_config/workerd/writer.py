"""Writes the model in workerd's dialect. No I/O; the way back from `reader`.

First the values are made that pycapnp would make of the text (`child`), then the text of them. So the reader
can say what the text will mean, without a process: what is lost is told like that of every other dialect (`dialects`).
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from os.path import normpath
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Any, Final, Literal

from pyworkerd_config.checks.objects import unique_key
from pyworkerd_config.model import (
    Binding,
    Disk,
    Extension,
    External,
    Module,
    Network,
    ObjectClass,
    Place,
    Service,
    Worker,
)
from pyworkerd_config.problems import ConfigError, Problem

from .reader import EVERYBODY

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pyworkerd_config.model import Config, Https, Socket

    Modules = Callable[[str, Worker], tuple[Module, ...]]

Values = dict[str, Any]
CONSTANT: Final = "config"
NOWHERE: Final = "no-network"
"""A network of which nothing may be reached: this dialect has no other way to give a worker none."""
OBJECTS: Final = "durable-objects"
"""The disk that Durable Objects are stored on."""
EVERYTHING: Final = "/*"
STRIP: Final = "typescript_strip_types"
_VERSIONS: Final = {"1.2": "tls1Dot2", "1.3": "tls1Dot3"}
_FORWARDED: Final = ("x-forwarded-proto",)
Kind = Literal["code", "common", "text", "data", "json"]
_KINDS: Final = {"common": "commonJsModule", "text": "text", "data": "data", "json": "json"}
_SUFFIXES: Final[Mapping[str, Kind]] = {
    ".json": "json",
    ".txt": "text",
    ".html": "text",
    ".md": "text",
    ".sql": "text",
    ".cjs": "common",
}
_CODE: Final = (".js", ".mjs", ".ts", ".mts", ".jsx", ".tsx", ".py")


class Word(str):
    """An enumerant, or `void`: written without quotes."""

    __slots__ = ()


class Embedded:
    """The files that texts of a configuration are embedded from, by the marks that stand for them in its values."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._nonce = token_hex(16)  # no value of the configuration is a mark
        self.files: dict[str, Path] = {}

    def mark(self, path: Path) -> str:
        """What stands for a file. Raises `ConfigError` for one that this dialect cannot name."""
        whole, top = Path(normpath(path)), Path(normpath(self._folder))
        if not whole.is_relative_to(top):
            message = "a workerd configuration embeds no file from outside of its folder"
            raise ConfigError([Problem(Place(path), message, "name a folder above it with --output")])
        mark = f"{self._nonce} {len(self.files)}"
        self.files[mark] = path
        return mark

    def name(self, mark: str) -> str | None:
        """How the text names the file that a mark stands for."""
        path = self.files.get(mark)
        return None if path is None else Path(normpath(path)).relative_to(normpath(self._folder)).as_posix()


def listed_kind(name: str) -> Kind:
    """Which kind of module a file of a worker is."""
    suffix = Path(name).suffix
    return "code" if suffix in _CODE else _SUFFIXES.get(suffix, "data")


def main_alone(_service: str, worker: Worker) -> tuple[Module, ...]:
    """The modules of a worker when nobody has looked at its folder: its main file."""
    return worker.modules or (Module(worker.main.name, "code", worker.main),)


# the same, put in another way -----------------------------------------------------------------------------


def as_workerd_says(config: Config, folder: Path, modules: Modules = main_alone) -> Config:
    """A model that means the same, as far as it can be put in the way that this dialect puts it.

    Programs are lists of modules, Durable Object classes have keys and a disk, no network is a network that nothing is
    reached by, and what takes every request of a socket is its service.
    """
    config = _with_services_of_sockets(config)
    bound = _bound_classes(config)
    services = [
        replace(each, kind=_as_listed(each.name, each.kind, bound.get(each.name, []), folder, modules))
        if isinstance(each.kind, Worker) and each.kind.main.suffix != ".wasm"
        else each
        for each in config.services
    ]
    names = {each.name for each in services}
    kinds = [each.kind for each in services]
    nowhere, objects = _free(NOWHERE, names), _free(OBJECTS, names)
    workers = [kind for kind in kinds if isinstance(kind, Worker)]
    if any(worker.global_outbound is None for worker in workers):
        services = [_with_outbound(each, nowhere) for each in services]
        services.append(Service(nowhere, Network(())))
    disks = [kind.path for kind in kinds if isinstance(kind, Disk)]
    if any(worker.durable_objects for worker in workers) and config.state_dir not in disks:
        services.append(Service(objects, Disk(config.state_dir, writable=True)))
    return replace(config, services=tuple(services))


def _free(name: str, taken: set[str]) -> str:
    return name if name not in taken else _free(f"{name}-", taken)


def _with_services_of_sockets(config: Config) -> Config:
    routed = [each for each in config.services if each.routes]
    if len(routed) == 1 and routed[0].routes == (EVERYTHING,):
        sockets = tuple(
            replace(each, service=routed[0].name) if each.service is None else each for each in config.sockets
        )
        config = replace(config, sockets=sockets)
    if all(each.service is not None for each in config.sockets):  # then routes mean nothing
        config = replace(config, services=tuple(replace(each, routes=()) for each in config.services))
    return config


def _bound_classes(config: Config) -> dict[str, list[str]]:
    """Names of the Durable Object classes of each worker that any worker is bound to."""
    found: dict[str, list[str]] = {}
    for service in config.services:
        for binding in service.kind.bindings if isinstance(service.kind, Worker) else ():
            if binding.kind == "durable_object":
                found.setdefault(binding.options.get("service_name", service.name), []).append(binding.value)
    return found


def _as_listed(name: str, worker: Worker, bound: list[str], folder: Path, modules: Modules) -> Worker:
    listed = modules(name, worker)
    flags = worker.compatibility_flags
    typed = any(Path(each.name).suffix in (".ts", ".mts", ".tsx") for each in listed if each.kind == "code")
    if typed and not any(flag.startswith("typescript_") for flag in flags):
        flags = (*flags, STRIP)
    classes = [each.class_name for each in worker.durable_objects]
    return replace(
        worker,
        main=folder / listed[0].name,
        root=folder,
        modules=listed,
        compatibility_flags=flags,
        durable_objects=tuple(
            replace(worker.object_class(each), unique_key=unique_key(name, worker, each))
            for each in dict.fromkeys((*classes, *bound))
        ),
    )


def _with_outbound(service: Service, nowhere: str) -> Service:
    kind = service.kind
    if not isinstance(kind, Worker) or kind.global_outbound is not None:
        return service
    return replace(service, kind=replace(kind, global_outbound=nowhere))


# values ---------------------------------------------------------------------------------------------------


def workerd_values(config: Config, embedded: Embedded) -> Values:
    """What pycapnp would make of the text. What this dialect has no word for is left out."""
    services = [found for each in config.services if (found := _service(each, config, embedded)) is not None]
    sockets = [_socket(each, embedded) for each in config.sockets if each.service is not None]
    extensions = [_extension(each, embedded) for each in config.extensions]
    return _struct("Config", services=services, sockets=sockets, extensions=extensions or None)


def _struct(kind: str, **fields: Any) -> Values:
    return {"": kind, **{name: value for name, value in fields.items() if value is not None}}


def _designator(name: str, entrypoint: str | None = None, props: Any = None) -> Values:
    how = None if props is None else {"": "ServiceDesignator.props", "json": json.dumps(props)}
    return _struct("ServiceDesignator", name=name, entrypoint=entrypoint, props=how)


def _socket(socket: Socket, embedded: Embedded) -> Values:
    believes = socket.trusted == EVERYBODY and socket.forwarded == _FORWARDED
    http = _struct("HttpOptions", forwardedProtoHeader="X-Forwarded-Proto" if believes else None)
    protocol: Values = {"http": http}
    if socket.https is not None:
        protocol = {"https": _struct("Socket.https", options=http, tlsOptions=_tls(socket.https, embedded))}
    return _struct(
        "Socket",
        name=socket.name,
        address=socket.address,
        **protocol,
        service=_designator(socket.service or "", socket.entrypoint, socket.props),
    )


def _tls(https: Https, embedded: Embedded) -> Values:
    pair = https.certificates[0]
    asks = https.client_ca is not None
    return _struct(
        "TlsOptions",
        keypair=_struct(
            "TlsOptions.Keypair",
            privateKey=embedded.mark(pair.key),
            certificateChain=embedded.mark(pair.cert),
        ),
        requireClientCerts=True if asks else None,
        trustedCertificates=None if https.client_ca is None else [embedded.mark(https.client_ca)],
        minVersion=Word(_VERSIONS[https.min_version]),
    )


def _service(service: Service, config: Config, embedded: Embedded) -> Values | None:
    kind = service.kind
    if isinstance(kind, Network):
        trusting = _struct("TlsOptions", trustBrowserCas=True)
        deny = list(kind.deny) or None
        what: Values = {"network": _struct("Network", allow=list(kind.allow), deny=deny, tlsOptions=trusting)}
        if kind == Network() and service.name == "internet":
            return None
    elif isinstance(kind, External):
        what = {"external": _external(kind)}
    elif isinstance(kind, Disk):
        what = {
            "disk": _struct(
                "DiskDirectory",
                path=str(kind.path),
                writable=kind.writable or None,
                allowDotfiles=kind.allow_dotfiles or None,
            )
        }
    elif kind.modules:
        what = {"worker": _worker(kind, config, embedded)}
    else:
        return None
    return _struct("Service", name=service.name, **what)


def _external(external: External) -> Values:
    options = _struct("HttpOptions")
    if not external.https:
        return _struct("ExternalServer", address=external.address, http=options)
    secure = _struct(
        "ExternalServer.https",
        options=options,
        tlsOptions=_struct("TlsOptions", trustBrowserCas=True),
        certificateHost=external.certificate_host,
    )
    return _struct("ExternalServer", address=external.address, https=secure)


def _worker(worker: Worker, config: Config, embedded: Embedded) -> Values:
    bindings = [found for each in worker.bindings if (found := _binding(each, embedded)) is not None]
    outbound = worker.global_outbound
    disk = next(
        (s.name for s in config.services if isinstance(s.kind, Disk) and s.kind.path == config.state_dir),
        None,
    )
    storage = None
    if worker.durable_objects and disk is not None:
        storage = {"": "Worker.durableObjectStorage", "localDisk": disk}
    return _struct(
        "Worker",
        modules=[_module(each, embedded) for each in worker.modules],
        compatibilityDate=worker.compatibility_date,
        compatibilityFlags=list(worker.compatibility_flags) or None,
        bindings=bindings or None,
        globalOutbound=None if outbound in (None, "internet") else _designator(outbound),
        durableObjectNamespaces=[_class(each) for each in worker.durable_objects] or None,
        durableObjectStorage=storage,
        tails=[_designator(name) for name in worker.tails] or None,
    )


def _class(each: ObjectClass) -> Values:
    return _struct(
        "Worker.DurableObjectNamespace",
        className=each.class_name,
        uniqueKey=each.unique_key,
        preventEviction=each.prevent_eviction or None,
        enableSql=True,
    )


def _module(module: Module, embedded: Embedded) -> Values:
    python = Path(module.name).suffix == ".py"
    field = _KINDS.get(module.kind) or ("pythonModule" if python else "esModule")
    is_data = field == "data" and not isinstance(module.content, Path)
    content = module.content if is_data else _source(module.content, embedded)
    return _struct("Worker.Module", name=module.name, **{field: content})


def _extension(extension: Extension, embedded: Embedded) -> Values:
    module = _struct(
        "Extension.Module",
        name=extension.name,
        internal=extension.internal or None,
        esModule=_source(extension.content, embedded),
    )
    return _struct("Extension", modules=[module])


def _source(content: str | bytes | Path, embedded: Embedded) -> str:
    """What is a text: of bytes that are none, as much as is."""
    if isinstance(content, Path):
        return embedded.mark(content)
    return content if isinstance(content, str) else content.decode("utf-8", "replace")


def _binding(binding: Binding, embedded: Embedded) -> Values | None:
    make = _BINDINGS.get(binding.kind)
    return None if make is None else _struct("Worker.Binding", name=binding.name, **make(binding, embedded))


def _object(binding: Binding, _embedded: Embedded) -> Values:
    kind = "Worker.Binding.DurableObjectNamespaceDesignator"
    service = binding.options.get("service_name")
    return {"durableObjectNamespace": _struct(kind, className=binding.value, serviceName=service)}


def _wrapped(binding: Binding, embedded: Embedded) -> Values:
    inner = [_binding(each, embedded) for each in binding.options.get("bindings", ())]
    kind = "Worker.Binding.WrappedBinding"
    return {
        "wrapped": _struct(
            kind,
            moduleName=binding.value,
            entrypoint=binding.options.get("entrypoint"),
            innerBindings=[each for each in inner if each is not None],
        )
    }


def _data(binding: Binding, embedded: Embedded) -> Values:
    value = binding.value
    return {"data": embedded.mark(value) if isinstance(value, Path) else value}


_BINDINGS: Final[Mapping[str, Callable[[Binding, Embedded], Values]]] = {
    "text": lambda binding, _: {"text": binding.value},
    "json": lambda binding, _: {"json": json.dumps(binding.value)},
    "data": _data,
    "service": lambda binding, _: {"service": _designator(binding.value, **binding.options)},
    "durable_object": _object,
    "environment": lambda binding, _: {"fromEnvironment": binding.value},
    "secret": lambda binding, _: {"fromEnvironment": binding.value},
    "wrapped": _wrapped,
    "worker_loader": lambda *_: {"workerLoader": {"": "Worker.Binding.workerLoader"}},
}
"""What a binding of each kind is. A secret has no other way than that of any variable of the environment."""


# text -----------------------------------------------------------------------------------------------------


def workerd_text(values: Values, embedded: Embedded) -> str:
    """The text of a configuration. Each worker is a constant of its own."""
    workers: list[str] = []
    services = []
    for service in values["services"]:
        if "worker" in service:
            name = f"worker{len(workers)}"
            workers.append(f"const {name} :Workerd.Worker = {_written(service['worker'], embedded, 0)};\n")
            services.append({**service, "worker": Word(f".{name}")})
        else:
            services.append(service)
    config = _written({**values, "services": services}, embedded, 0)
    head = (
        f'using Workerd = import "/workerd/workerd.capnp";\n\nconst {CONSTANT} :Workerd.Config = {config};\n'
    )
    return "\n".join([head, *workers])


_SHORT: Final = 80


def _written(value: Any, embedded: Embedded, depth: int) -> str:
    if isinstance(value, list):
        return _enclosed("[", "]", (_written(each, embedded, depth + 1) for each in value), depth)
    if not isinstance(value, dict):
        return _plain(value, embedded)
    if value[""] == "ServiceDesignator" and value.keys() == {"", "name"}:
        return _quoted(value["name"])  # as text alone it is the name
    pairs = ((name, each) for name, each in value.items() if name)
    parts = (f"{name} = {_written(each, embedded, depth + 1)}" for name, each in pairs)
    return _enclosed("(", ")", parts, depth)


def _plain(value: Any, embedded: Embedded) -> str:
    if isinstance(value, bytes):
        return f'0x"{value.hex(" ")}"'
    if not isinstance(value, str) or isinstance(value, Word):
        return _WORDS.get(value, str(value))
    name = embedded.name(value)
    return _quoted(value) if name is None else f"embed {_quoted(name)}"


_WORDS: Final[Mapping[Any, str]] = {None: "void", True: "true", False: "false"}


def _enclosed(first: str, last: str, parts: Iterator[str], depth: int) -> str:
    items = list(parts)
    line = ", ".join(items)
    if len(line) <= _SHORT and "\n" not in line and depth > 0:
        return f"{first}{line}{last}"
    inside = "  " * (depth + 1)
    lines = "".join(f"{inside}{item},\n" for item in items)
    return f"{first}\n{lines}{'  ' * depth}{last}" if items else f"{first}{last}"


def _quoted(text: str) -> str:
    return f'"{_ESCAPED.sub(_escape, text)}"'


_ESCAPED: Final = re.compile(r'["\\]|[^ -~]')


def _escape(match: re.Match[str]) -> str:
    """A character of a text, where it cannot stand for itself: text is bytes of UTF-8 (capnp's lexer)."""
    char = match[0]
    if char in '"\\':
        return f"\\{char}"
    return char if char.isprintable() else "".join(f"\\x{byte:02x}" for byte in char.encode())
