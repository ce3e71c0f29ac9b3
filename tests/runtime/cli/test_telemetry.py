"""Whether `serve --otel` can work is said before anything is served."""

from __future__ import annotations

import argparse
from importlib.machinery import ModuleSpec
from typing import Any

import pytest
from pyworkerd.cli import telemetry
from pyworkerd.cli.telemetry import add_otel, wants_otel
from pyworkerd.errors import ConfigurationError


def options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_otel(parser)
    return parser.parse_args(given)


def test_it_is_off_unless_it_was_asked_for() -> None:
    assert not wants_otel(options())
    assert wants_otel(options("--otel"))


@pytest.mark.parametrize(
    "absent", [lambda _: None, lambda name: (_ for _ in ()).throw(ModuleNotFoundError(name))]
)
def test_without_the_extra_it_says_how_to_install_it(absent: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "find_spec", absent)
    with pytest.raises(ConfigurationError, match=r"pip install 'pyworkerd\[otel\]'"):
        wants_otel(options("--otel"))
    monkeypatch.setattr(telemetry, "find_spec", lambda name: ModuleSpec(name, None))
    assert wants_otel(options("--otel"))


@pytest.mark.parametrize("variable", telemetry._VARIABLES)
def test_another_protocol_is_refused_by_name(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, "http/protobuf")
    assert wants_otel(options("--otel"))
    monkeypatch.setenv(variable, "grpc")
    with pytest.raises(ConfigurationError, match=f"{variable} is 'grpc'"):
        wants_otel(options("--otel"))
