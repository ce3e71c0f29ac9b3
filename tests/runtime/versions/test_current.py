"""What was deployed, with one change more."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pyworkerd.versions.current import Change, current, keeping
from pyworkerd.versions.model import Record, Secrets
from pyworkerd.versions.rules import RuleError
from pyworkerd.versions.store import Store
from pyworkerd_config.model import Config, Service, Worker

from tests.runtime.versions.kept import finish

if TYPE_CHECKING:
    from pathlib import Path


def served(folder: Path, **of_worker: str) -> Config:
    worker = replace(Worker(folder / "w.py", folder), **of_worker)  # type: ignore[arg-type]
    return Config(services=(Service("shop", worker),), state_dir=folder / "state")


def put(secrets: Secrets) -> Secrets:
    return Secrets(secrets.service, {**secrets.values, "TOKEN": "s1"})


def same(record: Record) -> Record:
    return record


def test_a_change_is_kept_once_it_is_to_be_served(tmp_path: Path) -> None:
    found = current(served(tmp_path), Change("shop", secrets=put))
    assert Store(tmp_path / "state").secrets("shop").values == {}
    finish(keeping(found))
    assert Store(tmp_path / "state").secrets("shop").values == {"TOKEN": "s1"}
    assert current(served(tmp_path)).config.secrets == found.config.secrets != {}


def test_the_configuration_may_be_another_one_when_its_turn_comes(tmp_path: Path) -> None:
    """An upload lasts as long as its client likes, and the operator reloads meanwhile."""
    with pytest.raises(RuleError, match=r"no worker named 'shop' any more"):
        current(Config(state_dir=tmp_path), Change("shop", same))
    trusted = served(tmp_path, isolation="subinterpreter")
    with pytest.raises(RuleError, match="'shop' runs without a sandbox"):
        current(trusted, Change("shop", same))
    assert current(trusted, Change("shop", secrets=put)).unkept == (put(Secrets("shop")),)
