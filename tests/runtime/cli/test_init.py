"""`pyworkerd init`: what it writes serves, and passes its own tests."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest
from pyworkerd.cli.init import TEMPLATES, files_of
from pyworkerd.cli.main import main

from tests.packaging import tree
from tests.runtime.cli.command import ask, serve

if TYPE_CHECKING:
    from pathlib import Path

SHOWN = {
    "python": ("/?name=<b>", "<h1>Hello, &lt;b&gt;!</h1><p>visit 1</p>"),
    "typescript": ("/?name=<b>", "<h1>Hello, &#60;b&#62;!</h1><p>visit 1</p>"),
    "mixed": ("/?text=a+bc", "<p>2 words, the longest is bc</p>"),
    "durable-object": ("/a", '{"count":0}'),
}
"""What each template answers."""


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_passes_its_tests_and_serves(
    template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["init", "project", "--template", template]) == 0
    assert "cd project\n  pyworkerd test\n  pyworkerd dev\n" in capsys.readouterr().err
    monkeypatch.chdir(tmp_path / "project")
    assert main(["test"]) == 0
    assert " passed, 0 failed" in capsys.readouterr().out
    with serve("--port=0", processes=None, verb="dev") as served:
        host, _, port = served.output.until("Ready on ").removeprefix("Ready on http://").rpartition(":")
        path, shown = SHOWN[template]
        answer = ask((host, int(port)), path)
        assert (answer.status, shown in answer.body) == (200, True), answer
        assert served.stop(signal.SIGINT) == 0


def test_nothing_that_is_there_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "src").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / ".gitignore").symlink_to("nowhere")
    assert main(["init"]) == 2
    assert capsys.readouterr().err == "error: .gitignore is there already: choose another folder\n"
    assert sorted(path.name for path in tmp_path.rglob("*")) == [".gitignore", "notes.txt", "src"]
    (tmp_path / ".gitignore").unlink()
    assert main(["init", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == {"ok": True, "folder": ".", "files": [name for name, _ in files_of("python")]}
    assert (tmp_path / "notes.txt").read_text() == "mine"
    assert main(["init", "notes.txt/below"]) == 2
    assert "cannot be written: Not a directory" in capsys.readouterr().err


def test_every_template_is_whole() -> None:
    assert {path.name for path in tree.TEMPLATES.iterdir()} == set(TEMPLATES) == set(SHOWN)
    for template in TEMPLATES:
        names = [name for name, _ in files_of(template)]
        assert {".gitignore", "config.toml", "test.toml"} <= set(names)
        assert ("tsconfig.json" in names) == any(name.endswith(".ts") for name in names)
