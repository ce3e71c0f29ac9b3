"""`pyworkerd state`."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from tests.runtime.cli.command import CONFIG, project, run

if TYPE_CHECKING:
    from pathlib import Path

QUEUE = '[[queues]]\nname = "jobs"\n'


def test_there_and_back(tmp_path: Path) -> None:
    path = project(tmp_path, QUEUE + CONFIG)
    saved = tmp_path / ".saved"
    wrong = run("state", "backup", path, tmp_path / "saved")
    assert (wrong.returncode, "lies in the folder of the worker 'w'" in wrong.stderr) == (1, True)
    nothing = run("state", "backup", path, saved)
    assert (nothing.returncode, "nothing has been stored yet" in nothing.stderr) == (1, True)
    run("queue", "send", path, "jobs", "7")
    done = run("state", "backup", path, saved, "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout)["stores"] == 1
    refused = run("state", "restore", path, saved)
    assert refused.returncode == 1
    assert "is not empty: stop the server and move it away" in refused.stderr
    shutil.rmtree(tmp_path / ".pyworkerd")
    assert run("state", "restore", path, saved).stdout.startswith("1 stores, 0 files of buckets, ")
    assert run("queue", "list", path).stdout.startswith("jobs: 1 messages")
