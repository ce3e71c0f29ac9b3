"""What control groups leave of a machine."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest
from pyworkerd import machine

OWN = "1:name=systemd:/x\n0::/a/b\n"


@pytest.mark.parametrize(
    ("text", "cores"),
    [
        ("max 100000", None),
        ("200000 100000", 2),
        ("150000 100000\n", 2),  # a core and a half keeps two busy
        ("1000 100000", 1),
        ("", None),
        ("1 0", None),
        ("nonsense", None),
    ],
)
def test_quotas(text: str, cores: int | None) -> None:
    assert machine.quota(text) == cores


@pytest.mark.parametrize(
    ("text", "size"), [("max\n", None), ("1073741824\n", 1 << 30), ("", None), ("x", None)]
)
def test_limits(text: str, size: int | None) -> None:
    assert machine.limit(text) == size


def test_groups_from_the_inside_out() -> None:
    top = Path("/sys/fs/cgroup")
    assert machine.groups(OWN, top) == [top / "a/b", top / "a", top]
    assert machine.groups("0::/\n", top) == [top]
    assert machine.groups("4:memory:/x\n", top) == []
    assert machine.groups("", top) == []


def test_the_narrowest_group_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = tmp_path / "a/b"
    inner.mkdir(parents=True)
    (inner / "cpu.max").write_text("max 100000")
    (inner / "memory.max").write_text(str(64 << 20))
    (tmp_path / "a/cpu.max").write_text("100000 100000")
    (tmp_path / "a/memory.max").write_text(str(128 << 20))
    (tmp_path / "own").write_text(OWN)
    monkeypatch.setattr(machine, "GROUPS", tmp_path)
    monkeypatch.setattr(machine, "_OWN", tmp_path / "own")
    assert (machine.cores(), machine.memory()) == (1, 64 << 20)


def test_without_groups_it_is_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_OWN", tmp_path / "none")
    assert machine.memory() == psutil.virtual_memory().total
    assert machine.cores() >= 1
