"""Requests that a program sends, and what comes back."""

import pytest
from pyworkerd_isolates.component.outgoing import ERROR_CODES
from pyworkerd_isolates.events import Events
from pyworkerd_isolates.protocol import Abandon, Data, Fetch, Stop, StreamRef, Wake

from tests.isolates.component.programs import LINE, Asker

SEND = "wasi:http/outgoing-handler handle"
GET = f"{LINE}future-incoming-response.get"
MS = 1_000_000
WRITE = "wasi:io/streams output-stream.blocking-write-and-flush"


def request(asker, authority="a.test", scheme=0, path="/x"):
    me, of = asker.ask(f"{LINE}outgoing-request", asker.fields(("x", b"y"))), f"{LINE}outgoing-request."
    asker.ask(f"{of}set-scheme", me, 1, scheme, *asker.memory.put("ftp"))
    if authority:
        asker.ask(f"{of}set-authority", me, 1, *asker.memory.put(authority))
    asker.ask(f"{of}set-path-with-query", me, 1, *asker.memory.put(path))
    return me


def send(asker, **parts):
    asker.ask(SEND, request(asker, **parts), 0, 0, 0)
    assert asker.memory.number(0, 1) == 0
    return asker.memory.number(8)


def answer(asker, call, body=None, status=201):
    events = Events()
    events.resolve_response(call, status, (("x-a", "b"),), body, "")
    asker.tell(events)


def test_there_and_back():
    asker = Asker()
    future = send(asker)
    (fetch,) = asker.effects()
    assert fetch == Fetch(fetch.call, 1, 0, "GET", "http://a.test/x", (("x", "y"),), None, "manual")
    asker.ask(GET, future, 0)
    assert asker.memory.number(0, 1) == 0
    ready = asker.ask(f"{LINE}future-incoming-response.subscribe", future)
    assert asker.ask("wasi:io/poll pollable.block", ready) is None
    answer(asker, fetch.call, b"body")
    assert asker.look_again() == 0
    asker.ask(GET, future, 0)
    assert [asker.memory.number(at) for at in (0, 8, 16)] == [1, 0, 0]
    response = asker.memory.number(24)
    assert asker.ask(f"{LINE}incoming-response.status", response) == 201
    asker.ask(f"{LINE}fields.entries", asker.ask(f"{LINE}incoming-response.headers", response), 0)
    assert asker.memory.texts(0, 2) == [b"x-a", b"b"]
    asker.ask(f"{LINE}incoming-response.consume", response, 0)
    asker.ask(f"{LINE}incoming-body.stream", asker.memory.number(4), 0)
    asker.ask("wasi:io/streams input-stream.blocking-read", asker.memory.number(4), 100, 0)
    assert asker.memory.text(4) == b"body"
    asker.ask(GET, future, 0)
    assert [asker.memory.number(at) for at in (0, 8)] == [1, 1]


@pytest.mark.parametrize("finished", [True, False])
def test_its_body(finished):
    asker = Asker()
    me = request(asker)
    asker.ask(f"{LINE}outgoing-request.body", me, 0)
    body = asker.memory.number(4)
    asker.ask(SEND, me, 0, 0, 0)
    asker.ask(f"{LINE}outgoing-body.write", body, 0)
    asker.ask(WRITE, asker.memory.number(4), *asker.memory.put("abc"), 0)
    if finished:
        asker.ask(f"{LINE}outgoing-body.finish", body, 0, 0, 0)
    fetch, *rest = asker.effects()
    if finished:
        assert (fetch.body, rest) == (b"abc", [])
    else:
        assert isinstance(fetch.body, StreamRef)
        assert rest == [Data(fetch.body.number, b"abc", False)]


@pytest.mark.parametrize(
    ("parts", "outbound", "fault"),
    [
        ({}, False, "HTTP-request-denied"),
        ({"scheme": 2}, True, "HTTP-protocol-error"),
        ({"authority": ""}, True, "HTTP-request-URI-invalid"),
        ({"authority": "a b"}, True, "HTTP-request-URI-invalid"),
        ({"path": "/\n"}, True, "HTTP-request-URI-invalid"),
    ],
)
def test_what_cannot_be_sent(parts, outbound, fault):
    asker = Asker(meta={"outbound": outbound})
    asker.ask(SEND, request(asker, **parts), 0, 0, 0)
    assert (asker.memory.number(0, 1), ERROR_CODES[asker.memory.number(8, 1)]) == (1, fault)
    assert asker.effects() == []


@pytest.mark.parametrize(
    ("code", "fault"), [("access_denied", "HTTP-request-denied"), ("strange", "internal-error")]
)
def test_what_fails(code, fault):
    asker = Asker()
    future = send(asker)
    (fetch,) = asker.effects()
    events = Events()
    events.reject(fetch.call, code, "no")
    asker.tell(events)
    asker.ask(GET, future, 0)
    assert [asker.memory.number(at) for at in (0, 8, 16)] == [1, 0, 1]
    assert ERROR_CODES[asker.memory.number(24)] == fault


def test_nobody_waits_any_more():
    asker = Asker()
    asker.ask("drop", send(asker))
    assert asker.effects() == []  # it had not left
    future = send(asker)
    (fetch,) = asker.effects()
    asker.ask("drop", future)
    assert asker.effects() == [Abandon(fetch.call)]
    answer(asker, fetch.call, StreamRef(5, None))
    assert asker.effects() == [Stop(5)]


def test_a_socket_is_no_answer():
    asker = Asker()
    future = send(asker)
    (fetch,) = asker.effects()
    events = Events()
    events.resolve_upgrade(fetch.call, (), 2, "")
    asker.tell(events)
    asker.ask(GET, future, 0)
    assert ERROR_CODES[asker.memory.number(24)] == "destination-unavailable"


def send_with(asker, **times):
    options = asker.ask(f"{LINE}request-options")
    for name, milliseconds in times.items():
        asker.ask(
            f"{LINE}request-options.set-{name.replace('_', '-')}-timeout", options, 1, milliseconds * MS
        )
    asker.ask(SEND, request(asker), 1, options, 0)
    future = asker.memory.number(8)
    ready = asker.ask(f"{LINE}future-incoming-response.subscribe", future)
    (fetch,) = asker.effects()
    return future, ready, fetch


@pytest.mark.parametrize(
    ("times", "after"), [({"first_byte": 50}, 50), ({"first_byte": 50, "connect": 20}, 70)]
)
def test_an_answer_that_takes_too_long_is_none(times, after):
    asker = Asker()
    future, ready, fetch = send_with(asker, **times)
    assert asker.ask("wasi:io/poll pollable.block", ready) is None
    assert asker.host.output(over=False).wake == Wake((asker.host.now_ns + after * MS) / 1e9, (1,))
    asker.host.now_ns += (after - 1) * MS
    assert asker.look_again() is None
    asker.host.now_ns += MS
    assert asker.look_again() == 0
    asker.ask(GET, future, 0)
    assert asker.memory.number(24) == ERROR_CODES.index("connection-read-timeout")
    assert asker.effects() == [Abandon(fetch.call)]


@pytest.mark.parametrize(("ns", "milliseconds"), [(0, 0), (1, 1), (20 * MS, 20), (2**64 - 1, 18446744073710)])
def test_how_long_a_connection_may_take_is_the_hosts_to_keep(ns, milliseconds):
    asker = Asker()
    options = asker.ask(f"{LINE}request-options")
    asker.ask(f"{LINE}request-options.set-connect-timeout", options, 1, ns)
    asker.ask(SEND, request(asker), 1, options, 0)
    future = asker.memory.number(8)
    (fetch,) = asker.effects()
    assert fetch.connect_ms == milliseconds
    events = Events()
    events.reject(fetch.call, "connect_timeout", "no connection to a.test was made in time", None)
    asker.tell(events)
    asker.ask(GET, future, 0)
    assert ERROR_CODES[asker.memory.number(24)] == "connection-timeout"


def answered_in_pieces(asker, between_bytes):
    """The stream of a response that has begun."""
    future, _, fetch = send_with(asker, between_bytes=between_bytes)
    asker.host.now_ns += 3600 * 1000 * MS
    answer(asker, fetch.call, StreamRef(2, None))
    asker.ask(GET, future, 0)
    asker.ask(f"{LINE}incoming-response.consume", asker.memory.number(24), 0)
    asker.ask(f"{LINE}incoming-body.stream", asker.memory.number(4), 0)
    return asker.memory.number(4)


def test_pieces_that_take_too_long_break_a_body_off():
    asker = Asker()
    stream = answered_in_pieces(asker, between_bytes=50)
    asker.host.now_ns += 3600 * 1000 * MS  # nobody waits
    for _ in range(3):
        assert asker.ask("wasi:io/streams input-stream.blocking-read", stream, 100, 0) is None
        asker.host.now_ns += 49 * MS
        assert asker.look_again() is None
        events = Events()
        events.data(2, b"piece", False)
        asker.tell(events)
        assert asker.look_again() == 0
        assert asker.memory.text(4) == b"piece"
    asker.effects()
    assert asker.ask("wasi:io/streams input-stream.blocking-read", stream, 100, 0) is None
    asker.host.now_ns += 50 * MS
    assert asker.look_again() == 0
    assert [asker.memory.number(at, 1) for at in (0, 4)] == [1, 0]  # last-operation-failed
    assert asker.effects() == [Stop(2)]


def test_so_they_do_where_they_go_straight_into_another_body():
    asker = Asker()
    stream, out = answered_in_pieces(asker, between_bytes=50), asker.ask("wasi:cli/stdout get-stdout")
    asker.effects()
    assert asker.ask("wasi:io/streams output-stream.blocking-splice", out, stream, 100, 0) is None
    asker.host.now_ns += 50 * MS
    assert asker.look_again() == 0
    assert [asker.memory.number(at, 1) for at in (0, 8)] == [1, 0]
    assert Stop(2) in asker.effects()
