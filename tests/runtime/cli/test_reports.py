"""What `serve` prints about itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pyworkerd.cli import reports
from pyworkerd.serving import Listening

if TYPE_CHECKING:
    import pytest

SOCKETS = [Listening("http", "*:80", "w"), Listening("local", "unix:/s", None)]


def tell(report: reports.Reports) -> None:
    report.progress("merging")
    report.deployed("w", 12.345, built=True)
    report.deployed("w", 1.4, built=False)
    report.dormant(10_000)
    for socket in SOCKETS:
        report.listening(socket)
    report.stopping()


def test_readable(capsys: pytest.CaptureFixture[str]) -> None:
    tell(reports.Readable())
    told = capsys.readouterr()
    assert told.out == "listening on http://*:80 (http -> w)\nlistening on unix:/s (local -> routes)\n"
    assert told.err.splitlines()[:4] == [
        "engine: merging",
        "w: deployed in 12 ms",
        "w: deployed from the cache in 1 ms",
        "workers are deployed at their first request: 10000 of them",
    ]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    tell(reports.Json())
    told = capsys.readouterr()
    assert told.err == ""
    events = [json.loads(line) for line in told.out.splitlines()]
    assert [event["event"] for event in events] == [
        "engine", "deployed", "deployed", "dormant", "listening", "listening", "stopping"
    ]  # fmt: skip
    assert events[1] == {"event": "deployed", "worker": "w", "milliseconds": 12.35, "built": True}
    assert events[3] == {"event": "dormant", "workers": 10_000}
    assert (events[5]["url"], events[5]["service"]) == ("unix:/s", None)
