"""`pyworkerd validate`; what it refuses is in test_mistakes.py."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.runtime.cli.command import CONFIG, project, run

if TYPE_CHECKING:
    from pathlib import Path


def test_a_good_configuration(tmp_path: Path) -> None:
    done = run("validate", project(tmp_path))
    assert (done.returncode, done.stdout) == (0, "ok\n")


def test_it_may_leave_the_workers_alone(tmp_path: Path) -> None:
    path = project(tmp_path, w="raise ValueError('no')\n")
    assert run("validate", path, "--no-deploy").stdout == "ok\n"
    assert run("validate", path).returncode == 2


def test_lazy_workers_are_deployed_to_see_whether_they_can_be(tmp_path: Path) -> None:
    path = project(tmp_path, f'deploy = "lazy"\n{CONFIG}', w="raise ValueError('no')\n")
    assert run("validate", path).returncode == 2


def test_stores_are_left_alone(tmp_path: Path) -> None:
    bound = '[services.worker.bindings]\nDB = { d1 = "shop", migrations = "migrations" }\n'
    path = project(tmp_path, CONFIG + bound)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001.sql").write_text("CREATE TABLE t (x)")
    assert run("validate", path).stdout == "ok\n"
    assert not (tmp_path / ".pyworkerd").exists()
    (tmp_path / "migrations" / "0002.sql").write_text("CREATE TABLE t (x)")
    done = run("validate", path)
    assert done.returncode == 2
    assert "migration 0002.sql: D1_ERROR: table t already exists" in done.stderr


def test_json(tmp_path: Path) -> None:
    good = run("validate", project(tmp_path), "--json")
    assert json.loads(good.stdout) == {"ok": True, "problems": [], "warnings": []}
    path = project(tmp_path, CONFIG + 'mian = "x"\n')
    bad = run("validate", path, "--json")
    assert (bad.returncode, bad.stderr) == (2, "")
    found = json.loads(bad.stdout)
    assert found["ok"] is False
    (problem,) = found["problems"]
    assert (problem["file"], problem["line"]) == (str(path), 10)
    assert problem["message"] == 'unknown key "mian"'
    assert problem["remedy"] == 'did you mean "main"?'
    assert problem["text"] == f"{path}:10: {problem['message']}: {problem['remedy']}"


def test_json_of_a_worker_that_does_not_deploy(tmp_path: Path) -> None:
    bad = run("validate", project(tmp_path, w="raise ValueError('no')\n"), "--json")
    assert bad.returncode == 2
    assert json.loads(bad.stdout)["problems"] == [{"text": f"{tmp_path}/w.py:1: ValueError: no"}]


def test_certificates_and_workers_are_told_together(tmp_path: Path) -> None:
    path = project(
        tmp_path,
        CONFIG.replace("service", 'https = { cert = "none.pem", key = "none.key" }\nservice', 1),
        w="raise ValueError('no')\n",
    )
    (tmp_path / "none.pem").write_text("nothing")
    (tmp_path / "none.key").write_text("nothing")
    bad = run("validate", path, "--json")
    assert bad.returncode == 2
    certificate, worker = (problem["text"] for problem in json.loads(bad.stdout)["problems"])
    assert "none.pem" in certificate
    assert "ValueError: no" in worker
