"""`wasi:keyvalue` on KV stores."""

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.component.keyvalue import MAX_VALUE
from pyworkerd_isolates.errors import ProtocolError, Trap
from pyworkerd_isolates.events import Events
from pyworkerd_isolates.protocol import WINDOW, Call, Data, Fetch, Pull, StreamRef

from tests.isolates.component.programs import Asker

OF = "wasi:keyvalue/store "
BINDINGS = (("CACHE", "kv", 3),)


def opened(name="CACHE", bindings=BINDINGS):
    asker = Asker(bindings=bindings)
    asker.ask(f"{OF}open", *asker.memory.put(name), 0)
    return asker, asker.memory.number(4) if asker.memory.number(0, 1) == 0 else None


def answered(asker, answer):
    """Answer the call that the step gave out, and go on."""
    call, *rest = asker.effects()
    events = Events()
    answer(events, call.call)
    asker.tell(events)
    asker.look_again()
    return call, rest


def value(what):
    return lambda events, call: events.resolve_value(call, wire.dump_value(what))


def response(status, body=None):
    return lambda events, call: events.resolve_response(call, status, (), body, "")


def fault(events, call):
    events.reject(call, "storage", "the disk is full")


def test_which_store():
    assert opened()[1] is not None
    assert opened("default")[1] is not None
    assert opened("")[1] is not None
    assert opened("OTHER")[1] is None
    assert opened("default", (*BINDINGS, ("MORE", "kv", 4)))[1] is None


def test_get():
    asker, me = opened()
    key = asker.memory.put("a/b é")
    assert asker.ask(f"{OF}bucket.get", me, *key, 0) is None
    call, _ = answered(asker, response(200, b"value"))
    assert call == Fetch(call.call, 1, 3, "GET", "http://kv/a%2Fb%20%C3%A9", (), None, "manual")
    assert [asker.memory.number(at) for at in (0, 4)] == [0, 1]
    assert asker.memory.text(8) == b"value"
    asker.ask(f"{OF}bucket.get", me, *key, 0)
    answered(asker, response(404))
    assert [asker.memory.number(at) for at in (0, 4)] == [0, 0]
    asker.ask(f"{OF}bucket.get", me, *key, 0)
    answered(asker, fault)
    assert [asker.memory.number(at) for at in (0, 4)] == [1, 2]
    assert asker.memory.text(8) == b"storage: the disk is full"


def test_a_value_that_streams():
    asker, me = opened()
    asker.ask(f"{OF}bucket.get", me, *asker.memory.put("k"), 0)
    answered(asker, response(200, StreamRef(5, 4)))
    assert asker.effects() == [Pull(5, WINDOW)]
    for piece, end in ((b"ab", False), (b"cd", True)):
        events = Events()
        events.data(5, piece, end)
        asker.tell(events)
        answer = asker.look_again()
    assert (answer, asker.memory.text(8)) == (0, b"abcd")


@pytest.mark.parametrize("length", [1, 3])
def test_a_value_that_is_not_as_long_as_was_said(length):
    asker, me = opened()
    asker.ask(f"{OF}bucket.get", me, *asker.memory.put("k"), 0)
    answered(asker, response(200, StreamRef(6, length)))
    events = Events()
    events.data(6, b"ab", True)
    asker.tell(events)
    asker.look_again()
    assert [asker.memory.number(at) for at in (0, 4)] == [1, 2]


def test_a_value_that_breaks_off():
    asker, me = opened()
    asker.ask(f"{OF}bucket.get", me, *asker.memory.put("k"), 0)
    answered(asker, response(200, StreamRef(6, 0)))
    events = Events()
    events.error(6, "gone")
    asker.tell(events)
    asker.look_again()
    assert [asker.memory.number(at) for at in (0, 4)] == [1, 2]


@pytest.mark.parametrize("length", [None, MAX_VALUE + 1])
def test_a_value_that_may_be_of_any_length(length):
    asker, me = opened()
    asker.ask(f"{OF}bucket.get", me, *asker.memory.put("k"), 0)
    with pytest.raises(ProtocolError, match="how long"):
        answered(asker, response(200, StreamRef(6, length)))


def test_set():
    asker, me = opened()
    key = asker.memory.put("k")
    asker.ask(f"{OF}bucket.set", me, *key, *asker.memory.put("value"), 0)
    call, _ = answered(asker, response(200))
    assert (call.method, call.body, asker.memory.number(0, 1)) == ("PUT", b"value", 0)
    size = WINDOW + 10
    asker.ask(f"{OF}bucket.set", me, *key, 0, size, 0)
    call, (first,) = answered(asker, lambda events, _: events.pull(asker.host._numbers, WINDOW))
    assert call.body == StreamRef(first.stream, size)
    assert asker.effects() == [Data(first.stream, bytes(10), True)]
    events = Events()
    response(200)(events, call.call)
    asker.tell(events)
    assert asker.look_again() == 0
    asker.ask(f"{OF}bucket.set", me, *key, 0, 1 << 26, 0)
    assert asker.memory.number(0, 1) == 1


def test_nothing_is_sent_of_what_does_not_lie_in_memory():
    asker, me = opened()
    with pytest.raises(Trap, match="outside"):
        asker.ask(f"{OF}bucket.set", me, *asker.memory.put("k"), 0, len(asker.memory.data) + 1, 0)
    assert asker.effects() == []


def test_no_value_is_held_on_the_host():
    asker, me = opened()
    asker.ask(f"{OF}bucket.set", me, *asker.memory.put("k"), 0, 1 << 20, 0)
    assert asker.host.account.held == WINDOW
    assert max(asker.memory.sizes) == WINDOW


def test_delete_and_exists():
    asker, me = opened()
    key = asker.memory.put("k")
    asker.ask(f"{OF}bucket.delete", me, *key, 0)
    call, _ = answered(asker, value(None))
    assert isinstance(call, Call)
    assert (call.method, wire.load_value(call.arguments)) == ("delete", [["k"], {}])
    for status in (200, 404):
        asker.ask(f"{OF}bucket.exists", me, *key, 0)
        answered(asker, response(status))
        assert (asker.memory.number(0, 1), asker.memory.number(4, 1)) == (0, status == 200)
    for name in ("delete", "exists"):
        asker.ask(f"{OF}bucket.{name}", me, *key, 0)
        answered(asker, fault)
        assert asker.memory.number(0, 1) == 1


def test_keys():
    asker, me = opened()
    asker.ask(f"{OF}bucket.list-keys", me, 1, *asker.memory.put("from here"), 0)
    call, _ = answered(asker, value([[["a", None, None], ["b", None, None]], "next"]))
    assert wire.load_value(call.arguments) == [[None, 1000, "from here"], {}]
    assert (asker.memory.number(0, 1), asker.memory.texts(4)) == (0, [b"a", b"b"])
    assert (asker.memory.number(12, 1), asker.memory.text(16)) == (1, b"next")
    asker.ask(f"{OF}bucket.list-keys from", me, 0, 0, 0)
    answered(asker, value([[["a", None, None]], None]))
    assert (asker.memory.number(0, 1), asker.memory.texts(8), asker.memory.number(16, 1)) == (0, [b"a"], 0)
    asker.ask(f"{OF}bucket.list-keys from", me, 1, 7, 0)
    assert (asker.memory.number(0, 1), asker.memory.number(8, 1)) == (1, 2)
    for name in ("list-keys", "list-keys from"):
        asker.ask(f"{OF}bucket.{name}", me, 0, 0, 0, 0)
        answered(asker, fault)
        assert asker.memory.number(0, 1) == 1
    asker.ask(f"{OF}bucket.list-keys", me, 0, 0, 0, 0)
    with pytest.raises(ProtocolError, match="cannot be read"):
        answered(asker, value("nonsense"))


def test_a_store_is_had_only_by_opening_it():
    asker, _ = opened()
    with pytest.raises(Trap, match="bucket"):
        asker.ask(f"{OF}bucket.get", asker.request, 0, 0, 0)
