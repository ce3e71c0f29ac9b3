"""A configuration in every dialect: the text means what is not told to be lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyworkerd_config import Binding, Config, ConfigError, Service, Worker, parse_toml
from pyworkerd_config.dialects import DIALECTS, print_as

from tests.config.models import CONFIGS, PLACE, WRANGLER_CONFIGS

CONF = Path("conf")
TEXT = """\
[[sockets]]
name = "http"
address = "127.0.0.1:8787"
service = "shop"
[[services]]
name = "shop"
[services.worker]
main = "src/shop.py"
bindings = { GREETING = { text = "hello\\u009b" } }
"""
WRANGLER = sorted(name for name in DIALECTS if name.startswith("wrangler"))


def read(text: str = TEXT) -> Config:
    return parse_toml(text, PLACE)


@settings(max_examples=40)
@given(
    CONFIGS.filter(lambda config: len({each.name for each in config.services}) == len(config.services)),
    st.booleans(),
)
def test_config_toml_says_everything(config: Config, defaults: bool) -> None:
    assert print_as("config.toml", config, CONF, defaults=defaults).lost == ()


@settings(max_examples=40)
@given(WRANGLER_CONFIGS, st.sampled_from(WRANGLER))
def test_what_wrangler_can_say_is_not_lost(config: Config, dialect: str) -> None:
    printed = print_as(dialect, config, CONF)
    assert printed.lost == ()
    assert len({file.name for file in printed.files}) == len(printed.files)


@settings(max_examples=40)
@given(CONFIGS, st.sampled_from(sorted(DIALECTS)))
def test_nothing_that_a_terminal_would_obey_is_printed(config: Config, dialect: str) -> None:
    try:
        printed = print_as(dialect, config, CONF)
    except ConfigError:
        return
    assert all(char.isprintable() or char == "\n" for file in printed.files for char in file.text)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_one_file_has_the_name_of_its_dialect(dialect: str) -> None:
    printed = print_as(dialect, read(), CONF)
    assert [file.name for file in printed.files] == [dialect]
    assert printed.lost == ()


@pytest.mark.parametrize("dialect", WRANGLER)
def test_several_workers_are_several_files_and_what_is_lost_is_told(dialect: str) -> None:
    other = (
        '[[services]]\nname = "other"\n[services.worker]\nmain = "other.ts"\nreuse = "request"\n'
        "global_outbound = false\nlimits = { cpu_ms = 5, memory_mb = 64 }\n"
    )
    printed = print_as(dialect, read(TEXT + other), CONF)
    stem, suffix = dialect.split(".")
    assert [file.name for file in printed.files] == [f"{stem}.shop.{suffix}", f"{stem}.other.{suffix}"]
    assert printed.lost == (
        "services.other.worker.limits.memory_mb is 64, and would be left out",
        'services.other.worker.reuse is "request", and would be left out',
    )


def test_paths_start_from_the_folder_that_is_named() -> None:
    printed = print_as("wrangler.toml", read(), Path("out"))
    assert 'main = "../conf/src/shop.py"' in printed.files[0].text
    assert printed.lost == ('state_dir is "../conf/.pyworkerd", and would be left out',)


@pytest.mark.parametrize("dialect", [name for name in DIALECTS if name != "config.capnp"])
@pytest.mark.parametrize("value", [None, "\ud800"])
def test_what_only_json_can_hold_is_lost_and_told(dialect: str, value: object) -> None:
    worker = Worker(
        CONF / "a.py", CONF, bindings=(Binding("A", "json", {"a": value}), Binding("B", "text", "b"))
    )
    printed = print_as(dialect, Config(services=(Service("a", worker, ("/*",)),), place=PLACE), CONF)
    assert [phrase for phrase in printed.lost if "bindings" in phrase] == [
        f"services.a.worker.bindings.A is {json.dumps({'json': {'a': value}})}, and would be left out"
    ]


def test_bindings_in_bindings_are_said() -> None:
    inner = (Binding("B", "data", b"b"), Binding("C", "json", [1]))
    for last, lost in ((Binding("D", "text", "d"), 0), (Binding("D", "json", [None]), 1)):
        wrapped = Binding("A", "wrapped", "a:b", {"entrypoint": "c", "bindings": (*inner, last)})
        config = Config(
            services=(Service("a", Worker(CONF / "a.js", CONF, bindings=(wrapped,))),), place=PLACE
        )
        printed = print_as("config.toml", config, CONF)
        assert sum("bindings" in phrase for phrase in printed.lost) == lost


@pytest.mark.parametrize("dialect", WRANGLER)
def test_where_there_is_no_worker_there_is_nothing_to_say(dialect: str) -> None:
    with pytest.raises(ConfigError, match=f"a {dialect} is one worker, and there is none"):
        print_as(dialect, read('[[services]]\nname = "a"\nnetwork = {}'), CONF)


def test_the_names_are_those_by_which_files_are_read() -> None:
    from pyworkerd_config.load import is_wrangler  # noqa: PLC0415

    for name in DIALECTS:
        printed = print_as(name, read(), CONF)
        assert is_wrangler(CONF / printed.files[0].name) == name.startswith("wrangler")


@pytest.mark.parametrize("value", [None, "\ud800", 1 << 64])
def test_props_that_only_json_can_hold_are_lost_and_told_too(value: object) -> None:
    config = read()
    worker = config.services[0].kind
    assert isinstance(worker, Worker)
    worker = replace(worker, bindings=(Binding("A", "json", value), Binding("B", "json", 1)))
    services = (replace(config.services[0], kind=worker), *config.services[1:])
    config = replace(config, services=services, sockets=(replace(config.sockets[0], props={"a": value}),))
    printed = print_as("config.toml", config, CONF)
    assert "B = { json = 1 }" in printed.files[0].text
    first, second = printed.lost
    assert first.startswith("sockets.0.props is ")
    assert first.endswith(", and would be left out")
    assert second.startswith("services.shop.worker.bindings.A is ")
    said = print_as("config.capnp", config, CONF)
    assert not [each for each in said.lost if "props" in each or "bindings" in each]
