"""Short frames say what the long ones say, and whatever a guest gives out in their name is an output or a refusal."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyworkerd_isolates import short, wire
from pyworkerd_isolates.errors import OutputTooLarge, ProtocolError
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.protocol import PORTION, Call, Events, Held, Part, Replied, Result, decode_effects

VALUE = wire.dump_value({"a": [1, None]})
ID = "ab" * 32
URL = "http://a.test/b"
HEADERS = (("host", "a.test"), ("x-quoted", 'a"b\\c'), ("x-latin", "\xe9"))
TRACED = ("traceparent", 'another"s')


def made(*calls: tuple[Any, ...]) -> Events:
    """A batch of these events: each a name and what `Events` takes."""
    events = Events()
    for name, *arguments in calls:
        getattr(events, name)(*arguments)
    return events


@pytest.mark.parametrize(
    "calls",
    [
        [("resolve_value", 1, VALUE)],
        [("resolve_value", 0xFFFFFFFF, b"")],
        [("resolve_value", 7, VALUE), ("focus", [3])],
        [("rpc", 3, None, {}, "add", VALUE)],
        [("rpc", 3, None, {}, "", VALUE), ("focus", [3])],
        [("fetch", 3, None, {}, "GET", URL, (), None)],
        [("fetch", 3, None, {}, "GET", URL, HEADERS, None), ("focus", [3])],
        [("fetch", 3, None, {}, "PURGE", f"{URL}?a=%20", (TRACED, *HEADERS), None)],
        [("fetch", 3, None, {}, "GET", URL, (TRACED,), None)],
        [("fetch", 3, None, {}, "GET", URL, [["host", "a"], ["x-a", "ö\x7f"]], None)],
        [("fetch", number, None, {}, "GET", URL, HEADERS[:number], None) for number in range(3)],
    ],
)
def test_what_most_steps_take_in_is_short(calls: list[tuple[Any, ...]]) -> None:
    events = made(*calls)
    frame = events.short_frame()
    assert short.is_short(frame)
    assert short.spelled_events(frame) == events.frame()


@pytest.mark.parametrize(
    "calls",
    [
        [],
        [("cancel", 1)],
        [("resolve_value", 1, VALUE), ("resolve_value", 2, VALUE)],
        [("resolve_value", 1, VALUE, [4])],
        [("resolve_value", 1 << 32, VALUE)],
        [("resolve_response", 1, 200, (), b"", "")],
        [("resolve_value", 1, VALUE), ("focus", [3, 4])],
        [("resolve_value", 1, VALUE), ("init", (), {})],
        [("rpc", 3, "Other", {}, "add", VALUE)],
        [("rpc", 3, None, {"a": 1}, "add", VALUE)],
        [("rpc", 3, None, {}, "größe", VALUE)],
        [("rpc", 3, None, {}, "add", VALUE, [1])],
        [("rpc", 3, None, {}, "add", VALUE), ("focus", [4])],
        [("fetch", 3, "Other", {}, "GET", URL, (), None)],
        [("fetch", 3, None, {"a": 1}, "GET", URL, (), None)],
        [("fetch", 3, None, {}, "GET", "http://a.test/ö", (), None)],
        [("fetch", 3, None, {}, "POST", URL, (), b"body")],
        [("fetch", 1 << 32, None, {}, "GET", URL, (), None)],
        [("fetch", 3, None, {}, "GET", URL, (), None), ("focus", [4])],
        [("fetch", 3, None, {}, "GET", URL, (), None), ("cancel", 3)],
        [("cancel", 3), ("fetch", 3, None, {}, "GET", URL, (), None)],
        [("fetch", 3, None, {}, "GET", URL, (), None), ("init", (), {})],
    ],
)
def test_all_else_is_not(calls: list[tuple[Any, ...]]) -> None:
    events = made(*calls)
    assert events.short_frame() == events.frame() == short.spelled_events(events.frame())


def test_what_is_known_of_headers_stays_little() -> None:
    for number in range(2 * short.KNOWN_HEADERS):
        made(("fetch", 1, None, {}, "GET", URL, (("x-number", str(number)),), None)).short_frame()
        assert 0 < len(short._fields_before) <= short.KNOWN_HEADERS
    before = len(short._fields_before)
    made(("fetch", 1, None, {}, "GET", URL, (("x-long", "a" * short.MAX_KNOWN),), None)).short_frame()
    assert len(short._fields_before) == before


@pytest.mark.parametrize("size", range(1, 40))
def test_a_request_that_is_cut_short_is_refused(size: int) -> None:
    frame = made(("fetch", 3, None, {}, "GET", "http://a/", (("a", "b"),), None)).short_frame()
    assert len(frame) == 40
    with pytest.raises(short.ShortFrameError):
        short.spelled_events(frame[:size].ljust(4, b"\x80"))


@pytest.mark.parametrize(
    ("positional", "is_plain"),
    [
        ([], True),
        ([1, -2.5, True, None, 'a"b\\'], True),
        ([{"a": [1, {"b": 2}]}], True),
        (["x" * 4000], True),
        (["x" * 4096], False),
        (["$"], False),
        (["ä"], True),  # JSON has it escaped
        ([b"bytes"], False),
        ([{1, 2}], False),
    ],
)
def test_calls_that_an_engine_of_javascript_reads_itself(positional: list[Any], is_plain: bool) -> None:
    value = wire.dump_value([positional, {}])
    events = made(("rpc", 3, None, {}, "add", value))
    frame = events.short_frame(short.written_plain)
    assert short.is_short(frame) is is_plain
    assert short.spelled_events(frame) == events.frame()


@pytest.mark.parametrize(
    "calls",
    [
        [("rpc", 3, None, {}, "add", wire.dump_value([[1], {"named": 1}]))],
        [("rpc", 3, None, {}, "add", wire.dump_value({"a": 1}))],
        [("rpc", 3, None, {}, "add", bytes(4) + wire.dump_value([[1], {}])[4:])],
        [("rpc", 3, None, {}, "add", b"")],
        [("rpc", 3, None, {}, "add", wire.dump_value([[1], {}])), ("focus", [3])],
        [("rpc", 3, "Other", {}, "add", wire.dump_value([[1], {}]))],
        [("rpc", 3, None, {}, "add", wire.dump_value([[1], {}]), [1])],
        [("rpc", 1 << 32, None, {}, "add", wire.dump_value([[1], {}]))],
        [("resolve_value", 1, wire.dump_value([[1], {}]))],
        [("cancel", 1)],
        [],
    ],
)
def test_what_it_does_not(calls: list[tuple[Any, ...]]) -> None:
    events = made(*calls)
    assert events.short_frame(short.written_plain) == events.frame()


def call(address: bytes, size: int | None = None, arguments: bytes = VALUE) -> bytes:
    """A short frame that calls, as a guest would write it."""
    numbers = (short.CALL, 5, 6, len(address) if size is None else size)
    return b"".join([number.to_bytes(4, "little") for number in numbers]) + address + arguments


def reply(
    head: bytes, body: bytes = b"x", head_size: int | None = None, body_size: int | None = None
) -> bytes:
    """A short frame of one reply."""
    sizes = (len(head) if head_size is None else head_size, len(body) if body_size is None else body_size)
    return b"".join(number.to_bytes(4, "little") for number in (short.REPLIED, 8, *sizes)) + head + body


PAGE = b'200,[["Content-Type","text/plain"]]'
RETURNED = short.RETURNED.to_bytes(4, "little") + (9).to_bytes(4, "little") + VALUE


@pytest.mark.parametrize(
    ("frame", "effect"),
    [
        (RETURNED, Result(9, VALUE)),
        (call(b'3,"add"'), Call(5, 6, 3, "add", VALUE)),
        (call(b'[3,"%s","one"],"add"' % ID.encode()), Call(5, 6, Part(3, ID, "one"), "add", VALUE)),
        (call(b'[4,true],""', arguments=b""), Call(5, 6, Held(4, True), "", b"")),
        (reply(PAGE), Replied(8, 200, (("content-type", "text/plain"),), b"x")),
    ],
)
def test_what_they_give_out_is_what_the_long_one_says(frame: bytes, effect: object) -> None:
    for output in (decode_effects(frame, Limits()), decode_effects(short.spelled_effects(frame), Limits())):
        assert output == (None, [effect])
        assert type(output.effects[0]) is type(effect)


def test_replies_follow_each_other_up_to_a_bound() -> None:
    frame = reply(PAGE) + reply(b"404,[]", b"") + reply(PAGE, b"y" * 300)
    plain = (("content-type", "text/plain"),)
    told = [Replied(8, 200, plain, b"x"), Replied(8, 404, (), b""), Replied(8, 200, plain, b"y" * 300)]
    assert decode_effects(frame, Limits(effects=3)) == (None, told)
    assert decode_effects(short.spelled_effects(frame), Limits()) == (None, told)
    with pytest.raises(OutputTooLarge):
        decode_effects(frame, Limits(effects=2))
    turns: list[int] = []
    assert (
        len(decode_effects(reply(PAGE) * 2 * PORTION, Limits(), lambda: turns.append(1)).effects)
        == 2 * PORTION
    )
    assert len(turns) == 2


@pytest.mark.parametrize(
    "frame",
    [
        b"\0\0\0\x80",
        RETURNED[:7],
        call(b"")[:12],
        (0x80000009).to_bytes(4, "little") + bytes(12),
        call(b'3,"add"', size=4000),
        call(b'3,"' + b"a" * 9000 + b'"'),
        call(b""),
        call(b"3"),
        call(b'3,"add",1'),
        call(b'3,"add"],[1'),
        call(b'-1,"add"'),
        call(b'true,"add"'),
        call(b'"3","add"'),
        call(b'["3","add"],"add"'),
        call(b'3,"\xff"'),
        call(b'3,"\\ud800"'),
        call(b"3,4"),
        call(b'1e999,"add"'),
        call(b'3,"%s"' % (b"a" * 257)),
        call(b"[" * 300),
        reply(PAGE)[:15],
        reply(PAGE, body_size=2),
        reply(PAGE, body_size=0),
        reply(PAGE, body_size=0xFFFFFFFF),
        reply(PAGE, head_size=0xFFFFFFFF),
        reply(PAGE) + b"\0",
        reply(PAGE) + RETURNED,
        reply(b""),
        reply(b"200"),
        reply(b"200,[],1"),
        reply(b"200,{}"),
        reply(b"99,[]"),
        reply(b"true,[]"),
        reply(b"1e999,[]"),
        reply(b'200,[["a\\r","b"]]'),
        reply(b'200,[["a","b\\n"]]'),
        reply(b'200,[["a",1]]'),
        reply(b'200,[["a","\xff"]]'),
        reply(b'200,[["a","%s"]]' % (b"b" * short.MAX_HEAD)),
    ],
)
def test_what_is_none_is_refused(frame: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode_effects(frame, Limits())
    with pytest.raises((wire.WireError, ProtocolError)):  # whoever records it
        decode_effects(short.spelled_effects(frame), Limits())


@given(st.binary(max_size=12), st.binary(max_size=40))
@example(b'3,"add"', b"")
def test_no_bytes_of_a_guest_raise_anything_else(address: bytes, rest: bytes) -> None:
    for frame in (
        call(address, arguments=rest),
        reply(address, rest),
        reply(PAGE) + rest,
        rest[:3] + b"\x80" + address + rest,
    ):
        try:
            output = decode_effects(frame, Limits())
        except ProtocolError:
            continue
        assert decode_effects(short.spelled_effects(frame), Limits()) == output
