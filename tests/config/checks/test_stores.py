"""Stores are shared by those that the configuration names in one place, and by nobody else."""

from __future__ import annotations

from pathlib import Path
from types import MappingProxyType

import pytest
from pyworkerd_config import BINDING_KINDS, ConfigError, Place, Store, check, parse_toml, to_toml
from pyworkerd_config.kinds import BindingKind

KINDS = MappingProxyType(
    {
        **BINDING_KINDS,
        "kv": BindingKind("store", 'NAME = { kv = "cache" }', options={"size_mb": "count"}),
        "d1": BindingKind("store", 'NAME = { d1 = "shop" }', options={"migrations": "path"}),
    }
)
WORKERS = """
[[services]]
name = "shop"
worker = { main = "shop.py", bindings = { CACHE = { kv = "cache" } } }
[[services]]
name = "admin"
worker = { main = "admin.py", bindings = { C = { kv = "cache" }, OTHER = { d1 = "cache", migrations = "sql" } } }
"""


def problems(text: str) -> list[str]:
    return [str(found) for found in check(parse_toml(text, Place(Path("conf/c.toml")), kinds=KINDS), KINDS)]


def test_without_stores_everybody_has_their_own() -> None:
    assert problems(WORKERS) == []


def test_a_store_that_two_share() -> None:
    text = f'{WORKERS}[[stores]]\nkv = "cache"\nworkers = ["shop", "admin"]\nsize_mb = 5\n'
    assert problems(text) == []
    config = parse_toml(text, Place(Path("conf/c.toml")), kinds=KINDS)
    assert config.stores == (Store("kv", "cache", ("shop", "admin"), 5),)
    assert parse_toml(to_toml(config), Place(Path("conf/c.toml")), kinds=KINDS) == config
    assert config.services[1].kind.bindings[1].options == {"migrations": Path("conf/sql")}  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('kv = "cache"\nworkers = ["shop"]', '"admin" is not among the workers that share the store "cache"'),
        ('kv = "cache"\nworkers = ["shop", "admin", "shpo"]', 'unknown worker "shpo": did you mean "shop"'),
        ('kv = "other"\nworkers = []', 'no worker may bind the store "other"'),
    ],
)
def test_what_cannot_be_meant(entry: str, message: str) -> None:
    (found,) = problems(f"{WORKERS}[[stores]]\n{entry}\n")
    assert message in found


def test_a_store_is_declared_once_and_its_size_in_one_place() -> None:
    entry = '[[stores]]\nkv = "x"\nworkers = ["shop"]\n'
    assert 'two kv stores are named "x"' in problems(WORKERS + entry + entry)[0]
    text = WORKERS.replace('{ kv = "cache" } } }', '{ kv = "x", size_mb = 3 } } }', 1) + entry
    assert "a shared store has its size_mb where it is declared" in problems(text)[0]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ('workers = ["shop"]', "a store is of one kind, found none"),
        ('kv = "a"\nd1 = "b"\nworkers = ["shop"]', 'found "kv" and "d1"'),
        ('kv = "a"', 'a store needs "workers"'),
        ('kv = "a"\nworkers = ["shop"]\nsize = 3', 'unknown key "size"'),
    ],
)
def test_what_cannot_be_read(entry: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_toml(f"[[stores]]\n{entry}\n", Place(), kinds=KINDS)
    assert message in str(caught.value)
