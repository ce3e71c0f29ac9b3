"""The table of kinds is sound: every example is read by its own row."""

from __future__ import annotations

import pytest
from pyworkerd_config import BINDING_KINDS, Binding, Place, Worker, parse_toml
from pyworkerd_config.kinds import NOT_YET


@pytest.mark.parametrize("kind", BINDING_KINDS)
def test_the_example_of_each_kind_is_a_binding_of_that_kind(kind: str) -> None:
    text = f'[[services]]\nname = "a"\n[services.worker.bindings]\n{BINDING_KINDS[kind].example}\n'
    worker = parse_toml(text, Place()).services[0].kind
    assert isinstance(worker, Worker)
    assert [(binding.name, binding.kind) for binding in worker.bindings] == [("NAME", kind)]
    assert isinstance(worker.bindings[0], Binding)


def test_a_kind_is_here_or_not_yet() -> None:
    assert not NOT_YET & BINDING_KINDS.keys()


def test_only_tables_have_fields() -> None:
    assert all(row.value == "table" or not row.fields for row in BINDING_KINDS.values())
