"""Bindings are read by the table of kinds that the caller gives."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd_config import Binding, BindingKind, ConfigError, Place, Worker, parse_toml

HEAD = '[[services]]\nname = "a"\n[services.worker.bindings]\n'
KINDS = {
    "queue": BindingKind("name", 'NAME = { queue = "jobs" }', options={"delay": "count", "batch": "json"}),
    "lease": BindingKind("table", "NAME = { lease = { ttl = 5 } }", fields={"ttl": "count", "owner": "text"}),
}


def bindings(line: str) -> tuple[Binding, ...]:
    worker = parse_toml(HEAD + line, Place(Path("config.toml")), kinds=KINDS).services[0].kind
    assert isinstance(worker, Worker)
    return worker.bindings


def test_a_kind_of_the_caller_with_options() -> None:
    expected = Binding("JOBS", "queue", "jobs", {"delay": 3, "batch": [1, {"a": False}]})
    assert bindings('JOBS = { delay = 3, queue = "jobs", batch = [1, { a = false }] }') == (expected,)


def test_a_table_of_the_caller() -> None:
    assert bindings('L = { lease = { ttl = 5, owner = "" } }') == (
        Binding("L", "lease", {"ttl": 5, "owner": ""}),
    )


def test_bindings_may_have_their_own_headers() -> None:
    assert bindings('[services.worker.bindings.L.lease]\nttl = 1\nowner = "x"\n')[0].kind == "lease"


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('T = { text = "x" }', 'unknown binding kind "text": there are "lease" and "queue"'),
        ("Q = { queue = 1 }", '"queue" must be a text, found an integer'),
        ('Q = { queue = "x", delay = 0 }', '"delay" must be 1 or more'),
        (
            'Q = { queue = "x", batch = [07:32:00] }',
            'item 1 of "batch" must be what JSON can hold, found a time',
        ),
        ("L = { lease = { ttl = 5 } }", 'a lease needs "owner"'),
    ],
)
def test_problems_follow_the_table(line: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        bindings(line)
    assert str(caught.value).startswith(f"config.toml:4: {problem}")


def test_a_value_in_the_wrong_place_is_never_repeated() -> None:
    with pytest.raises(ConfigError) as caught:
        bindings('TOKEN = "hunter2"\nOTHER = { lease = "hunter2" }\nTHIRD = { queue = ["hunter2"] }')
    assert len(caught.value.problems) == 3
    assert "hunter2" not in str(caught.value)
