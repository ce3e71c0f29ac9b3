"""WebSockets that a JavaScript worker asked for: by `fetch`, by `new WebSocket`; passed on, or left open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates.protocol import Fetch
from pyworkerd_isolates.testing import LATER, Driver, Reply

if TYPE_CHECKING:
    from collections.abc import Callable

    Start = Callable[..., Driver]

ANSWER = "return new Response(null, { status: 101, webSocket: client });"
ASKED = """
export default {
  async fetch(request, env, ctx) {
    %s
  },
};
"""


def asking(start: Start, body: str, reply: Any = None) -> Driver:
    """A worker that is answered with a WebSocket."""
    answer = Reply(socket=True, headers=(("sec-websocket-protocol", "chat"),)) if reply is None else reply
    return start({"w.js": ASKED % body}, answer=lambda _: answer)


def test_a_socket_that_was_asked_for(start: Start) -> None:
    driver = asking(
        start,
        """
const response = await fetch("https://chat.test/", { headers: { Upgrade: "websocket" } });
const ws = response.webSocket;
const next = (type) => new Promise((resolve) => ws.addEventListener(type, resolve, { once: true }));
ws.accept();
ws.send("hello");
const said = (await next("message")).data;
ws.close(1000, "done");
const { code } = await next("close");
return Response.json([response.status, ws.protocol, said, code]);
""",
    )
    run = driver.fetch()
    (socket,) = driver.sockets.values()
    assert socket.messages == ["hello"]
    socket.send("welcome")
    driver.settle()
    assert run.json == [101, "chat", "welcome", 1000]
    assert socket.closed == (1000, "done")


def test_one_that_is_constructed_connects_and_opens(start: Start) -> None:
    driver = asking(
        start,
        """
const ws = new WebSocket("wss://chat.test/room?a=b", ["chat", "more"]);
const states = [ws.readyState, ws.url];
try { ws.send("too early"); } catch (error) { states.push(error.name); }
try { ws.accept(); } catch (error) { states.push(error.name); }
await new Promise((resolve) => { ws.onopen = resolve; });
states.push(ws.readyState, ws.protocol);
ws.send("hi");
await new Promise((resolve) => { ws.onclose = resolve; });
return Response.json(states);
""",
    )
    run = driver.fetch()
    (socket,) = driver.sockets.values()
    assert socket.messages == ["hi"]
    socket.close(1000)
    driver.settle()
    assert run.json == [0, "wss://chat.test/room?a=b", "InvalidStateError", "TypeError", 1, "chat"]
    (call,) = driver.seen
    assert isinstance(call, Fetch)
    assert call.url == "https://chat.test/room?a=b"
    assert dict(call.headers) == {"upgrade": "websocket", "sec-websocket-protocol": "chat, more"}


@pytest.mark.parametrize("reply", [Reply(status=404), OSError("nobody there")])
def test_a_connection_that_fails_is_an_error_and_a_close(start: Start, reply: Any) -> None:
    driver = asking(
        start,
        """
const ws = new WebSocket("ws://chat.test/");
const heard = [];
ws.addEventListener("error", ({ message }) => heard.push(message));
const { code, wasClean } = await new Promise((resolve) => ws.addEventListener("close", resolve));
return Response.json([...heard, code, wasClean, ws.readyState]);
""",
        reply,
    )
    why = (
        "nobody there" if isinstance(reply, OSError) else "the server answered with 404, not with a WebSocket"
    )
    message, *rest = driver.fetch().json
    assert (why in message, rest) == (True, [1006, False, 3])


@pytest.mark.parametrize(
    "body",
    [
        "return fetch(request);",
        "const r = await fetch(request); return new Response(null, { status: 101, webSocket: r.webSocket });",
    ],
)
def test_it_is_handed_on_untouched(start: Start, body: str) -> None:
    driver = asking(start, body)
    run = driver.fetch(headers=(("upgrade", "websocket"),))
    assert run.socket is not None
    assert (run.status, run.socket.number, run.done) == (101, 2, True)


def test_it_cannot_be_handed_on_once_it_was_accepted(start: Start) -> None:
    driver = asking(start, "const r = await fetch(request); r.webSocket.accept(); return r;")
    run = driver.fetch()
    assert run.failure is not None
    assert "has been accepted cannot be given away" in run.failure.message
    assert driver.sockets[2].closed == (1001, "")


@pytest.mark.parametrize("accepted", ["", "r.webSocket.accept();"])
def test_what_is_left_open_is_closed_with_its_invocation(start: Start, accepted: str) -> None:
    driver = asking(start, f"const r = await fetch(request); {accepted} return new Response('done');")
    run = driver.fetch()
    assert (run.text, run.done, driver.sockets[2].closed) == ("done", True, (1001, ""))


def test_what_a_listener_begins_at_the_end_of_its_invocation_ends_with_it(start: Start) -> None:
    driver = asking(
        start,
        """
const { webSocket } = await fetch(request);
webSocket.accept();
webSocket.addEventListener("close", async () => {
  setTimeout(() => fetch("http://later.not.test/"), 10);
  await fetch("http://not.test/");
});
return new Response("done");
""",
    )
    driver.answer = lambda call: LATER if "not.test" in getattr(call, "url", "") else Reply(socket=True)
    run = driver.fetch()
    assert (run.text, run.done, driver.wake) == ("done", True, None)
    assert len(driver.abandoned) == 1
    assert driver.fetch().done


def test_one_that_nobody_waits_for_is_closed(start: Start) -> None:
    driver = asking(start, "fetch(request); return new Response('done');", LATER)
    run = driver.fetch()
    (call,) = driver.abandoned
    driver.calls[call] = driver.seen[0]
    driver.resolve(call, Reply(socket=True))
    driver.settle()
    assert (run.done, driver.sockets[2].closed) == (True, (1001, ""))


def test_a_proxy_of_two_sockets(start: Start) -> None:
    driver = asking(
        start,
        f"""
const {{ webSocket: behind }} = await fetch(request);
const [client, server] = Object.values(new WebSocketPair());
behind.accept();
server.accept();
for (const [from, to] of [[behind, server], [server, behind]]) {{
  from.addEventListener("message", ({{ data }}) => to.send(data));
  from.addEventListener("close", ({{ code, reason }}) => to.close(code, reason));
}}
{ANSWER}
""",
    )
    run = driver.fetch()
    behind = driver.sockets[2]
    assert run.socket is not None
    run.socket.send("to the server")
    behind.send(b"to the client" * 20_000)
    driver.settle()
    assert (behind.messages, run.socket.messages) == (["to the server"], [b"to the client" * 20_000])
    run.socket.close(4000, "over")
    driver.settle()
    assert (behind.closed, run.done) == ((4000, "over"), True)


def test_bodies_that_were_read_leave_nothing_behind_while_a_socket_is_open(start: Start) -> None:
    driver = start(
        {
            "w.js": ASKED
            % f"""
const [client, server] = Object.values(new WebSocketPair());
server.accept();
server.onmessage = async () => server.send(await (await fetch("http://data.test/")).text());
{ANSWER}
"""
        },
        answer=lambda _: Reply(body=iter([b"x"])),
    )
    run = driver.fetch()
    assert run.socket is not None

    def rounds(count: int) -> int:
        assert run.socket is not None
        for _ in range(count):
            run.socket.send("go")
            driver.settle()
        return driver.isolate.memory_size

    before = rounds(1000)
    assert rounds(3000) - before <= 1 << 17
    assert len(run.socket.messages) == 4000


def test_one_that_was_closed_before_it_was_accepted(start: Start) -> None:
    driver = asking(
        start,
        """
const { webSocket } = await fetch(request);
const { code } = await new Promise((resolve) => webSocket.addEventListener("close", resolve));
webSocket.accept();
webSocket.send("dropped");
webSocket.close();
return Response.json([code, webSocket.readyState]);
""",
    )
    run = driver.begin()
    driver.step()
    (socket,) = driver.sockets.values()
    socket.close(4000)
    driver.settle()
    assert (run.json, run.done) == ([4000, 3], True)
    assert (socket.accepted, socket.messages, socket.closed) == (False, [], None)
