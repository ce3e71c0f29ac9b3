"""Requests and responses, asked for as a program does."""

import pytest
from pyworkerd_isolates.component.messages import METHODS, split
from pyworkerd_isolates.errors import Trap
from pyworkerd_isolates.protocol import Broken, Data, Done, Fail, Respond, Stop, StreamRef

from tests.isolates.component.programs import LINE, Asker

WRITE = "wasi:io/streams output-stream.blocking-write-and-flush"


def respond(asker, headers=(), status=200):
    """Set a response; returns handles of its body and of the body's stream."""
    response = asker.ask(f"{LINE}outgoing-response", asker.fields(*headers))
    asker.ask(f"{LINE}outgoing-response.set-status-code", response, status)
    asker.ask(f"{LINE}outgoing-response.body", response, 0)
    body = asker.memory.number(4)
    asker.ask(f"{LINE}response-outparam.set", asker.outparam, 0, response)
    asker.ask(f"{LINE}outgoing-body.write", body, 0)
    return body, asker.memory.number(4)


@pytest.mark.parametrize("method", [*METHODS, "PURGE"])
def test_what_came_in(method):
    asker = Asker(url="https://example.com:81/a%20b?c=d", method=method)
    of, me, memory = f"{LINE}incoming-request.", asker.request, asker.memory
    asker.ask(f"{of}method", me, 0)
    case = memory.number(0, 1)
    assert (METHODS[case] if case < len(METHODS) else memory.text(4).decode()) == method
    asker.ask(f"{of}path-with-query", me, 0)
    assert (memory.number(0, 1), memory.text(4)) == (1, b"/a%20b?c=d")
    asker.ask(f"{of}scheme", me, 0)
    assert (memory.number(0, 1), memory.number(4, 1)) == (1, 1)
    asker.ask(f"{of}authority", me, 0)
    assert memory.text(4) == b"example.com:81"


def test_a_body_is_taken_once():
    asker = Asker(body=b"abc")
    asker.ask(f"{LINE}incoming-request.consume", asker.request, 0)
    body = asker.memory.number(4)
    asker.ask(f"{LINE}incoming-request.consume", asker.request, 0)
    assert asker.memory.number(0, 1) == 1
    asker.ask(f"{LINE}incoming-body.stream", body, 0)
    assert asker.memory.number(0, 1) == 0
    asker.ask(f"{LINE}incoming-body.stream", body, 0)
    assert asker.memory.number(0, 1) == 1
    trailers = asker.ask(f"{LINE}incoming-body.finish", body)
    assert (
        asker.ask("wasi:io/poll pollable.ready", asker.ask(f"{LINE}future-trailers.subscribe", trailers)) == 1
    )
    asker.ask(f"{LINE}future-trailers.get", trailers, 0)
    assert asker.memory.read(0, 32) == b"\1" + bytes(31)


def test_a_whole_response_leaves_at_once():
    asker = Asker()
    body, stream = respond(asker, [("x-a", b"1")], 404)
    asker.ask(WRITE, stream, *asker.memory.put("hello"), 0)
    asker.ask(f"{LINE}outgoing-body.finish", body, 0, 0, 0)
    assert asker.memory.number(0, 1) == 0
    assert asker.effects(over=True) == [Respond(1, 404, (("x-a", "1"),), b"hello"), Done(1)]


def test_what_is_not_finished_streams_and_breaks_off():
    asker = Asker()
    _, stream = respond(asker, [("content-length", b"10")])
    asker.ask(WRITE, stream, *asker.memory.put("he"), 0)
    first = asker.effects()
    asker.ask(WRITE, stream, *asker.memory.put("llo"), 0)
    number = first[0].body.number
    assert first == [
        Respond(1, 200, (("content-length", "10"),), StreamRef(number, 10)),
        Data(number, b"he", False),
    ]
    data, broken, done = asker.effects(over=True)
    assert (data, type(broken), done) == (Data(number, b"llo", False), Broken, Done(1))


def test_a_body_of_another_length_is_an_error():
    asker = Asker()
    body, stream = respond(asker, [("content-length", b"10")])
    asker.ask(WRITE, stream, *asker.memory.put("he"), 0)
    asker.ask(f"{LINE}outgoing-body.finish", body, 0, 0, 0)
    assert [asker.memory.number(at) for at in (0, 8, 16, 24)] == [1, 28, 1, 2]

    broken = [type(each) for each in asker.effects()]
    assert broken == [Respond, Data, Broken]
    assert [type(each) for each in asker.effects(over=True)] == [Done]


def test_a_body_that_is_given_up_breaks_off_at_once():
    asker = Asker()
    body, stream = respond(asker, [])
    asker.ask(WRITE, stream, *asker.memory.put("he"), 0)
    asker.ask("drop", body)
    respond_, data, broken = asker.effects()
    assert (data.data, type(broken)) == (b"he", Broken)
    asker.ask(WRITE, stream, *asker.memory.put("llo"), 0)
    assert asker.memory.number(0, 1) == 1
    assert asker.effects(over=True) == [Done(1)]
    assert respond_.body.number == broken.stream


def test_who_gives_up_a_request_reads_nothing_of_it():
    asker = Asker(body=StreamRef(5, None))
    asker.ask("drop", asker.request)
    assert asker.effects() == [Stop(5)]
    asker = Asker(body=StreamRef(5, None))
    asker.ask(f"{LINE}incoming-request.consume", asker.request, 0)
    asker.ask("drop", asker.request)
    assert asker.effects() == []


def test_what_is_given_up_takes_no_room():
    asker = Asker(headers=(("x-a", "1"),), body=b"abc")
    for make in ("outgoing-response", "outgoing-request"):
        asker.ask("drop", asker.ask(f"{LINE}{make}", asker.fields(("x-a", b"1"))))
    asker.ask("drop", asker.request)
    assert asker.host.account.held == 0


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("HTTPS://u@a:1/b/c?d?e#f", ("https", "u@a:1", "/b/c", "d?e")),
        ("http://a", ("http", "a", "/", "")),
        ("http://a?b", ("http", "a", "/", "b")),
        ("http://[", ("http", "[", "/", "")),
        ("http://a]\u2100/", ("http", "a]\u2100", "/", "")),
        ("nothing", ("http", "", "/nothing", "")),
    ],
)
def test_urls_need_not_be_any(url, parts):
    assert split(url) == parts


def test_an_answer_is_given_once():
    asker = Asker()
    respond(asker)
    with pytest.raises(Trap, match="response outparam"):
        asker.ask(f"{LINE}response-outparam.set", asker.outparam, 0, 1)


def test_an_error_for_an_answer():
    asker = Asker()
    asker.ask(f"{LINE}response-outparam.set", asker.outparam, 1, 38)
    (fail,) = asker.effects()
    assert isinstance(fail, Fail)
    assert "internal-error" in fail.message


def test_a_response_without_a_body():
    asker = Asker()
    response = asker.ask(f"{LINE}outgoing-response", asker.fields())
    assert asker.ask(f"{LINE}outgoing-response.set-status-code", response, 99) == 1
    assert asker.ask(f"{LINE}outgoing-response.status-code", response) == 200
    assert asker.ask(f"{LINE}outgoing-response.headers", response)
    asker.ask(f"{LINE}response-outparam.set", asker.outparam, 0, response)
    assert asker.effects(over=True) == [Respond(1, 200, (), b""), Done(1)]


def test_a_request_remembers_what_was_said():
    asker = Asker()
    me, of = asker.ask(f"{LINE}outgoing-request", asker.fields()), f"{LINE}outgoing-request."
    asker.ask(f"{of}set-method", me, 9, *asker.memory.put("PURGE"))
    asker.ask(f"{of}set-scheme", me, 1, 0, 0, 0)
    asker.ask(f"{of}set-path-with-query", me, 1, *asker.memory.put("/x"))
    asker.ask(f"{of}set-authority", me, 1, *asker.memory.put("a"))
    asker.ask(f"{of}method", me, 0)
    assert (asker.memory.number(0, 1), asker.memory.text(4)) == (9, b"PURGE")
    asker.ask(f"{of}scheme", me, 0)
    assert (asker.memory.number(0, 1), asker.memory.number(4, 1)) == (1, 0)
    for name, said in (("path-with-query", b"/x"), ("authority", b"a")):
        asker.ask(f"{of}{name}", me, 0)
        assert (asker.memory.number(0, 1), asker.memory.text(4)) == (1, said)
        asker.ask(f"{of}set-{name}", me, 0, 0, 0)
        asker.ask(f"{of}{name}", me, 0)
        assert asker.memory.number(0, 1) == 0


def test_times():
    asker = Asker()
    me = asker.ask(f"{LINE}request-options")
    for number, name in enumerate(("connect-timeout", "first-byte-timeout", "between-bytes-timeout"), 1):
        asker.ask(f"{LINE}request-options.{name}", me, 0)
        assert asker.memory.number(0, 1) == 0
        asker.ask(f"{LINE}request-options.set-{name}", me, 1, number)
        asker.ask(f"{LINE}request-options.{name}", me, 0)
        assert (asker.memory.number(0, 1), asker.memory.number(8, 8)) == (1, number)
