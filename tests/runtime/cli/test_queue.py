"""`pyworkerd queue`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.runtime.cli.command import CONFIG, project, run

if TYPE_CHECKING:
    from pathlib import Path

QUEUES = '[[queues]]\nname = "jobs"\n[[queues]]\nname = "failed"\n'


def test_messages_are_sent_looked_at_and_forgotten(tmp_path: Path) -> None:
    path = project(tmp_path, QUEUES + CONFIG)
    assert run("queue", "list", path).stdout == "jobs: 0 messages, 0 bytes\nfailed: 0 messages, 0 bytes\n"
    assert run("queue", "send", path, "jobs", '{"order": 7}').stdout == "ok\n"
    assert run("queue", "send", path, "jobs", "plain", "--text", "--delay", "60").returncode == 0
    rows = [json.loads(line) for line in run("queue", "peek", path, "jobs", "--json").stdout.splitlines()]
    assert [(row["content_type"], json.loads(row["body"]), row["attempts"]) for row in rows] == [
        ("json", {"order": 7}, 0), ("text", "plain", 0),
    ]  # fmt: skip
    assert len(run("queue", "peek", path, "jobs", "--count", "1").stdout.splitlines()) == 1
    (jobs, failed) = (json.loads(line) for line in run("queue", "list", path, "--json").stdout.splitlines())
    assert (jobs["name"], jobs["messages"], failed["messages"]) == ("jobs", 2, 0)
    assert jobs["oldest"] is not None
    assert run("queue", "purge", path, "jobs").stdout == "2 messages are forgotten\n"
    assert run("queue", "peek", path, "jobs").stdout == ""


def test_mistakes_are_told(tmp_path: Path) -> None:
    path = project(tmp_path, QUEUES + CONFIG)
    done = run("queue", "peek", path, "jbos")
    assert (done.returncode, done.stderr) == (
        2,
        "error: there is no queue 'jbos': declare it in [[queues]]\n",
    )
    done = run("queue", "send", path, "jobs", "{order: 7}")
    assert done.returncode == 2
    assert "the body is not JSON" in done.stderr
    done = run("queue", "send", path, "jobs", '"' + "x" * 129_000 + '"')
    assert done.returncode == 1
    assert "exceeds limit of 128000" in done.stderr
