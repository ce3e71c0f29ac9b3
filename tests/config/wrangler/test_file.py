"""A Wrangler document through one of its environments: what counts, and what is read over."""

# ruff: noqa: E501 - the sentences are the program's

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_config import Place
from pyworkerd_config.problems import ProblemList
from pyworkerd_config.wrangler import tables
from pyworkerd_config.wrangler.file import KEYS, WranglerFile

TEXT = """
name = "shop"
main = "shop.ts"
limits = { cpu_ms = 7 }
kv_namespaces = [{ binding = "A" }, { binding = 1 }, 2]
[env.other]
main = "other.ts"
[env.other.limits]
cpu = 5
"""


def opened(text: str = TEXT, environment: str | None = None) -> tuple[WranglerFile, ProblemList, ProblemList]:
    problems, warnings = ProblemList(), ProblemList()
    file = WranglerFile(text, Place(Path("wrangler.toml")), problems, warnings, environment)
    return file, problems, warnings


def test_keys_of_an_environment_count_before_those_of_the_file() -> None:
    file, _, warnings = opened(environment="other")
    assert (file.value("name"), file.own("name")) == ("shop", False)
    assert (file.value("main"), file.own("main")) == (Path("other.ts"), True)
    assert file.table("limits", tables.LIMITS) == {}
    assert [str(each) for each in warnings.found] == [
        'wrangler.toml:9: unknown key "cpu": did you mean "cpu_ms"?'
    ]


def test_bindings_are_not_inherited() -> None:
    file, problems, _ = opened(environment="other")
    assert file.rows(tables.KV, "kv_namespaces") == []
    assert not problems


def test_what_is_wrong_is_told_once_however_often_it_is_read() -> None:
    file, problems, _ = opened()
    for _ in range(3):
        assert [row for row, _ in file.rows(tables.KV, "kv_namespaces")] == [{"binding": "A"}]
        assert file.value("compatibility_date") is None
        assert file.table("limits", tables.LIMITS) == {"cpu_ms": 7}
    assert [str(each) for each in problems.found] == [
        'wrangler.toml:5: "binding" must be a text, found an integer: write for example binding = "CACHE"',
        'wrangler.toml:5: item 3 of "kv_namespaces" must be a table, found an integer: write for example { binding = "CACHE" }',
    ]


@pytest.mark.parametrize("key", sorted(tables.NOT_HERE))
def test_every_key_that_means_nothing_here_is_told_with_a_reason(key: str) -> None:
    _, problems, warnings = opened(f'main = "a.ts"\n{key} = 1')
    (warning,) = warnings.found
    assert str(warning) == f'wrangler.toml:2: "{key}" means nothing here: {tables.NOT_HERE[key]}'
    assert not problems


def test_a_key_either_means_something_or_not() -> None:
    assert not KEYS & tables.NOT_HERE.keys()
    assert KEYS | tables.NOT_HERE.keys() >= tables.INHERITED


def test_what_is_read_over_in_an_entry_is_told_in_the_order_of_the_file() -> None:
    keys = [f"key{number}" for number in range(20)]
    row = ", ".join(f"{key} = 1" for key in keys)
    file, problems, warnings = opened(f'kv_namespaces = [{{ binding = "A", {row} }}]')
    file.rows(tables.KV, "kv_namespaces")
    assert [warning.message for warning in warnings.found] == [f'unknown key "{key}"' for key in keys]
    assert not problems
