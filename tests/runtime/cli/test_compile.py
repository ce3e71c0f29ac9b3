"""`pyworkerd compile`, and `serve` of what it writes, elsewhere and as somebody else."""

from __future__ import annotations

import json
import shutil
import signal
from typing import TYPE_CHECKING

from tests.runtime.cli.command import ask, run, serve
from tests.runtime.compiled.projects import project

if TYPE_CHECKING:
    from pathlib import Path


def test_it_is_served_from_an_empty_folder_with_another_home(tmp_path: Path) -> None:
    config = project(tmp_path / "project")
    done = run("compile", config, "-o", tmp_path / "app.pyworkerd")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{tmp_path / 'app.pyworkerd'}: 10 files, ")
    shutil.rmtree(tmp_path / "project")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "app.pyworkerd").rename(elsewhere / "app.pyworkerd")
    home = str(tmp_path / "home")
    refused = run("serve", elsewhere / "app.pyworkerd", PYWORKERD_HOME=home)
    assert refused.returncode == 2
    assert "TOKEN" in refused.stderr, "it has no secrets"
    with serve(elsewhere / "app.pyworkerd", PYWORKERD_HOME=home, TOKEN="from here") as served:
        address = served.address()
        assert json.loads(ask(address, "/api").body) == ["word", "from here", [1, 2], 1, "file"]
        page = ask(address, "/")
        assert (page.body, page.headers["x-a"]) == ("<p>page</p>", "b")
        assert served.stop(signal.SIGTERM) == 0
    assert sorted(path.name for path in elsewhere.iterdir()) == ["app.pyworkerd", "state"]


def test_mistakes(tmp_path: Path) -> None:
    config = project(tmp_path)
    done = run("compile", config, "-o", tmp_path / "app.zip")
    assert (done.returncode, "a compiled file is called something.pyworkerd" in done.stderr) == (2, True)
    (tmp_path / "app.pyworkerd").write_text("none")
    done = run("validate", tmp_path / "app.pyworkerd", PYWORKERD_HOME=str(tmp_path / "home"))
    assert done.returncode == 2
    assert "this is no file that pyworkerd compile has made" in done.stderr
    done = run("serve", "-c", tmp_path / "app.pyworkerd", "-c", config)
    assert (done.returncode, "name it alone" in done.stderr) == (2, True)


def test_json(tmp_path: Path) -> None:
    done = run("compile", project(tmp_path), "--json", "-o", tmp_path / "app.pyworkerd")
    found = json.loads(done.stdout)
    assert (found["ok"], found["file"], found["workers"]) == (True, str(tmp_path / "app.pyworkerd"), 1)
    assert found["size"] == (tmp_path / "app.pyworkerd").stat().st_size
