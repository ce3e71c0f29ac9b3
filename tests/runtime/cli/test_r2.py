"""`pyworkerd r2`, beside no server; the buckets themselves are tested where they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.runtime.cli.command import CONFIG, project, run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

BOUND = '[services.worker.bindings]\nFILES = { r2 = "files" }\nNAME = { text = "x" }\n'


def r2(tmp_path: Path, verb: str, *more: str):
    return run("r2", verb, tmp_path / "config.toml", "w", *more)


def test_an_object_is_written_read_listed_and_removed(tmp_path: Path) -> None:
    project(tmp_path, CONFIG + BOUND)
    (tmp_path / "page.html").write_bytes(b"<p>\x00\xff" * 200_000)
    path = str(tmp_path / "page.html")
    assert r2(tmp_path, "put", "FILES", "a\n", "--path", path).stdout == "ok\n"
    done = r2(tmp_path, "put", "FILES", "b", "--path", path, "--content-type", "text/x", "--json")
    assert json.loads(done.stdout)["http_metadata"] == {"content_type": "text/x"}
    assert r2(tmp_path, "list", "FILES").stdout == "1000000\ta\\n\n1000000\tb\n"
    assert json.loads(r2(tmp_path, "list", "FILES", "--prefix", "b", "--json").stdout)["key"] == "b"
    head = r2(tmp_path, "head", "FILES", "a\n").stdout
    assert "size\t1000000\n" in head
    assert "text/html" in head
    copy = tmp_path / "copy"
    assert r2(tmp_path, "get", "FILES", "b", "--path", str(copy)).stdout == "ok\n"
    assert copy.read_bytes() == (tmp_path / "page.html").read_bytes()
    assert r2(tmp_path, "delete", "FILES", "b").returncode == 0
    for verb in ("get", "head"):
        gone = r2(tmp_path, verb, "FILES", "b", "--json")
        assert (gone.returncode, gone.stdout) == (1, "null\n")


def test_mistakes_are_told(tmp_path: Path) -> None:
    project(tmp_path, CONFIG + BOUND)
    done = r2(tmp_path, "list", "OTHER")
    assert done.returncode == 2
    assert done.stderr == "error: worker 'w' has no r2 binding named 'OTHER'; there are: FILES\n"
    done = r2(tmp_path, "put", "FILES", "a", "--path", str(tmp_path / "nowhere"))
    assert done.returncode == 2
    assert "nowhere cannot be opened: No such file or directory" in done.stderr
    done = r2(tmp_path, "head", "FILES", "k" * 1025)
    assert done.returncode == 1
    assert "10020" in done.stderr


def test_an_object_goes_to_the_terminal_byte_for_byte(
    tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    from pyworkerd.cli.main import main  # noqa: PLC0415 - in this process

    path = project(tmp_path, CONFIG + BOUND)
    (tmp_path / "value").write_bytes(bytes(range(256)))
    assert main(["r2", "put", str(path), "w", "FILES", "k", "--path", str(tmp_path / "value")]) == 0
    capfdbinary.readouterr()
    assert main(["r2", "get", str(path), "w", "FILES", "k"]) == 0
    assert capfdbinary.readouterr().out == bytes(range(256))
