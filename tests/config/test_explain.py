"""The model as text means the same model; secrets are never in it."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_config import (
    Binding,
    Config,
    Limits,
    Network,
    Service,
    Worker,
    load,
    parse_toml,
    to_json,
    to_toml,
)

from tests.config.models import CONFIGS, PLACE


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
