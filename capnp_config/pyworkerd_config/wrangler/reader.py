"""Reads `wrangler.toml`, `wrangler.json` and `wrangler.jsonc` into the model. No I/O; the keys are `tables`.

A file is one worker. With entries in `services` that have a `name` and no `binding` it is several: each has the file's
variables and stores, and a route of its own. Requests go by the routes; what no route takes goes to the file's own
worker, as with `wrangler dev`. What means nothing here is a warning that says why, and never an error: the file is
Wrangler's as well.
"""

from __future__ import annotations

import re
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd_config.conventions import WRANGLER, IsFile, find_main, nothing_exists
from pyworkerd_config.decode import MISSING, Cursor, Field, json_value
from pyworkerd_config.kinds import BINDING_KINDS, BindingKinds
from pyworkerd_config.model import Assets, Binding, Config, Limits, Place, Queue, Service, Socket, Worker
from pyworkerd_config.names import binding_name_fault
from pyworkerd_config.problems import ProblemList, did_you_mean, listing, quote
from pyworkerd_config.toml.reader import ASSETS, STATE_DIR, with_internet

from . import tables
from .file import WranglerFile
from .join import EVERYTHING, account_stores
from .limits import with_rate_limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

IP, PORT = "127.0.0.1", 8787
"""Where `wrangler dev` listens."""
_DATABASE: Final = re.compile(r"d1:(?P<name>[A-Za-z0-9][A-Za-z0-9_.-]*)")
"""A variable of this form binds the database of that name."""


def parse_wrangler(
    text: str,
    place: Place,
    *,
    environment: str | None = None,
    secrets: Iterable[str] = (),
    kinds: BindingKinds = BINDING_KINDS,
) -> Config:
    """The model of a file's text; `place.file` tells JSON from TOML by its suffix. Raises `ConfigError`.

    `environment` is the part of `env` that is wanted. `secrets` are names that `.dev.vars` has values for: each is a
    binding, in place of a variable of that name. `Config.warnings` tells what means nothing here.
    """
    problems = ProblemList()
    config = read_wrangler(
        text, place, problems, environment=environment, secrets=secrets, kinds=kinds, is_file=nothing_exists
    )
    if problems:
        raise problems.error()
    return config


def read_wrangler(
    text: str,
    place: Place,
    problems: ProblemList,
    *,
    environment: str | None,
    secrets: Iterable[str],
    kinds: BindingKinds,
    is_file: IsFile,
) -> Config:
    """As `parse_wrangler`, but adds to `problems` and gives what could be read."""
    warnings = ProblemList()
    file = WranglerFile(text, place, problems, warnings, environment)
    bindings = tuple(_bindings(file, tuple(secrets)))
    siblings = tuple(_siblings(file))
    services = [*_main(file, (*siblings, *bindings), is_file), *_others(file, siblings, bindings, is_file)]
    if not services and file.get("main") is None:
        file.top.report("the file has no worker", 'write for example main = "src/index.ts"')
    dev = file.table("dev", tables.DEV)
    address = f"{dev.get('ip', IP)}:{dev.get('port', PORT)}"
    return with_internet(
        Config(
            sockets=(Socket("http", address, place=file.top.place),),
            services=tuple(with_rate_limits(file, services)),
            queues=tuple(_queues(file, services)),
            stores=tuple(account_stores(services, kinds, file.top.place, _by_id(file, bindings))),
            state_dir=file.top.folder / STATE_DIR,
            warnings=tuple(warnings.found),
            place=Place(place.file),
        )
    )


def _bindings(file: WranglerFile, secrets: tuple[str, ...]) -> Iterator[Binding]:
    """What every worker of the file has on its env; of two with one name the later one counts."""
    found = {binding.name: binding for binding in _all_bindings(file)}
    required = file.table("secrets", tables.SECRETS).get("required", ())
    for name in (*required, *secrets):
        found[name] = Binding(name, "secret", name, place=file.top.place)
    yield from found.values()


def _by_id(file: WranglerFile, bindings: Iterable[Binding]) -> set[tuple[str, str]]:
    """Kinds and names of what the file calls by something else than the binding: it is no worker's own."""
    rows = ((path, row) for path, table in tables.LISTS for row, _ in file.rows(table, *path))
    made = [_MAKERS[path](row) for path, row in rows if not tables.IDS.isdisjoint(row)]
    named = [(each.kind, each.value) for each in bindings if each.kind == "d1" and each.value != each.name]
    return {*named, *((each.kind, each.value) for each in made)}


def _siblings(file: WranglerFile) -> Iterator[Binding]:
    """The other workers of the file as bindings, under their own names: the file's own worker has them."""
    for row, at in file.workers():
        if "name" in row:
            name = re.sub(r"[^A-Za-z0-9_]", "_", row["name"])
            if binding_name_fault(name) is None:
                yield Binding(name, "service", row["name"], place=at.place)


def _all_bindings(file: WranglerFile) -> Iterator[Binding]:
    written = file.get("vars")
    if written is not None:
        yield from _variables(*written)
    for path, table in tables.LISTS:
        make = _MAKERS[path]
        for row, at in file.rows(table, *path):
            if path != ("services",) or "binding" in row:
                yield _binding(make(row), at)
    for row, at in file.rows(tables.RATE_LIMIT, "ratelimits"):
        simple = file.entry(row["simple"], at.inside("simple"), tables.SIMPLE)
        if simple is not None and MISSING not in simple.values():
            yield Binding(row["name"], "rate_limit", simple, place=at.place)


def _variables(value: Any, at: Cursor) -> Iterator[Binding]:
    field = Field("vars", json_value, '[vars]\nGREETING = "hello"')
    if not isinstance(value, dict):
        at.wrong("a table", value, field)
        return
    for name, each in value.items():
        here = at.inside(name)
        if isinstance(each, str):
            database = _DATABASE.fullmatch(each)
            kind, content = ("d1", database["name"]) if database else ("text", each)
            yield Binding(name, kind, content, place=here.place)
        elif json_value(each, here, field) is not MISSING:
            yield Binding(name, "json", each, place=here.place)


class _Made(NamedTuple):
    """A binding without its place."""

    name: str
    kind: str
    value: Any
    options: Mapping[str, Any] = {}


def _binding(made: _Made, at: Cursor) -> Binding:
    return Binding(made.name, made.kind, made.value, made.options, at.place)


def _called(kind: str, *keys: str) -> Callable[[dict[str, Any]], _Made]:
    """Something that is called by the first of these that is written, or else as its binding is."""
    return lambda row: _Made(
        row["binding"], kind, next((row[key] for key in keys if key in row), row["binding"])
    )


def _d1(row: dict[str, Any]) -> _Made:
    options = {"migrations": row["migrations_dir"]} if "migrations_dir" in row else {}
    return _called("d1", "database_name", "database_id")(row)._replace(options=options)


def _service(row: dict[str, Any]) -> _Made:
    options: dict[str, Any] = {key: row[key] for key in ("entrypoint", "props") if key in row}
    return _called("service", "service")(row)._replace(options=options)


def _object(row: dict[str, Any]) -> _Made:
    options = {"service_name": row["script_name"]} if "script_name" in row else {}
    return _Made(row["name"], "durable_object", row["class_name"], options)


_MAKERS: Final[Mapping[tuple[str, ...], Callable[[dict[str, Any]], _Made]]] = {
    ("kv_namespaces",): _called("kv", "id"),
    ("r2_buckets",): _called("r2", "bucket_name"),
    ("d1_databases",): _d1,
    ("queues", "producers"): _called("queue", "queue"),
    ("durable_objects", "bindings"): _object,
    ("services",): _service,
    ("analytics_engine_datasets",): _called("analytics_engine", "dataset"),
    ("worker_loaders",): lambda row: _Made(row["binding"], "worker_loader", {}),
}
"""What an entry of each list of `tables.LISTS` binds."""


def _main(file: WranglerFile, bindings: tuple[Binding, ...], is_file: IsFile) -> Iterator[Service]:
    """The file's own worker, if it has one."""
    main = file.value("main")
    if main is None and (file.workers() or file.get("main") is not None):
        return
    name = _name(file)
    main = main or _by_convention(name, file.top.folder, is_file)
    # What no route takes is its own, as with `wrangler dev`.
    routes = dict.fromkeys((*_routes(file, file.get("route"), file.get("routes")), EVERYTHING))
    yield Service(name, _worker(file, main, bindings), tuple(routes), place=file.top.place)


def _others(
    file: WranglerFile, siblings: tuple[Binding, ...], bindings: tuple[Binding, ...], is_file: IsFile
) -> Iterator[Service]:
    known = {binding.name: binding for binding in (*siblings, *bindings)}
    for row, at in file.workers():
        if "name" not in row:
            at.report('a service needs "binding" or "name"', 'write for example binding = "AUTH"')
            continue
        main = row.get("main") or _by_convention(row["name"], at.folder, is_file)
        written = ((row[key], at.inside(key)) if key in row else None for key in ("route", "routes"))
        yield Service(
            row["name"],
            _worker(file, main, _chosen(row, at, known) if "bindings" in row else bindings, row),
            tuple(_routes(file, *written)),
            place=at.place,
        )


def _chosen(row: dict[str, Any], at: Cursor, known: Mapping[str, Binding]) -> tuple[Binding, ...]:
    """Those of the file's bindings that one worker of it is to have."""
    there_are = f"the file has {listing(known, 'and')}" if known else "the file has none"
    for place, name in enumerate(row["bindings"]):
        if name not in known:
            at.inside("bindings", place).report(
                f"there is no binding {quote(name)}", partial(did_you_mean, name, known, there_are)
            )
    return tuple(known[name] for name in dict.fromkeys(row["bindings"]) if name in known)


def _name(file: WranglerFile) -> str:
    """Of an environment, if that has none of its own: the file's, a hyphen and the environment's."""
    name = file.value("name") or file.top.folder.resolve().name or "worker"
    return name if file.environment is None or file.own("name") else f"{name}-{file.environment}"


def _by_convention(name: str, folder: Path, is_file: IsFile) -> Path:
    return find_main(name, folder, is_file, WRANGLER)


def _worker(
    file: WranglerFile, main: Path, bindings: tuple[Binding, ...], row: Mapping[str, Any] | None = None
) -> Worker:
    """The file's own worker, or that of an entry of `services`."""
    bindings = tuple({binding.name: binding for binding in bindings}.values())
    assets = _assets(file) if row is None else None
    ours = {**file.table("pyworkerd", tables.OURS), **(row or {})}
    if assets is not None:
        bindings = tuple(binding for binding in bindings if binding.name != assets.binding)
    return Worker(
        main=main,
        root=main.parent,
        compatibility_date=file.value("compatibility_date"),
        compatibility_flags=file.value("compatibility_flags") or (),
        crons=_crons(file) if row is None or file.value("main") is None else (),
        tails=tuple(dict.fromkeys(row["service"] for row, _ in file.rows(tables.TAIL, "tail_consumers"))),
        limits=Limits(**file.table("limits", tables.LIMITS)),
        bindings=bindings,
        assets=assets,
        **{key: ours[key] for key in ("global_outbound",) if key in ours},
    )


def _crons(file: WranglerFile) -> tuple[str, ...]:
    """They are the file's own worker's; of a file that has none, every worker's."""
    crons: tuple[str, ...] = file.table("triggers", tables.TRIGGERS).get("crons", ())
    return crons


def _assets(file: WranglerFile) -> Assets | None:
    values = file.table("assets", ASSETS)
    return Assets(**values) if "directory" in values else None


def _routes(
    file: WranglerFile, single: tuple[Any, Cursor] | None, several: tuple[Any, Cursor] | None
) -> Iterator[str]:
    entries = [] if single is None else [single]
    if several is not None:
        value, at = several
        if not isinstance(value, list):
            at.wrong("a list", value, Field("routes", MISSING, 'routes = ["shop.example.com/*"]'))
            value = []
        entries += [(each, at.inside(number)) for number, each in enumerate(value)]
    for value, at in entries:
        row: dict[str, Any] | None = (
            {"pattern": value} if isinstance(value, str) else file.entry(value, at, tables.ROUTE)
        )
        if row is not None and MISSING not in row.values():
            yield from _patterns(row["pattern"], whole=row.get("custom_domain", False))


def _patterns(pattern: str, *, whole: bool) -> tuple[str, ...]:
    """Wrangler's `*example.com/...` is the host and all below it; a custom domain is a host alone."""
    if whole and "/" not in pattern:
        return (f"{pattern}/*",)
    host, slash, path = pattern.partition("/")
    if slash and host.startswith("*") and len(host) > 1 and not host.startswith("*."):
        return f"{host[1:]}/{path}", f"*.{host[1:]}/{path}"
    return (pattern,)


def _queues(file: WranglerFile, services: list[Service]) -> Iterator[Queue]:
    """Every queue that is named: who sends to it is whoever binds it."""
    delays = {
        row["queue"]: row.get("delivery_delay", 0)
        for row, _ in file.rows(tables.PRODUCER, "queues", "producers")
    }
    consumers: dict[str, tuple[dict[str, Any], Cursor]] = {}
    for row, at in file.rows(tables.CONSUMER, "queues", "consumers"):
        if consumers.setdefault(row["queue"], (row, at))[0] is not row:
            at.report(f"a second consumer of queue {quote(row['queue'])}", "leave one of the two out")
    dead = (row["dead_letter_queue"] for row, _ in consumers.values() if "dead_letter_queue" in row)
    for name in dict.fromkeys((*delays, *consumers, *dead)):
        row, at = consumers.get(name, ({}, file.top))
        told = {key: row[key] for key in (*tables.CONSUMER_NUMBERS, "dead_letter_queue") if key in row}
        yield Queue(
            name,
            producers=tuple(each.name for each in services if _binds(each, "queue", name)),
            consumer=services[0].name if row and services else None,
            delivery_delay=delays.get(name, 0),
            place=at.place,
            **told,
        )


def _binds(service: Service, kind: str, name: str) -> bool:
    worker = service.kind
    return isinstance(worker, Worker) and any((b.kind, b.value) == (kind, name) for b in worker.bindings)
