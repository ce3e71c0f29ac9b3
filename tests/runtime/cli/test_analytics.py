"""`pyworkerd analytics`, and a worker that writes what it asks for."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.runtime.cli.command import CONFIG, project, run

if TYPE_CHECKING:
    from pathlib import Path

BOUND = 'crons = ["* * * * *"]\n[services.worker.bindings]\nPOINTS = { analytics_engine = "requests" }\n'
WORKER = """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def scheduled(self):
        self.env.POINTS.writeDataPoint({"indexes": ["a"], "blobs": ["GET"], "doubles": [1, 2]})
        self.env.POINTS.write_data_point(blobs=["PUT\\n"], doubles=[3])
        self.env.POINTS.write_data_point(doubles=["wrong"])
"""


def test_what_a_worker_writes_is_asked_with_sql(tmp_path: Path) -> None:
    path = project(tmp_path, CONFIG + BOUND)
    (tmp_path / "w.py").write_text(WORKER)
    done = run("cron", "run", path, "w")
    assert done.returncode == 0
    assert "a data point was not written" in done.stderr
    assert "a double must be a number" in done.stderr
    sql = "SELECT blob1, double1, index1 FROM points ORDER BY double1"
    assert run("analytics", path, "w", "POINTS", sql).stdout == "GET\t1.0\ta\nPUT\\n\t3.0\t\n"
    rows = [
        json.loads(line) for line in run("analytics", path, "w", "POINTS", sql, "--json").stdout.splitlines()
    ]
    assert rows[1] == {"blob1": "PUT\n", "double1": 3.0, "index1": ""}


def test_mistakes_are_told(tmp_path: Path) -> None:
    path = project(tmp_path, CONFIG + BOUND)
    done = run("analytics", path, "w", "POINTS", "SELECT other FROM points")
    assert (done.returncode, done.stderr) == (1, "error: the query failed: no such column: other\n")
    assert run("analytics", path, "w", "OTHER", "SELECT 1").returncode == 2
