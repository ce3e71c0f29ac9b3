"""Errors of bindings name the binding, the place and the remedy; reprs show nothing that could be a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd.bindings.base import Access, Value, problem
from pyworkerd.bindings.hello import Hello, HelloBinding
from pyworkerd_config import Place


def test_a_problem_names_binding_place_and_remedy() -> None:
    error = problem("NAME", Place(Path("c.toml"), 3), "is wrong", "write it right")
    assert str(error) == 'c.toml:3: binding "NAME": is wrong: write it right'


@pytest.mark.parametrize("place", [None, Place()])
def test_a_binding_of_a_program_has_no_place(place: Place | None) -> None:
    assert str(problem("NAME", place, "is wrong", "do better")) == 'binding "NAME": is wrong: do better'
    assert str(problem("NAME", place, "is wrong")) == 'binding "NAME": is wrong'


def test_a_name_cannot_command_the_terminal() -> None:
    assert "\x1b" not in str(problem("\x1b[2J", None, "is wrong"))


def test_reprs() -> None:
    binding = HelloBinding("NAME", "hi")
    assert repr(binding) == "<HelloBinding NAME>"
    assert repr(Value.of("text")) == "Value()"
    assert repr(Access("hello", Hello("hi"))).startswith("Access(shape='hello'")
    assert binding.place is None


def test_a_value_that_cannot_be_sent() -> None:
    with pytest.raises(TypeError, match="cannot be sent over RPC"):
        Value.of((1, 2))
