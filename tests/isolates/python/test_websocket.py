"""WebSockets as a worker sees them, from the other end: `workers.websocket` and the machinery below it."""

from __future__ import annotations

import pytest
from pyworkerd_isolates.protocol import PIECE, SOCKET_WINDOW
from pyworkerd_isolates.testing import LATER, Reply

HEAD = """
import asyncio
from workers import *

class Default(WorkerEntrypoint):
    async def fetch(self, request, env, ctx):
        client, server = WebSocketPair().object_values()
        answer = Response(None, status=101, web_socket=client)
"""


def worker(body: str) -> str:
    return HEAD + "".join(f"        {line}\n" for line in body.strip("\n").split("\n"))


def printed(run) -> list[str]:
    return [log.message for log in run.logs]


ECHOES = {
    "a listener": """
server.accept()
server.addEventListener("message", lambda event: server.send(event.data))
return answer
""",
    "an async listener": """
async def echo(event):
    await asyncio.sleep(0)
    await server.send(event.data)
server.accept()
server.add_event_listener("message", echo)
return answer
""",
    "a task": """
async def echo():
    async for message in server:
        await server.send(message)
server.accept()
asyncio.create_task(echo())
return answer
""",
    "waitUntil": """
async def echo():
    async with server:
        while True:
            server.send(await server.receive())
ctx.waitUntil(echo())
return answer
""",
    "names of JavaScript": """
pair = WebSocketPair.new()
server = pair[1]
server.accept()
server.addEventListener("message", lambda event: server.send(event.data))
return Response(None, status=101, web_socket=pair["0"])
""",
}


@pytest.mark.parametrize("way", ECHOES)
def test_echo(start, way: str) -> None:
    driver = start(worker(ECHOES[way]))
    run = driver.fetch()
    assert (run.checked().status, run.done) == (101, False)
    messages = ["hello", "", b"", b"\0\xff", "ä" * 100_000, b"x" * 300_000]
    for message in messages:
        run.socket.send(message)
    driver.settle()
    assert run.socket.messages == messages
    run.socket.close(1000, "bye")
    driver.settle()
    assert run.done
    # `receive()` says that it is over by raising, here to nobody.
    assert printed(run) == [] or way == "waitUntil"


def test_what_was_sent_before_the_answer_comes_after_it(start) -> None:
    driver = start(
        worker(
            """
server.accept()
server.send("one")
await asyncio.sleep(0)
server.send(bytearray(b"two"))
server.send(memoryview(b"three"))
return answer
"""
        )
    )
    run = driver.fetch()
    assert run.socket.messages == ["one", b"two", b"three"]


def test_nothing_comes_before_it_is_accepted(start) -> None:
    driver = start(
        worker(
            """
async def later():
    await asyncio.sleep(5)
    server.accept()
    print(await anext(server), await anext(server))
ctx.waitUntil(later())
return answer
"""
        )
    )
    run = driver.begin()
    driver.step()
    run.socket.send("a")
    run.socket.send("b")
    assert not run.socket.accepted
    driver.settle()
    assert printed(run) == ["a b"]


def test_events_have_what_the_platform_gives_them(start) -> None:
    driver = start(
        worker(
            """
def heard(event):
    match event:
        case MessageEvent():
            print(event.type, event.data, event.target is server, server.readyState)
        case CloseEvent():
            print(event.type, event.code, event.reason, event.wasClean, event.was_clean, server.ready_state)
        case ErrorEvent():
            print(event.type, event.message, type(event.error).__name__)
for kind in ("message", "close", "error"):
    server.addEventListener(kind, heard)
    server.addEventListener(kind, heard)
    server.addEventListener(kind, print)
    server.removeEventListener(kind, print)
server.accept()
print(server.readyState, server.close_code, server.protocol, repr(server.url), server.extensions)
return Response(None, status=101, web_socket=client, headers={"Sec-WebSocket-Protocol": "v2"})
"""
        )
    )
    run = driver.fetch()
    assert dict(run.headers)["sec-websocket-protocol"] == "v2"
    run.socket.send("hello")
    run.socket.close(4000, "bye")
    driver.settle()
    assert printed(run) == ["1 None  '' ", "message hello True 1", "close 4000 bye True True 3"]
    run = driver.fetch()
    run.socket.close(1006, "", clean=False)
    driver.settle()
    assert printed(run)[1:] == [
        "error the WebSocket was closed with 1006 ConnectionError",
        "close 1006  False False 3",
    ]


def test_the_worker_closes(start) -> None:
    driver = start(
        worker(
            """
server.accept()
server.send("last")
server.close(4001, "ä" * 61)
server.close(4002)
print(server.readyState)
server.send("dropped")
async def closed():
    try:
        await server.receive()
    except EOFError as error:
        print(error, server.close_code, server.close_reason == "ä" * 61)
asyncio.create_task(closed())
return answer
"""
        )
    )
    run = driver.fetch()
    assert run.socket.messages == ["last"]
    assert run.socket.closed == (4001, "ä" * 61)
    assert printed(run) == ["2", f"the WebSocket was closed with 4001: {'ä' * 61} 4001 True"]
    assert run.done


def test_a_close_without_a_code(start) -> None:
    driver = start(worker("server.accept()\nserver.close()\nreturn answer"))
    run = driver.fetch()
    assert run.socket.closed == (1005, "")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("server.send('x')", "TypeError: call accept() on a WebSocket before sending on it"),
        ("await server.receive()", "TypeError: call accept() on a WebSocket before receiving from it"),
        ("server.accept() or server.send(5)", "TypeError: a message has to be str or bytes, not int"),
        ("server.accept() or server.send(None)", "TypeError: a message has to be str or bytes, not NoneType"),
        (
            "server.accept() or server.send(b'x' * (32 * 1024 * 1024 + 1))",
            "ValueError: a message of 33554433 bytes",
        ),
        ("server.close(1005)", "ValueError: 1005 is not a close code"),
        ("server.close(True)", "ValueError: True is not a close code"),
        ("server.close(5000)", "ValueError: 5000 is not a close code"),
        ("server.close(1000, 'x' * 124)", "ValueError: the reason of a close is limited to 123 bytes"),
        ("server.close(reason='x')", "ValueError: a reason needs a close code"),
        ("server.addEventListener('message', 5)", "TypeError: a listener has to be callable"),
        (
            "Response('x', status=200, web_socket=client)",
            "ValueError: Responses with a WebSocket must have status 101",
        ),
        ("Response(None, status=101)", "ValueError: Responses may only be constructed"),
        ("Response(None, web_socket=5)", "TypeError: web_socket has to be an end of a WebSocket, not int"),
        ("Response('x', web_socket=client)", "TypeError: Response with null body status"),
        ("answer.clone()", "TypeError: Cannot clone a response to a WebSocket handshake."),
        ("python_to_rpc(answer)", "TypeError: A Response with a WebSocket cannot be sent over RPC."),
        ("WebSocket('ws://x/')", "TypeError: make a WebSocketPair, or ask for one"),
    ],
)
def test_mistakes_are_said_at_once(start, call: str, error: str) -> None:
    driver = start(worker(f"{call}\nreturn answer"))
    run = driver.fetch()
    assert run.failure is not None
    assert f"{run.failure.type_name}: {run.failure.message}".startswith(
        error.replace("status 101", "status code 101")
    )


@pytest.mark.parametrize("first", ["client.accept()", "await self.give(client)", "client.close()"])
def test_an_end_is_given_away_once_and_untouched(start, first: str) -> None:
    driver = start(
        worker(f"{first}\nreturn answer")
        + "    async def give(self, end):\n        end._leave(FakeInvocation(), '')\n"
        "class FakeInvocation:\n    def hold(self): pass\n"
    )
    run = driver.fetch()
    assert run.failure is not None
    assert run.failure.type_name == "TypeError"


# a slow reader -------------------------------------------------------------------------------------------------------


def test_sending_waits_for_credit_if_it_is_awaited(start) -> None:
    driver = start(
        worker(
            """
async def flood():
    for number in range(100):
        await server.send(b"x" * 10_000)
        print(number)
server.accept()
asyncio.create_task(flood())
return answer
"""
        )
    )
    run = driver.begin()
    driver.step()
    run.socket.autopull = False
    driver.settle()
    stuck = len(printed(run))
    assert 6 <= stuck <= 14
    assert len(run.socket.messages) == 6
    for _ in range(100):
        run.socket.pull()
        driver.settle()
    assert len(run.socket.messages) == 100
    assert len(printed(run)) == 100


def test_sending_without_waiting_is_bounded(start) -> None:
    driver = start(
        worker(
            """
server.accept()
async def flood():
    await asyncio.sleep(0.001)
    sent = 0
    try:
        while True:
            server.send(b"x" * 1000)
            sent += 1
    except BufferError as error:
        print(error, sent, server.bufferedAmount > 1_000_000)
asyncio.create_task(flood())
return answer
"""
        )
    )
    run = driver.begin()
    driver.step()
    run.socket.autopull = False
    driver.settle()
    (line,) = printed(run)
    assert line.startswith("the other end reads too slowly: await send(), or close it 9")
    assert line.endswith("True")
    for _ in range(200):
        run.socket.pull()
        driver.settle()
    assert len(run.socket.messages) == int(line.split()[-2])


def test_a_message_of_any_size_is_taken_while_none_waits(start) -> None:
    driver = start(worker("server.accept()\nserver.send(b'x' * (20 << 20))\nreturn answer"), memory_mb=128)
    run = driver.fetch()
    assert [len(message) for message in run.socket.messages] == [20 << 20]


def test_the_worker_is_sent_no_more_than_it_takes(start) -> None:
    driver = start(
        worker(
            """
server.accept()
async def slow():
    await asyncio.sleep(60)
    async for message in server:
        pass
    print("all of it")
asyncio.create_task(slow())
return answer
"""
        )
    )
    run = driver.begin()
    driver.step()
    for _ in range(30):
        run.socket.send(b"x" * 10_000)
    assert driver.can_go_on()
    driver.step()
    assert run.socket.credit < PIECE + 10_000
    assert sum(len(data) for data, _ in run.socket._pending) >= 300_000 - SOCKET_WINDOW
    run.socket.close()
    driver.settle()
    assert printed(run) == ["all of it"]


def test_an_async_listener_holds_the_credit_of_what_it_works_on(start) -> None:
    driver = start(
        worker(
            """
server.accept()
async def slow(event):
    await env.GATE.wait()
server.addEventListener("message", slow)
return answer
"""
        ),
        bindings=[("GATE", "fetcher", 1)],
        answer=lambda call: LATER,
    )
    run = driver.fetch()
    for _ in range(30):
        run.socket.send(b"x" * 10_000)
    driver.settle()
    assert len(driver.calls) == SOCKET_WINDOW // (10_000 + PIECE) + 1 - 1
    while driver.calls:
        driver.resolve(next(iter(driver.calls)), None)
        driver.settle()
    assert len(driver.seen) == 30


def test_thousands_of_sockets_are_written_to_in_one_go(start) -> None:
    source = """
from workers import *
room = []

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        client, server = WebSocketPair()
        server.accept()
        room.append(server)
        return Response(None, status=101, web_socket=client)

    async def tell(self, text):
        for server in room:
            server.send(text)
"""
    driver = start(source, cpu_ms=60_000)
    runs = []
    for _ in range(45):
        runs += [driver.begin() for _ in range(100)]
        driver.settle()
    driver.call("tell", "hello")
    assert all(run.socket.messages == ["hello"] for run in runs)


# failures ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["", "async "])
def test_a_listener_that_fails_is_logged_and_closes(start, kind: str) -> None:
    driver = start(
        worker(
            f"""
{kind}def bad(event):
    raise ValueError("no")
server.accept()
server.addEventListener("message", bad)
server.addEventListener("error", lambda event: print("heard", repr(event.error)))
return answer
"""
        )
    )
    run = driver.fetch()
    run.socket.send("x")
    driver.settle()
    assert run.socket.closed == (1011, "")
    assert run.logs[0].level == "error"
    assert "ValueError: no" in run.logs[0].message
    assert printed(run)[1:] == ["heard ValueError('no')"]
    assert run.done


def test_a_task_that_receives_and_fails_closes(start) -> None:
    driver = start(
        worker(
            """
async def bad():
    async for message in server:
        raise ValueError("no")
server.accept()
asyncio.create_task(bad())
return answer
"""
        )
    )
    run = driver.fetch()
    run.socket.send("x")
    driver.settle()
    assert run.socket.closed == (1011, "")
    assert "a task that receives from a WebSocket failed" in run.logs[0].message
    assert run.done


def test_a_block_that_fails_closes(start) -> None:
    driver = start(
        worker(
            """
async def talk():
    async with server:
        raise KeyError("x")
ctx.waitUntil(talk())
return answer
"""
        )
    )
    run = driver.fetch()
    assert run.socket.closed == (1011, "")
    assert run.done


def test_what_follows_the_end_of_the_messages_is_finished(start) -> None:
    driver = start(
        worker(
            """
async def talk():
    async for message in server:
        pass
    await env.LOG.write("gone")
    print("written")
async def left(event):
    await env.LOG.write("closed")
    print("closed")
server.accept()
server.addEventListener("close", left)
asyncio.create_task(talk())
return answer
"""
        ),
        bindings=[("LOG", "fetcher", 1)],
        answer=lambda call: LATER,
    )
    run = driver.fetch()
    run.socket.close()
    driver.settle()
    assert (len(driver.calls), run.done) == (2, False)
    for call in tuple(driver.calls):
        driver.resolve(call, None)
    driver.settle()
    assert sorted(printed(run)) == ["closed", "written"]
    assert run.done


def test_tasks_that_do_not_receive_end_with_the_socket(start) -> None:
    driver = start(
        worker(
            """
async def tick():
    try:
        while True:
            await asyncio.sleep(3600)
            server.send("tick")
    finally:
        print("stopped")
server.accept()
asyncio.create_task(tick())
return answer
"""
        )
    )
    run = driver.begin()
    driver.step()
    driver.step()
    assert run.socket.messages == ["tick"]
    run.socket.close()
    driver.settle()
    assert run.done
    assert printed(run) == ["stopped"]


def test_one_task_receives_at_a_time_and_listeners_come_first(start) -> None:
    driver = start(
        worker(
            """
server.accept()
first = asyncio.create_task(server.receive())
await asyncio.sleep(0)
for attempt in (1, 2):
    try:
        await server.receive()
    except RuntimeError as error:
        print(error)
    server.addEventListener("message", print)
first.cancel()
return answer
"""
        )
    )
    run = driver.fetch()
    assert printed(run) == [
        "two tasks receive from the same WebSocket",
        "this WebSocket has listeners: they get its messages",
    ]


def test_messages_wait_for_a_listener_that_comes_late(start) -> None:
    driver = start(
        worker(
            """
server.accept()
async def later():
    await asyncio.sleep(1)
    server.addEventListener("message", lambda event: print(event.data))
ctx.waitUntil(later())
return answer
"""
        )
    )
    run = driver.begin()
    driver.step()
    run.socket.send("early")
    assert driver.can_go_on()
    driver.step()
    assert printed(run) == []
    driver.settle()
    assert printed(run) == ["early"]


# a pair that stays ---------------------------------------------------------------------------------------------------


def test_both_ends_may_stay_inside(start) -> None:
    driver = start(
        worker(
            """
a, b = WebSocketPair()
a.accept()
b.accept()
b.addEventListener("message", lambda event: b.send(event.data * 2))
b.addEventListener("close", lambda event: print("b", event.code, event.reason))
a.send("x")
a.send(b"y")
print(await a.receive(), await a.receive())
a.close(4000, "enough")
print([message async for message in a], a.close_code, b.readyState)
return Response("done")
"""
        )
    )
    run = driver.fetch()
    assert run.text == "done"
    assert printed(run) == ["xx b'yy'", "b 4000 enough", "[] 4000 3"]
    assert run.done


def test_two_ends_with_listeners_do_not_call_each_other_for_ever(start) -> None:
    driver = start(
        worker(
            """
a, b = WebSocketPair()
def count(event):
    if int(event.data) < 2000:
        event.target.send(str(int(event.data) + 1))
    else:
        print(event.data)
for end in (a, b):
    end.accept()
    end.addEventListener("message", count)
a.send("1")
await asyncio.sleep(1)
return Response("x")
"""
        )
    )
    run = driver.fetch()
    assert run.text == "x"
    assert printed(run) == ["2000"]


def test_a_pair_in_memory_is_bounded_too(start) -> None:
    driver = start(
        worker(
            """
a, b = WebSocketPair()
a.accept()
b.accept()
async def write():
    for number in range(200):
        await a.send(b"x" * 1000)
    a.close()
writing = asyncio.create_task(write())
await asyncio.sleep(0)
print(writing.done(), a.buffered_amount < 70_000)
print(len([message async for message in b]))
try:
    c, d = WebSocketPair()
    c.accept()
    while True:
        c.send(b"x" * 100_000)
except BufferError:
    print("bounded")
return Response("x")
"""
        )
    )
    run = driver.fetch()
    assert run.text == "x"
    assert printed(run) == ["False True", "200", "bounded"]


def test_an_end_that_was_closed_before_it_was_given_away(start) -> None:
    driver = start(worker("server.accept()\nserver.send('bye')\nserver.close(4000, 'x')\nreturn answer"))
    run = driver.fetch()
    assert (run.socket.messages, run.socket.closed, run.done) == (["bye"], (4000, "x"), True)
    driver = start(worker("server.accept()\nserver.close(4000)\nawait asyncio.sleep(0.01)\nreturn answer"))
    run = driver.fetch()
    assert (run.socket.closed is not None, run.done) == (True, True)


# sockets that it asks for --------------------------------------------------------------------------------------------

ASK = """
response = await fetch("wss://echo.example/chat", headers={"Upgrade": "websocket"})
socket = response.web_socket
"""


def upgrade(_: object) -> Reply:
    return Reply(headers=(("sec-websocket-protocol", "v3"),), socket=True)


def test_a_socket_that_was_asked_for(start) -> None:
    driver = start(
        worker(
            ASK
            + """
print(response.status, socket is response.webSocket, socket.protocol, socket.readyState)
socket.accept()
socket.send("hello")
print(await socket.receive(), await anext(socket))
socket.close(1000, "done")
print(await anext(socket, "closed"), socket.close_code)
return Response("x")
"""
        ),
        answer=upgrade,
    )
    run = driver.begin()
    driver.step()
    driver.step()
    (asked,) = driver.seen
    assert (asked.url, dict(asked.headers)["upgrade"]) == ("https://echo.example/chat", "websocket")
    socket = driver.sockets[2]
    assert (socket.accepted, socket.messages) == (True, ["hello"])
    socket.send("one")
    socket.send(b"two")
    driver.settle()
    assert printed(run) == ["101 True v3 1", "one b'two'", "closed 1000"]
    assert socket.closed == (1000, "done")
    assert run.text == "x"


def test_it_is_handed_on_untouched(start) -> None:
    driver = start(worker(ASK + "return response"), answer=upgrade)
    run = driver.fetch()
    assert run.status == 101
    assert run.socket is driver.sockets[2]
    assert not run.socket.accepted
    assert run.done


def test_it_is_handed_on_in_a_new_response(start) -> None:
    driver = start(worker(ASK + "return Response(None, status=101, web_socket=socket)"), answer=upgrade)
    run = driver.fetch()
    assert run.socket is driver.sockets[2]


def test_it_cannot_be_handed_on_once_it_was_accepted(start) -> None:
    driver = start(worker(ASK + "socket.accept()\nreturn response"), answer=upgrade)
    run = driver.fetch()
    assert run.failure is not None
    assert run.failure.message == "a WebSocket that has been accepted cannot be given away"


@pytest.mark.parametrize("accepted", [True, False])
def test_what_is_left_open_is_closed_with_its_invocation(start, accepted: bool) -> None:
    use = "socket.accept()\nsocket.send('said')\n" if accepted else ""
    driver = start(worker(ASK + use + "return Response('x')"), answer=upgrade)
    run = driver.fetch()
    assert (run.text, run.done) == ("x", True)
    assert driver.sockets[2].messages == (["said"] if accepted else [])
    assert driver.sockets[2].closed == (1001, "")


def test_one_that_nobody_waits_for_is_closed(start) -> None:
    driver = start(
        worker(
            """
asking = asyncio.create_task(fetch("https://x.example/", headers={"Upgrade": "websocket"}))
await asyncio.sleep(0)
asking.cancel()
await env.GATE.wait()
return Response("x")
"""
        ),
        bindings=[("GATE", "fetcher", 1)],
        answer=lambda call: LATER,
    )
    run = driver.begin()
    driver.step()
    asked = driver.seen[0].call
    driver.calls[asked] = driver.seen[0]
    driver.resolve(asked, upgrade(None))
    driver.settle()
    assert driver.sockets[2].closed == (1001, "")
    for call in tuple(driver.calls):
        driver.resolve(call, None)
    driver.settle()
    assert run.text == "x"


def test_a_proxy_of_two_sockets(start) -> None:
    driver = start(
        worker(
            ASK
            + """
socket.accept()
server.accept()
for one, other in ((socket, server), (server, socket)):
    one.addEventListener("message", lambda event, other=other: other.send(event.data))
    one.addEventListener("close", lambda event, other=other: other.close(4000, event.reason))
return answer
"""
        ),
        answer=upgrade,
    )
    run = driver.fetch()
    run.socket.send("to the server")
    driver.sockets[2].send("to the client")
    driver.settle()
    assert (driver.sockets[2].messages, run.socket.messages) == (["to the server"], ["to the client"])
    run.socket.close(1000, "bye")
    driver.settle()
    assert driver.sockets[2].closed == (4000, "bye")
    assert run.done


# the log -------------------------------------------------------------------------------------------------------------


def test_an_invocation_of_long_life_may_log_every_minute(start) -> None:
    driver = start(
        worker(
            """
server.accept()
server.addEventListener("message", lambda event: print(event.data * 10_000))
return answer
"""
        )
    )
    run = driver.fetch()
    for _ in range(100):
        run.socket.send("x")
    driver.settle()
    first = len(run.logs)
    assert first < 40
    run.socket.send("x")
    driver.settle()
    assert len(run.logs) == first
    driver.isolate.ahead_ns += 61 * 10**9
    run.socket.send("y")
    driver.settle()
    assert run.logs[-1].message == "y" * 10_000
