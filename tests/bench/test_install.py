from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pyworkerd_bench import install
from pyworkerd_bench.errors import BenchError

if TYPE_CHECKING:
    from pathlib import Path


def test_an_installed_pinned_version_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = tmp_path / "node_modules/workerd/package.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"version": install.PINNED["workerd"]}))
    monkeypatch.setenv("PATH", "")
    assert install.install_workerd(tmp_path).endswith("is installed")


@pytest.mark.parametrize("content", ["", "[]", '{"version": 3}', '{"version": "0.0.1"}'])
def test_without_npm_another_version_or_a_damaged_manifest_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    manifest = tmp_path / "node_modules/workerd/package.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(content)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BenchError, match="npm was not found"):
        install.install_workerd(tmp_path)


def test_one_failure_is_told_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> str:
        raise BenchError("no network")

    monkeypatch.setattr(install, "INSTALLERS", {"one": fail, "two": lambda: "two is installed"})
    assert install.main() == 0
    assert capsys.readouterr().err.splitlines() == ["one will be skipped: no network", "two is installed"]
