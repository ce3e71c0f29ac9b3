"""Header fields, asked for as a program does."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.component.account import Account
from pyworkerd_isolates.component.fields import FORBIDDEN, Fields
from pyworkerd_isolates.errors import Trap
from pyworkerd_isolates.protocol import MAX_HEADER_BYTES, MAX_HEADERS

from tests.isolates.component.programs import LINE, Asker

OF = f"{LINE}fields."


def test_what_is_put_in_comes_out():
    asker = Asker()
    me = asker.fields(("X-A", b"1"), ("x-b", b"\xe9"), ("x-a", b"2"))
    name = asker.memory.put("x-A")
    asker.ask(f"{OF}get", me, *name, 0)
    assert asker.memory.texts(0) == [b"1", b"2"]
    asker.ask(f"{OF}entries", me, 0)
    assert asker.memory.texts(0, 2) == [b"x-a", b"1", b"x-b", b"\xe9", b"x-a", b"2"]
    assert asker.ask(f"{OF}has", me, *name) == 1
    copy = asker.ask(f"{OF}clone", me)
    asker.ask(f"{OF}delete", me, *name, 0)
    assert (asker.ask(f"{OF}has", me, *name), asker.ask(f"{OF}has", copy, *name)) == (0, 1)
    values = asker.memory.put(b"".join(x.to_bytes(4, "little") for x in asker.memory.put("9")))
    asker.ask(f"{OF}set", copy, *name, values[0], 1, 0)
    asker.ask(f"{OF}get", copy, *name, 0)
    assert asker.memory.texts(0) == [b"9"]


def test_a_list_at_once():
    asker = Asker()
    words = [asker.memory.put(word) for word in ("a", b"1", "b", b"2")]
    at, _ = asker.memory.put(b"".join(x.to_bytes(4, "little") for word in words for x in word))
    asker.ask(f"{OF}from-list", at, 2, 0)
    assert asker.memory.number(0, 1) == 0
    asker.ask(f"{OF}entries", asker.memory.number(4), 16)
    assert asker.memory.texts(16, 2) == [b"a", b"1", b"b", b"2"]
    asker.memory.write(words[0][0], b" ")
    held = asker.host.account.held
    asker.ask(f"{OF}from-list", at, 2, 0)
    assert (asker.memory.number(0, 1), asker.memory.number(4, 1)) == (1, 0)
    assert asker.host.account.held == held


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [("", b"", 0), ("a b", b"", 0), ("a", b"\n", 0), ("a", b"\0", 0), ("é", b"", 0), ("Host", b"x", 1)],
)
def test_what_no_field_can_be(name, value, error):
    asker = Asker()
    me = asker.ask(f"{LINE}fields")
    asker.ask(f"{OF}append", me, *asker.memory.put(name), *asker.memory.put(value), 0)
    assert asker.memory.read(0, 2) == bytes((1, error))


def test_those_of_a_request_are_not_to_be_changed():
    asker = Asker(headers=(("x-a", "1"), ("connection", "close"), ("host", "a")))
    me = asker.ask(f"{LINE}incoming-request.headers", asker.request)
    asker.ask(f"{OF}append", me, *asker.memory.put("x"), *asker.memory.put("y"), 0)
    assert asker.memory.read(0, 2) == b"\1\2"
    asker.ask(f"{OF}entries", me, 0)
    assert asker.memory.texts(0, 2) == [b"x-a", b"1"]


def test_how_many_there_may_be():
    asker = Asker()
    me = asker.fields(*[("a", b"")] * MAX_HEADERS)
    with pytest.raises(Trap, match="limited"):
        asker.ask(f"{OF}append", me, *asker.memory.put("a"), *asker.memory.put(""), 0)
    with pytest.raises(Trap, match="too long"):
        asker.ask(f"{OF}append", me, *asker.memory.put("a"), 0, 1 << 20, 0)
    with pytest.raises(Trap, match="limited"):
        Fields(Account(), [("a", bytes(1000))] * 200)


@given(st.sampled_from(sorted(FORBIDDEN)), st.booleans())
def test_the_servers_own_fields(name, upper):
    fields = Fields(Account())
    assert fields.append(name.upper() if upper else name, b"x") == 1


def test_what_is_dropped_takes_no_room():
    asker = Asker()
    before = asker.host.account.held
    me = asker.fields(("a", b"b"))
    assert asker.host.account.held > before
    asker.ask("drop", me)
    assert asker.host.account.held == before


def test_lengths():
    assert Fields(Account(), [("content-length", b"12")]).length() == 12
    for values in ([b"x"], [b"1", b"2"], [b"9" * 20], []):
        assert Fields(Account(), [("content-length", value) for value in values]).length() is None


def test_of_what_is_too_long_nothing_is_read():
    asker = Asker()
    me = asker.ask(f"{LINE}fields")
    at, _ = asker.memory.put(struct.pack("<II", 0, MAX_HEADER_BYTES // 2 + 1) * 2)
    with pytest.raises(Trap, match="too long"):
        asker.ask(f"{LINE}fields.set", me, *asker.memory.put("x-a"), at, 2, 0)
    assert max(asker.memory.sizes) < 100
