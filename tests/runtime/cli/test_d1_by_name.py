"""`pyworkerd d1 migrations` and `d1 execute`, with a Wrangler file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from pyworkerd.cli.d1_by_name import Database, file_name, find
from pyworkerd.cli.main import main
from pyworkerd.errors import ConfigurationError
from pyworkerd_config import load

from tests.runtime.cli.command import CONFIG, project

if TYPE_CHECKING:
    from pathlib import Path

WRANGLER = """\
name = "w"
main = "w.py"
compatibility_date = "2026-11-01"
[[d1_databases]]
binding = "DB"
database_name = "shop"
database_id = "0"
"""


def test_migrations_and_statements_by_a_databases_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project(tmp_path)
    (tmp_path / "wrangler.toml").write_text(WRANGLER)
    where = ("-c", tmp_path / "wrangler.toml")

    def d1(*arguments: str | Path) -> str:
        assert main(["d1", *map(str, (*arguments, *where))]) == 0
        told = capsys.readouterr()
        assert told.err == ""
        return told.out

    first = d1("migrations", "create", "shop", "Make items!").strip()
    assert first == str(tmp_path / "migrations/0001_make_items.sql")
    (tmp_path / "migrations/0001_make_items.sql").write_text("CREATE TABLE items (name, size);")
    d1("migrations", "create", "DB", "more")
    assert d1("migrations", "list", "DB", "--local") == "0001_make_items.sql\n0002_more.sql\n"
    assert json.loads(d1("migrations", "apply", "shop", "--json")) == {
        "ok": True,
        "applied": ["0001_make_items.sql", "0002_more.sql"],
    }
    assert d1("migrations", "list", "shop") == d1("migrations", "apply", "shop") == "nothing is new\n"
    (tmp_path / "seed.sql").write_text(
        "INSERT INTO items VALUES ('a\tb', 1);\nINSERT INTO items VALUES (x'00ff', NULL);"
    )
    assert d1("execute", "shop", "--file", tmp_path / "seed.sql") == "2 statements\n"
    assert d1("execute", "DB", "--command", "SELECT * FROM items") == "name\tsize\na\\tb\t1\n00ff\tNULL\n"
    told = json.loads(d1("execute", "DB", "--command", "SELECT size FROM items", "--json"))
    assert told == {"ok": True, "results": [{"size": 1}, {"size": None}]}
    assert d1("execute", "DB", "--command", "DELETE FROM items") == ""


def test_mistakes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = project(tmp_path, CONFIG + '[services.worker.bindings]\nDB = { d1 = "shop" }\n')
    (tmp_path / "bytes").write_bytes(b"\xff")
    for arguments, status, text in (
        (
            ("execute", "none", "--command", "SELECT 1"),
            2,
            "no database or binding named 'none'; there are: shop",
        ),
        (("execute", "shop", "--command", "SELEC"), 1, "D1_ERROR: near"),
        (("execute", "shop", "--file", "gone"), 2, "gone cannot be read"),
        (("execute", "shop", "--file", str(tmp_path / "bytes")), 2, "is not UTF-8"),
        (("migrations", "list", "shop"), 2, "migrations cannot be read: No such file or directory"),
        (("migrations", "apply", "shop"), 2, "migrations cannot be read"),
    ):
        assert main(["d1", *arguments, "-c", str(config)]) == status
        assert text in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["d1", "execute", "shop", "-c", str(config)])
    assert "one of the arguments --command --file is required" in capsys.readouterr().err


SEVERAL = """\
[[services]]
name = "a"
worker = { main = "w.py", bindings = { DB = { d1 = "x", migrations = "sql" } } }
[[services]]
name = "b"
worker = { main = "w.py", bindings = { DB = { d1 = "x" }, OTHER = { d1 = "y" } } }
"""


def test_which_database_is_meant(tmp_path: Path) -> None:
    config = load(project(tmp_path, SEVERAL))
    assert find(config, "x", "a") == Database("a", "x", tmp_path / "sql")
    assert find(config, "OTHER") == Database("b", "y", tmp_path / "migrations")
    with pytest.raises(
        ConfigurationError, match=r"more than one database 'DB', 'x' of 'a', 'x' of 'b': add --worker"
    ):
        find(config, "DB")
    with pytest.raises(ConfigurationError, match=r"no database or binding named 'y'; there are: x"):
        find(config, "y", "a")
    shared = load(project(tmp_path, SEVERAL + '[[stores]]\nd1 = "x"\nworkers = ["a", "b"]\n'))
    assert find(shared, "x") == Database("a", "x", tmp_path / "sql")


@pytest.mark.parametrize(
    ("before", "message", "name"),
    [
        ([], "make items", "0001_make_items.sql"),
        (["0001_a.sql", "0007.sql", "x.sql"], "../../etc", "0008_etc.sql"),
        (["12345_a.sql"], "\N{SNOWMAN}", "12346_migration.sql"),
        ([], "x" * 999, f"0001_{'x' * 100}.sql"),
    ],
)
def test_names(before: list[str], message: str, name: str) -> None:
    assert file_name(before, message) == name
