"""What `serve` prints about itself."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from pyworkerd.problems import Fault
from pyworkerd.serving import Listening
from pyworkerd.supervisor import reports

if TYPE_CHECKING:
    import pytest

SOCKETS = [Listening("http", "*:80", "w"), Listening("local", "unix:/s", None)]


def tell(report: reports.Reports) -> None:
    report.progress("merg\x1bing\n")
    report.deployed("w", 12.345, built=True)
    report.deployed("w", 1.4, built=False)
    report.dormant(10_000)
    for socket in SOCKETS:
        report.listening(socket)
    report.admin(Listening("admin", "127.0.0.1:9", None))
    report.complete(1)
    report.reloaded(0.0123)
    report.not_reloaded([Fault("c.toml:1: bad\x1b", "c.toml", 1, "bad", None), Fault("worse")])
    report.stopping()


def test_readable(capsys: pytest.CaptureFixture[str]) -> None:
    tell(reports.Readable())
    told = capsys.readouterr()
    assert told.out == "listening on http://*:80 (http -> w)\nlistening on unix:/s (local -> routes)\n"
    assert told.err.splitlines()[:4] == [
        "engine: merg\\x1bing\\n",
        "w: deployed in 12 ms",
        "w: deployed from the cache in 1 ms",
        "workers are deployed at their first request: 10000 of them",
    ]
    assert told.err.splitlines()[4:9] == [
        "admin: http://127.0.0.1:9",
        "serving with 1 process",
        "reloaded in 12 ms",
        "not reloaded: c.toml:1: bad\\x1b",
        "not reloaded: worse",
    ]


def test_json(capsys: pytest.CaptureFixture[str]) -> None:
    tell(reports.Json())
    told = capsys.readouterr()
    assert told.err == ""
    events = [json.loads(line) for line in told.out.splitlines()]
    assert [event["event"] for event in events] == [
        "engine", "deployed", "deployed", "dormant", "listening", "listening",
        "admin", "complete", "reloaded", "not_reloaded", "stopping",
    ]  # fmt: skip
    assert events[1] == {"event": "deployed", "worker": "w", "milliseconds": 12.35, "built": True}
    assert events[3] == {"event": "dormant", "workers": 10_000}
    assert (events[5]["url"], events[5]["service"]) == ("unix:/s", None)
