"""Reads `config.toml` into the model. No I/O; the tables below are the whole grammar of the file."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from pyworkerd_config import decode
from pyworkerd_config.conventions import IsFile, find_main, nothing_exists
from pyworkerd_config.decode import MISSING, Cursor, Field, Reader, Table, list_of, nested, read_table, sound
from pyworkerd_config.kinds import BINDING_KINDS, BindingKinds
from pyworkerd_config.limits import QUEUE_RANGES
from pyworkerd_config.model import (
    Admin,
    Assets,
    Config,
    Disk,
    External,
    Limits,
    Module,
    Network,
    ObjectClass,
    Place,
    Processes,
    Queue,
    RateLimit,
    Service,
    Socket,
    Store,
    Worker,
)
from pyworkerd_config.problems import ProblemList, listing

from .bindings import bindings_reader
from .document import parse_document
from .https import HTTPS_EXAMPLE, read_https
from .modules import EXAMPLE as MODULES_EXAMPLE
from .modules import read_extensions, read_modules

if TYPE_CHECKING:
    from pathlib import Path

INTERNET = "internet"
"""The service that a worker's own `fetch()` goes to unless it says otherwise (workerd.capnp, globalOutbound).
"""

STATE_DIR = ".pyworkerd"

_KINDS_OF_SERVICE = ("worker", "network", "external", "disk")


def parse_toml(
    text: str, place: Place, *, kinds: BindingKinds = BINDING_KINDS, is_file: IsFile = nothing_exists
) -> Config:
    """The model of a configuration text; `place.file` gives the folder that relative paths start from.

    Reports every unknown key and wrong value at once. What names refer to is `check()`'s part, and whether
    files exist is `check_files()`'s. `is_file` finds programs by convention. Raises `ConfigError`.
    """
    problems = ProblemList()
    config, _ = read_toml(text, place, problems, kinds=kinds, is_file=is_file)
    if problems:
        raise problems.error()
    return config


def read_toml(
    text: str, place: Place, problems: ProblemList, *, kinds: BindingKinds, is_file: IsFile
) -> tuple[Config, bool]:
    """As `parse_toml`, but adds to `problems` and gives what could be read, and whether every entry could be.

    Raises `ConfigError` only for a text that is not TOML.
    """
    data, places = parse_document(text, place)
    cursor = Cursor(places, problems)
    values = sound(read_table(data, cursor, _document_table(kinds, is_file), Field("", MISSING, "")))
    values.setdefault("state_dir", cursor.folder / STATE_DIR)
    config = with_internet(Config(**values, place=Place(place.file), places=places))
    whole = all(
        isinstance(data.get(key, []), list) and len(values.get(key, ())) == len(data.get(key, []))
        for key in ("sockets", "services", "stores", "queues")
    )
    return config, whole


def with_internet(config: Config) -> Config:
    """The same configuration with the implied `internet` service, unless it has one."""
    if any(service.name == INTERNET for service in config.services):
        return config
    services = (*config.services, Service(INTERNET, Network(), place=config.place))
    return replace(config, services=services)


_LIMITS = Table(
    "limits",
    tuple(Field(limit.name, decode.integer, f"{limit.name} = {limit.default}") for limit in fields(Limits)),
)

_PROCESSES = Table(
    "processes",
    (
        Field("count", decode.integer, "count = 4"),
        Field("memory_mb", decode.integer, "memory_mb = 8192"),
        Field("replace_mb", decode.integer, "replace_mb = 4096"),
        Field("hang_s", decode.integer, "hang_s = 10"),
        Field("hibernate_mb", decode.integer, "hibernate_mb = 8192"),
    ),
)

_ADMIN = Table(
    "an admin address",
    (
        Field("address", decode.name, 'address = "127.0.0.1:9090"', required=True),
        Field("hosts", list_of(decode.name, "a list of texts"), 'hosts = ["pyworkerd.internal"]'),
        Field("tokens", decode.path, 'tokens = "admin.tokens"'),
    ),
)

_SOCKET = Table(
    "a socket",
    (
        Field("name", decode.name, 'name = "http"', required=True),
        Field("address", decode.name, 'address = "127.0.0.1:8787"', required=True),
        Field("service", decode.name, 'service = "shop"'),
        Field("https", read_https, HTTPS_EXAMPLE),
        Field("trusted", list_of(decode.name, "a list of texts"), 'trusted = ["10.0.0.0/8"]'),
        Field("forwarded", list_of(decode.name, "a list of texts"), 'forwarded = ["x-forwarded-for"]'),
        Field("proxy_protocol", decode.boolean, "proxy_protocol = true"),
        Field("mode", decode.name, 'mode = "0660"'),
        Field("entrypoint", decode.name, 'entrypoint = "Admin"'),
        Field("props", decode.json_value, 'props = { role = "admin" }'),
    ),
)

_NETWORK = Table(
    "a network",
    (
        Field("allow", list_of(decode.text, "a list of texts"), 'allow = ["public"]'),
        Field("deny", list_of(decode.text, "a list of texts"), 'deny = ["192.0.2.0/24"]'),
    ),
)

_EXTERNAL = Table(
    "an external server",
    (
        Field("address", decode.name, 'address = "127.0.0.1:9000"', required=True),
        Field("https", decode.boolean, "https = true"),
        Field("certificate_host", decode.name, 'certificate_host = "api.example.com"'),
    ),
)


_DISK = Table(
    "a disk",
    (
        Field("path", decode.path, 'path = "files"', required=True),
        Field("writable", decode.boolean, "writable = true"),
        Field("allow_dotfiles", decode.boolean, "allow_dotfiles = true"),
    ),
)


_OBJECT_CLASS = Table(
    "a Durable Object class",
    (
        Field("class_name", decode.name, 'class_name = "Room"', required=True),
        Field("unique_key", decode.name, 'unique_key = "shop-Room"'),
        Field("prevent_eviction", decode.boolean, "prevent_eviction = true"),
        Field("hibernate", decode.boolean, "hibernate = false"),
        Field("idle_ms", decode.integer, "idle_ms = 60_000"),
        Field("max_objects", decode.integer, "max_objects = 10_000"),
    ),
)


def _worker_first(value: Any, cursor: Cursor, field: Field) -> Any:
    """True, false, or a list of paths."""
    if isinstance(value, bool):
        return value
    return list_of(decode.name, "true, false or a list of texts")(value, cursor, field)


ASSETS = Table(
    "assets",
    (
        Field("directory", decode.path, 'directory = "public"', required=True),
        Field("binding", decode.name, 'binding = "ASSETS"'),
        Field(
            "html_handling",
            decode.choice("auto-trailing-slash", "force-trailing-slash", "drop-trailing-slash", "none"),
            'html_handling = "auto-trailing-slash"',
        ),
        Field(
            "not_found_handling",
            decode.choice("none", "404-page", "single-page-application"),
            'not_found_handling = "404-page"',
        ),
        Field("run_worker_first", _worker_first, 'run_worker_first = ["/api/*"]'),
    ),
)


def _admin(value: Any, cursor: Cursor, field: Field) -> Any:
    """An address alone, or a table."""
    if not isinstance(value, dict):
        address = decode.name(value, cursor, field)
        return MISSING if address is MISSING else Admin(address)
    values = read_table(value, cursor, _ADMIN, field)
    return MISSING if values is MISSING or MISSING in values.values() else Admin(**values)


def global_outbound(value: Any, cursor: Cursor, field: Field) -> Any:
    """The name of a service, or false, which is None."""
    if value is False:
        return None
    if value is True:
        return cursor.report(
            f"{cursor.label} must be the name of a service or false", f"write {field.example}"
        )
    return decode.name(value, cursor, field)


def _worker_table(kinds: BindingKinds) -> Table:
    return Table(
        "a worker",
        (
            Field("main", decode.path, 'main = "src/shop.py"'),
            Field("root", decode.path, 'root = "."'),
            Field("compatibility_date", decode.day, 'compatibility_date = "2026-11-01"'),
            Field(
                "compatibility_flags",
                list_of(decode.name, "a list of texts"),
                'compatibility_flags = ["python_workers"]',
            ),
            Field(
                "limits",
                nested(_LIMITS, lambda values, _: Limits(**sound(values))),
                "limits = { cpu_ms = 50 }",
            ),
            Field("crons", list_of(decode.name, "a list of texts"), 'crons = ["*/5 * * * *"]'),
            Field("tails", list_of(decode.name, "a list of texts"), 'tails = ["logs"]'),
            Field("reuse", decode.choice("isolate", "request"), 'reuse = "isolate"'),
            Field("isolation", decode.choice("wasm", "subinterpreter"), 'isolation = "wasm"'),
            Field("bindings", bindings_reader(kinds), 'bindings = { GREETING = { text = "hello" } }'),
            Field("global_outbound", global_outbound, 'global_outbound = "internet"'),
            Field(
                "durable_objects",
                list_of(_made(_OBJECT_CLASS, ObjectClass), "a list of tables"),
                'durable_objects = [{ class_name = "Room" }]',
            ),
            Field("assets", _made(ASSETS, Assets), 'assets = { directory = "public" }'),
            Field("modules", read_modules, MODULES_EXAMPLE),
        ),
    )


RATE_LIMIT = Table(
    "a rate limit",
    (
        Field("limit", decode.integer, "limit = 100", required=True),
        Field("period", decode.integer, "period = 60", required=True),
        Field("route", decode.name, 'route = "/api/*"'),
        Field("key", decode.name, 'key = "client"'),
    ),
)


def _service_table(kinds: BindingKinds) -> Table:
    return Table(
        "a service",
        (
            Field("name", decode.name, 'name = "shop"', required=True),
            Field("routes", list_of(decode.name, "a list of texts"), 'routes = ["/api/*"]'),
            Field(
                "rate_limits",
                list_of(_made(RATE_LIMIT, RateLimit), "a list of tables"),
                "rate_limits = [{ limit = 100, period = 60 }]",
            ),
            # A worker's values stay a dictionary here: the program may be found by the service's name.
            Field(
                "worker", nested(_worker_table(kinds), lambda values, _: sound(values)), "[services.worker]"
            ),
            Field("network", _made(_NETWORK, Network), 'network = { allow = ["public"] }'),
            Field("external", _made(_EXTERNAL, External), 'external = { address = "127.0.0.1:9000" }'),
            Field("disk", _made(_DISK, Disk), 'disk = { path = "files" }'),
        ),
    )


def _store_table(kinds: BindingKinds) -> Table:
    named = (Field(kind, decode.name, f'{kind} = "cache"') for kind in kinds if kinds[kind].value == "store")
    return Table(
        "a store",
        (
            *named,
            Field("workers", list_of(decode.name, "a list of texts"), 'workers = ["shop"]', required=True),
            Field("size_mb", decode.count, "size_mb = 1024"),
        ),
    )


_QUEUE = Table(
    "a queue",
    (
        Field("name", decode.name, 'name = "jobs"', required=True),
        Field("producers", list_of(decode.name, "a list of texts"), 'producers = ["shop"]'),
        Field("consumer", decode.name, 'consumer = "mailer"'),
        Field("dead_letter_queue", decode.name, 'dead_letter_queue = "failed"'),
        *(Field(key, decode.integer, f"{key} = {bounds.maximum}") for key, bounds in QUEUE_RANGES.items()),
    ),
)


def _make_queue(values: dict[str, Any], cursor: Cursor) -> Any:
    if MISSING in values.values():
        return MISSING
    return Queue(**values, place=cursor.place, places=cursor.places)


def _document_table(kinds: BindingKinds, is_file: IsFile) -> Table:
    def service(values: dict[str, Any], cursor: Cursor) -> Any:
        return _make_service(values, cursor, is_file)

    return Table(
        "the file",
        (
            Field("state_dir", decode.path, 'state_dir = "state"'),
            Field("deploy", decode.choice("eager", "lazy"), 'deploy = "lazy"'),
            Field("admin", _admin, 'admin = "127.0.0.1:9090"'),
            Field(
                "processes",
                nested(_PROCESSES, lambda values, _: Processes(**sound(values))),
                "processes = { count = 4 }",
            ),
            Field("sockets", list_of(nested(_SOCKET, _make_socket), "a list of tables"), "[[sockets]]"),
            Field(
                "services",
                list_of(nested(_service_table(kinds), service), "a list of tables"),
                "[[services]]",
            ),
            Field(
                "stores",
                list_of(nested(_store_table(kinds), _make_store), "a list of tables"),
                "[[stores]]",
            ),
            Field("extensions", read_extensions, "[[extensions]]"),
            Field("queues", list_of(nested(_QUEUE, _make_queue), "a list of tables"), "[[queues]]"),
        ),
    )


def _made(table: Table, model: type[Network | External | Disk | ObjectClass | Assets | RateLimit]) -> Reader:
    """Reader of a table whose keys are the fields of a class, all of them right."""

    def make(values: dict[str, Any], _cursor: Cursor) -> Any:
        return MISSING if MISSING in values.values() else model(**values)

    return nested(table, make)


def _make_socket(values: dict[str, Any], cursor: Cursor) -> Any:
    values = sound(values)
    if not {"name", "address"} <= values.keys():
        return MISSING
    if "forwarded" in values:
        values["forwarded"] = tuple(name.lower() for name in values["forwarded"])
    return Socket(**values, place=cursor.place, places=cursor.places)


def _make_store(values: dict[str, Any], cursor: Cursor) -> Any:
    written = [key for key in values if key not in ("workers", "size_mb")]
    if len(written) != 1:
        found = f"found {listing(written, 'and')}" if written else "found none"
        return cursor.report(f"a store is of one kind, {found}", 'write for example kv = "cache"')
    if MISSING in values.values():
        return MISSING
    name = values.pop(written[0])
    return Store(written[0], name, **values, place=cursor.place, places=cursor.places)


def _make_service(values: dict[str, Any], cursor: Cursor, is_file: IsFile) -> Any:
    written = [kind for kind in _KINDS_OF_SERVICE if kind in values]
    if len(written) > 1:
        remedy = f"keep one of {listing(_KINDS_OF_SERVICE)}"
        return cursor.inside(written[1]).report(
            f"a service is one thing, found {listing(written, 'and')}", remedy
        )
    name = values["name"]
    kind = values[written[0]] if written else {}
    if name is MISSING or kind is MISSING:
        return MISSING
    if isinstance(kind, dict):
        kind = _make_worker(kind, name, cursor.folder, is_file)
    told = sound({key: values[key] for key in ("routes", "rate_limits") if key in values})
    return Service(name, kind, **told, place=cursor.place, places=cursor.places)


def _make_worker(values: dict[str, Any], name: str, folder: Path, is_file: IsFile) -> Worker:
    modules: tuple[Module, ...] = values.get("modules", ())
    if modules:
        values.update(main=folder / modules[0].name, root=folder)
    main = values.pop("main", None) or find_main(name, folder, is_file)
    root = values.pop("root", None) or main.parent
    return Worker(main=main, root=root, **values)
