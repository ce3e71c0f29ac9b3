"""WebSockets of workers: how long an invocation with one lives, what bounds it, who may have the other end."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd import sync
from pyworkerd.errors import ExceededWebSockets, Overloaded, WebSocketRefused
from pyworkerd.messages import Request, Response
from pyworkerd.websocket import Close, WebSocket, WebSocketClosed
from pyworkerd_config.model import Limits

from tests.packaging.markdown import code_blocks, page
from tests.runtime.websocket.ends import End, pair

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.runtime import Runtime

SOURCE = {
    "worker.py": """
import asyncio
from workers import Response, WebSocketPair, WorkerEntrypoint

room = set()

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.headers.get("upgrade") != "websocket":
            return Response(f"plain, {len(room)} in the room")
        client, server = WebSocketPair()
        server.accept()
        room.add(server)
        asyncio.create_task(self.talk(server))
        headers = {}
        if offered := request.headers.get("sec-websocket-protocol"):
            headers["sec-websocket-protocol"] = offered.split(", ")[-1]
        return Response(None, status=101, headers=headers, web_socket=client)

    async def talk(self, server):
        async for message in server:
            await self.hear(server, message)
        room.discard(server)
        print("left with", server.close_code)

    async def hear(self, server, message):
        match message:
            case "loop":
                while True:
                    pass
            case "burn":
                server.send(str(sum(range(200_000))))
            case "raise":
                raise ValueError("no")
            case "exhaust":
                self.hoard = [bytearray(1 << 20) for _ in range(200)]
            case "close":
                server.close(4000, "as you wish")
            case "for ever":
                await asyncio.Event().wait()
            case _:
                for other in room:
                    other.send(message)

class Other(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("no", status=403)
"""
}
PROXY = {
    "proxy.py": """
import asyncio
from workers import Response, WebSocketPair, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        return await env.INNER.fetch(request)

class Shouting(WorkerEntrypoint):
    async def fetch(self, request, env):
        inner = (await env.INNER.fetch(request)).web_socket
        client, server = WebSocketPair()
        for one, other, change in ((server, inner, str.upper), (inner, server, str)):
            one.accept()
            one.addEventListener("message", lambda e, other=other, change=change: other.send(change(e.data)))
            one.addEventListener("close", lambda e, other=other: other.close(e.code, e.reason))
        return Response(None, status=101, web_socket=client)
"""
}


async def closed(socket: WebSocket) -> Close:
    with pytest.raises(WebSocketClosed) as caught:
        while True:
            await socket.receive()
    return caught.value.close


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until it is so; the test's own time limit ends it otherwise."""
    while not condition():
        await asyncio.sleep(0)


def logged(worker: LoadedWorker) -> list[str]:
    return [entry.message for entry in worker.logs]


# from a program ------------------------------------------------------------------------------------------------------


def test_a_program_talks_to_a_worker(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        async with await worker.web_socket("/", protocols=["v1", "v2"], headers={"x-a": "b"}) as socket:
            assert socket.protocol == "v2"
            for message in ("hello", b"\0", "ä" * 100_000, b"x" * 1_000_000):
                await socket.send(message)
                assert await socket.receive() == message
            await socket.send("close")
            assert [message async for message in socket] == []
        assert await closed(socket) == Close(4000, "as you wish")
        await until(lambda: not worker.service.busy)
        assert logged(worker) == ["left with 4000"]
        assert worker.service.places.taken == 0

    with_runtime(main)


def test_an_ordinary_answer_is_an_error(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        with pytest.raises(WebSocketRefused, match="answered 403") as caught:
            await worker.web_socket("/", entrypoint="Other")
        assert caught.value.answered == 403

    with_runtime(main)


def test_without_await(sandbox: object) -> None:
    with sync.Runtime() as runtime:
        worker = runtime.load(SOURCE)
        with worker.web_socket("/", protocols=["v1"]) as socket:
            assert socket.protocol == "v1"
            socket.send("hello")
            socket.send(b"there")
            assert socket.receive() == "hello"
            assert next(iter(socket)) == b"there"
            socket.send("close")
            assert list(socket) == []
        with pytest.raises(WebSocketClosed, match="4000"):
            socket.receive()
        with pytest.raises(WebSocketClosed):
            socket.send("late")
        with pytest.raises(KeyError), worker.web_socket("/"):
            raise KeyError


def test_one_that_is_dropped_is_closed(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        response = await worker.fetch("/", headers={"upgrade": "websocket"})
        assert response.status == 101
        await response.aclose()
        await until(lambda: not worker.service.busy)
        assert logged(worker) == ["left with 1001"]
        response = await worker.fetch("/", headers={"upgrade": "websocket"})
        del response
        await until(lambda: not worker.service.busy)

    with_runtime(main)


def test_a_caller_that_gives_up_leaves_nothing_behind(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        await (await worker.fetch("/")).read()
        asking = asyncio.create_task(worker.web_socket("/"))
        await until(lambda: worker.service.places.taken > 0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        await until(lambda: not worker.service.busy)
        assert worker.service.places.taken == 0

    with_runtime(main)


# its life ------------------------------------------------------------------------------------------------------------


def test_open_sockets_leave_room_for_requests(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        limits = Limits(concurrency=1, isolates=1, queue=0)
        worker = await runtime.load(SOURCE, limits=limits)
        sockets = [await worker.web_socket("/") for _ in range(20)]
        assert await (await worker.fetch("/")).text() == "plain, 20 in the room"
        await sockets[0].send("to all")
        assert [await socket.receive() for socket in sockets] == ["to all"] * 20
        assert worker.service.statistics() == {"isolates": 1, "waiting": 0, "states": ["busy"]}
        for socket in sockets:
            await socket.close()
        await until(lambda: worker.service.statistics()["states"] == ["idle"])

    with_runtime(main)


def test_they_have_a_limit_of_their_own(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, limits=Limits(websockets=2, isolates=1))
        first, second = [await worker.web_socket("/") for _ in range(2)]
        with pytest.raises(ExceededWebSockets, match=r"2 WebSockets open \(limits.websockets\)"):
            await worker.web_socket("/")
        await until(lambda: logged(worker) == ["left with 1013"])
        assert await (await worker.fetch("/")).text() == "plain, 2 in the room"
        await first.close()
        third = await worker.web_socket("/")
        assert runtime.metrics()["limits_hit"] == {(worker.name, "websockets"): (1,)}
        await second.close()
        await third.close()

    with_runtime(main)


def test_wall_time_does_not_end_a_socket_but_what_follows_it(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, limits=Limits(wall_ms=50))
        socket = await worker.web_socket("/")
        (live,) = worker.service._members.values()
        (invocation,) = live.invocations.values()
        assert (invocation.resting, invocation.timer) == (True, None)
        await socket.send("for ever")
        await until(lambda: not live.stepping)
        await socket.close()
        assert invocation.timer is not None
        # The task that received the message is over its wall time soon, and its isolate a second later.
        await until(lambda: not worker.service.busy)
        assert "limits.wall_ms" in logged(worker)[-1]

    with_runtime(main)


def test_each_message_has_its_own_cpu_time(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, limits=Limits(cpu_ms=150))
        async with await worker.web_socket("/") as socket:
            for _ in range(40):
                await socket.send("burn")
                assert await socket.receive() == "19999900000"
        assert sum(runtime.metrics()["cpu_seconds"][worker.name,]) > 0.15

    with_runtime(main)


def test_an_isolate_that_dies_takes_its_sockets_along(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, limits=Limits(isolates=1, cpu_ms=100))
        one, other = [await worker.web_socket("/") for _ in range(2)]
        await one.send("loop")
        assert await closed(other) == await closed(one) == Close(1011, "", clean=False)
        assert await (await worker.fetch("/")).text() == "plain, 0 in the room"
        async with await worker.web_socket("/") as again:
            await again.send("back")
            assert await again.receive() == "back"

    with_runtime(main)


def test_a_failing_task_closes_its_own_socket_only(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, limits=Limits(isolates=1))
        one, other = [await worker.web_socket("/") for _ in range(2)]
        await one.send("raise")
        assert await closed(one) == Close(1011)
        await other.send("still here")
        assert await other.receive() == "still here"
        assert any("ValueError: no" in message for message in logged(worker))
        await other.close()

    with_runtime(main)


def test_an_isolate_that_ran_out_of_memory_sends_its_sockets_elsewhere(
    with_runtime: Callable[..., None],
) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, limits=Limits(isolates=1, cpu_ms=10_000, memory_mb=64))
        one, other = [await worker.web_socket("/") for _ in range(2)]
        await one.send("exhaust")
        codes = {(await closed(one)).code, (await closed(other)).code}
        assert codes <= {1011, 1012}
        async with await worker.web_socket("/") as again:
            await again.send("back")
            assert await again.receive() == "back"

    with_runtime(main)


def test_a_message_beyond_the_workers_limit(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, limits=Limits(websocket_message_mb=1))
        socket = await worker.web_socket("/")
        with pytest.raises(WebSocketClosed, match="1009"):
            await socket.send(b"x" * (1 << 20) + b"x")
        await until(lambda: not worker.service.busy)
        assert logged(worker) == ["left with 1009"]

    with_runtime(main)


def test_with_an_isolate_for_each_request_a_socket_keeps_its_own(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE, reuse="request", limits=Limits(concurrency=2, queue=0))
        sockets = [await worker.web_socket("/") for _ in range(2)]
        for socket in sockets:
            await socket.send("alone")
            assert await socket.receive() == "alone"
        with pytest.raises(Overloaded):
            await worker.fetch("/")
        for socket in sockets:
            await socket.close()
        await until(lambda: worker.service.statistics()["isolates"] == 0)

    with_runtime(main)


def test_a_worker_that_is_closed_closes_its_sockets(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        socket = await worker.web_socket("/")
        await worker.aclose()
        assert await closed(socket) == Close(1011, "", clean=False)

    with_runtime(main)


def test_a_worker_that_is_replaced_asks_its_clients_to_come_again(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load(SOURCE)
        socket = await worker.web_socket("/")
        await worker.service.quiet()
        assert await closed(socket) == Close(1012, "", clean=False)
        assert logged(worker) == ["left with 1012"]

    with_runtime(main)


# from worker to worker -----------------------------------------------------------------------------------------------


def test_a_response_with_a_socket_is_handed_on_and_nothing_of_it_comes_through(
    with_runtime: Callable[..., None],
) -> None:
    async def main(runtime: Runtime) -> None:
        inner = await runtime.load(SOURCE)
        outer = await runtime.load(PROXY, bindings={"INNER": inner})
        async with await outer.web_socket("/") as socket:
            assert not outer.service.busy
            await socket.send("hello")
            assert await socket.receive() == "hello"
            assert (outer.service.places.taken, inner.service.places.taken) == (0, 1)
            await outer.aclose()
            await socket.send("still")
            assert await socket.receive() == "still"
        await until(lambda: not inner.service.busy)
        assert logged(inner) == ["left with 1000"]

    with_runtime(main)


def test_a_worker_may_stand_between(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        inner = await runtime.load(SOURCE)
        outer = await runtime.load(PROXY, bindings={"INNER": inner})
        socket = await outer.web_socket("/", entrypoint="Shouting")
        assert (outer.service.places.taken, inner.service.places.taken) == (2, 1)
        for number in range(100):
            await socket.send(f"message {number}")
        assert [await socket.receive() for _ in range(100)] == [f"MESSAGE {n}" for n in range(100)]
        await socket.send("CLOSE")
        await socket.close(4000, "bye")
        await until(lambda: not (outer.service.busy or inner.service.busy))
        assert logged(inner) == ["left with 4000"]
        assert (outer.service.places.taken, inner.service.places.taken) == (0, 0)

    with_runtime(main)


def test_an_inner_worker_that_dies_is_heard_of_through_the_outer(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        inner = await runtime.load(SOURCE)
        outer = await runtime.load(PROXY, bindings={"INNER": inner})
        socket = await outer.web_socket("/", entrypoint="Shouting")
        await inner.aclose()
        assert (await closed(socket)).code == 1011
        await until(lambda: not outer.service.busy)

    with_runtime(main)


def test_a_service_of_the_program_may_answer_with_a_socket(with_runtime: Callable[..., None]) -> None:
    class Clock:
        name = "clock"

        def __init__(self) -> None:
            self.ends: list[End] = []

        async def fetch(self, request: Request, target: Any) -> Response:
            own, given = pair()
            self.ends.append(own)
            return Response(web_socket=given)

        async def call(self, *_: Any) -> bytes:
            raise AssertionError

        async def aclose(self) -> None:
            """Nothing to let go of."""

    async def main(runtime: Runtime) -> None:
        clock = Clock()
        outer = await runtime.load(PROXY, bindings={"INNER": clock})
        async with await outer.web_socket("/") as socket:
            await clock.ends[0].send("tick")
            assert await socket.receive() == "tick"
        socket = await outer.web_socket("/", entrypoint="Shouting")
        await socket.send("hello")
        assert await clock.ends[1].receive() == "HELLO"
        clock.ends[1].end(Close(4003))
        assert (await closed(socket)).code == 4003
        await until(lambda: not outer.service.busy)

    with_runtime(main)


def test_the_example_of_the_documentation(with_runtime: Callable[..., None]) -> None:
    (source,) = (
        text for text in code_blocks(page("docs/python-workers.md"), "python") if "WebSocketPair" in text
    )

    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"worker.py": source})
        assert (await worker.fetch("/")).status == 426
        async with await worker.web_socket("/") as socket:
            await socket.send("hello")
            assert await socket.receive() == "you said hello"

    with_runtime(main)


def test_what_a_client_does_not_read_counts_as_the_workers_memory(with_runtime: Callable[..., None]) -> None:
    source = """
from workers import Response, WebSocketPair, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        client, server = WebSocketPair()
        server.accept()
        server.send(b"x" * 60_000)
        return Response(None, status=101, web_socket=client)
"""

    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"worker.py": source})
        silent = await worker.web_socket("/")
        settled = worker.service.memory()
        ends = [await worker.web_socket("/") for _ in range(9)]
        held = worker.service.memory() - settled
        assert held > 9 * 60_000
        for end in ends:
            assert len(await end.receive()) == 60_000
        assert worker.service.memory() - settled <= held - 9 * 60_000
        for end in (silent, *ends):
            await end.close()

    with_runtime(main)
