"""`pyworkerd dev`, the real command."""

from __future__ import annotations

import argparse
import signal
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.cli.dev import _ip, _port, configure, first_socket, for_dev
from pyworkerd_config import load

from tests.runtime.cli.command import WORKER, Served, ask, project, run, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIG = """\
[[services]]
name = "w"
[services.worker]
main = "w.py"
bindings = { STORE = { kv = "store" }, NAME = { secret = "NAME" } }
"""
COUNTS = """\
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/raise"):
            raise ValueError("no luck")
        count = int(await self.env.STORE.get("count") or 0) + 1
        await self.env.STORE.put("count", str(count))
        print("counted", count)
        return Response(f"one {self.env.NAME} {count}")
"""
HTML = {"accept": "text/html"}


@contextmanager
def dev(*arguments: str | Path) -> Iterator[Served]:
    with serve(*arguments, "--port=0", processes=None, verb="dev") as served:
        yield served


def address(served: Served) -> tuple[str, int]:
    host, _, port = served.output.until("Ready on ").removeprefix("Ready on http://").rpartition(":")
    return host, int(port)


def test_what_is_saved_is_served_and_what_is_broken_is_shown(tmp_path: Path) -> None:
    config = project(tmp_path, CONFIG, w=COUNTS)
    (tmp_path / ".dev.vars").write_text("NAME=Ada\n")
    state = tmp_path / "state"
    with dev(config, "--persist-to", state) as served:
        where = address(served)
        assert ask(where, "/a?b").body == "one Ada 1"
        assert served.errors.until("counted 1") == "[w] counted 1"
        assert served.errors.until("GET ").startswith("GET /a 200 (")
        raised = ask(where, "/raise", accept="*/*")
        assert (raised.status, raised.body.splitlines()[0]) == (500, "ValueError: no luck")

        (tmp_path / "w.py").write_text(COUNTS.replace("one", "two") + "\nhalf a file")
        assert served.errors.until("error: ").endswith("w.py:12: SyntaxError: invalid syntax")
        assert served.errors.until("> 12").endswith("> 12 | half a file")
        served.errors.until("The version before goes on")
        assert ask(where).body == "one Ada 2"
        page = ask(where, **HTML)
        assert page.status == 500
        assert "SyntaxError: invalid syntax</p>" in page.body
        assert '<meta http-equiv="refresh"' in page.body

        (tmp_path / "w.py").write_text(COUNTS.replace("one", "two"))
        served.errors.until("Reloaded in ")
        assert ask(where, **HTML).body == "two Ada 3"
        (tmp_path / ".dev.vars").write_text("NAME=Grace\n")
        served.errors.until("Reloaded in ")
        assert ask(where).body == "two Grace 4"
        assert served.stop(signal.SIGINT) == 0
        assert served.output.rest() == [f"Ready on http://127.0.0.1:{where[1]}"]
    assert state.is_dir()
    assert not (tmp_path / ".pyworkerd").exists()


def test_files_that_are_broken_from_the_start(tmp_path: Path) -> None:
    config = project(tmp_path, "[[services\n", w="x = (")
    with dev(config) as served:
        assert "not valid TOML" in served.errors.until("error: ")
        host, _, port = served.errors.until("Waiting").split()[4].removeprefix("http://").rpartition(":")
        where = (host, int(port))
        refused = ask(where)
        assert (refused.status, "not valid TOML" in refused.body) == (503, True)
        assert "<h1>The files cannot be loaded</h1>" in ask(where, **HTML).body
        config.write_text(CONFIG.replace(', NAME = { secret = "NAME" }', ""))
        assert "SyntaxError" in served.errors.until("error: ")
        (tmp_path / "w.py").write_text(WORKER)
        assert address(served) == where
        assert ask(where).body == "hello"
        assert served.stop(signal.SIGTERM) == 0


def test_what_cannot_become_better_is_an_error(tmp_path: Path) -> None:
    done = run("dev", tmp_path / "gone.toml")
    assert (done.returncode, "gone.toml: cannot be read (No such file or directory)" in done.stderr) == (
        2,
        True,
    )
    done = run("dev", project(tmp_path), "--ip", "203.0.113.1")  # not an address of this machine (RFC 5737)
    assert (done.returncode, "203.0.113.1" in done.stderr) == (2, True)
    assert "Traceback" not in done.stderr


SOCKETS = """\
sockets = [
    { name = "a", address = "%s", service = "w" },
    { name = "b", address = "*:90", service = "w" },
]
"""


@pytest.mark.parametrize(
    ("written", "arguments", "expected"),
    [
        (None, "", "127.0.0.1:8787"),
        (None, "--port 0 --ip 0.0.0.0", "0.0.0.0:0"),
        ("*:80", "", "*:80"),
        ("*:80", "--port 3000", "*:3000"),
        ("*:80", "--ip ::1", "[::1]:80"),
        ("[::1]:80", "--port 3000", "[::1]:3000"),
        ("unix:/s", "", "unix:/s"),
        ("unix:/s", "--port 3000", "127.0.0.1:3000"),
    ],
)
def test_where_it_listens(tmp_path: Path, written: str | None, arguments: str, expected: str) -> None:
    config = load(project(tmp_path, ("" if written is None else SOCKETS % written) + CONFIG))
    options = given(arguments)
    found = for_dev(config, options)
    assert found.sockets[0].address == expected
    assert found.sockets[0].service == "w"
    assert found.sockets[1:] == config.sockets[1:]
    assert (found.deploy, found.state_dir) == ("eager", config.state_dir)


def test_routes_decide_if_there_are_some(tmp_path: Path) -> None:
    config = load(project(tmp_path, CONFIG.replace('name = "w"', 'name = "w"\nroutes = ["/*"]')))
    assert first_socket(config, given("")).service is None
    assert first_socket(None, given("")).address == "127.0.0.1:8787"
    assert for_dev(config, given("--persist-to here")).state_dir == Path("here").absolute()


def given(arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    configure(parser)
    return parser.parse_args(arguments.split())


@pytest.mark.parametrize(
    ("read", "text"), [(_port, "-1"), (_port, "65536"), (_port, "x"), (_ip, ""), (_ip, "a:1"), (_ip, "a b")]
)
def test_what_is_no_port_and_no_address(read: Any, text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        read(text)
