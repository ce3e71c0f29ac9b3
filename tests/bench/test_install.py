from __future__ import annotations

import importlib.metadata
import json
import sys
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


def test_packages_of_the_right_version_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    here = importlib.metadata.version("pytest")
    monkeypatch.setattr(install, "PINNED", {"pytest": here})
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert install.install_packages("pytest") == f"pytest {here} is installed"
    monkeypatch.setattr(install, "PINNED", {"pytest": here, "no-such-package-at-all": "1"})
    with pytest.raises(BenchError, match="cannot run /nowhere"):
        install.install_packages("pytest", "no-such-package-at-all")


def test_a_wrk_that_is_there_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(BenchError, match="no Debian package manager"):
        install.install_wrk(tmp_path)
    program = tmp_path / "wrk/usr/bin/wrk"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert install.install_wrk(tmp_path) == f"{program} is installed"


def test_packages_are_unpacked_without_installing_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = tmp_path / "tools"
    tools.mkdir()
    # Stand-ins for the network and the archive: what they are told, and where, is what this is about.
    scripts = {
        "apt-get": 'for name in "$@"; do echo > "$name.deb"; done; /bin/rm download.deb',
        "dpkg-deb": '/bin/mkdir -p "$3/usr/bin"; echo "#!/bin/sh" > "$3/usr/bin/wrk"',
    }
    for name, text in scripts.items():
        (tools / name).write_text(f"#!/bin/sh\n{text}\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tools))
    assert install.install_wrk(tmp_path / "build").startswith("wrk unpacked in")
    assert (tmp_path / "build/wrk/usr/bin/wrk").is_file()
    assert [path.name for path in (tmp_path / "build").iterdir()] == ["wrk"]


def test_one_failure_is_told_and_stops_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> str:
        raise BenchError("no network")

    monkeypatch.setattr(install, "INSTALLERS", {"one": fail, "two": lambda: "two is installed"})
    assert install.main() == 0
    assert capsys.readouterr().err.splitlines() == ["one will be skipped: no network", "two is installed"]
