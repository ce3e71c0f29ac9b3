"""The benchmark of idle WebSockets, small, against a real server."""

from __future__ import annotations

import json

import pytest
from pyworkerd_bench import websockets
from pyworkerd_bench.websockets import Figures


def test_a_small_run(sandbox: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert websockets.main(["--sockets", "120", "--idle", "0.1", "--json"]) == 0
    figures = Figures(**json.loads(capsys.readouterr().out))
    assert figures.sockets == 120
    assert figures.memory_open >= 10 << 20
    assert figures.told_s > 0
    table = websockets.as_text(figures).splitlines()
    assert [line[:32].strip() for line in table] == [
        "open at once",
        "to open one",
        "memory of one, silent",
        "memory before, open, closed",
        "processor while all are silent",
        "one message to all",
    ]
    assert table[0].endswith("120")


def test_more_than_the_system_allows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(websockets, "raise_limit", lambda: 1024)
    with pytest.raises(SystemExit):
        websockets.main(["--sockets", "5000"])
    assert "allows 1024 open files" in capsys.readouterr().err


def test_a_refusal_is_a_failure(
    sandbox: object, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    source = websockets.ROOM.replace('request.headers.get("upgrade") != "websocket"', "len(room) >= 3")
    monkeypatch.setattr(websockets, "ROOM", source)
    assert websockets.main(["--sockets", "5", "--idle", "0.1"]) == 2
    assert "answered b'HTTP/1.1 200 OK' after 3 WebSockets" in capsys.readouterr().err
