"""`pyworkerd serve --record` and `pyworkerd replay`, the real commands."""

from __future__ import annotations

import argparse
import importlib
import json
import re
import signal
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.cli.configuration import add_configuration

from tests.packaging.markdown import code_blocks, page, rows
from tests.runtime.cli.command import CONFIG, ask, project, run, serve

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORKER = """\
import random
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        print("\\x1b[2Jasked")
        return Response(f"{random.random()} {self.env.TOKEN}")
"""


def recorded(folder: Path, *options: str) -> tuple[Path, Path]:
    """A configuration, and what was recorded of one request."""
    config = project(folder, CONFIG + '[services.worker.bindings]\nTOKEN = { secret = "TOKEN" }\n', w=WORKER)
    with serve(config, "--record", folder / ".recordings", *options, TOKEN="sk-live-4711") as served:
        assert ask(served.address()).body.endswith("sk-live-4711")
        assert served.stop(signal.SIGTERM) == 0
        assert "Traceback" not in "\n".join(served.errors.rest())
    (recording,) = (folder / ".recordings").iterdir()
    return config, recording


def test_what_was_recorded_is_replayed_and_what_has_changed_is_told(tmp_path: Path) -> None:
    config, recording = recorded(tmp_path, "--record-worker", "w")
    assert b"4711" not in recording.read_bytes()
    equal = run("replay", recording)
    assert (equal.returncode, equal.stderr) == (0, "")
    lines = equal.stdout.splitlines()
    assert lines[0].startswith("# w, request ")
    assert lines[1] == "# the binding TOKEN is a placeholder"
    assert "| info stdout: \\x1b[2Jasked" in lines
    assert lines[-1] == "= equal: 1 of 1 steps did what was recorded"

    told: list[dict[str, Any]] = [
        json.loads(line) for line in run("replay", recording, "--json").stdout.splitlines()
    ]
    assert [each["event"] for each in told] == ["recording", "step", "end"]
    assert told[1]["events"][1]["url"].startswith("http://127.0.0.1")
    assert [each["kind"] for each in told[1]["effects"]] == ["log", "respond", "done"]
    assert told[2] == {"event": "end", "equal": True, "steps": 1, "of": 1, "difference": None}

    other = run("replay", recording, "--step", "2").stdout.splitlines()
    assert [line for line in other if line[0] in "<|>"] == []
    assert other[-1] == lines[-1]

    shown = run("replay", recording, config, "--trace")
    assert (shown.returncode, shown.stderr) == (0, "")
    ran = [line for line in shown.stdout.splitlines() if line.startswith(". ")]
    assert ran[0] == '. w.py:6 fetch  print("\\x1b[2Jasked")  self=<Default> request=<Request>'
    assert ran[-1] == ". w.py:7 fetch returns <Response>"
    stopped = run("replay", recording, config, "--break", "w.py:7", "--json").stdout.splitlines()
    assert {each["line"] for each in json.loads(stopped[1])["lines"]} == {7}

    (tmp_path / "w.py").write_text(WORKER.replace("asked", "changed"))
    refused = run("replay", recording, config)
    assert refused.returncode == 2
    assert "the code of 'w' is not what was recorded (w.py differ)" in refused.stderr
    changed = run("replay", recording, config, "--changed")
    assert changed.returncode == 1
    assert "! different: step 1, effect 1" in changed.stdout
    assert (
        "! now:      log invocation=1 level='info' source='stdout' message='\\x1b[2Jchanged'"
        in changed.stdout
    )


def told(text: str, marks: str) -> list[str]:
    return [line for line in text.splitlines() if line[:1] in marks and line[1:2] == " "]


def pattern_of(line: str) -> str:
    """A line of the page: what stands for more is anything, and so is a number, an id or a time."""
    whole = re.escape(line.replace("...", "\0"))
    return re.sub(r"[0-9a-f]{16}|[0-9][0-9.:T+-]*", "[0-9a-fT.:+-]+", whole).replace("\0", ".*")


def test_the_example_of_the_page_is_what_comes_out(tmp_path: Path) -> None:
    text = page("docs/replay.md")
    (source,), (plain, traced) = code_blocks(text, "python"), code_blocks(text, "console")
    config = project(
        tmp_path,
        CONFIG.replace('"w"', '"shop"').replace("w.py", "shop.py")
        + '[services.worker.bindings]\nSTOCK = { kv = "stock" }\nTOKEN = { secret = "TOKEN" }\n',
        shop=source,
    )
    folder = tmp_path / ".recordings"
    with serve(
        config, "--record", folder, "--record-worker", "shop", "--record-failures", TOKEN="sk-live-4711"
    ) as served:
        assert ask(served.address(), "/apples").status == 500
        assert served.stop(signal.SIGTERM) == 0
    (recording,) = folder.iterdir()
    for block, also in ((plain, []), (traced, [config, "--trace"])):
        marks = "." if also else "#<|>="
        expected = told(block, marks)
        lines = told(run("replay", recording, *also).stdout, marks)
        assert len(lines) == len(expected)
        for line, shown in zip(lines, expected, strict=True):
            assert re.fullmatch(pattern_of(shown), line), (shown, line)


def options_of(configure: Callable[[argparse.ArgumentParser], None]) -> set[str]:
    parser = argparse.ArgumentParser(add_help=False)
    configure(parser)
    return {each.option_strings[-1] for each in parser._actions if each.option_strings}


@pytest.mark.parametrize(("command", "heading"), [("serve", "Recording"), ("replay", "Replaying")])
def test_the_page_has_every_option(command: str, heading: str) -> None:
    options = options_of(importlib.import_module(f"pyworkerd.cli.{command}").configure)
    own = {
        each for each in options - options_of(add_configuration) if command == "replay" or "record" in each
    }
    listed = {row[0].partition(" ")[0] for row in rows("docs/replay.md", heading)}
    assert listed - {"CONFIG`"} == own


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--record-worker", "nobody"], "no worker named 'nobody'"),
        (["--record-rate", "0"], "above 0"),
        (["--record-keep", "0"], "from 1 to 10000"),
    ],
)
def test_what_cannot_be_recorded_is_refused(options: list[str], why: str, tmp_path: Path) -> None:
    refused = run("serve", project(tmp_path), "--record", tmp_path / ".recordings", *options)
    assert refused.returncode == 2
    assert why in refused.stderr
