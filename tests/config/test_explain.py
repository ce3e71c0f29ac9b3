"""The model as text means the same model; secrets are never in it."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_config import (
    BINDING_KINDS,
    LIMIT_RANGES,
    PROCESSES_RANGES,
    Admin,
    Binding,
    Certificate,
    Config,
    External,
    Https,
    Limits,
    Network,
    Place,
    Processes,
    RateLimit,
    Service,
    Socket,
    Store,
    Worker,
    load,
    parse_toml,
    to_json,
    to_toml,
    with_internet,
)

PLACE = Place(Path("conf/config.toml"))
NAMES = st.from_regex(r"[a-z][a-z0-9-]{0,6}", fullmatch=True)
PRINTABLE = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8).filter(str.isprintable)
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
    )


TEXTS = st.lists(st.text(max_size=5), max_size=2).map(tuple)
SERVICES = st.builds(
    Service,
    name=NAMES | st.just("internet"),
    kind=st.one_of(
        workers(),
        st.builds(Network, allow=TEXTS, deny=TEXTS),
        st.just(Network()),
        st.builds(External, address=PRINTABLE, https=st.booleans(), certificate_host=st.none() | PRINTABLE),
    ),
    routes=st.lists(PRINTABLE, max_size=2).map(tuple),
    rate_limits=st.lists(
        st.builds(
            RateLimit, COUNTS, COUNTS, route=st.just("/*") | PRINTABLE, key=st.just("client") | PRINTABLE
        ),
        max_size=2,
    ).map(tuple),
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
CONFIGS = st.builds(
    Config,
    admin=st.none() | st.builds(Admin, address=PRINTABLE, hosts=st.lists(PRINTABLE, max_size=2).map(tuple)),
    processes=st.builds(
        Processes,
        **{name: st.integers(r.minimum, r.maximum) for name, r in PROCESSES_RANGES.items()},
    )
    | st.just(Processes()),
    sockets=st.lists(SOCKETS, max_size=2).map(tuple),
    services=st.lists(SERVICES, max_size=3).map(tuple),
    stores=st.lists(STORES, max_size=2).map(tuple) if KINDS_OF_STORES else st.just(()),
    state_dir=st.just(Path("conf/.pyworkerd")) | INSIDE,
    deploy=st.sampled_from(["eager", "lazy"]),
    secrets=st.just({}),
    place=st.just(PLACE),
).map(with_internet)


@given(CONFIGS, st.booleans())
def test_reading_what_was_printed_gives_the_same_model(config: Config, defaults: bool) -> None:
    again = parse_toml(to_toml(config, defaults=defaults), PLACE)
    assert again == config
    assert to_json(again) == to_json(config)


@given(CONFIGS)
def test_json_is_json(config: Config) -> None:
    assert json.loads(json.dumps(to_json(config))) == to_json(config)


TEXT = """\
[[sockets]]
name = "http"
address = "127.0.0.1:8787"

[[services]]
name = "shop"
routes = ["/*"]

[services.worker]
main = "src/shop.py"
limits = { cpu_ms = 20 }
global_outbound = false

[services.worker.bindings]
TOKEN = { secret = "TOKEN" }
LOGO = { data = { file = "logo.png" } }
ICON = { data = "aGk=" }
"""


def test_a_text_in_the_printed_form_is_printed_as_it_was() -> None:
    assert to_toml(parse_toml(TEXT, PLACE)) == TEXT


def test_defaults_are_written_out_on_request() -> None:
    text = to_toml(parse_toml(TEXT, PLACE), defaults=True)
    assert 'state_dir = ".pyworkerd"' in text
    assert 'network = { allow = ["public"], deny = [] }' in text
    assert all(f"{limit.name} = " in text for limit in fields(Limits))


def test_the_implied_service_is_left_out_only_where_the_reader_puts_it_back() -> None:
    internet, other = Service("internet", Network()), Service("b", Network())
    for services in ((internet, other), (internet, internet)):
        config = Config(services=services, place=PLACE, state_dir=Path("conf/.pyworkerd"))
        assert parse_toml(to_toml(config), PLACE) == config


def test_values_of_secrets_are_in_neither_form() -> None:
    config = replace(parse_toml(TEXT, PLACE), secrets={"TOKEN": "hunter2"})
    for printed in (
        to_toml(config),
        to_toml(config, defaults=True),
        json.dumps(to_json(config)),
        repr(config),
    ):
        assert "hunter2" not in printed


def test_null_of_another_dialect_cannot_be_written_as_toml() -> None:
    worker = Worker(Path("conf/a.py"), Path("conf"), bindings=(Binding("A", "json", {"a": None}),))
    config = Config(services=(Service("a", worker),), place=PLACE)
    with pytest.raises(ValueError, match="TOML cannot hold null"):
        to_toml(config)
    assert to_json(config)["services"][0]["worker"]["bindings"] == {"A": {"json": {"a": None}}}


def test_queues_are_printed_as_they_are_written(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(
        '[[queues]]\nname = "jobs"\nproducers = ["a"]\nconsumer = "a"\nmax_batch_timeout = 0\n'
        'dead_letter_queue = "failed"\n[[queues]]\nname = "failed"\n[[services]]\nname = "a"\n'
        '[services.worker]\nmain = "a.py"\ncrons = ["* * * * *"]\n'
    )
    (tmp_path / "a.py").touch()
    before = load(path)
    for defaults in (False, True):
        path.write_text(to_toml(before, defaults=defaults))
        assert load(path) == before
