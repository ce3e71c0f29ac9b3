"""The three tables of kinds agree: the host's, the configuration's and the guest's."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import pyworkerd_isolates
from pyworkerd import bindings
from pyworkerd.bindings.base import Binding
from pyworkerd.bindings.registry import FROM_PYTHON, KINDS, binding_class, configure, configure_all
from pyworkerd.errors import ConfigurationError
from pyworkerd_config import BINDING_KINDS, Place, Worker, parse_toml
from pyworkerd_config import Binding as Configured

ALL = [*KINDS, *FROM_PYTHON]
GUEST = Path(pyworkerd_isolates.__file__).parent / "python" / "guest" / "workers" / "bindings.py"


def guest_shapes() -> set[str]:
    """The keys of SHAPES, read without running code that belongs in the sandbox."""
    for node in ast.parse(GUEST.read_text()).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["SHAPES"]:
            assert isinstance(node.value, ast.Dict)
            return {ast.literal_eval(key) for key in node.value.keys if key is not None}
    raise AssertionError("the guest has no SHAPES")


def test_the_kinds_are_those_of_the_configuration() -> None:
    assert KINDS.keys() == BINDING_KINDS.keys()
    assert not KINDS.keys() & FROM_PYTHON.keys()


def test_the_shapes_are_those_of_the_guest() -> None:
    assert {binding_class(kind).shape for kind in ALL} - {None} == guest_shapes()


@pytest.mark.parametrize("kind", ALL)
def test_each_row_is_a_binding_in_a_folder_of_its_name(kind: str) -> None:
    found = binding_class(kind)
    assert issubclass(found, Binding)
    assert found.kind == kind
    assert found.__module__ == f"{bindings.__name__}.{kind}"


def test_there_is_no_folder_without_a_row() -> None:
    folder = Path(bindings.__path__[0])
    assert {init.parent.name for init in folder.glob("*/__init__.py")} == set(ALL)


@pytest.mark.parametrize("kind", KINDS)
def test_the_example_of_each_kind_can_be_configured(kind: str) -> None:
    text = f'[[services]]\nname = "a"\n[services.worker.bindings]\n{BINDING_KINDS[kind].example}\n'
    worker = parse_toml(text, Place()).services[0].kind
    assert isinstance(worker, Worker)
    (binding,) = configure_all(worker.bindings)
    assert (binding.name, binding.kind) == ("NAME", kind)


@pytest.mark.parametrize(
    ("kind", "remedy"), [("secrets", 'did you mean "secret"'), ("callable", "no binding kind")]
)
def test_a_kind_that_cannot_be_configured(kind: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError, match=remedy) as caught:
        configure(Configured("NAME", kind, "x"))
    assert f'there is no binding kind "{kind}"' in str(caught.value)
