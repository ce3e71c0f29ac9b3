"""The model as Wrangler's files: read again they mean the same."""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyworkerd_config import BINDING_KINDS, Binding, Config, Place, Worker, parse_toml
from pyworkerd_config.wrangler.join import join
from pyworkerd_config.wrangler.reader import parse_wrangler
from pyworkerd_config.wrangler.writer import (
    as_wrangler_says,
    to_wrangler_json,
    to_wrangler_toml,
    wrangler_files,
)

from tests.config.models import WRANGLER_CONFIGS

CONF = Path("conf")
CORPUS = Path(__file__).parents[1] / "data" / "wrangler"
WRITERS = {"toml": to_wrangler_toml, "jsonc": to_wrangler_json}


def again(config: Config, suffix: str, folder: Path) -> Config:
    """Written and read."""
    files = wrangler_files(config, folder)
    return join(
        [
            parse_wrangler(WRITERS[suffix](file.document), Place(folder / f"wrangler.{file.worker}.{suffix}"))
            for file in files
        ],
        BINDING_KINDS,
    )


def in_order(config: Config) -> Config:
    """The same with everything in one order that means nothing."""
    services = [
        replace(
            each, kind=replace(each.kind, bindings=tuple(sorted(each.kind.bindings, key=lambda b: b.name)))
        )
        if isinstance(each.kind, Worker)
        else each
        for each in config.services
    ]
    stores = [replace(store, workers=tuple(sorted(store.workers))) for store in config.stores]
    return replace(
        config,
        services=tuple(sorted(services, key=lambda each: each.name)),
        queues=tuple(sorted(config.queues, key=lambda each: each.name)),
        stores=tuple(sorted(stores, key=lambda each: (each.kind, each.name))),
    )


@settings(max_examples=40)
@given(WRANGLER_CONFIGS, st.sampled_from(sorted(WRITERS)))
def test_reading_what_was_written_gives_the_same_model(config: Config, suffix: str) -> None:
    assert in_order(again(config, suffix, CONF)) == in_order(config)


@pytest.mark.parametrize(("name", "environment"), [
    ("everything.jsonc", None), ("environments.toml", None),
    ("environments.toml", "production"), ("environments.toml", "named"),
])  # fmt: skip
@pytest.mark.parametrize("suffix", WRITERS)
def test_the_corpus(name: str, environment: str | None, suffix: str) -> None:
    config = parse_wrangler((CORPUS / name).read_text(), Place(CORPUS / name), environment=environment)
    assert in_order(again(config, suffix, CORPUS)) == in_order(config)


def shop(text: str) -> list[dict[str, Any]]:
    config = parse_toml(text, Place(Path("conf/config.toml")))
    return [file.document for file in wrangler_files(config, CONF)]


SHOP = '[[services]]\nname = "shop"\n[services.worker]\nmain = "shop.py"\n'


def test_who_takes_everything_comes_first_and_has_the_address() -> None:
    rest = '[[services]]\nname = "rest"\nroutes = ["/*"]\nworker = {}\n'
    text = f'[[sockets]]\nname = "http"\naddress = "*:80"\n{SHOP}{rest}'
    assert shop(text) == [
        {"name": "rest", "main": "rest.py", "dev": {"ip": "*", "port": 80}}, {"name": "shop", "main": "shop.py"},
    ]  # fmt: skip


def test_the_worker_of_the_only_socket_takes_everything() -> None:
    socket = '[[sockets]]\nname = "http"\naddress = "*:80"\nservice = "shop"\n'
    config = as_wrangler_says(
        parse_toml(socket + SHOP.replace("[services.", 'routes = ["/a"]\n[services.', 1), Place())
    )
    assert (config.sockets[0].service, config.services[0].routes) == (None, ("/*",))
    two = parse_toml(socket + socket.replace("http", "other") + SHOP, Place())
    assert as_wrangler_says(two) == two, "the other socket goes by the routes"


def test_json_that_is_a_text_is_a_text() -> None:
    (found,) = shop(SHOP + 'bindings = { A = { json = "a" }, B = { json = 1 } }\n')
    assert found["vars"] == {"A": "a", "B": 1}


def test_each_rate_limit_has_a_number_of_its_own() -> None:
    limit = "{ rate_limit = { limit = 1, period = 10 } }"
    files = shop(
        "".join(SHOP.replace("shop", name) + f"bindings = {{ A = {limit}, B = {limit} }}\n" for name in "ab")
    )
    assert [row["namespace_id"] for file in files for row in file["ratelimits"]] == [
        "1001",
        "1002",
        "1003",
        "1004",
    ]


def test_the_text_is_what_people_write() -> None:
    (found,) = shop(
        SHOP + 'bindings = { CACHE = { kv = "cache" }, HI = { text = "ho" }, JOBS = { queue = "jobs" }, '
        'T = { secret = "T" } }\n'
    )
    text = to_wrangler_toml(found)
    assert tomllib.loads(text) == json.loads(to_wrangler_json(found)) == found
    assert text == (
        'name = "shop"\nmain = "shop.py"\n\n[[kv_namespaces]]\nbinding = "CACHE"\nid = "cache"\n\n[vars]\nHI = "ho"\n\n'
        '[[queues.producers]]\nbinding = "JOBS"\nqueue = "jobs"\n\n[secrets]\nrequired = ["T"]\n'
    )


def test_lists_of_tables_and_of_other_things_are_told_apart() -> None:
    (found,) = shop(SHOP + "bindings = { A = { json = [{}, false] }, B = { json = [{ a = 1 }] } }\n")
    assert tomllib.loads(to_wrangler_toml(found)) == found


def test_secrets_have_no_values() -> None:
    config = parse_toml(SHOP + 'bindings = { T = { secret = "T" } }\n', Place())
    (file,) = wrangler_files(replace(config, secrets={"T": "hunter2"}), Path())
    assert "hunter2" not in to_wrangler_toml(file.document)


def test_toml_has_no_null() -> None:
    worker = Worker(Path("a.py"), Path(), bindings=(Binding("A", "json", [None]),))
    config = Config(services=(replace(parse_toml(SHOP, Place()).services[0], kind=worker),))
    with pytest.raises(ValueError, match="null"):
        to_wrangler_toml(wrangler_files(config, Path())[0].document)


def test_classes_are_named_for_wrangler_itself() -> None:
    room, other = '{ durable_object = "Room" }', '{ durable_object = "D", service_name = "x" }'
    bindings = f"{{ A = {room}, B = {room}, C = {other} }}"
    (found,) = shop(SHOP + f"bindings = {bindings}\n")
    assert found["migrations"] == [{"tag": "v1", "new_sqlite_classes": ["Room"]}]


def test_modules_that_are_the_files_of_a_folder_are_that_folder() -> None:
    listed = (
        'modules = [{{ name = "shop.js", file = "{}" }}, {{ name = "lib/a.js", file = "src/lib/a.js" }}]\n'
    )
    text = SHOP.replace('main = "shop.py"\n', "") + listed
    config = as_wrangler_says(parse_toml(text.format("src/shop.js"), Place(Path("conf/config.toml"))))
    worker = config.services[0].kind
    assert isinstance(worker, Worker)
    assert (worker.main, worker.root, worker.modules) == (Path("conf/src/shop.js"), Path("conf/src"), ())
    (other,) = shop(text.format("other/shop.js"))
    assert other["main"] == "other/shop.js", "its other modules are lost, and told"
    inline = SHOP.replace('main = "shop.py"\n', 'modules = [{ name = "a.js", text = "" }]\n')
    assert shop(inline) == [], "there is no file that could be named"
