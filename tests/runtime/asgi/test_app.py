"""The ASGI application, driven as a server drives it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.asgi import AsgiApp
from pyworkerd.errors import PyworkerdError
from pyworkerd.runtime import Runtime
from pyworkerd_config.model import Config, Limits, Service
from pyworkerd_config.model import Worker as WorkerModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOURCE = """
import asyncio
from workers import Response, WorkerEntrypoint

async def flipped(body):
    async for chunk in body:
        yield bytes(chunk).upper()

class Default(WorkerEntrypoint):
    async def fetch(self, request, env, ctx):
        path = request.url.split("host", 1)[1]
        if path == "/flip":
            return Response(flipped(request.body))
        if path == "/boom":
            raise ValueError("a secret")
        if path == "/loop":
            while True:
                pass
        if path == "/endless":
            async def endless():
                while True:
                    yield b"x" * 65536
            return Response(endless())
        if path == "/broken":
            async def broken():
                yield b"begun"
                raise ValueError("no more")
            return Response(broken())
        if path == "/nothing":
            return Response(None, status=204)
        if path == "/gate":
            try:
                await env.GATE()
            finally:
                ctx.wait_until(env.TELL("over"))
        return Response(f"{request.method} {request.url} {request.headers.get('x-a')} {await request.text()}",
                        headers={"x-b": "c"})
"""


class Client:
    """A server's side of one request."""

    def __init__(
        self, app: AsgiApp, path: str, *, method: str = "GET", raw: bytes | None = None, **scope: Any
    ) -> None:
        self.messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.taken = 0
        self.sent: list[dict[str, Any]] = []
        self.room = asyncio.Event()
        self.room.set()
        given = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "query_string": b"",
            "headers": [(b"Host", b"host"), (b"X-A", b"b")],
            **({"raw_path": raw} if raw is not None else {}),
            **scope,
        }
        self.task = asyncio.ensure_future(app(given, self._receive, self._send))

    async def _receive(self) -> dict[str, Any]:
        message = await self.messages.get()
        self.taken += 1
        return message

    async def _send(self, message: Any) -> None:
        await self.room.wait()
        self.sent.append(message)

    def give(self, body: bytes = b"", *, more: bool = False) -> None:
        self.messages.put_nowait({"type": "http.request", "body": body, "more_body": more})

    def leave(self) -> None:
        self.messages.put_nowait({"type": "http.disconnect"})

    async def finish(self) -> tuple[int, dict[str, str], bytes]:
        await self.task
        head, *pieces = self.sent
        assert [piece["more_body"] for piece in pieces] == [True] * (len(pieces) - 1) + [False]
        headers = {name.decode(): value.decode() for name, value in head["headers"]}
        return head["status"], headers, b"".join(piece["body"] for piece in pieces)


async def ask(
    app: AsgiApp, path: str, body: bytes = b"", **options: Any
) -> tuple[int, dict[str, str], bytes]:
    client = Client(app, path, **options)
    client.give(body)
    return await client.finish()


async def until(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0)


def test_a_request_and_its_answer(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        app = AsgiApp(await runtime.load({"worker.py": SOURCE}))
        status, headers, body = await ask(app, "/x", b"hello", method="POST", query_string=b"a=b%20c")
        assert (status, headers["x-b"], body) == (200, "c", b"POST http://host/x?a=b%20c b hello")
        assert headers["content-length"] == str(len(body))

    with_runtime(main)


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({"path": "/a b/ä"}, b"http://host/a%20b/%C3%A4"),
        ({"path": "/a/b", "raw": b"/a%2Fb"}, b"http://host/a%2Fb"),
        ({"path": "/mount/x", "root_path": "/mount", "scheme": "https"}, b"https://host/mount/x"),
        ({"path": "*", "raw": b"*", "method": "OPTIONS"}, b"http://host/"),
        ({"path": "/", "headers": [], "server": ("host.test", 8000)}, b"http://host.test:8000/"),
    ],
)
def test_the_worker_sees_the_url_that_the_client_sent(
    options: dict[str, Any], url: bytes, with_runtime: Callable[..., None]
) -> None:
    async def main(runtime: Runtime) -> None:
        app = AsgiApp(await runtime.load({"worker.py": SOURCE}))
        assert (await ask(app, **options))[2].split()[1] == url

    with_runtime(main)


@pytest.mark.parametrize(
    "options",
    [
        {"headers": [(b"host", b"[")]},
        {"headers": [(b"host", b"x/shop/y?")]},
        {"headers": [(b"host", b"a\\b")]},
        {"headers": [(b"host", b"\xff")]},
        {"headers": [(b"host", b"a"), (b"host", b"b")]},
        {"raw": b".example/x"},
        {"raw": b"@example/x"},
    ],
)
def test_host_and_path_are_those_of_the_url_or_it_is_none(
    options: dict[str, Any], with_runtime: Callable[..., None]
) -> None:
    async def main(runtime: Runtime) -> None:
        status, headers, _ = await ask(AsgiApp(await runtime.load({"worker.py": SOURCE})), "/x", **options)
        assert (status, headers["x-pyworkerd-error"]) == (400, "bad_request")

    with_runtime(main)


def test_head_and_answers_without_a_body(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        app = AsgiApp(await runtime.load({"worker.py": SOURCE}))
        status, headers, body = await ask(app, "/x", method="HEAD")
        assert (status, body) == (200, b"")
        assert int(headers["content-length"]) > 0
        status, headers, body = await ask(app, "/nothing")
        assert (status, body, "content-length" in headers) == (204, b"", False)
        assert (await ask(app, "/endless", method="HEAD"))[2] == b""
        await until(lambda: runtime.statistics().idle == 1)

    with_runtime(main)


def test_bodies_stream_both_ways_with_back_pressure(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        app = AsgiApp(await runtime.load({"worker.py": SOURCE}, limits=Limits(cpu_ms=10_000)))
        client = Client(app, "/flip", method="POST")
        client.give(b"first", more=True)
        await until(lambda: len(client.sent) == 2)
        assert client.sent[1] == {"type": "http.response.body", "body": b"FIRST", "more_body": True}
        client.room.clear()
        for _ in range(100):
            client.give(b"x" * 65536, more=True)
        await until(lambda: client.taken >= 8)
        for _ in range(300):
            await asyncio.sleep(0)
        assert client.taken < 20
        client.room.set()
        client.give(b"last")
        assert (await client.finish())[2] == b"FIRST" + b"X" * 6_553_600 + b"LAST"

    with_runtime(main)


def test_a_client_that_leaves_cancels_the_handler(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        told = asyncio.Queue[str]()
        arrived = asyncio.Event()

        async def gate() -> None:
            arrived.set()
            await asyncio.Event().wait()

        worker = await runtime.load({"worker.py": SOURCE}, bindings={"GATE": gate, "TELL": told.put})
        client = Client(AsgiApp(worker), "/gate")
        client.give()
        await arrived.wait()
        client.leave()
        assert await told.get() == "over"
        await client.task
        assert client.sent == []

    with_runtime(main)


def test_a_client_that_leaves_stops_the_answer(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        app = AsgiApp(await runtime.load({"worker.py": SOURCE}))
        client = Client(app, "/endless")
        client.give()
        await until(lambda: len(client.sent) > 3)
        client.leave()
        await client.task
        await until(lambda: runtime.statistics().idle == 1)

    with_runtime(main)


def test_a_client_that_leaves_amid_its_body_breaks_it(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        app = AsgiApp(await runtime.load({"worker.py": SOURCE}))
        client = Client(app, "/flip", method="POST")
        client.give(b"begun", more=True)
        await until(lambda: len(client.sent) == 2)
        client.leave()
        await client.task
        assert client.sent[-1]["more_body"] is True
        await until(lambda: runtime.statistics().idle == 1)

    with_runtime(main)


@pytest.mark.parametrize(
    ("path", "status", "code"), [("/boom", 500, "worker_exception"), ("/loop", 503, "exceeded_cpu")]
)
def test_errors_are_answers_without_detail(
    path: str, status: int, code: str, with_runtime: Callable[..., None]
) -> None:
    async def main(runtime: Runtime) -> None:
        app = AsgiApp(await runtime.load({"worker.py": SOURCE}))
        found, headers, body = await ask(app, path)
        assert (found, headers["x-pyworkerd-error"]) == (status, code)
        assert b"secret" not in body

    with_runtime(main)


def test_a_body_that_breaks_off_never_looks_complete(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        app = AsgiApp(await runtime.load({"worker.py": SOURCE}))
        client = Client(app, "/broken")
        client.give()
        with pytest.raises(PyworkerdError):
            await client.task
        assert client.sent[-1]["more_body"] is True

    with_runtime(main)


def _config(folder: Path, source: str = SOURCE) -> Config:
    (folder / "worker.py").write_text(source)
    worker = WorkerModel(folder / "worker.py", folder, global_outbound=None)
    return Config(services=(Service("shop", worker, routes=("/api/*",)),))


def test_the_lifespan_opens_and_closes_the_runtime(tmp_path: Path) -> None:
    async def main() -> None:
        runtime = Runtime(_config(tmp_path))
        app = AsgiApp(runtime)
        messages: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        sent: asyncio.Queue[Any] = asyncio.Queue()
        lifespan = asyncio.ensure_future(app({"type": "lifespan"}, messages.get, sent.put))
        messages.put_nowait({"type": "lifespan.startup"})
        assert await sent.get() == {"type": "lifespan.startup.complete"}
        assert (await ask(app, "/api/x"))[0] == 200
        status, headers, _ = await ask(app, "/other")
        assert (status, headers["x-pyworkerd-error"]) == (404, "no_route")
        assert (await ask(AsgiApp(runtime, service="shop", manage=False), "/other"))[0] == 200
        messages.put_nowait({"type": "lifespan.shutdown"})
        assert await sent.get() == {"type": "lifespan.shutdown.complete"}
        await lifespan
        assert (await ask(app, "/api/x"))[0] == 500

    asyncio.run(main())


def test_a_runtime_that_does_not_open_stops_the_server(tmp_path: Path) -> None:
    async def main() -> None:
        runtime = Runtime(_config(tmp_path, "1 +"))
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "lifespan.startup"}

        async def send(message: Any) -> None:
            sent.append(message)

        await AsgiApp(runtime)({"type": "lifespan"}, receive, send)
        assert sent[0]["type"] == "lifespan.startup.failed"
        assert "worker.py:1" in sent[0]["message"]
        await runtime.aclose()

    asyncio.run(main())


def test_other_scopes(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        app = AsgiApp(runtime)

        async def unused(*_: Any) -> Any:
            raise AssertionError

        with pytest.raises(ValueError, match="carrier pigeon"):
            await app({"type": "carrier pigeon"}, unused, unused)

    with_runtime(main)


def test_an_answer_has_the_id_of_its_request_and_the_worker_its_trace(
    with_runtime: Callable[..., None],
) -> None:
    source = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/fail"):
            raise ValueError("no")
        return Response(request.headers["traceparent"], headers={"x-request-id": "forged"})
"""

    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"worker.py": source})
        trace = "4bf92f3577b34da6a3ce929d0e0e4736"
        given = [(b"TraceParent", f"00-{trace}-00f067aa0ba902b7-01".encode())]
        _, headers, body = await ask(AsgiApp(worker), "/", headers=given)
        assert body.decode() == f"00-{trace}-{headers['x-request-id']}-01"
        _, headers, _ = await ask(AsgiApp(worker), "/fail", headers=given)
        assert (worker.logs[-1].request_id, worker.logs[-1].trace_id) == (headers["x-request-id"], trace)

    with_runtime(main)
