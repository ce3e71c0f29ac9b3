"""Streams and waiting, asked for as a program does."""

import pytest
from pyworkerd_isolates.errors import Trap
from pyworkerd_isolates.events import Events
from pyworkerd_isolates.protocol import CHUNK, WINDOW, Pull, StreamRef

from tests.isolates.component.programs import LINE, Asker

OF = "wasi:io/streams "


def reading(asker):
    asker.ask(f"{LINE}incoming-request.consume", asker.request, 0)
    asker.ask(f"{LINE}incoming-body.stream", asker.memory.number(4), 0)
    return asker.memory.number(4)


def writing(asker):
    response = asker.ask(f"{LINE}outgoing-response", asker.fields())
    asker.ask(f"{LINE}outgoing-response.body", response, 0)
    body = asker.memory.number(4)
    asker.ask(f"{LINE}response-outparam.set", asker.outparam, 0, response)
    asker.ask(f"{LINE}outgoing-body.write", body, 0)
    return asker.memory.number(4)


def data(asker, number, piece, end=False):
    events = Events()
    events.data(number, piece, end)
    asker.tell(events)


def test_reading_waits_for_what_comes():
    asker = Asker(body=StreamRef(9, None))
    me, memory = reading(asker), asker.memory
    assert asker.ask(f"{OF}input-stream.blocking-read", me, 100, 0) is None
    assert asker.effects() == [Pull(9, WINDOW)]
    assert asker.look_again() is None
    data(asker, 9, b"abc")
    assert asker.look_again() == 0
    assert (memory.number(0, 1), memory.text(4)) == (0, b"abc")
    asker.ask(f"{OF}input-stream.read", me, 100, 0)
    assert (memory.number(0, 1), memory.text(4)) == (0, b"")
    data(asker, 9, b"defg", True)
    asker.ask(f"{OF}input-stream.skip", me, 3, 0)
    assert (memory.number(0, 1), memory.number(8, 8)) == (0, 3)
    asker.ask(f"{OF}input-stream.blocking-skip", me, 3, 0)
    assert (memory.number(0, 1), memory.number(8, 8)) == (0, 1)
    for name in ("read", "blocking-read"):
        asker.ask(f"{OF}input-stream.{name}", me, 100, 0)
        assert (memory.number(0, 1), memory.number(4, 1)) == (1, 1)
    for name in ("skip", "blocking-skip"):
        asker.ask(f"{OF}input-stream.{name}", me, 100, 0)
        assert (memory.number(0, 1), memory.number(8, 1)) == (1, 1)


def test_what_breaks_off_is_an_error():
    asker = Asker(body=StreamRef(9, None))
    me = reading(asker)
    events = Events()
    events.error(9, "the client has gone")
    asker.tell(events)
    asker.ask(f"{OF}input-stream.read", me, 100, 0)
    assert (asker.memory.number(0, 1), asker.memory.number(4, 1)) == (1, 0)
    error = asker.memory.number(8)
    asker.ask("wasi:io/error error.to-debug-string", error, 0)
    assert asker.memory.text(0) == b"the client has gone"
    asker.ask(f"{LINE}http-error-code", error, 0)
    assert (asker.memory.number(0, 1), asker.memory.number(8, 1)) == (1, 7)


def test_why_it_broke_off_may_be_said_by_anybody():
    asker = Asker(body=StreamRef(9, None))
    me = reading(asker)
    events = Events()
    events.error(9, "half of a character: \ud800")
    asker.tell(events)
    asker.ask(f"{OF}input-stream.read", me, 100, 0)
    asker.ask("wasi:io/error error.to-debug-string", asker.memory.number(8), 0)
    assert asker.memory.text(0) == b"half of a character: ?"


def test_writing_waits_for_credit():
    asker = Asker()
    me, memory = writing(asker), asker.memory
    for _ in range(WINDOW // CHUNK):
        asker.ask(f"{OF}output-stream.check-write", me, 0)
        assert (memory.number(0, 1), memory.number(8, 8)) == (0, CHUNK)
        asker.ask(f"{OF}output-stream.write", me, 0, CHUNK, 0)
    asker.ask(f"{OF}output-stream.check-write", me, 0)
    assert memory.number(8, 8) == 0
    ready = asker.ask(f"{OF}output-stream.subscribe", me)
    assert asker.ask("wasi:io/poll pollable.ready", ready) == 0
    assert asker.ask(f"{OF}output-stream.blocking-write-and-flush", me, *memory.put("more"), 0) is None
    respond, first = asker.effects()
    assert (len(first.data), first.stream) == (WINDOW, respond.body.number)
    events = Events()
    events.pull(first.stream, 1)
    asker.tell(events)
    assert asker.look_again() is None  # it wrote one byte, and waits again
    events = Events()
    events.pull(first.stream, WINDOW)
    asker.tell(events)
    assert asker.look_again() == 0
    assert [effect.data for effect in asker.effects()] == [b"more"]
    asker.ask(f"{OF}output-stream.write-zeroes", me, 3, 0)
    asker.ask(f"{OF}output-stream.blocking-write-zeroes-and-flush", me, 2, 0)
    assert [effect.data for effect in asker.effects()] == [bytes(5)]


def test_nobody_reads():
    asker = Asker()
    me = writing(asker)
    respond, *_ = asker.effects()
    events = Events()
    events.stop(respond.body.number)
    asker.tell(events)
    for name in ("check-write", "flush", "blocking-flush"):
        asker.ask(f"{OF}output-stream.{name}", me, 0)
        assert asker.memory.number(0, 1) == 1
    for name in ("write", "blocking-write-and-flush"):
        asker.ask(f"{OF}output-stream.{name}", me, 64, 1, 0)
        assert (asker.memory.number(0, 1), asker.memory.number(4, 1)) == (1, 1)


def test_more_than_there_is_room_for():
    asker = Asker()
    me = writing(asker)
    for name in ("write", "blocking-write-and-flush"):
        with pytest.raises(Trap, match="wrote"):
            asker.ask(f"{OF}output-stream.{name}", me, 0, CHUNK + 1, 0)
    for name in ("write-zeroes", "blocking-write-zeroes-and-flush"):
        with pytest.raises(Trap, match="wrote"):
            asker.ask(f"{OF}output-stream.{name}", me, 1 << 40, 0)
    with pytest.raises(Trap, match="outside"):
        asker.ask(f"{OF}output-stream.write", me, (1 << 20) - 1, 2, 0)


def test_splicing():
    asker = Asker(body=b"abcdef")
    me, source = writing(asker), reading(asker)
    asker.ask(f"{OF}output-stream.splice", me, source, 4, 0)
    assert (asker.memory.number(0, 1), asker.memory.number(8, 8)) == (0, 4)
    asker.ask(f"{OF}output-stream.blocking-splice", me, source, 100, 0)
    assert asker.memory.number(8, 8) == 2
    asker.ask(f"{OF}output-stream.splice", me, source, 100, 0)
    assert (asker.memory.number(0, 1), asker.memory.number(8, 1)) == (1, 1)
    assert asker.effects()[1].data == b"abcdef"


def test_waiting_for_one_of_many():
    asker = Asker(body=StreamRef(9, None))
    stream = asker.ask(f"{OF}input-stream.subscribe", reading(asker))
    late = asker.ask("wasi:clocks/monotonic-clock subscribe-instant", 1 << 60)
    soon = asker.ask("wasi:clocks/monotonic-clock subscribe-duration", 5_000_000_000)
    at, _ = asker.memory.put(b"".join(x.to_bytes(4, "little") for x in (stream, late, soon)))
    assert asker.ask("wasi:io/poll poll", at, 3, 0) is None
    assert asker.host.output(over=False).wake.time == 5
    data(asker, 9, b"x")
    asker.host.now_ns = 6_000_000_000
    assert asker.look_again() == 0
    where, count = asker.memory.number(0), asker.memory.number(4)
    assert [asker.memory.number(where + 4 * i) for i in range(count)] == [0, 2]
    with pytest.raises(Trap, match="waits for nothing"):
        asker.ask("wasi:io/poll poll", at, 0, 0)
    with pytest.raises(Trap, match="too much"):
        asker.ask("wasi:io/poll poll", at, 1 << 20, 0)
