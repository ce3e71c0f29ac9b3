"""WebSockets that an object accepts for itself, and messages between processes."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

import pytest
from pyworkerd.objects.web_sockets import FramedSocket
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.websocket.base import Close, WebSocketClosed
from pyworkerd_config.model import Binding, Limits, ObjectClass
from pyworkerd_isolates.protocol import SOCKET_WINDOW, SocketCredit, SocketSend

from tests.runtime.dispatch.socket_door import Door

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pyworkerd.loaded import LoadedWorker

DEFAULTS = ObjectClass("Room")
ROOM = {"ROOM": Binding("ROOM", "durable_object", "Room")}
SOURCE = {
    "worker.py": """
import asyncio
from workers import (
    DurableObject, Response, WebSocketPair, WebSocketRequestResponsePair, WorkerEntrypoint,
)

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await self.env.ROOM.get_by_name("a").fetch(request)

    async def on(self, method, *arguments):
        return await getattr(self.env.ROOM.get_by_name("a"), method)(*arguments)

class Room(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.heard = []
        ctx.set_web_socket_auto_response(WebSocketRequestResponsePair("ping", "pong"))

    async def fetch(self, request):
        client, server = WebSocketPair().object_values()
        self.ctx.accept_web_socket(server, request.url.rsplit("/", 1)[1].split(","))
        server.serialize_attachment({"name": request.url})
        return Response(None, status=101, web_socket=client)

    async def web_socket_message(self, socket, message):
        await asyncio.sleep(0)
        tag, _, text = message.partition(":")
        count = (await self.ctx.storage.get("count") or 0) + 1
        await self.ctx.storage.put("count", count)
        for each in self.ctx.get_web_sockets(tag or None):
            each.send(f"{count} {text} {','.join(self.ctx.get_tags(each))}")

    def webSocketClose(self, socket, code, reason, clean):
        self.heard.append([code, reason, clean, socket.deserialize_attachment()["name"]])

    async def state(self):
        return [self.heard, len(self.ctx.get_web_sockets())]

    async def refused(self):
        client, server = WebSocketPair().object_values()
        found = []
        for call in (
            lambda: self.ctx.accept_web_socket(server, [str(n) for n in range(11)]),
            lambda: self.ctx.accept_web_socket(server, ["x" * 257]),
            lambda: self.ctx.accept_web_socket(server, [1]),
            lambda: self.ctx.accept_web_socket("socket"),
            lambda: self.ctx.get_tags(server),
            lambda: server.serialize_attachment("x" * 16384),
            lambda: WebSocketRequestResponsePair("x" * 2049, ""),
        ):
            try:
                call()
            except (TypeError, ValueError):
                found.append(type(call).__name__)
        return [len(found), server.deserialize_attachment(), len(self.ctx.get_web_sockets())]
"""
}


def run(folder: Path, test: Callable[[LoadedWorker], Awaitable[None]], room: ObjectClass = DEFAULTS) -> None:
    async def main() -> None:
        async with Runtime(options=RuntimeOptions(state_dir=folder)) as runtime:
            limits = Limits(cpu_ms=2000)
            await test(await runtime.load(SOURCE, bindings=ROOM, limits=limits, durable_objects=[room]))

    asyncio.run(main())


def test_messages_are_calls_of_the_objects_own_handlers(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        first, second = await worker.web_socket("/a,b"), await worker.web_socket("/b")
        await first.send("b:hello")
        assert (await first.receive(), await second.receive()) == ("1 hello a,b", "1 hello b")
        await second.send("a:you")
        assert await first.receive() == "2 you a,b"
        await second.send("ping")
        assert await second.receive() == "pong"
        await first.close(4000, "bye")
        while (state := await worker.call("on", "state"))[1] != 1:
            await asyncio.sleep(0.001)
        while not (state := await worker.call("on", "state"))[0]:
            await asyncio.sleep(0.001)
        assert state[0] == [[4000, "bye", True, "http://worker/a,b"]]
        await second.send(":all")
        assert await second.receive() == "3 all b"
        await second.close()

    run(tmp_path, test)


def test_what_is_refused(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        assert await worker.call("on", "refused") == [7, None, 0]

    run(tmp_path, test)


def test_an_object_with_an_open_web_socket_that_does_not_hibernate_stays(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker) -> None:
        socket = await worker.web_socket("/a")
        await asyncio.sleep(0.1)
        assert len(worker.service.objects) == 1
        await socket.close()
        with pytest.raises(WebSocketClosed):
            await socket.receive()
        while len(worker.service.objects):
            await asyncio.sleep(0.01)

    run(tmp_path, test, ObjectClass("Room", hibernate=False, idle_ms=10))


def test_a_guest_at_the_other_end_is_told_of_between_processes() -> None:
    async def main() -> None:
        door = Door()
        maker, other = door.invocation(1), door.invocation(2)
        made = door.sockets.outbound(1, maker, "")
        here, there = [await asyncio.open_connection(sock=each) for each in socket.socketpair()]
        far = FramedSocket(*there, made=made)
        number = door.sockets.inbound(FramedSocket(*here, inside=made.inside), other)
        door.sockets.credit(SocketCredit(number, SOCKET_WINDOW))
        door.sockets.sent(SocketSend(number, b"hello", True, True))
        assert await far.pull() == ("hello", True)
        assert (maker.inside, other.inside, door.sockets._open[number].inside) == (True, False, True)
        door.sockets.end()
        with pytest.raises(WebSocketClosed):
            await far.pull()
        far.end(Close(1000))
        await door.rest()

    asyncio.run(main())
