"""Strategies of configurations for hypothesis: whatever a `config.toml` can say, and what Wrangler's files can."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hypothesis import strategies as st
from pyworkerd_config import (
    BINDING_KINDS,
    LIMIT_RANGES,
    PROCESSES_RANGES,
    Admin,
    Assets,
    Binding,
    Certificate,
    Config,
    Disk,
    External,
    Https,
    Limits,
    Module,
    Network,
    ObjectClass,
    Place,
    Processes,
    RateLimit,
    Service,
    Socket,
    Store,
    Worker,
    parse_toml,
    with_internet,
)
from pyworkerd_config.limits import QUEUE_RANGES
from pyworkerd_config.model import Queue
from pyworkerd_config.wrangler.join import account_stores

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = Place(Path("conf/config.toml"))
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,6}", fullmatch=True)
PRINTABLE = st.text(
    st.characters(codec="utf-8", exclude_categories=("C", "Z")) | st.just(" "), min_size=1, max_size=8
).filter(str.isprintable)  # as Python's own tables have it, which are not of the same year everywhere
JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.booleans(),
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.text(max_size=5),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)
INSIDE = st.lists(NAMES, min_size=1, max_size=3).map(lambda parts: Path("conf", *parts))
PATHS = st.one_of(INSIDE, INSIDE.map(lambda path: Path("/") / path), st.just(Path("conf/../up.py")))
COUNTS = st.integers(1, (1 << 63) - 1)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "text": st.text(),
    "name": PRINTABLE,
    "service": PRINTABLE,
    "data": st.binary() | PATHS,
    "json": JSON,
    "count": COUNTS,
    "path": PATHS,
    "store": PRINTABLE,
    "bindings": st.dictionaries(NAMES, st.text(), max_size=2).map(
        lambda texts: tuple(Binding(name, "text", text) for name, text in texts.items())
    ),
}


@st.composite
def bindings(draw: st.DrawFn) -> Binding:
    kind = draw(st.sampled_from(sorted(BINDING_KINDS)))
    row = BINDING_KINDS[kind]
    options = {key: draw(VALUES[of]) for key, of in row.options.items() if draw(st.booleans())}
    if row.value == "table":
        value: Any = {key: draw(VALUES[of]) for key, of in row.fields.items()}
    else:
        value = draw(VALUES[row.value])
    return Binding(draw(st.text(max_size=6)), kind, value, options)


@st.composite
def limits(draw: st.DrawFn) -> Limits:
    changed = draw(st.sets(st.sampled_from(sorted(LIMIT_RANGES))))
    values = {name: draw(st.integers(0, LIMIT_RANGES[name].maximum)) for name in sorted(changed)}
    return Limits(**values)


def within(folder: Path) -> bool:
    """Whether it is printed as it was written: what is above the file's own folder is not."""
    return folder.is_absolute() or folder.is_relative_to("conf")


OBJECT_CLASSES = st.builds(
    ObjectClass,
    class_name=PRINTABLE,
    unique_key=st.none() | PRINTABLE,
    prevent_eviction=st.booleans(),
    hibernate=st.booleans(),
    idle_ms=COUNTS,
    max_objects=st.none() | COUNTS,
)
ASSETS = st.builds(
    Assets,
    directory=PATHS,
    binding=st.none() | PRINTABLE,
    html_handling=st.sampled_from(["auto-trailing-slash", "drop-trailing-slash", "none"]),
    not_found_handling=st.sampled_from(["none", "404-page", "single-page-application"]),
    run_worker_first=st.booleans() | st.lists(PRINTABLE, max_size=2).map(tuple),
)


@st.composite
def workers(draw: st.DrawFn) -> Worker:
    main = draw(PATHS)
    return Worker(
        main=main,
        root=draw(st.sampled_from([folder for folder in main.parents if within(folder)])),
        compatibility_date=draw(st.none() | st.dates().map(str)),
        compatibility_flags=tuple(draw(st.lists(PRINTABLE, max_size=2))),
        limits=draw(limits()),
        reuse=draw(st.sampled_from(["isolate", "request"])),
        isolation=draw(st.sampled_from(["wasm", "subinterpreter"])),
        bindings=tuple(draw(st.lists(bindings(), max_size=4, unique_by=lambda binding: binding.name))),
        global_outbound=draw(st.none() | st.just("internet") | PRINTABLE),
        tails=tuple(draw(st.lists(PRINTABLE, max_size=2))),
        crons=tuple(draw(st.lists(PRINTABLE, max_size=2))),
        durable_objects=tuple(
            draw(st.lists(OBJECT_CLASSES, max_size=2, unique_by=lambda each: each.class_name))
        ),
        assets=draw(st.none() | ASSETS),
    )


TEXTS = st.lists(st.text(max_size=5), max_size=2).map(tuple)
RATE_LIMITS = st.lists(
    st.builds(RateLimit, COUNTS, COUNTS, route=st.just("/*") | PRINTABLE, key=st.just("client") | PRINTABLE),
    max_size=2,
).map(tuple)
SERVICES = st.builds(
    Service,
    name=NAMES | st.just("internet"),
    kind=st.one_of(
        workers(),
        st.builds(Network, allow=TEXTS, deny=TEXTS),
        st.just(Network()),
        st.builds(External, address=PRINTABLE, https=st.booleans(), certificate_host=st.none() | PRINTABLE),
        st.builds(Disk, path=PATHS, writable=st.booleans(), allow_dotfiles=st.booleans()),
    ),
    routes=st.lists(PRINTABLE, max_size=2).map(tuple),
    rate_limits=RATE_LIMITS,
    place=st.just(Place()),
    places=st.just(parse_toml("", Place()).services[0].places),
)
CERTIFICATES = st.builds(Certificate, PATHS, PATHS)
HTTPS = st.one_of(
    st.builds(
        Https,
        certificates=st.lists(CERTIFICATES, min_size=1, max_size=2).map(tuple),
        min_version=st.sampled_from(["1.2", "1.3"]),
        client_ca=PATHS | st.none() if requires else PATHS,
        require_client_certs=st.just(requires),
        http2=st.booleans(),
    )
    for requires in (False, True)
)
SOCKETS = st.builds(
    Socket,
    name=PRINTABLE,
    address=PRINTABLE,
    service=st.none() | PRINTABLE,
    https=st.none() | HTTPS,
    trusted=st.lists(PRINTABLE, max_size=2).map(tuple),
    forwarded=st.just(Socket("", "").forwarded) | st.lists(st.just("forwarded"), max_size=1).map(tuple),
    proxy_protocol=st.booleans(),
    mode=st.none() | PRINTABLE,
    entrypoint=st.none() | PRINTABLE,
    props=st.none() | JSON,
    place=st.just(Place()),
    places=st.just(parse_toml("", Place()).services[0].places),
)
KINDS_OF_STORES = [kind for kind, row in BINDING_KINDS.items() if row.value == "store"]
STORES = st.builds(
    Store,
    kind=st.sampled_from(KINDS_OF_STORES),
    name=PRINTABLE,
    workers=st.lists(PRINTABLE, max_size=2).map(tuple),
    size_mb=st.none() | st.integers(1, 1 << 40),
    place=st.just(Place()),
    places=st.just(parse_toml("", Place()).services[0].places),
)
QUEUES = st.builds(
    Queue,
    name=NAMES,
    producers=st.lists(PRINTABLE, max_size=2).map(tuple),
    consumer=st.none() | PRINTABLE,
    dead_letter_queue=st.none() | PRINTABLE,
    **{name: st.integers(bounds.minimum, bounds.maximum) for name, bounds in QUEUE_RANGES.items()},
    place=st.just(Place()),
    places=st.just(parse_toml("", Place()).services[0].places),
)
CONFIGS = st.builds(
    Config,
    admin=st.none()
    | st.builds(
        Admin,
        address=PRINTABLE,
        hosts=st.lists(PRINTABLE, max_size=2).map(tuple),
        tokens=st.none() | INSIDE,
    ),
    processes=st.builds(
        Processes,
        **{name: st.integers(r.minimum, r.maximum) for name, r in PROCESSES_RANGES.items()},
    )
    | st.just(Processes()),
    sockets=st.lists(SOCKETS, max_size=2).map(tuple),
    services=st.lists(SERVICES, max_size=3).map(tuple),
    stores=st.lists(STORES, max_size=2).map(tuple),
    queues=st.lists(QUEUES, max_size=2).map(tuple),
    state_dir=st.just(Path("conf/.pyworkerd")) | INSIDE,
    deploy=st.sampled_from(["eager", "lazy"]),
    secrets=st.just({}),
    place=st.just(PLACE),
).map(with_internet)


WRANGLER_PLACE: Final = Place(Path("conf/wrangler.toml"))
WRANGLER_VALUES = VALUES | {"json": JSON.map(lambda value: [value] if isinstance(value, str) else value)}
_SAID: Final = (
    "text", "json", "secret", "kv", "r2", "d1", "durable_object", "service", "worker_loader", "analytics_engine",
    "rate_limit",
)  # fmt: skip
"""Kinds of bindings that Wrangler's files have; queues come with their consumers."""
_OPTIONS: Final = ("migrations", "service_name", "entrypoint", "props")


@st.composite
def _wrangler_binding(draw: st.DrawFn) -> Binding:
    name, kind = draw(PRINTABLE), draw(st.sampled_from(_SAID))
    row = BINDING_KINDS[kind]
    options = {
        key: draw(WRANGLER_VALUES[of])
        for key, of in row.options.items()
        if key in _OPTIONS and draw(st.booleans())
    }
    value = (
        {key: draw(COUNTS) for key in row.fields}
        if row.value == "table"
        else draw(WRANGLER_VALUES[row.value])
    )
    if kind == "text":
        value = value.replace(":", "")  # a text of the form d1:NAME is a database
    return Binding(name, kind, name if kind == "secret" else value, options)


@st.composite
def _wrangler_worker(draw: st.DrawFn, queues: list[str]) -> Worker:
    main = draw(PATHS)
    names = draw(st.lists(st.sampled_from(queues), unique=True, max_size=2)) if queues else []
    jobs = [Binding(f"QUEUE {number}", "queue", name) for number, name in enumerate(names)]
    bindings = [*draw(st.lists(_wrangler_binding(), max_size=4, unique_by=lambda each: each.name)), *jobs]
    assets = draw(st.none() | ASSETS)
    if assets is not None:
        bindings = [each for each in bindings if each.name != assets.binding]
    return Worker(
        main=main,
        root=main.parent,
        compatibility_date=draw(st.none() | st.dates().map(str)),
        compatibility_flags=tuple(draw(st.lists(PRINTABLE, max_size=2))),
        crons=tuple(draw(st.lists(PRINTABLE, max_size=2))),
        tails=tuple(draw(st.lists(PRINTABLE, max_size=2, unique=True))),
        limits=draw(st.builds(Limits, cpu_ms=COUNTS, subrequests=COUNTS)),
        bindings=tuple(bindings),
        assets=assets,
        global_outbound=draw(st.none() | st.just("internet") | PRINTABLE),
    )


@st.composite
def _wrangler_config(draw: st.DrawFn) -> Config:
    names = draw(st.lists(NAMES.filter(lambda name: name != "internet"), min_size=1, max_size=3, unique=True))
    queues = draw(st.lists(NAMES, max_size=2, unique=True))
    programs = {name: draw(_wrangler_worker(queues)) for name in names}
    bound = {
        queue: tuple(
            n for n, w in programs.items() if any((b.kind, b.value) == ("queue", queue) for b in w.bindings)
        )
        for queue in queues
    }
    routes = st.lists(st.sampled_from(["/api/*", "a.example.com/*", "/b"]), max_size=2, unique=True)
    services = tuple(
        Service(
            name,
            worker,
            (*draw(routes), *(("/*",) if number == 0 else ())),
            rate_limits=draw(RATE_LIMITS),
            place=Place(),
        )
        for number, (name, worker) in enumerate(programs.items())
    )
    consumed = [
        Queue(
            name,
            producers=bound[name],
            consumer=draw(st.sampled_from(names)),
            # What has no producer has nothing that it could be said with.
            delivery_delay=draw(st.integers(0, 60)) if bound[name] else 0,
            **{
                key: draw(st.integers(bounds.minimum, bounds.maximum))
                for key, bounds in QUEUE_RANGES.items()
                if key not in ("delivery_delay", "size_mb")
            },
            place=Place(),
        )
        for name in queues
    ]
    return with_internet(
        Config(
            sockets=(
                Socket(
                    "http",
                    draw(st.sampled_from(["127.0.0.1:8787", "*:80", "[::1]:8080", "host:0"])),
                    place=Place(),
                ),
            ),
            services=services,
            queues=tuple(consumed),
            stores=tuple(_stores(services)),
            state_dir=Path("conf/.pyworkerd"),
            place=WRANGLER_PLACE,
        )
    )


def _stores(services: tuple[Service, ...]) -> Iterator[Store]:
    """As files say them that leave out an id wherever they can."""
    workers = [service.kind for service in services if isinstance(service.kind, Worker)]
    by_id = {
        (each.kind, each.value)
        for worker in workers
        for each in worker.bindings
        if each.value != each.name and each.kind in KINDS_OF_STORES
    }
    return account_stores(services, BINDING_KINDS, Place(), by_id)


WRANGLER_CONFIGS: Final = _wrangler_config()
"""Whatever Wrangler's files can say."""


WORKERD_PLACE: Final = Place(Path("conf/config.capnp"))
_CONTENTS: Final = {
    "code": st.text(max_size=8) | INSIDE, "common": st.text(max_size=8) | INSIDE, "text": st.text(max_size=8) | INSIDE,
    "data": st.binary(max_size=8) | INSIDE, "json": JSON.map(json.dumps) | INSIDE,
}  # fmt: skip
_WORKERD_KINDS: Final = ("text", "json", "data", "service", "durable_object", "environment", "worker_loader")
_WORKERD_VALUES: Final = VALUES | {"data": st.binary() | INSIDE, "name": PRINTABLE, "json": JSON}


@st.composite
def _modules(draw: st.DrawFn) -> tuple[Module, ...]:
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    kinds = ["code", *(draw(st.sampled_from(sorted(_CONTENTS))) for _ in names[1:])]
    suffix = draw(st.sampled_from([".js", ".py"]))
    return tuple(
        Module(f"{name}{suffix if kind in ('code', 'common') else '.x'}", kind, draw(_CONTENTS[kind]))  # type: ignore[arg-type]
        for name, kind in zip(names, kinds, strict=True)
        if (kind, suffix) != ("common", ".py")
    )


@st.composite
def _workerd_binding(draw: st.DrawFn) -> Binding:
    kind = draw(st.sampled_from(_WORKERD_KINDS))
    row = BINDING_KINDS[kind]
    options = {key: draw(_WORKERD_VALUES[of]) for key, of in row.options.items() if draw(st.booleans())}
    value = {} if row.value == "table" else draw(_WORKERD_VALUES[row.value])
    return Binding(draw(PRINTABLE), kind, value, options)


@st.composite
def _workerd_worker(draw: st.DrawFn) -> Worker:
    modules = draw(_modules())
    return Worker(
        main=Path("conf") / modules[0].name,
        root=Path("conf"),
        compatibility_date=draw(st.none() | st.dates().map(str)),
        compatibility_flags=tuple(draw(st.lists(PRINTABLE, max_size=2))),
        bindings=tuple(draw(st.lists(_workerd_binding(), max_size=4, unique_by=lambda each: each.name))),
        global_outbound=draw(st.none() | st.just("internet") | PRINTABLE),
        durable_objects=tuple(
            draw(st.lists(_WORKERD_CLASSES, max_size=2, unique_by=lambda each: each.class_name))
        ),
        tails=tuple(draw(st.lists(PRINTABLE, max_size=2))),
        modules=modules,
    )


_WORKERD_CLASSES: Final = st.builds(
    ObjectClass, class_name=PRINTABLE, unique_key=st.none() | PRINTABLE, prevent_eviction=st.booleans()
)
_WORKERD_HTTPS: Final = st.builds(
    Https,
    certificates=st.tuples(st.builds(Certificate, INSIDE, INSIDE)),
    min_version=st.sampled_from(["1.2", "1.3"]),
    client_ca=st.none() | INSIDE,
)
_ADDRESSES: Final = st.sampled_from(["127.0.0.1:80", "*:8080", "[::1]:80", "unix:/run/a"])
WORKERD_CONFIGS: Final = st.builds(
    Config,
    sockets=st.lists(
        st.builds(
            Socket,
            name=PRINTABLE,
            address=_ADDRESSES,
            service=NAMES,
            https=st.none() | _WORKERD_HTTPS,
            place=st.just(Place()),
        ),
        max_size=2,
    ).map(tuple),
    services=st.lists(
        st.builds(
            Service,
            name=NAMES,
            kind=st.one_of(
                _workerd_worker(),
                st.builds(Network, allow=TEXTS, deny=TEXTS),
                st.builds(External, address=_ADDRESSES),
                st.builds(
                    External, address=_ADDRESSES, https=st.just(True), certificate_host=st.none() | PRINTABLE
                ),
                st.builds(Disk, path=INSIDE, writable=st.booleans(), allow_dotfiles=st.booleans()),
            ),
            place=st.just(Place()),
        ),
        max_size=3,
        unique_by=lambda service: service.name,
    ).map(tuple),
    state_dir=st.just(Path("conf/.pyworkerd")),
    place=st.just(WORKERD_PLACE),
).map(with_internet)
"""Whatever workerd's dialect can say."""
