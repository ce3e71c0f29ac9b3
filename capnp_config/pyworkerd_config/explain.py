"""Prints the model: as the `config.toml` that means the same, or as JSON. Values of secrets never appear."""

from __future__ import annotations

import base64
import os.path
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .model import (
    Acme,
    Admin,
    Assets,
    Binding,
    Config,
    Disk,
    External,
    Https,
    Limits,
    Network,
    ObjectClass,
    Processes,
    Queue,
    RateLimit,
    Service,
    Socket,
    Store,
    Worker,
)
from .toml.modules import written_extension, written_module
from .toml.reader import STATE_DIR, with_internet
from .toml.writer import toml_key, toml_lines, toml_value

if TYPE_CHECKING:
    from collections.abc import Mapping


NO_SANDBOX = "# its isolation is no security boundary: the code can do whatever the server can"


def to_toml(config: Config, *, defaults: bool = False, folder: Path | None = None) -> str:
    """The model as `config.toml` text; read again at the same place it gives an equal model without secrets.

    `defaults` writes out what would be the same if it were left out; `folder` is where the text will lie, by default
    where the configuration lies. Raises `ValueError` for JSON values that TOML has not (null), which only other
    dialects can bring.
    """
    document = plain(config, defaults=defaults, folder=folder)
    blocks = [toml_lines({key: value for key, value in document.items() if not isinstance(value, list)})]
    blocks += [["[[sockets]]", *toml_lines(socket)] for socket in document["sockets"]]
    blocks += [["[[stores]]", *toml_lines(store)] for store in document["stores"]]
    blocks += [["[[queues]]", *toml_lines(queue)] for queue in document["queues"]]
    blocks += [["[[extensions]]", *toml_lines(extension)] for extension in document["extensions"]]
    blocks += [block for service in document["services"] for block in _service_blocks(service)]
    return "\n".join("\n".join([*block, ""]) for block in blocks if block)


def to_json(config: Config) -> dict[str, Any]:
    """The model as plain values with the keys of `config.toml`, defaults included, paths relative to the
    file.
    """
    return plain(config, defaults=True)


def _service_blocks(service: Mapping[str, Any]) -> list[list[str]]:
    worker: Mapping[str, Any] | None = service.get("worker")
    plain = {key: value for key, value in service.items() if key != "worker"}
    blocks = [["[[services]]", *toml_lines(plain)]]
    if worker is not None:
        bindings: Mapping[str, Any] = worker.get("bindings", {})
        simple = {key: value for key, value in worker.items() if key != "bindings"}
        warning = [] if simple.get("isolation", "wasm") == "wasm" else [NO_SANDBOX]
        blocks.append(["[services.worker]", *warning, *toml_lines(simple)])
        lines = [f"{toml_key(name)} = {toml_value(value)}" for name, value in bindings.items()]
        blocks += [["[services.worker.bindings]", *lines]] if lines else []
    return blocks


def plain(config: Config, *, defaults: bool, folder: Path | None = None) -> dict[str, Any]:
    """The model as plain values with the keys of `config.toml`; paths are relative to `folder`, by default the file's
    own.
    """
    if folder is None:
        folder = config.place.file.parent if config.place.file else Path()
    services = list(config.services)
    # The reader puts it back at the end, and only if no other service has its name.
    if not defaults and services and with_internet(replace(config, services=tuple(services[:-1]))) == config:
        services.pop()
    document: dict[str, Any] = {}
    if defaults or config.state_dir != folder / STATE_DIR:
        document["state_dir"] = _path(config.state_dir, folder)
    if defaults or config.deploy != "eager":
        document["deploy"] = config.deploy
    if config.admin is not None:
        document["admin"] = _changed(config.admin, Admin(""), defaults=defaults)
        if config.admin.tokens is not None:
            document["admin"]["tokens"] = _path(config.admin.tokens, folder)
    processes = _changed(config.processes, Processes(), defaults=defaults)
    if processes:
        document["processes"] = processes
    document["sockets"] = [_socket(socket, folder, defaults=defaults) for socket in config.sockets]
    document["stores"] = [_store(store) for store in config.stores]
    document["queues"] = [_queue(queue, defaults=defaults) for queue in config.queues]
    document["extensions"] = [
        written_extension(each, lambda path: _path(path, folder)) for each in config.extensions
    ]
    document["services"] = [_service(service, folder, defaults=defaults) for service in services]
    return document


def _socket(socket: Socket, folder: Path, *, defaults: bool) -> dict[str, Any]:
    values = _changed(socket, Socket("", ""), defaults=defaults)
    for key in ("place", "places"):
        values.pop(key, None)
    if socket.https is not None:
        values["https"] = _https(socket.https, folder, defaults=defaults)
    return values


def _queue(queue: Queue, *, defaults: bool) -> dict[str, Any]:
    values = _changed(queue, Queue(""), defaults=defaults)
    for key in ("place", "places"):
        values.pop(key, None)
    values = {"name": queue.name, **values, "producers": list(queue.producers)}
    return {key: value for key, value in values.items() if value not in (None, [])}


def _store(store: Store) -> dict[str, Any]:
    size = {} if store.size_mb is None else {"size_mb": store.size_mb}
    return {store.kind: store.name, "workers": list(store.workers), **size}


def _https(https: Https, folder: Path, *, defaults: bool) -> dict[str, Any]:
    pairs = [{"cert": _path(c.cert, folder), "key": _path(c.key, folder)} for c in https.certificates]
    values = _changed(https, Https(()), defaults=defaults)
    del values["certificates"]
    if https.client_ca is not None:
        values["client_ca"] = _path(https.client_ca, folder)
    else:
        values.pop("require_client_certs", None)
    if https.acme is not None:
        told = _changed(https.acme, Acme(()), defaults=defaults)
        values["acme"] = {**told, "agree_to_terms": https.acme.agree_to_terms}
    return {**(pairs[0] if len(pairs) == 1 else {"certificates": pairs}), **values}


def _service(service: Service, folder: Path, *, defaults: bool) -> dict[str, Any]:
    routes: dict[str, Any] = {"routes": list(service.routes)} if defaults or service.routes else {}
    if service.rate_limits:
        routes["rate_limits"] = [
            _changed(each, RateLimit(0, 0), defaults=defaults) for each in service.rate_limits
        ]
    kind: dict[str, Any]
    if isinstance(service.kind, Worker):
        kind = {"worker": _worker(service.kind, folder, defaults=defaults)}
    elif isinstance(service.kind, Network):
        kind = {"network": _changed(service.kind, Network(), defaults=defaults)}
    elif isinstance(service.kind, External):
        kind = {"external": _changed(service.kind, External(""), defaults=defaults)}
    else:
        values = _changed(service.kind, Disk(Path()), defaults=defaults)
        kind = {"disk": {**values, "path": _path(service.kind.path, folder)}}
    return {"name": service.name, **routes, **kind}


def _worker(worker: Worker, folder: Path, *, defaults: bool) -> dict[str, Any]:
    values = _changed(worker, Worker(Path(), Path()), defaults=defaults)
    for key in ("main", "root", "modules"):
        values.pop(key, None)
    if worker.modules:
        values["modules"] = [
            written_module(each, lambda path: _path(path, folder)) for each in worker.modules
        ]
    else:
        values = {"main": _path(worker.main, folder), **values}
        if worker.root != worker.main.parent:
            values["root"] = _path(worker.root, folder)
    for key in ("crons", "tails"):
        if not getattr(worker, key):
            values.pop(key, None)
    if "limits" in values:
        values["limits"] = _changed(worker.limits, Limits(), defaults=defaults)
    if "bindings" in values:
        values["bindings"] = {binding.name: _binding(binding, folder) for binding in worker.bindings}
    if worker.durable_objects:
        values["durable_objects"] = [
            _changed(each, ObjectClass(""), defaults=defaults) for each in worker.durable_objects
        ]
    else:
        values.pop("durable_objects", None)
    if worker.assets is not None:
        changes = _changed(worker.assets, Assets(Path()), defaults=defaults)
        values["assets"] = {**changes, "directory": _path(worker.assets.directory, folder)}
    if worker.global_outbound is None:
        values["global_outbound"] = False
    return values


def _changed(value: Any, default: Any, *, defaults: bool) -> dict[str, Any]:
    """The fields of a model class that differ from `default`, or all that have a value."""
    pairs = ((f.name, getattr(value, f.name), getattr(default, f.name)) for f in fields(value))
    return {
        name: list(now) if isinstance(now, tuple) else now
        for name, now, before in pairs
        if now != before or (defaults and now is not None)
    }


def _binding(binding: Binding, folder: Path) -> dict[str, Any]:
    value = binding.value
    if isinstance(value, Path):
        value = {"file": _path(value, folder)}
    elif isinstance(value, bytes):
        value = base64.b64encode(value).decode()
    options = {key: _option(key, option, folder) for key, option in binding.options.items()}
    return {binding.kind: value, **options}


def _option(key: str, option: Any, folder: Path) -> Any:
    if key == "bindings" and isinstance(option, tuple):
        return {each.name: _binding(each, folder) for each in option}
    return _path(option, folder) if isinstance(option, Path) else option


def _path(path: Path, folder: Path) -> str:
    """As it would be written in the file: relative to its folder where that is possible."""
    if path.is_relative_to(folder):
        return str(path.relative_to(folder))
    return str(path) if path.is_absolute() else os.path.relpath(path, folder)
