"""`pyworkerd types`, and type checkers that read what it writes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from pyworkerd.cli.init import TEMPLATES
from pyworkerd.cli.main import main
from pyworkerd.declaring import PYTHON, TYPESCRIPT

from tests.packaging.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EXAMPLES = ("services", "shop", "typescript", "chat-object", "html-proxy")
"""Of all kinds of bindings; what mypy finds in an example takes it half a second."""
TSC = shutil.which("tsc")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mypy")


def checked(cache: Path, typings: Path, *files: Path, strict: bool) -> str:
    """What mypy says of workers; each is a program of its own, whose modules lie beside it."""
    options = ["--strict"] if strict else ["--check-untyped-defs"]
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--config-file=",
        "--python-version=3.14",
        f"--cache-dir={cache}",
    ]
    done = subprocess.run(
        [*command, "--no-error-summary", *options, *(file.name for file in files)],
        cwd=files[0].parent,
        env=os.environ | {"MYPYPATH": str(typings)},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout + done.stderr


def compiled(folder: Path) -> str:
    assert TSC is not None
    done = subprocess.run([TSC, "-p", folder], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def mains(folder: Path, suffix: str) -> Iterator[Path]:
    skipped = {"node_modules", "public", ".pyworkerd"}
    return (path for path in sorted(folder.rglob(f"*{suffix}")) if not skipped & set(path.parts))


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_are_typed(
    template: str,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "--template", template]) == 0
    capsys.readouterr()
    assert main(["types", "--check"]) == 1
    there = {name for name in (PYTHON, TYPESCRIPT) if (tmp_path / name).exists()}
    told = set(capsys.readouterr().out.split())
    assert there == set(), "it was only asked"
    assert main(["types"]) == 0
    assert set(capsys.readouterr().out.split()) == told != set()
    assert all((tmp_path / name).is_file() for name in told)
    for path in mains(tmp_path, ".py"):
        if PYTHON not in str(path):
            assert checked(cache, tmp_path / "typings", path, strict=True) == ""
    assert main(["types", "--check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "changed": []}
    if (tmp_path / "tsconfig.json").exists() and TSC is not None:
        assert compiled(tmp_path) == ""


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_are_typed(
    example: str, cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = ROOT / "examples" / example
    assert main(["types", str(folder / "config.toml"), "-o", str(tmp_path)]) == 0
    capsys.readouterr()
    if (tmp_path / PYTHON).exists():
        for below in {path.parent for path in mains(folder, ".py")}:
            assert checked(cache, tmp_path / "typings", *sorted(below.glob("*.py")), strict=False) == ""
    if (tmp_path / TYPESCRIPT).exists() and TSC is not None:
        options = json.loads(TSCONFIG)
        options["include"] = [str(path) for path in (tmp_path / TYPESCRIPT, *mains(folder, ".ts"))]
        (tmp_path / "tsconfig.json").write_text(json.dumps(options))
        assert compiled(tmp_path) == ""


TSCONFIG = """{"compilerOptions": {"target": "ES2022", "lib": ["ES2023", "WebWorker"], "module": "ES2022",
  "moduleResolution": "Bundler", "types": [], "strict": true, "noEmit": true}}"""

WRONG = """\
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self) -> Response:
        return Response(await self.env.GREETING.get("x"), stauts=404)
    def other(self) -> None:
        self.env.NOTHING
"""


def test_mistakes_are_found(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init"]) == 0
    assert main(["types"]) == 0
    (tmp_path / "src/hello.py").write_text(WRONG)
    said = checked(cache, tmp_path / "typings", tmp_path / "src/hello.py", strict=True)
    assert said.count("error: ") == 3
    assert '"str" has no attribute "get"' in said
    assert '"Env" has no attribute "NOTHING"' in said
    assert 'Unexpected keyword argument "stauts"' in said


WORKERD = """
using Workerd = import "/workerd/workerd.capnp";
const one :Workerd.Config = (services = [(name = "first", worker = .w)]);
const two :Workerd.Config = (services = [(name = "second", worker = .w)]);
const w :Workerd.Worker = (
  modules = [(name = "w.js", esModule = "export default {}")], compatibilityDate = "2026-01-01",
  bindings = [(name = "GREETING", text = "hello")],
);
"""


def test_a_constant_of_workerd_s_file(tmp_path: Path) -> None:
    (tmp_path / "c.capnp").write_text(WORKERD)
    assert main(["types", str(tmp_path / "c.capnp"), "two"]) == 0
    assert "interface SecondEnv {\n  GREETING: string;" in (tmp_path / TYPESCRIPT).read_text()


def test_what_somebody_else_has_written_stays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path), "-t", "mixed"]) == 0
    config, mine = str(tmp_path / "config.toml"), tmp_path / TYPESCRIPT
    mine.write_text("interface Mine {}\n")
    assert main(["types", config]) == 2
    assert f"{TYPESCRIPT} is no file of `pyworkerd types`: move it away" in capsys.readouterr().err
    assert mine.read_text() == "interface Mine {}\n"
    assert not (tmp_path / PYTHON).exists(), "all or nothing"
    for first in (
        "// Made by `pyworkerd types` of an older one",
        "// Generated by Wrangler by running `wrangler types`",
    ):
        mine.write_text(f"{first}\n")
        assert main(["types", config]) == 0
        assert "interface SiteEnv" in mine.read_text()


def test_what_cannot_be_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", str(tmp_path / "p")]) == 0
    (tmp_path / "file").write_text("")
    assert main(["types", str(tmp_path / "p/config.toml"), "-o", str(tmp_path / "file")]) == 2
    assert "cannot be written: Not a directory" in capsys.readouterr().err
