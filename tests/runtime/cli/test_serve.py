"""`pyworkerd serve`, the real command, with real HTTP."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import signal
import socket
from typing import TYPE_CHECKING, get_args

import pytest
from pyworkerd.cli import serve as module
from pyworkerd.http import ParserName

from tests.runtime.cli.command import CONFIG, PATIENCE_S, ask, events, project, run, running, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAITS = """\
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        print("began")
        return Response(str(len(await request.bytes())))
"""
SIZE = 200_000
OPTIONAL = (
    "aiohttp",
    "componentize_py",
    "cronsim",
    "cryptography",
    "difflib",
    "email",
    "h11",
    "h2",
    "msgspec",
    "opentelemetry",
    "prometheus_client",
    "pyworkerd.admin.site",
    "pyworkerd.bindings.callable",
    "pyworkerd.caches.capability",
    "pyworkerd.cron.clock",
    "pyworkerd.dispatch.resident",
    "pyworkerd.objects.storage",
    "pyworkerd.observe.otel",
    "pyworkerd.queues",
    "pyworkerd.stubs",
    "pyworkerd.replay",
    "pyworkerd.server.arrival",
    "pyworkerd.server.tls",
    "pyworkerd.services.disk",
    "pyworkerd.services.external",
    "pyworkerd.versions",
    "pyworkerd.storage.stores",
    "pyworkerd.websocket.wire",
    "pyworkerd_config.wrangler.reader",
    "pyworkerd_isolates.replay",
    "pyworkerd_isolates.wasm",
    "sqlite3",
    "wsproto",
    "yarl",
)
"""What a start would pay for although only some configurations, or some requests, need it: it says nothing about what
serves everybody.
"""


def test_it_serves_on_the_port_that_it_prints_and_ends_in_good_order(tmp_path: Path) -> None:
    with serve(project(tmp_path)) as served:
        address = served.address()
        answer = ask(address)
        assert (answer.status, answer.body) == (200, "hello")
        assert served.stop(signal.SIGTERM) == 0
        assert served.output.rest() == [f"listening on http://127.0.0.1:{address[1]} (http -> w)"]
        assert any(line.startswith("w: deployed") and line.endswith(" ms") for line in served.errors.rest())
        with pytest.raises(ConnectionRefusedError):
            ask(address)


def test_what_a_configuration_does_not_use_is_not_loaded(tmp_path: Path) -> None:
    config = project(tmp_path)
    assert run("validate", config).returncode == 0, "the image is made by now"
    with running("serve", config, "--processes=1", anew=True, PYTHONPROFILEIMPORTTIME="1") as served:
        assert ask(served.address()).body == "hello"
        assert served.stop(signal.SIGTERM) == 0
        lines = served.errors.rest()
    loaded = {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}
    assert {"pyworkerd.supervisor.run", "httptools"} <= loaded, "the supervisor and its process have told"
    assert sorted(loaded & set(OPTIONAL)) == []


def test_an_interrupt_is_a_good_end_too(tmp_path: Path) -> None:
    with serve(project(tmp_path)) as served:
        served.address()
        assert served.stop(signal.SIGINT) == 0
        assert "Traceback" not in "\n".join(served.errors.rest())


def test_json_says_everything_in_one_object_per_line(tmp_path: Path) -> None:
    with serve(project(tmp_path), "--json") as served:
        listening = json.loads(served.output.until('"listening"'))
        host, _, port = listening["address"].rpartition(":")
        assert ask((host, int(port))).body == "hello"
        assert served.stop(signal.SIGTERM) == 0
        seen = [event for event in events(served.output.rest()) if event["event"] != "engine"]
    assert [event["event"] for event in seen] == ["deployed", "listening", "complete", "stopping"]
    assert seen[0]["worker"] == "w"
    assert seen[0]["milliseconds"] > 0
    assert listening == {
        "event": "listening",
        "url": f"http://{listening['address']}",
        "socket": "http",
        "address": listening["address"],
        "service": "w",
    }


def test_lazy_workers_are_deployed_by_their_first_request(tmp_path: Path) -> None:
    with serve(project(tmp_path, f'deploy = "lazy"\n{CONFIG}')) as served:
        address = served.address()
        assert served.errors.until("first request").endswith(": 1 of them")
        assert ask(address).body == "hello"
        assert served.stop(signal.SIGTERM) == 0


def test_the_command_line_moves_sockets(tmp_path: Path) -> None:
    config = CONFIG.replace("127.0.0.1:0", "203.0.113.1:1")  # not an address of this machine (RFC 5737)
    config += '[[sockets]]\nname = "local"\naddress = "127.0.0.1:0"\nservice = "w"\n'
    path = tmp_path / "s"
    moves = ("--socket-addr", "http=127.0.0.1:0", f"--socket-addr=local=unix:{path}")
    with serve(project(tmp_path, config), *moves) as served:
        assert ask(served.address()).body == "hello"
        assert served.output.until("local") == f"listening on unix:{path} (local -> w)"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
            with client.makefile("rb") as answer:
                assert answer.read().endswith(b"\r\n\r\nhello")
        assert served.stop(signal.SIGTERM) == 0
    assert not path.exists()


def test_routes_choose_where_a_socket_names_no_service(tmp_path: Path) -> None:
    config = CONFIG.replace('service = "w"\n', "", 1).replace('name = "w"', 'name = "w"\nroutes = ["/a/*"]')
    with serve(project(tmp_path, config)) as served:
        address = served.address()
        assert served.output.seen[-1].endswith("(http -> routes)")
        assert ask(address, "/a/b").body == "hello"
        missing = ask(address, "/b")
        assert (missing.status, missing.headers["x-pyworkerd-error"]) == (404, "no_route")


@pytest.mark.parametrize("parser", module.PARSERS)
@pytest.mark.parametrize("loop", module.LOOPS)
def test_every_parser_and_loop(tmp_path: Path, parser: str, loop: str) -> None:
    with serve(project(tmp_path, w=WAITS), "--parser", parser, "--loop", loop) as served:
        answer = ask(served.address(), method="POST", body=b"x" * SIZE)
        assert (answer.status, answer.body) == (200, str(SIZE))
        assert served.stop(signal.SIGTERM) == 0


def test_the_tables_of_options_are_those_of_the_server() -> None:
    assert set(module.PARSERS) == set(get_args(ParserName))


def test_what_runs_is_finished_before_the_end(tmp_path: Path) -> None:
    with serve(project(tmp_path, w=WAITS)) as served, half_sent(served.address()) as connection:
        served.errors.until("began")
        served.process.send_signal(signal.SIGTERM)
        served.errors.until("stopping")
        connection.send(b"x" * (SIZE // 2))
        assert connection.getresponse().read() == str(SIZE).encode()
        assert served.process.wait(PATIENCE_S) == 0


def test_a_second_signal_ends_at_once(tmp_path: Path) -> None:
    with serve(project(tmp_path, w=WAITS)) as served, half_sent(served.address()) as connection:
        served.errors.until("began")
        served.process.send_signal(signal.SIGTERM)
        served.errors.until("stopping")
        assert served.stop(signal.SIGTERM) == 128 + signal.SIGTERM
        with contextlib.suppress(http.client.HTTPException, OSError):
            assert connection.getresponse().status == 503


def test_draining_ends_when_its_time_is_over(tmp_path: Path) -> None:
    with serve(project(tmp_path, w=WAITS), "--drain", "0.1") as served, half_sent(served.address()):
        served.errors.until("began")
        assert served.stop(signal.SIGTERM) == 0


@contextlib.contextmanager
def half_sent(address: tuple[str, int]) -> Iterator[http.client.HTTPConnection]:
    """A request whose second half has not been sent yet."""
    with contextlib.closing(http.client.HTTPConnection(*address, timeout=PATIENCE_S)) as connection:
        connection.putrequest("POST", "/")
        connection.putheader("content-length", str(SIZE))
        connection.endheaders()
        connection.send(b"x" * (SIZE // 2))
        yield connection


SPEAKS = """\
import logging
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        logging.getLogger("shop").warning("red \\x1b[31m alert\\nforged")
        return Response("said")
"""


def test_logs_of_workers_go_to_standard_error_and_cannot_play_with_the_terminal(tmp_path: Path) -> None:
    with serve(project(tmp_path, w=SPEAKS)) as served:
        assert ask(served.address()).body == "said"
        line = served.errors.until("alert")
        assert served.stop(signal.SIGTERM) == 0
        everything = "\n".join(served.errors.rest())
    assert re.fullmatch(r"\S+ warning  \[w [0-9a-f]{16}\] shop: red \\x1b\[31m alert", line)
    assert "\n    forged\n" in everything
    assert "\x1b" not in everything


def test_logs_as_json(tmp_path: Path) -> None:
    with serve(project(tmp_path, w=SPEAKS), "--log", "json") as served:
        assert ask(served.address()).body == "said"
        entry = json.loads(served.errors.until("alert"))
    assert entry["worker"] == "w"
    assert (entry["level"], entry["source"]) == ("warning", "shop")
    assert entry["message"] == "red \x1b[31m alert\nforged"
    assert entry["time"] > 1e9
    assert entry["invocation"] > 0


def test_the_access_log_is_off_unless_it_is_wanted(tmp_path: Path) -> None:
    with serve(project(tmp_path, w=SPEAKS)) as served:
        ask(served.address())
        assert served.stop(signal.SIGTERM) == 0
        assert not [line for line in served.errors.rest() if " request " in line]


def test_the_access_log_and_the_logs_of_workers_know_of_each_other(tmp_path: Path) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    with serve(project(tmp_path, w=SPEAKS), "--access-log", "--log", "json") as served:
        answer = ask(served.address(), "/a%0ab?token=secret", traceparent=f"00-{trace}-00f067aa0ba902b7-01")
        log = json.loads(served.errors.until("alert"))
        request = json.loads(served.errors.until('"request"'))
        assert served.stop(signal.SIGTERM) == 0
    assert log["request_id"] == request["request_id"] == answer.headers["x-request-id"]
    assert log["trace_id"] == request["trace_id"] == trace
    assert (request["method"], request["path"], request["status"]) == ("GET", "/a%0ab", 200)
    assert (request["client"], request["service"], request["cold"]) == ("127.0.0.1", "w", True)
    assert "secret" not in "".join(served.errors.seen)


RAISES = """\
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        password = "swordfish"
        raise ValueError("<script>alert(1)</script> & more")
"""


def test_a_client_learns_nothing_of_what_was_raised(tmp_path: Path) -> None:
    with serve(project(tmp_path, w=RAISES)) as served:
        answer = ask(served.address())
        assert "ValueError" in served.errors.until("ValueError")
    assert (answer.status, answer.headers["x-pyworkerd-error"]) == (500, "worker_exception")
    assert answer.body == "Internal Server Error\n"
    assert not any("alert" in value or "ValueError" in value for value in answer.headers.values())


def test_with_dev_it_learns_everything_and_runs_nothing(tmp_path: Path) -> None:
    with serve(project(tmp_path, w=RAISES), "--dev") as served:
        answer = ask(served.address(), "/<b>")
    assert (answer.status, answer.headers["x-pyworkerd-error"]) == (500, "worker_exception")
    assert answer.headers["content-type"] == "text/html;charset=UTF-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<h1>ValueError</h1>" in answer.body
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; more" in answer.body
    assert "line 6, in fetch" in answer.body
    assert "<script" not in answer.body
    assert "<b>" not in answer.body


def test_an_address_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        done = run("serve", project(tmp_path), f"--socket-addr=http={where}")
    assert done.returncode == 2
    assert f"error: cannot listen on {where}: " in done.stderr
    assert "choose another one (dev --port, serve --socket-addr)" in done.stderr
    assert "Traceback" not in done.stderr
