"""Tenants and clients who write what others will read: nobody's line is forged, hidden or paid for by a neighbour."""

from __future__ import annotations

import asyncio
import io
import json
import re
import threading
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from pyworkerd.errors import PyworkerdError
from pyworkerd.observe.background import SHARE, WAITING_CHARACTERS, Background
from pyworkerd.observe.exposition import expose
from pyworkerd.observe.logs import Json, Readable
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.server import HttpServer, ServerOptions
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from pyworkerd.observe.logs import LogEntry

HEAD = """
import logging
from _pyworkerd import invocation, outbox
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
"""
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
ID = re.compile(r"[0-9a-f]{16}")


def worker(code: str) -> dict[str, str]:
    return {"worker.py": HEAD + "".join(f"        {line}\n" for line in code.splitlines())}


FORGERIES = {
    "a line of somebody else": "print('x\\n12:00:00.000 error    [neighbour 00f067aa0ba902b7] stdout: forged')",
    "an access line": "print('\\r12:00:00.000 request  [neighbour] GET a/ 200 in 1.0 ms')",
    "JSON": 'print(\'\\n{"event": "log", "worker": "neighbour", "message": "forged"}\')',
    "separators": "print('a\\x0b\\x0c\\x1c\\x1d\\x1e\\x85\\u2028\\u202912:00:00.000 error    [neighbour] x: forged')",
    "a terminal": "print('\\x1b[2J\\x1b]0;forged\\x07\\x9b31m\\u202eforged')",
    "a logger": "logging.getLogger('x\\n12:00:00.000 error    [neighbour] y: forged').error('forged')",
    "surrogates": "outbox.effects.append(['log', invocation.current().number, 'info', 'x', '\\ud800forged'])",
    "another invocation": "outbox.effects.append(['log', 4711, 'info', 'x', 'forged'])",
    "no invocation": "outbox.effects.append(['log', 0, 'info', 'x', 'forged'])",
}


@pytest.mark.parametrize("how", FORGERIES)
def test_what_a_worker_logs_is_its_own(how: str, sandbox: object) -> None:
    readable, plain = io.StringIO(), io.StringIO()
    entries: list[LogEntry] = []
    sinks = (Readable(readable, colour=False), Json(plain), entries.append)

    async def main() -> None:
        async with Runtime(None, RuntimeOptions(sinks=sinks)) as runtime:
            source = worker(f"{FORGERIES[how]}\nreturn Response('done')")
            bad = await runtime.load(source, name="bad")
            await runtime.load(worker("return Response('x')"), name="neighbour")
            try:
                await (await bad.fetch("/", headers={"traceparent": f"00-{TRACE}-{'1' * 16}-00"})).read()
            except PyworkerdError as error:
                assert error.code == "bad_effect"  # noqa: PT017 - either is right

    asyncio.run(main())
    assert entries
    assert {entry.worker for entry in entries} == {"bad"}
    for entry in entries:
        about = how not in ("another invocation", "no invocation")
        assert entry.trace_id == (TRACE if about else "")
        assert bool(ID.fullmatch(entry.request_id)) is about
        assert bool(entry.invocation) is (about and entry.source != "pyworkerd")
    written = readable.getvalue()
    assert written.isprintable() or set(written) - {"\n"} <= {c for c in written if c.isprintable()}
    assert len([line for line in written.splitlines() if not line.startswith("    ")]) == len(entries)
    assert len(plain.getvalue().splitlines()) == len(entries)
    assert {json.loads(line)["worker"] for line in plain.getvalue().splitlines()} == {"bad"}


CALLER = """
headers = {"traceparent": "00-" + "c" * 32 + "-" + "d" * 16 + "-01", "tracestate": "victim=1", "x-request-id": "e" * 16}
await self.env.NEXT.fetch("http://next/", headers=headers)
await self.env.NEXT.fetch("http://next/", headers={"traceparent": "\\x80\\xff weird"})
return Response("done", headers={"x-request-id": "e" * 16, "X-Pyworkerd-Error": "internal"})
"""
CALLEE = "print('called')\nawait self.env.LAST.fetch('http://last/')\nreturn Response('done')"


def test_a_worker_cannot_write_itself_into_the_trace_of_another(sandbox: object) -> None:
    log: list[Any] = []

    async def main() -> tuple[str, list[LogEntry]]:
        async with Runtime() as runtime:
            last = await runtime.load(worker("print(request.headers['traceparent'])\nreturn Response('x')"))
            callee = await runtime.load(worker(CALLEE), bindings={"LAST": last})
            caller = await runtime.load(worker(CALLER), bindings={"NEXT": callee})
            server = HttpServer(caller.service.fetch, ServerOptions(access_log=log.append))
            address = await server.start("127.0.0.1:0")
            head, body = await ask(address, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await server.aclose()
            assert body == b"done"
            return head, [*callee.logs, *last.logs]

    head, logs = asyncio.run(main())
    (entry,) = log
    assert re.findall("(?i)x-request-id: (.*)\r\n", head) == [entry.request_id]
    assert "x-pyworkerd-error" not in head.lower()
    assert len(logs) == 4
    assert {(each.request_id, each.trace_id) for each in logs} == {(entry.request_id, entry.trace_id)}
    seen = [each.message.strip().split("-")[1] for each in logs if "-" in each.message]
    assert seen == [entry.trace_id] * 2
    assert "c" * 32 not in head + "".join(map(str, logs))


async def ask(address: str, head: str) -> tuple[str, bytes]:
    host, port = address.split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(head.encode("latin-1"))
        answer = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = re.search("(?i)content-length: ([0-9]+)", answer)
        return answer, await reader.readexactly(int(length[1]) if length else 0)
    finally:
        writer.close()


REQUESTS = [
    "GET /%0d%0a12:00:00.000%20request HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /a?token=secret HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET http://a/b?token=secret HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /" + "x" * 10_000 + " HTTP/1.1\r\nHost: a\r\n\r\n",
    "\xe9\x1b[2J /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\x1b[2J\x9b31m HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /\xe2\x80\xae HTTP/1.1\r\nHost: a\r\n\r\n",
    'GET /"},{"event":"log" HTTP/1.1\r\nHost: a\r\n\r\n',
    "M" * 5000 + " / HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\x1b[2J\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nTraceparent: \xff\x1b[2J\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: a\r\nTraceparent: 00-{TRACE}-{'1' * 16}-01\r\nTraceparent: x\r\n\r\n",
    f"GET / HTTP/1.1\r\nHost: a\r\nTraceparent: 00-{TRACE}-{'1' * 16}-01\r\nTracestate: \x80=1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nX-Request-Id: \x1b[2J\r\n\r\n",
]


def test_whatever_a_client_sends_is_one_honest_line(sandbox: object) -> None:
    readable, plain = io.StringIO(), io.StringIO()
    entries: list[Any] = []

    def log(entry: Any) -> None:
        entries.append(entry)
        Readable(readable, colour=False)(entry)
        Json(plain)(entry)

    async def main() -> None:
        async with Runtime() as runtime:
            good = await runtime.load(worker("return Response(request.headers.get('tracestate') or '-')"))
            server = HttpServer(good.service.fetch, ServerOptions(access_log=log))
            address = await server.start("127.0.0.1:0")
            for number, head in enumerate(REQUESTS, 1):
                answer, body = await ask(address, head)
                assert ID.search(answer)
                assert body == b"-" or b" 4" in answer.encode() or " 5" in answer
                assert len(entries) == number
            await server.aclose()

    asyncio.run(main())
    lines = readable.getvalue().splitlines(keepends=True)
    assert len(lines) == len(plain.getvalue().splitlines()) == len(REQUESTS)
    assert all(line[:-1].isprintable() and len(line) < 3000 for line in lines)
    assert "secret" not in readable.getvalue() + plain.getvalue()
    for line, entry in zip(plain.getvalue().splitlines(), entries, strict=True):
        assert json.loads(line)["request_id"] == entry.request_id
        assert line.isascii()
    assert [entry.trace_id == TRACE for entry in entries] == [n == 12 for n in range(len(REQUESTS))]


FLOOD = "for _ in range(100):\n    print('f' * 60_000)\nreturn Response('done')"


def test_a_flood_of_one_worker_costs_its_neighbour_no_line(sandbox: object) -> None:
    reads = threading.Event()
    written: list[LogEntry] = []

    def slow(entries: Any) -> None:
        assert reads.wait(60)
        written.extend(entries)

    sink = Background(slow)

    async def main() -> dict[Any, Any]:
        async with Runtime(None, RuntimeOptions(sinks=(sink,))) as runtime:
            limits = Limits(log_kb=10_000, cpu_ms=5000)
            flood = await runtime.load(worker(FLOOD), name="flood", limits=limits)
            quiet = await runtime.load(worker("print('heard')\nreturn Response('x')"), name="quiet")
            for _ in range(8):
                await (await flood.fetch("/")).read()
                await (await quiet.fetch("/")).read()
            return runtime.metrics()

    snapshot = asyncio.run(main())
    reads.set()
    sink.close(60)
    mine = [each.message for each in written if each.worker == "flood"]
    assert [each.message for each in written if each.worker == "quiet"] == ["heard"] * 8
    assert sum(map(len, mine)) <= 2 * WAITING_CHARACTERS // SHARE
    assert any("of flood)" in each.message for each in written)
    assert snapshot["log_lines_dropped"] == {(): (sink.dropped,)}
    assert sink.dropped + len(mine) == snapshot["log_entries"]["flood",][0]


@pytest.mark.parametrize(
    "name", ['x"} 1\npyworkerd_forged{a="', "\x1b[2J\u202e", "\ud800", "", "n" * 5000, "(others)"]
)
def test_no_name_of_a_worker_forges_a_metric(name: str, sandbox: object) -> None:
    async def main() -> bytes:
        async with Runtime() as runtime:
            named = await runtime.load(worker("return Response('x')"), name=name)
            await (await named.fetch("/")).read()
            return expose(runtime.metrics())[0]

    families = list(text_string_to_metric_families(asyncio.run(main()).decode()))
    assert all(family.name.startswith("pyworkerd_") and "forged" not in family.name for family in families)
    (answers,) = [f.samples for f in families if f.name == "pyworkerd_requests"]
    (sample,) = answers
    assert sample.labels.keys() == {"worker", "status", "code"}
    assert sample.labels["worker"].isprintable()
    assert len(sample.labels["worker"]) <= 200
