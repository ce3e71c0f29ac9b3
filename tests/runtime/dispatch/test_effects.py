"""Every effect has a row, and no row is for anything else."""

from __future__ import annotations

from typing import get_args

from pyworkerd.dispatch.effects import PERFORM
from pyworkerd_isolates.protocol import Commit, Effect


def test_every_effect_has_a_row() -> None:
    assert set(PERFORM) == set(get_args(Effect)) - {Commit}
