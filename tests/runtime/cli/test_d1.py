"""`pyworkerd d1`, beside no server; the databases themselves are tested where they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.runtime.cli.command import CONFIG, project, run

if TYPE_CHECKING:
    from pathlib import Path

BOUND = """[services.worker.bindings]
DB = { d1 = "shop", migrations = "migrations" }
OTHER = { d1 = "other" }
"""


def d1(tmp_path: Path, verb: str, *more: str):
    return run("d1", verb, tmp_path / "config.toml", "w", *more)


def test_a_database_is_made_asked_taken_out_and_in(tmp_path: Path) -> None:
    project(tmp_path, CONFIG + BOUND)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001.sql").write_text("CREATE TABLE t (id INTEGER PRIMARY KEY, name);")
    assert d1(tmp_path, "migrate", "DB").stdout == "0001.sql\n"
    assert json.loads(d1(tmp_path, "migrate", "DB", "--json").stdout) == {"ok": True, "applied": []}
    assert d1(tmp_path, "query", "DB", "INSERT INTO t (name) VALUES (?), (?)", "a\tb", "null").returncode == 0
    assert d1(tmp_path, "query", "DB", "SELECT * FROM t").stdout == "1\ta\\tb\n2\tNULL\n"
    rows = d1(tmp_path, "query", "DB", "SELECT name, x'00ff' AS b FROM t WHERE id = ?", "1", "--json").stdout
    assert json.loads(rows) == {"name": "a\tb", "b": "00ff"}
    text = d1(tmp_path, "export", "DB").stdout
    assert "CREATE TABLE t" in text
    assert d1(tmp_path, "export", "DB", "--path", str(tmp_path / "dump.sql")).stdout == "ok\n"
    assert (tmp_path / "dump.sql").read_text() == text
    assert "statements" in d1(tmp_path, "import", "OTHER", "--path", str(tmp_path / "dump.sql")).stdout
    assert d1(tmp_path, "query", "OTHER", "SELECT count(*) FROM t").stdout == "2\n"


def test_mistakes_are_told(tmp_path: Path) -> None:
    project(tmp_path, CONFIG + BOUND)
    done = d1(tmp_path, "query", "NOTHING", "SELECT 1")
    assert done.stderr == "error: worker 'w' has no d1 binding named 'NOTHING'; there are: DB, OTHER\n"
    for arguments, status, text in (
        (("query", "DB", "SELEC"), 1, "D1_ERROR: near"),
        (("query", "DB", "ATTACH '/tmp/x' AS y"), 1, "not authorized"),
        (("migrate", "DB"), 2, "migrations cannot be read: No such file or directory"),
        (("migrate", "OTHER"), 2, "has no migrations"),
        (("export", "DB", "--path", str(tmp_path / "no" / "where")), 2, "cannot be written"),
        (("import", "DB", "--path", str(tmp_path / "nowhere")), 2, "cannot be read"),
    ):
        done = d1(tmp_path, *arguments)
        assert (done.returncode, text in done.stderr) == (status, True), done.stderr
        assert "Traceback" not in done.stderr
