"""`pyworkerd kv`, beside no server; the stores themselves are tested where they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.runtime.cli.command import CONFIG, project, run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BOUND = '[services.worker.bindings]\nCACHE = { kv = "cache" }\nNAME = { text = "x" }\n'


def kv(tmp_path: Path, verb: str, *more: str, config: Path | None = None):
    return run("kv", verb, config or tmp_path / "config.toml", "w", *more)


def test_a_value_is_written_read_listed_and_removed(tmp_path: Path) -> None:
    project(tmp_path, CONFIG + BOUND)
    assert kv(tmp_path, "put", "CACHE", "a", "hello", "--ttl", "3600", "--metadata", "[1]").stdout == "ok\n"
    (tmp_path / "value").write_bytes(b"\x00\xff")
    done = kv(tmp_path, "put", "CACHE", "b\n", "--path", str(tmp_path / "value"), "--json")
    assert json.loads(done.stdout) == {"ok": True, "bytes": 2}
    assert kv(tmp_path, "get", "CACHE", "a").stdout == "hello"
    found = json.loads(kv(tmp_path, "get", "CACHE", "a", "--json").stdout)
    assert (found["value"], found["metadata"]) == ("hello", [1])
    listed = kv(tmp_path, "list", "CACHE").stdout.splitlines()
    assert listed[0].startswith("a\texpires ")
    assert listed[1:] == ["b\\n"]
    assert json.loads(kv(tmp_path, "list", "CACHE", "--prefix", "b", "--json").stdout)["name"] == "b\n"
    assert kv(tmp_path, "delete", "CACHE", "a").returncode == 0
    gone = kv(tmp_path, "get", "CACHE", "a")
    assert (gone.returncode, gone.stdout) == (1, "")


def test_mistakes_are_told(tmp_path: Path) -> None:
    project(tmp_path, CONFIG + BOUND)
    done = kv(tmp_path, "list", "OTHER")
    assert done.returncode == 2
    assert done.stderr == "error: worker 'w' has no kv binding named 'OTHER'; there are: CACHE\n"
    done = kv(tmp_path, "put", "CACHE", "a", "--path", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "nowhere cannot be read: No such file or directory" in done.stderr
    done = kv(tmp_path, "put", "CACHE", "a", "x", "--ttl", "5")
    assert done.returncode == 1
    assert "60" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_value_goes_to_the_terminal_byte_for_byte(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    from pyworkerd.cli.main import main  # noqa: PLC0415 - in this process

    path = project(tmp_path, CONFIG + BOUND)
    (tmp_path / "value").write_bytes(bytes(range(256)))
    assert main(["kv", "put", str(path), "w", "CACHE", "k", "--path", str(tmp_path / "value")]) == 0
    capfdbinary.readouterr()
    assert main(["kv", "get", str(path), "w", "CACHE", "k"]) == 0
    assert capfdbinary.readouterr().out == bytes(range(256))
