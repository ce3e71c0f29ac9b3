"""Kinds of isolation: the one without a sandbox runs where it was allowed twice, and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyworkerd.dispatch.worker import Worker
from pyworkerd.errors import ConfigurationError
from pyworkerd.isolation import must_be_allowed, worker_class
from pyworkerd_config.model import Place, Service
from pyworkerd_config.model import Worker as WorkerModel


def service(isolation: str) -> tuple[Service, WorkerModel]:
    model = WorkerModel(Path("w.py"), Path(), isolation=isolation)  # type: ignore[arg-type]
    return Service("native", model, place=Place(Path("/x/config.toml"), 3)), model


def test_the_sandbox_needs_nobodys_leave() -> None:
    must_be_allowed(*service("wasm"), allow_trusted=False)
    assert worker_class("wasm") is Worker


def test_the_other_kind_is_refused_with_the_reason_and_both_remedies() -> None:
    must_be_allowed(*service("subinterpreter"), allow_trusted=True)
    with pytest.raises(ConfigurationError) as caught:
        must_be_allowed(*service("subinterpreter"), allow_trusted=False)
    told = str(caught.value)
    assert told.startswith("/x/config.toml:3: service 'native'")
    assert "no security boundary" in told
    assert "--allow-trusted" in told
    assert 'write isolation = "wasm"' in told
    assert worker_class("subinterpreter") is not Worker
