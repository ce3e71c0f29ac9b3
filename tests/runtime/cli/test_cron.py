"""`pyworkerd cron`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.runtime.cli.command import CONFIG, project, run

if TYPE_CHECKING:
    from pathlib import Path

CRONS = 'crons = ["*/5 * * * *", "0 3 * * MON"]\n'
WORKER = """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def scheduled(self, controller):
        print("ran for", controller.cron)
        if controller.cron.startswith("0"):
            raise ValueError("no luck")
"""


def project_with(tmp_path: Path, more: str = CRONS) -> Path:
    path = project(tmp_path, CONFIG + more)
    (tmp_path / "w.py").write_text(WORKER)
    return path


def test_it_lists_what_is_due_next(tmp_path: Path) -> None:
    done = run("cron", "list", project_with(tmp_path))
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert [line.split(None, 3)[0] for line in lines] == ["w", "w"]
    assert lines[0].endswith("*/5 * * * *")
    found = json.loads(run("cron", "list", tmp_path / "config.toml", "--json").stdout)
    assert [(row["worker"], row["cron"]) for row in found] == [("w", "*/5 * * * *"), ("w", "0 3 * * MON")]
    assert found[1]["next"].endswith("T03:00:00+00:00")


def test_it_runs_a_handler_and_shows_its_log(tmp_path: Path) -> None:
    done = run("cron", "run", project_with(tmp_path), "w", "*/5 * * * *")
    assert (done.returncode, done.stdout) == (0, "ok\n")
    assert "ran for */5 * * * *" in done.stderr


def test_the_only_expression_need_not_be_said(tmp_path: Path) -> None:
    assert run("cron", "run", project_with(tmp_path, 'crons = ["*/5 * * * *"]\n'), "w").returncode == 0
    done = run("cron", "run", project_with(tmp_path), "w")
    assert done.returncode == 2
    assert "say which cron expression 'w' is run for: it has '*/5 * * * *', '0 3 * * MON'" in done.stderr


def test_what_fails_is_told(tmp_path: Path) -> None:
    done = run("cron", "run", project_with(tmp_path), "w", "0 3 * * MON")
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: the cron '0 3 * * MON' of 'w' failed: ValueError: no luck"


def test_an_expression_that_is_none_is_a_mistake_in_the_file(tmp_path: Path) -> None:
    done = run("cron", "list", project_with(tmp_path, 'crons = ["0 0 * * 0"]\n'))
    assert done.returncode == 2
    assert "0 is no day of the week: write 1 (Sunday) to 7, as in Workers, or SUN to SAT" in done.stderr
