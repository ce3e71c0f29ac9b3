"""WebSockets of an ASGI server, driven as a server drives them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.asgi import AsgiApp
from pyworkerd.asgi.websocket import Client
from pyworkerd.websocket import Close, Piece, WebSocketClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.runtime import Runtime

SOURCE = {
    "worker.py": """
from workers import Response, WebSocketPair, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = request.url.split("host", 1)[1]
        if path == "/boom":
            raise ValueError("a secret")
        if path == "/no":
            return Response("members only", status=403, headers={"x-a": "b"})
        client, server = WebSocketPair()
        server.accept()
        def heard(event):
            if event.data == "close":
                server.close(4000, "as you wish")
            else:
                server.send(event.data)
        server.addEventListener("message", heard)
        server.addEventListener("close", lambda event: print(event.code, event.reason, event.wasClean))
        server.send(f"{request.url} {request.headers.get('upgrade')} {request.headers.get('x-a')}")
        headers = {"x-b": "c"}
        if path == "/v2":
            headers["sec-websocket-protocol"] = "v2"
        return Response(None, status=101, headers=headers, web_socket=client)
"""
}
EXTENSION = {"websocket.http.response": {}}


class Server:
    """An ASGI server's side of one connection."""

    def __init__(
        self, app: AsgiApp, path: str = "/", *, denies: bool = True, protocols: tuple[str, ...] = ()
    ) -> None:
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.gone = False
        scope = {
            "type": "websocket",
            "scheme": "wss",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [(b"host", b"host"), (b"X-A", b"b"), (b"upgrade", b"websocket")],
            "subprotocols": list(protocols),
            "extensions": EXTENSION if denies else {},
        }
        self.incoming.put_nowait({"type": "websocket.connect"})
        self.task = asyncio.ensure_future(app(scope, self.incoming.get, self._send))

    async def _send(self, message: dict[str, Any]) -> None:
        if self.gone:
            raise OSError
        self.outgoing.put_nowait(message)
        if message["type"] == "websocket.close":
            self.incoming.put_nowait({"type": "websocket.disconnect", "code": message["code"]})

    async def get(self) -> dict[str, Any]:
        return await asyncio.wait_for(self.outgoing.get(), 60)

    def say(self, **message: Any) -> None:
        self.incoming.put_nowait({"type": "websocket.receive", **message})

    def leave(self, code: int | None = 1000, **more: Any) -> None:
        self.gone = True
        self.incoming.put_nowait({"type": "websocket.disconnect", "code": code, **more})


def with_app(with_runtime: Callable[..., None], test: Callable[[AsgiApp, Any], Any]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        await test(AsgiApp(worker), worker)

    with_runtime(main)


def test_messages_both_ways(with_runtime: Callable[..., None]) -> None:
    async def test(app: AsgiApp, worker: Any) -> None:
        server = Server(app)
        accepted = await server.get()
        assert (accepted["type"], accepted["subprotocol"]) == ("websocket.accept", None)
        assert (b"x-b", b"c") in accepted["headers"]
        assert not any(name.startswith(b"sec-websocket") for name, _ in accepted["headers"])
        assert await server.get() == {"type": "websocket.send", "text": "https://host/ websocket b"}
        for message in ({"text": "ä" * 100_000}, {"bytes": b"x" * 200_000}, {"text": ""}, {"bytes": b""}):
            server.say(**message)
            assert await server.get() == {"type": "websocket.send", **message}
        server.say(text=None, bytes=b"as some servers do")
        assert (await server.get())["bytes"] == b"as some servers do"
        server.leave(4001, reason="bye")
        await server.task
        while not worker.logs:
            await asyncio.sleep(0)
        assert worker.logs[-1].message == "4001 bye True"

    with_app(with_runtime, test)


def test_the_worker_closes(with_runtime: Callable[..., None]) -> None:
    async def test(app: AsgiApp, worker: Any) -> None:
        server = Server(app)
        await server.get()
        await server.get()
        server.say(text="close")
        assert await server.get() == {"type": "websocket.close", "code": 4000, "reason": "as you wish"}
        await server.task

    with_app(with_runtime, test)


@pytest.mark.parametrize(("code", "clean"), [(1006, False), (None, True)])
def test_the_client_is_lost(code: int | None, clean: bool, with_runtime: Callable[..., None]) -> None:
    async def test(app: AsgiApp, worker: Any) -> None:
        server = Server(app)
        await server.get()
        server.leave(code)
        await server.task
        while not worker.logs:
            await asyncio.sleep(0)
        assert worker.logs[-1].message == f"{code or 1005}  {clean}"

    with_app(with_runtime, test)


def test_a_sub_protocol(with_runtime: Callable[..., None]) -> None:
    async def test(app: AsgiApp, worker: Any) -> None:
        server = Server(app, "/v2", protocols=("v1", "v2"))
        assert (await server.get())["subprotocol"] == "v2"
        server.leave()
        await server.task
        server = Server(app, "/v2", protocols=("v1",))
        assert (await server.get())["status"] == 500
        await server.task

    with_app(with_runtime, test)


@pytest.mark.parametrize(("path", "status"), [("/no", 403), ("/boom", 500), (".example/", 400)])
def test_refusals(path: str, status: int, with_runtime: Callable[..., None]) -> None:
    async def test(app: AsgiApp, worker: Any) -> None:
        server = Server(app, path)
        start, *bodies = [await server.get() for _ in range(3)]
        assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
        assert b"secret" not in bodies[0]["body"]
        assert [body["more_body"] for body in bodies] == [True, False]
        await server.task
        server = Server(app, path, denies=False)
        assert (await server.get())["type"] == "websocket.close"
        await server.task

    with_app(with_runtime, test)


def test_a_server_that_stops_ends_the_socket(with_runtime: Callable[..., None]) -> None:
    async def test(app: AsgiApp, worker: Any) -> None:
        server = Server(app)
        await server.get()
        server.task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await server.task
        while not worker.logs:
            await asyncio.sleep(0)
        assert worker.logs[-1].message == "1011  False"

    with_app(with_runtime, test)


def test_a_request_that_asked_for_none_gets_none(with_runtime: Callable[..., None]) -> None:
    async def test(app: AsgiApp, worker: Any) -> None:
        sent: list[Any] = []
        asked = False

        async def receive() -> dict[str, Any]:
            nonlocal asked
            if asked:
                await asyncio.Event().wait()
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "GET", "path": "/", "headers": [(b"host", b"host")]}
        await app(scope, receive, send)
        assert sent[0]["status"] == 500
        assert (b"x-pyworkerd-error", b"bad_effect") in sent[0]["headers"]

    with_app(with_runtime, test)


def test_pieces_beyond_the_largest_message_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyworkerd.asgi.websocket.MAX_MESSAGE", 10)

    async def main() -> None:
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        client = Client(asyncio.Event().wait, send)  # type: ignore[arg-type]
        for piece in (Piece("a", False), Piece("b"), Piece(b"c" * 10)):
            await client.push(piece)
        pulling = asyncio.create_task(client.pull())
        with pytest.raises(WebSocketClosed, match="1009"):
            await client.push(Piece("x" * 11, False))
        with pytest.raises(WebSocketClosed) as caught:
            await pulling
        assert caught.value.close == Close(1009, "", clean=False)
        assert [message.get("text") or message.get("bytes") for message in sent[:2]] == ["ab", b"c" * 10]
        assert sent[2]["code"] == 1009

    asyncio.run(main())
