"""`pyworkerd do`, beside a server whose objects store something."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
from typing import TYPE_CHECKING

import pytest

from tests.runtime.cli.command import CONFIG, ask, project, run, serve

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

BOUND = "[services.worker.bindings]\nCOUNTERS = { durable_object = 'Counter' }\n"
WORKER = """
from workers import DurableObject, Response, WebSocketPair, WorkerEntrypoint

class Counter(DurableObject):
    async def fetch(self, request):
        client, server = WebSocketPair().object_values()
        server.accept()
        return Response(None, status=101, web_socket=client)

    async def increment(self):
        self.ctx.storage.sql.exec("CREATE TABLE IF NOT EXISTS counted (count)")
        self.ctx.storage.sql.exec("INSERT INTO counted VALUES (1)")
        await self.ctx.storage.set_alarm(4_000_000_000_000)
        return self.ctx.storage.sql.exec("SELECT count(*) AS n FROM counted").one()["n"]

    async def alarm(self):
        pass

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.headers.get("upgrade"):
            return await self.env.COUNTERS.get_by_name("visits").fetch(request)
        return Response(str(await self.env.COUNTERS.get_by_name("visits").increment()))
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = project(tmp_path, CONFIG + BOUND)
    (tmp_path / "w.py").write_text(WORKER)
    return path


def do(config: Path, verb: str, *more: str) -> subprocess.CompletedProcess[str]:
    return run("do", verb, config, "w", "COUNTERS", *more)


def ask_for_socket(address: tuple[str, int]) -> socket.socket:
    connection = socket.create_connection(address, 30)
    connection.sendall(
        b"GET / HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        b"sec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
    )
    return connection


def test_an_object_is_listed_taken_out_put_in_and_forgotten(config: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.sqlite3"
    assert do(config, "list").stdout == ""
    with serve(config, "--socket-addr=http=127.0.0.1:0") as served:
        address = served.address()
        assert ask(address).body == "1"
        (line,) = do(config, "list", "--json").stdout.splitlines()
        listed = json.loads(line)
        assert listed["alarm"] == 4_000_000_000_000
        done = do(config, "export", "--name", "visits", "--path", str(taken))
        assert (done.returncode, done.stdout) == (0, f"{listed['bytes']} bytes\n")
        assert ask(address).body == "2"
        assert do(config, "import", "--name", "visits", "--path", str(taken)).returncode == 0
        assert ask(address).body == "2", "what it stored, and what it had in memory, was replaced"
        with ask_for_socket(address) as client:
            assert client.recv(1024).startswith(b"HTTP/1.1 101 ")
            for verb in (
                ("delete", "--id", listed["id"]),
                ("import", "--name", "visits", "--path", str(taken)),
            ):
                done = do(config, *verb)
                assert (done.returncode, "has something under way" in done.stderr) == (1, True)
        assert served.stop(signal.SIGTERM) == 0
    connection = sqlite3.connect(taken)
    connection.executemany("INSERT INTO counted VALUES (?)", [(1,)] * 9)
    connection.commit()
    connection.close()
    assert do(config, "import", "--id", listed["id"], "--path", str(taken)).returncode == 0
    with serve(config, "--socket-addr=http=127.0.0.1:0") as served:
        assert ask(served.address()).body == "11"
        assert served.stop(signal.SIGTERM) == 0
    assert do(config, "list").stdout.endswith("\t4000000000000\n"), "an import leaves the alarm"
    assert do(config, "delete", "--name", "visits", "--json").stdout == '{"ok": true}\n'
    assert do(config, "list").stdout == ""
    with serve(config, "--socket-addr=http=127.0.0.1:0") as served:
        assert ask(served.address()).body == "1"


def test_mistakes_are_told(config: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_bytes(b"no database")
    small = tmp_path / "small"
    connection = sqlite3.connect(small)
    connection.executescript("PRAGMA page_size = 1024; CREATE TABLE t (x)")
    connection.close()
    logged = tmp_path / "logged"
    connection = sqlite3.connect(logged)
    connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (x)")
    connection.close()
    for arguments, status, text in (
        (("delete", "--id", "00" * 32), 2, "no id of an object of this namespace"),
        (("delete",), 2, "one of the arguments --id --name is required"),
        (("export", "--name", "nobody", "--path", str(tmp_path / "x")), 1, "has stored nothing"),
        (("import", "--name", "a", "--path", str(wrong)), 2, "is no SQLite database"),
        (("import", "--name", "a", "--path", str(small)), 2, "PRAGMA page_size = 4096"),
        (("import", "--name", "a", "--path", str(logged)), 2, "PRAGMA journal_mode = DELETE"),
        (("import", "--name", "a", "--path", str(tmp_path / "nowhere")), 2, "cannot be read"),
    ):
        done = do(config, *arguments)
        assert (done.returncode, text in done.stderr) == (status, True), done.stderr
        assert "Traceback" not in done.stderr
    done = run("do", "list", config, "w", "OTHER")
    assert (done.returncode, "there are: COUNTERS" in done.stderr) == (2, True)
    assert do(config, "list").stdout == "", "what was refused left nothing"
