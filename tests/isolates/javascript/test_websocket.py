"""WebSockets as a JavaScript worker sees them: pairs, events, credit, and what it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd_isolates.protocol import SOCKET_WINDOW
from pyworkerd_isolates.testing import LATER, Driver

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Run, Sandbox

    Start = Callable[..., Driver]

ANSWER = "return new Response(null, { status: 101, webSocket: client });"
ECHO = f"""
server.accept();
server.addEventListener("message", (event) => server.send(event.data));
{ANSWER}
"""


def worker(body: str, before: str = "") -> dict[str, str]:
    """A worker whose `fetch` has a pair, and this body."""
    return {
        "w.js": f"""
{before}
export default {{
  async fetch(request, env, ctx) {{
    const [client, server] = Object.values(new WebSocketPair());
    {body}
  }},
}};
"""
    }


def printed(run: Run) -> list[str]:
    """What it logged."""
    return [entry.message for entry in run.logs]


ECHOES = {
    "listener": ECHO,
    "attribute": f"server.accept(); server.onmessage = ({{ data }}) => server.send(data); {ANSWER}",
    "after": f"""
      server.addEventListener("message", {{ handleEvent: (event) => server.send(event.data) }});
      server.accept();
      {ANSWER}""",
    "keys": """
      const pair = new WebSocketPair();
      pair[1].accept();
      pair[1].addEventListener("message", async ({ data }) => pair[1].send(await new Response(data).bytes()));
      return new Response(null, { status: 101, webSocket: pair[0], headers: { "x-a": "b" } });""",
}


@pytest.mark.parametrize("way", ECHOES)
def test_echo(start: Start, way: str) -> None:
    driver = start(worker(ECHOES[way]))
    run = driver.fetch()
    assert (run.checked().status, run.done) == (101, False)
    assert run.socket is not None
    messages: list[str | bytes] = ["hello", "", b"", b"\0\xff", "ä\U0001f600" * 50_000, b"x" * 300_000]
    for message in messages:
        run.socket.send(message)
    driver.settle()
    expected = [m.encode() if isinstance(m, str) else m for m in messages] if way == "keys" else messages
    assert run.socket.messages == expected
    run.socket.close(1000, "bye")
    driver.settle()
    assert run.done
    assert printed(run) == []


def test_text_that_is_cut_in_a_character_is_whole_again(start: Start) -> None:
    driver = start(worker(ECHO))
    run = driver.fetch()
    assert run.socket is not None
    data = "é€\U0001f600".encode()
    for at in range(len(data)):
        driver.events.ws_message(run.socket.number, data[at : at + 1], True, at == len(data) - 1)
    driver.settle()
    assert run.socket.messages == ["é€\U0001f600"]


def test_what_was_sent_before_the_answer_comes_after_it(start: Start) -> None:
    driver = start(
        worker(
            f"server.accept(); server.send('one'); await null; server.send(new Uint8Array([1, 2])); {ANSWER}"
        )
    )
    run = driver.fetch()
    assert run.socket is not None
    assert run.socket.messages == ["one", b"\1\2"]


def test_nothing_comes_before_it_is_accepted(start: Start) -> None:
    driver = start(
        worker(
            f"""
server.addEventListener("message", (event) => console.log(event.data));
setTimeout(() => server.accept(), 5000);
{ANSWER}
"""
        )
    )
    run = driver.begin()
    driver.step()
    assert run.socket is not None
    run.socket.send("a")
    assert not run.socket.accepted
    driver.settle()
    assert printed(run) == ["a"]


def test_events_and_properties_are_those_of_the_platform(start: Start) -> None:
    driver = start(
        worker(
            f"""
console.log(server.readyState, `${{server.url}}|${{server.protocol}}|${{server.extensions}}|`, server.binaryType);
server.accept();
const heard = (event) => console.log(event.constructor.name, event.type, event.target === server,
  event.data instanceof ArrayBuffer ? event.data.byteLength : event.data ?? null,
  event.code ?? null, event.reason ?? null, event.wasClean ?? null, server.readyState);
for (const type of ["message", "close", "error"]) server.addEventListener(type, heard);
{ANSWER}
"""
        )
    )
    run = driver.fetch()
    assert run.socket is not None
    run.socket.send("hi")
    run.socket.send(b"123")
    run.socket.close(1006, "", clean=False)
    driver.settle()
    assert printed(run) == [
        "1 ||| arraybuffer",
        "MessageEvent message true hi null null null 1",
        "MessageEvent message true 3 null null null 1",
        "ErrorEvent error true null null null null 3",
        "CloseEvent close true null 1006  false 3",
    ]
    assert run.done


def test_bytes_come_as_blobs_where_asked_for(start: Start) -> None:
    driver = start(
        worker(
            f"""
server.accept();
server.binaryType = "blob";
server.binaryType = "nonsense";
server.onmessage = async ({{ data }}) => server.send(`${{data instanceof Blob}} ${{await data.text()}}`);
{ANSWER}
"""
        )
    )
    run = driver.fetch()
    assert run.socket is not None
    run.socket.send(b"abc")
    driver.settle()
    assert run.socket.messages == ["true abc"]


def test_the_worker_closes(start: Start) -> None:
    driver = start(
        worker(
            f"""
server.accept();
server.onclose = ({{ code, reason, wasClean }}) => console.log(code, reason, wasClean, server.readyState);
server.addEventListener("message", () => {{
  server.send("last");
  server.close(4001, "enough");
  server.close(1000);
  console.log(server.readyState);
  try {{ server.send("more"); }} catch (error) {{ console.log(error.message); }}
}});
{ANSWER}
"""
        )
    )
    run = driver.fetch()
    assert run.socket is not None
    run.socket.send("go")
    driver.settle()
    assert (run.socket.messages, run.socket.closed, run.done) == (["last"], (4001, "enough"), True)
    assert printed(run) == ["2", "Can't call WebSocket send() after close().", "4001 enough true 3"]


def test_a_close_without_a_code(start: Start) -> None:
    driver = start(worker(f"server.accept(); server.close(); {ANSWER}"))
    run = driver.fetch()
    assert run.socket is not None
    assert (run.socket.closed, run.done) == ((1005, ""), True)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("server.send('x')", "TypeError: call accept() on a WebSocket before sending on it"),
        ("server.accept(); server.send()", "TypeError: Failed to execute 'send' on 'WebSocket': 1 argument"),
        ("server.accept(); server.close(1005)", "TypeError: Invalid WebSocket close code: 1005."),
        ("server.accept(); server.close(1000.5)", "TypeError: Invalid WebSocket close code: 1000.5."),
        (
            "server.accept(); server.close(undefined, 'why')",
            "TypeError: If you specify a WebSocket close reason",
        ),
        (
            "server.accept(); server.close(1000, 'ä'.repeat(62))",
            "TypeError: the reason of a close is limited",
        ),
        (
            "server.serializeAttachment('x'.repeat(20000))",
            "RangeError: an attachment of a WebSocket has at most",
        ),
        (
            "new Response(null, { webSocket: client })",
            "RangeError: Responses with a WebSocket must have status",
        ),
        (
            "new Response('x', { status: 101, webSocket: client })",
            "TypeError: Response with null body status",
        ),
        (
            "return new Response(null, { status: 101, webSocket: {} })",
            "TypeError: `webSocket` has to be an end",
        ),
        (
            "client.accept(); " + ANSWER,
            "TypeError: this end of the WebSocket was accepted or given away before",
        ),
        (
            "client.close(); " + ANSWER,
            "TypeError: this end of the WebSocket was accepted or given away before",
        ),
        ("new WebSocket('ftp://x/')", "SyntaxError: a WebSocket needs a URL of ws:"),
        ("new WebSocket('wss://x/', ['a', 'a'])", "SyntaxError: a protocol of a WebSocket"),
        ("WebSocket.prototype.send.call({}, 'x')", "TypeError"),
    ],
)
def test_mistakes_are_said_at_once(start: Start, code: str, error: str) -> None:
    run = start(worker(f"{code}; return new Response('went on');")).fetch()
    assert run.failure is not None
    assert f"{run.failure.type_name}: {run.failure.message}".startswith(error)
    assert run.done


def test_at_the_top_level_there_is_none_to_the_outside(start: Start) -> None:
    driver = start(
        worker(
            "return new Response(said);",
            "let said; try { new WebSocket('wss://x/'); } catch (error) { said = error.message; }",
        )
    )
    assert "there is no I/O" in driver.fetch().text


def test_an_attachment_is_a_copy(start: Start) -> None:
    driver = start(
        worker(
            """
const value = { name: "ann" };
const before = server.deserializeAttachment();
server.serializeAttachment(value);
value.name = "bob";
return Response.json([before, server.deserializeAttachment()]);
"""
        )
    )
    assert driver.fetch().json == [None, {"name": "ann"}]


def test_sending_is_bounded_where_nobody_reads(start: Start) -> None:
    driver = start(
        worker(
            f"""
server.accept();
let sent = 0;
server.addEventListener("message", () => {{
  try {{
    for (;;) {{ server.send("x".repeat(100000)); sent += 1; }}
  }} catch (error) {{
    console.log(sent, error.name, error.message, server.bufferedAmount > 500000);
  }}
}});
{ANSWER}
"""
        )
    )
    run = driver.fetch()
    assert run.socket is not None
    run.socket.autopull = False
    run.socket.send("go")
    driver.settle()
    assert printed(run) == [
        "10 RangeError the other end reads too slowly: look at bufferedAmount before sending more, or close it true"
    ]
    run.socket.autopull = True
    driver.settle()
    assert run.socket.messages == ["x" * 100_000] * 10


def test_a_message_of_any_size_is_taken_while_none_waits(start: Start) -> None:
    driver = start(worker(f"server.accept(); server.send(new Uint8Array(5 << 20)); {ANSWER}"))
    run = driver.fetch()
    assert run.socket is not None
    assert [len(message) for message in run.socket.messages] == [5 << 20]


def test_one_that_is_too_large_is_refused(start: Start) -> None:
    body = "server.accept(); server.send(new ArrayBuffer((32 << 20) + 1)); return new Response();"
    run = start(worker(body)).fetch()
    assert run.failure is not None
    assert (run.failure.type_name, "is too large" in run.failure.message) == ("RangeError", True)


def test_an_async_listener_holds_the_credit_of_what_it_works_on(start: Start) -> None:
    driver = start(
        worker(
            f"""
server.accept();
server.addEventListener("message", async () => {{ await env.gate.greet("x"); console.log("done"); }});
{ANSWER}
"""
        ),
        bindings=[("gate", "hello", 1)],
        answer=lambda _: LATER,
    )
    run = driver.fetch()
    assert run.socket is not None
    run.socket.send("x" * 40_000)
    run.socket.send("y" * 40_000)
    driver.settle()
    assert run.socket.credit < SOCKET_WINDOW
    for _ in range(3):
        for call in list(driver.calls):
            driver.resolve(call, "go on")
        driver.settle()
    assert printed(run) == ["done", "done"]
    assert run.socket.credit >= SOCKET_WINDOW // 2


def test_what_a_listener_awaits_is_finished_after_the_close(start: Start) -> None:
    driver = start(
        worker(
            f"""
server.accept();
server.addEventListener("close", async () => {{
  await new Promise((resolve) => setTimeout(resolve, 1000));
  console.log(await env.gate.greet("x"));
}});
{ANSWER}
"""
        ),
        bindings=[("gate", "hello", 1)],
        answer=lambda _: "saved",
    )
    run = driver.fetch()
    assert run.socket is not None
    run.socket.close()
    driver.settle()
    assert (printed(run), run.done) == (["saved"], True)


def test_hundreds_of_sockets_are_written_to_in_one_go(start: Start) -> None:
    driver = start(
        worker(
            f"""
server.accept();
all.push(server);
server.addEventListener("message", ({{ data }}) => all.forEach((each) => each.send(data)));
{ANSWER}
""",
            "const all = [];",
        )
    )
    runs = [driver.fetch() for _ in range(500)]
    assert runs[0].socket is not None
    for number in range(12):
        runs[0].socket.send(str(number))
    driver.settle()
    for run in runs:
        assert run.socket is not None
        assert run.socket.messages == [str(number) for number in range(12)]


@pytest.mark.parametrize("kind", ["", "async "])
def test_a_listener_that_fails_is_logged_and_closes(start: Start, kind: str) -> None:
    driver = start(
        worker(
            f"""
server.accept();
server.addEventListener("message", {kind}() => {{ throw new Error("my mistake"); }});
server.addEventListener("error", (event) => console.log("heard", event.message, event.error instanceof Error));
{ANSWER}
"""
        )
    )
    run = driver.fetch()
    assert run.socket is not None
    run.socket.send("x")
    driver.settle()
    assert (run.socket.closed, run.done) == ((1011, ""), True)
    logged, heard = printed(run)
    assert logged.startswith('a listener of "message" on a WebSocket failed\nError: my mistake')
    assert heard == "heard my mistake true"


def test_both_ends_may_stay_inside(start: Start) -> None:
    driver = start(
        worker(
            """
const heard = [];
client.accept();
server.accept();
server.addEventListener("message", ({ data }) => server.send(`${data}!`));
client.addEventListener("message", ({ data }) => {
  heard.push(data);
  if (heard.length === 2) client.close(1000, "enough");
});
const closed = [client, server].map((end) => new Promise((resolve) => end.addEventListener("close", resolve)));
client.send("a");
client.send("b");
heard.push("later");
const [first, second] = await Promise.all(closed);
return Response.json([heard, first.code, second.reason, client.readyState, server.readyState]);
"""
        )
    )
    assert driver.fetch().json == [["later", "a!"], 1000, "enough", 3, 3]


def test_a_pair_in_memory_is_bounded_too(start: Start) -> None:
    body = "client.accept(); for (;;) client.send('x'.repeat(100000));"
    run = start(worker(body)).fetch()
    assert run.failure is not None
    assert run.failure.message.startswith("the other end reads too slowly")


def test_what_an_unaccepted_end_was_sent_waits_for_it(start: Start) -> None:
    driver = start(
        worker(
            """
client.accept();
client.send("early");
client.close(4000, "bye");
await null;
const heard = [];
server.addEventListener("message", ({ data }) => heard.push(data));
server.addEventListener("close", ({ code }) => heard.push(code));
server.accept();
await new Promise((resolve) => client.addEventListener("close", resolve));
return Response.json(heard);
"""
        )
    )
    assert driver.fetch().json == ["early", 4000]


def test_an_end_that_was_closed_before_it_was_given_away(start: Start) -> None:
    driver = start(worker(f"server.accept(); server.send('a'); server.close(4000, 'b'); {ANSWER}"))
    run = driver.fetch()
    assert run.socket is not None
    assert (run.socket.messages, run.socket.closed, run.done) == (["a"], (4000, "b"), True)


def test_an_invocation_of_long_life_may_log_every_minute(start: Start) -> None:
    driver = start(
        worker(f"server.accept(); server.onmessage = () => console.log('x'.repeat(200)); {ANSWER}"),
        meta={"log_bytes": 500},
    )
    run = driver.fetch()
    assert run.socket is not None

    def logged() -> int:
        assert run.socket is not None
        before = len(run.logs)
        for _ in range(5):
            run.socket.send("x")
        driver.settle()
        return len(run.logs) - before

    first = logged()
    assert 0 < first < 5
    assert logged() == 0
    driver.isolate.ahead_ns += 61_000_000_000
    assert logged() == first


def test_an_isolate_without_sockets_says_nothing_of_them(sandbox: Sandbox) -> None:
    with sandbox.start({"w.js": "export default { fetch() { return new Response('x'); } };"}) as driver:
        driver.fetch()
        output = driver.step()
        assert output.effects == []
