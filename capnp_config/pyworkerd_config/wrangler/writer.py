"""Writes the model as Wrangler's files, one for each worker. No I/O; the way back from `reader`.

The file of the worker that takes what no route takes comes first: several files are read in that order, and a server
listens for the first. What these files cannot say is left out here; `dialects` finds out what that was.
"""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import count
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd_config.explain import plain
from pyworkerd_config.kinds import BINDING_KINDS
from pyworkerd_config.model import Worker
from pyworkerd_config.names import TcpAddress, parse_address
from pyworkerd_config.toml.writer import toml_key, toml_lines, toml_value

from . import tables
from .join import EVERYTHING, account_stores
from .reader import IP, PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from pyworkerd_config.model import Binding, Config, Store

Row = dict[str, Any]
_FIRST_ID: Final = 1001
"""Of rate limits: Wrangler wants a number for each (Wrangler's own example begins here)."""


class WorkerFile(NamedTuple):
    """What is in the file of one worker."""

    worker: str
    document: Row


def as_wrangler_says(config: Config) -> Config:
    """A model that means the same, as far as it can be put in the way that Wrangler's files put it.

    A socket with a worker is that worker with a route for everything, if there is no other socket: nothing goes by the
    other routes then. JSON that is a text is a text. Modules that are the files of a folder are that folder. A store of
    one worker's own is one that is shared by that worker alone, and takes over what is there.
    """
    workers = [service for service in config.services if isinstance(service.kind, Worker)]
    if len(config.sockets) == 1 and config.sockets[0].service in {service.name for service in workers}:
        only = config.sockets[0]
        services = tuple(
            replace(service, routes=(EVERYTHING,) if service.name == only.service else ())
            for service in config.services
        )
        config = replace(config, sockets=(replace(only, service=None),), services=services)
    services = tuple(
        replace(
            service,
            kind=_as_folder(replace(service.kind, bindings=tuple(map(_as_text, service.kind.bindings)))),
        )
        if isinstance(service.kind, Worker)
        else service
        for service in config.services
    )
    return replace(config, services=services, stores=(*config.stores, *_alone(config)))


def _alone(config: Config) -> Iterator[Store]:
    """Stores that one worker has on its own, and nobody else one of that name, if they are not called as their binding:
    only those can be said without an id.
    """
    declared = {(store.kind, store.name) for store in config.stores}
    workers = [service for service in config.services if isinstance(service.kind, Worker)]
    bindings = [
        each for service in workers if isinstance(service.kind, Worker) for each in service.kind.bindings
    ]
    by_id = {(each.kind, each.value) for each in bindings if each.kind in _IDS and each.value != each.name}
    for store in account_stores(workers, BINDING_KINDS, config.place, by_id):
        key = (store.kind, store.name)
        if len(store.workers) == 1 and key in by_id and key not in declared:
            yield store


def _as_text(binding: Binding) -> Binding:
    text = binding.kind == "json" and isinstance(binding.value, str)
    return replace(binding, kind="text") if text else binding


def _as_folder(worker: Worker) -> Worker:
    main = worker.modules[0].content if worker.modules else None
    if not isinstance(main, Path) or not main.as_posix().endswith(f"/{worker.modules[0].name}"):
        return worker
    root = main.parents[len(PurePosixPath(worker.modules[0].name).parts) - 1]
    whole = all(each.content == root / each.name for each in worker.modules)
    return replace(worker, main=main, root=root, modules=()) if whole else worker


def wrangler_files(config: Config, folder: Path) -> list[WorkerFile]:
    """The files of all workers, which will lie in `folder`, in the order in which they are to be named."""
    document = plain(as_wrangler_says(config), defaults=False, folder=folder)
    services = [
        each for each in document["services"] if "worker" in each and _main(each["worker"]) is not None
    ]
    services.sort(key=lambda service: EVERYTHING not in service.get("routes", ()))
    ids = count(_FIRST_ID)
    stores = {(kind, store[kind]) for store in document["stores"] for kind in store.keys() & _IDS.keys()}
    files = [WorkerFile(each["name"], _document(each, document["queues"], stores, ids)) for each in services]
    if files and document["sockets"]:
        files[0].document.update(_dev(document["sockets"][0]["address"]))
    return files


def to_wrangler_json(document: Row) -> str:
    """The text of `wrangler.json` and of `wrangler.jsonc`."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def to_wrangler_toml(document: Row) -> str:
    """The text of `wrangler.toml`. Raises `ValueError` for values that TOML has not."""
    blocks = [toml_lines({key: value for key, value in document.items() if not _is_table(value)})]
    for key, value in document.items():
        if _is_table(value):
            blocks += _blocks(toml_key(key), value)
    return "\n".join("\n".join([*block, ""]) for block in blocks if block)


def _is_table(value: Any) -> bool:
    of_tables = isinstance(value, list) and value != [] and all(isinstance(each, dict) for each in value)
    return of_tables or isinstance(value, dict)


def _blocks(header: str, value: Any) -> Iterator[list[str]]:
    if isinstance(value, list):
        yield from ([f"[[{header}]]", *toml_lines(entry)] for entry in value)
    elif all(isinstance(each, list) and _is_table(each) for each in value.values()):
        for key, each in value.items():
            yield from _blocks(f"{header}.{toml_key(key)}", each)
    else:
        yield [f"[{header}]", *(f"{toml_key(key)} = {toml_value(each)}" for key, each in value.items())]


def _dev(address: str) -> Row:
    parsed = parse_address(address)
    if not isinstance(parsed, TcpAddress) or address == f"{IP}:{PORT}":
        return {}
    return {"dev": {"ip": address.rpartition(":")[0], "port": parsed.port}}


def _document(service: Row, queues: list[Row], stores: set[tuple[str, str]], ids: Iterator[int]) -> Row:
    worker = service["worker"]
    document: Row = {"name": service["name"], "main": _main(worker)}
    for key in ("compatibility_date", "compatibility_flags"):
        if key in worker:
            document[key] = worker[key]
    routes = [route for route in service.get("routes", ()) if route != EVERYTHING]
    if routes:
        document["routes"] = routes
    limits = {key: value for key, value in worker.get("limits", {}).items() if key in tables.LIMITS.known}
    for key, value in (("limits", limits), ("assets", worker.get("assets"))):
        if value:
            document[key] = value
    if "crons" in worker:
        document["triggers"] = {"crons": worker["crons"]}
    if "tails" in worker:
        document["tail_consumers"] = [{"service": name} for name in worker["tails"]]
    delays = {queue["name"]: queue["delivery_delay"] for queue in queues if "delivery_delay" in queue}
    for name, binding in worker.get("bindings", {}).items():
        _bind(document, name, binding, ids, delays)
    _leave_ids_out(document, stores)
    consumers = [_consumer(queue) for queue in queues if queue.get("consumer") == service["name"]]
    if consumers:
        document.setdefault("queues", {})["consumers"] = consumers
    if classes := _classes(document):
        # Means nothing here, and is what Wrangler itself wants.
        document["migrations"] = [{"tag": "v1", "new_sqlite_classes": classes}]
    said = (("global_outbound", worker), ("rate_limits", service))
    ours = {key: entry[key] for key, entry in said if key in entry}
    if ours:
        document["pyworkerd"] = ours
    return document


def _main(worker: Row) -> str | None:
    """The main file; None where the configuration itself has the program."""
    found: str | None = worker["main"] if "main" in worker else worker["modules"][0].get("file")
    return found


def _classes(document: Row) -> list[str]:
    """Durable Object classes of the worker's own."""
    bound = document.get("durable_objects", {}).get("bindings", [])
    return list(dict.fromkeys(row["class_name"] for row in bound if "script_name" not in row))


def _consumer(queue: Row) -> Row:
    known = tables.CONSUMER.known
    return {"queue": queue["name"], **{key: value for key, value in queue.items() if key in known}}


def _bind(document: Row, name: str, binding: Row, ids: Iterator[int], delays: Mapping[str, int]) -> None:
    kind, value = next(iter(binding.items()))
    if kind in ("text", "json"):
        document.setdefault("vars", {})[name] = value
    elif kind == "secret":
        document.setdefault("secrets", {"required": []})["required"].append(name)
    elif kind == "rate_limit":
        row = {"name": name, "namespace_id": str(next(ids)), "simple": value}
        document.setdefault("ratelimits", []).append(row)
    elif kind in _ROWS:
        (first, *rest), make = _ROWS[kind]
        rows: Any = document.setdefault(first, {} if rest else [])
        if rest:
            rows = rows.setdefault(rest[0], [])
        row = make(name, value, binding)
        if kind == "queue" and value in delays:
            row["delivery_delay"] = delays[value]
        rows.append(row)


def _leave_ids_out(document: Row, stores: set[tuple[str, str]]) -> None:
    """Of stores that are the worker's own."""
    for kind, key in _IDS.items():
        (path,), _ = _ROWS[kind]
        for row in document.get(path, ()):
            if row["binding"] == row[key] and (kind, row[key]) not in stores:
                del row[key]


def _named(key: str, **options: str) -> Callable[[str, Any, Row], Row]:
    """An entry with the binding's name and what it leads to; `options` are further keys by those of `config.toml`."""
    return lambda name, value, binding: {
        "binding": name,
        key: value,
        **{there: binding[here] for here, there in options.items() if here in binding},
    }


def _object(name: str, value: Any, binding: Row) -> Row:
    script = {"script_name": binding["service_name"]} if "service_name" in binding else {}
    return {"name": name, "class_name": value, **script}


_ROWS: Final[Mapping[str, tuple[tuple[str, ...], Callable[[str, Any, Row], Row]]]] = {
    "kv": (("kv_namespaces",), _named("id")),
    "r2": (("r2_buckets",), _named("bucket_name")),
    "d1": (("d1_databases",), _named("database_name", migrations="migrations_dir")),
    "queue": (("queues", "producers"), _named("queue")),
    "durable_object": (("durable_objects", "bindings"), _object),
    "service": (("services",), _named("service", entrypoint="entrypoint", props="props")),
    "analytics_engine": (("analytics_engine_datasets",), _named("dataset")),
    "worker_loader": (("worker_loaders",), lambda name, _value, _binding: {"binding": name}),
}
"""The list that has the bindings of each kind, and an entry of it."""
_IDS: Final = {
    "kv": "id",
    "r2": "bucket_name",
    "d1": "database_name",
    "analytics_engine": "dataset",
}
"""The key of an entry that says which store it is."""
