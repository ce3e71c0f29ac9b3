"""Colours on terminals only."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from pyworkerd.cli.terminal import has_colours

if TYPE_CHECKING:
    import pytest


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    leader, follower = os.openpty()
    with os.fdopen(leader, "wb", 0), os.fdopen(follower, "w") as terminal:
        assert has_colours(terminal)
        monkeypatch.setenv("NO_COLOR", "1")
        assert not has_colours(terminal)
        monkeypatch.delenv("NO_COLOR")
        monkeypatch.setenv("TERM", "dumb")
        assert not has_colours(terminal)
    with Path(os.devnull).open("w") as nothing:
        assert not has_colours(nothing)
