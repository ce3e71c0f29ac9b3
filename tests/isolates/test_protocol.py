"""The border: what comes out of a step is exactly as agreed or `ProtocolError`; what goes in, the guest reads."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates import protocol, wire
from pyworkerd_isolates.errors import OutputTooLarge, ProtocolError
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.protocol import (
    Abandon,
    Abort,
    Broken,
    Call,
    Commit,
    Crash,
    Data,
    Done,
    Drop,
    Events,
    Fail,
    Fetch,
    HandedOn,
    Held,
    Log,
    Output,
    Part,
    Pull,
    Reference,
    Replied,
    Respond,
    Result,
    Return,
    Shared,
    SocketClose,
    SocketCredit,
    SocketSend,
    Stop,
    StreamRef,
    Upgrade,
    Wake,
    decode_effects,
)

LIMITS = Limits()
REAL = [
    (["log", 0, "info", "stdout", "hello"], Log(0, "info", "stdout", "hello")),
    (["respond", 1, 200, [["A", "b"]], ["b", 0]], Respond(1, 200, (("a", "b"),), b"blob")),
    (["respond", 2, 204, [], None], Respond(2, 204, (), None)),
    (["respond", 3, 200, [], ["s", 4, 10]], Respond(3, 200, (), StreamRef(4, 10))),
    (["respond", 4, 200, [], ["p", 7]], Respond(4, 200, (), HandedOn(7))),
    (["replied", 1, 404, [["A", "b"]], ["b", 0]], Replied(1, 404, (("a", "b"),), b"blob")),
    (["return", 5, 0], Return(5, b"blob")),
    (["result", 5, 0], Result(5, b"blob")),
    (["return", 5, [0, [[True, 3], [False, 4]]]], Return(5, b"blob")),
    (["drop", 4], Drop(4)),
    (["fail", 6, "exception", "ValueError", "no", "tb"], Fail(6, "exception", "ValueError", "no", "tb")),
    (["done", 7], Done(7)),
    (["data", 8, 0, False], Data(8, b"blob", False)),
    (["data", 8, None, True], Data(8, b"", True)),
    (["error", 9, "gone"], Broken(9, "gone")),
    (["pull", 10, 65536], Pull(10, 65536)),
    (["stop", 11], Stop(11)),
    (["call", 12, 1, 3, "greet", 0], Call(12, 1, 3, "greet", b"blob")),
    (
        ["fetch", 13, 1, 0, "GET", "https://a.example/", [], ["s", 5, None], "follow"],
        Fetch(13, 1, 0, "GET", "https://a.example/", (), StreamRef(5, None), "follow"),
    ),
    (
        ["fetch", 13, 1, 0, "GET", "https://a.example/", [], None, "manual", 20],
        Fetch(13, 1, 0, "GET", "https://a.example/", (), None, "manual", 20),
    ),
    (["abandon", 14], Abandon(14)),
    (["upgrade", 15, [["A", "b"]], 1], Upgrade(15, (("a", "b"),), 1)),
    (["ws_send", 1, 0, True, False], SocketSend(1, b"blob", True, False)),
    (["ws_send", 1, None, False, True], SocketSend(1, b"", False, True)),
    (["ws_close", 1, 4000, "bye \ud800"], SocketClose(1, 4000, "bye \ufffd")),
    (["ws_close", 1, None, ""], SocketClose(1, 1005, "")),
    (["ws_credit", 1, 65536], SocketCredit(1, 65536)),
    (["call", 8, 1, [2, False], "", 0], Call(8, 1, Held(2, False), "", b"blob")),
    (["call", 8, 1, [2, True], "size", [0, []]], Call(8, 1, Held(2, True), "size", b"blob")),
    (["call", 8, 1, [2, "0a" * 32], "get", 0], Call(8, 1, Part(2, "0a" * 32), "get", b"blob")),
    (["call", 8, 1, [2, "0a" * 32, "é"], "get", 0], Call(8, 1, Part(2, "0a" * 32, "é"), "get", b"blob")),
    (
        ["call", 8, 1, 2, "get", [0, [[True, 1], ["s", 2, None], ["p", 3], [False, 4]]]],
        Call(8, 1, 2, "get", b"blob"),
    ),
    (["commit", 3, [0, 2], 0, None], Commit(3, (0, 2), b"blob", None)),
    (["commit", 0, [], 0, 1_800_000_000_000], Commit(0, (), b"blob", 1_800_000_000_000)),
    (["abort", "enough"], Abort("enough")),
    (["crash", "everything"], Crash("everything")),
]
FRAME = wire.encode([[12.5, [1, 7]], [effect for effect, _ in REAL]], [b"blob"])


def frame(*effects, wake=None, blobs=(b"blob",)):
    return wire.encode([wake, list(effects)], blobs)


def refused(data, limits=LIMITS):
    with pytest.raises(ProtocolError) as caught:
        decode_effects(data, limits)
    return str(caught.value)


def test_every_effect_is_read_as_it_was_meant():
    assert decode_effects(FRAME, LIMITS) == Output(Wake(12.5, (1, 7)), [meant for _, meant in REAL])
    assert list(map(type, decode_effects(FRAME, LIMITS).effects)) == [type(meant) for _, meant in REAL]
    assert {effect[0] for effect, _ in REAL} == set(protocol._EFFECTS)


def test_a_value_comes_with_the_stubs_that_it_names():
    (effect,) = decode_effects(frame(["return", 5, [0, [[True, 3], [False, 4]]]]), LIMITS).effects
    assert type(effect.value) is Shared
    assert effect.value.stubs == (Reference(True, 3), Reference(False, 4))
    (effect,) = decode_effects(frame(["return", 5, 0]), LIMITS).effects
    assert type(effect.value) is bytes


BAD = {
    "not a list": {},
    "an empty list": [],
    "an unknown name": ["open", "/etc/passwd"],
    "a name that is no text": [1],
    "a name that cannot be hashed": [[]],
    "too few fields": ["done"],
    "too many fields": ["done", 1, 2],
    "a number that is text": ["done", "1"],
    "a number that is a flag": ["done", True],
    "a number with a fraction": ["done", 1.0],
    "a negative number": ["done", -1],
    "a huge number": ["done", 2**53],
    "a flag that is a number": ["data", 1, None, 1],
    "bytes that are not there": ["return", 1, 1],
    "bytes before the first": ["return", 1, -1],
    "bytes named by a flag": ["return", 1, False],
    "a value with stubs that are no list": ["return", 1, [0, 1]],
    "a value of three": ["return", 1, [0, [], []]],
    "a value with stubs and no bytes": ["return", 1, [None, []]],
    "a stub of one": ["return", 1, [0, [[True]]]],
    "a stub that says nothing of whose it is": ["return", 1, [0, [[1, 1]]]],
    "a stub that is no number": ["return", 1, [0, [[True, "1"]]]],
    "more stubs than a value names": ["return", 1, [0, [[True, each] for each in range(251)]]],
    "a stub that is fetched from": ["fetch", 1, 1, [2, False], "GET", "http://a/", [], None, "follow"],
    "a stub of three": ["call", 1, 1, [2, False, 1], "x", 0],
    "a stub by a text": ["call", 1, 1, ["2", False], "x", 0],
    "pages that are no numbers": ["commit", 1, ["0"], 0, None],
    "pages that are no list": ["commit", 1, 0, 0, None],
    "an alarm that is text": ["commit", 1, [0], 0, "now"],
    "a part of no capability": ["call", 1, 1, ["2", "0a" * 32], "x", 0],
    "a part whose id is short": ["call", 1, 1, [2, "0a" * 31], "x", 0],
    "a part whose id has capitals": ["call", 1, 1, [2, "0A" * 32], "x", 0],
    "a part of a part": ["call", 1, 1, [[2, "0a" * 32], "0a" * 32], "x", 0],
    "a part of three": ["call", 1, 1, [2, "0a" * 32, 1], "x", 0],
    "a status that is none": ["respond", 1, 99, [], None],
    "a status for the runtime only": ["respond", 1, 101, [], None],
    "a status beyond": ["respond", 1, 600, [], None],
    "headers that are no list": ["respond", 1, 200, {}, None],
    "headers that are not pairs": ["respond", 1, 200, [["a"]], None],
    "headers of numbers": ["respond", 1, 200, [["a", 1]], None],
    "a header with CR LF in its value": ["respond", 1, 200, [["a", "b\r\nset-cookie: x"]], None],
    "a header with LF in its value": ["respond", 1, 200, [["a", "b\nc"]], None],
    "a header that ends in LF": ["respond", 1, 200, [["a", "b\n"]], None],
    "a header with CR in its value": ["respond", 1, 200, [["a", "b\rc"]], None],
    "a header with NUL in its value": ["respond", 1, 200, [["a", "b\0c"]], None],
    "a header with a control character": ["respond", 1, 200, [["a", "\x1b[2J"]], None],
    "a header beyond latin-1": ["respond", 1, 200, [["a", "\u0100"]], None],
    "a header whose name has LF": ["respond", 1, 200, [["a\n", "b"]], None],
    "a header whose name has a colon": ["respond", 1, 200, [["a: b\r\nc", "d"]], None],
    "a header without a name": ["respond", 1, 200, [["", "b"]], None],
    "a header whose name is not ASCII": ["respond", 1, 200, [["\u212a", "b"]], None],
    "too many headers": ["respond", 1, 200, [["a", "b"]] * 257, None],
    "headers that are too large": ["respond", 1, 200, [["a", "b" * 131_072]], None],
    "a body of text": ["respond", 1, 200, [], "body"],
    "a body of no kind": ["respond", 1, 200, [], ["x", 0]],
    "a stream of negative length": ["respond", 1, 200, [], ["s", 1, -1]],
    "a level that is no text": ["log", 1, 2, "a", "b"],
    "a log that is too long": ["log", 1, "info", "a", "b" * 65_537],
    "a failure of no kind": ["fail", 1, "whim", "", "", ""],
    "a method with a space": ["fetch", 1, 1, 0, "GET / HTTP/1.1\r\n", "http://a/", [], None, "follow"],
    "no method": ["fetch", 1, 1, 0, "", "http://a/", [], None, "follow"],
    "a URL with CR LF": ["fetch", 1, 1, 0, "GET", "http://a/\r\nx: y", [], None, "follow"],
    "a URL with a space": ["fetch", 1, 1, 0, "GET", "http://a/ HTTP/1.1", [], None, "follow"],
    "a URL with half a character": ["fetch", 1, 1, 0, "GET", "http://a/\ud800", [], None, "follow"],
    "a URL that is too long": ["fetch", 1, 1, 0, "GET", "http://a/" + "x" * 16_384, [], None, "follow"],
    "a redirect of no kind": ["fetch", 1, 1, 0, "GET", "http://a/", [], None, "perhaps"],
    "an upgrade with a header that splits": ["upgrade", 1, [["a", "b\r\nc: d"]], 1],
    "an upgrade to no number": ["upgrade", 1, [], "1"],
    "a message that is not there": ["ws_send", 1, 1, True, True],
    "a message of no kind": ["ws_send", 1, 0, 1, True],
    **{
        f"a close with {code!r}": ["ws_close", 1, code, ""]
        for code in (999, 1004, 1005, 1006, 1015, 2999, 5000, True, 1000.0, "1000")
    },
    "a close with too long a reason": ["ws_close", 1, 1000, "x" * 124],
    "a close with too many bytes of a reason": ["ws_close", 1, 1000, "ä" * 62],
    "a negative credit": ["ws_credit", 1, -1],
    "half a character in a method's name": ["call", 1, 1, 0, "\udc00", 0],
}


@pytest.mark.parametrize("case", BAD)
def test_what_is_not_as_agreed_is_refused(case):
    refused(frame(BAD[case]))


def test_no_message_of_a_refusal_repeats_what_the_guest_wrote():
    """An error goes to logs that people trust."""
    for effect in (["evil\x1b[2J"], ["log", 0, "info", "evil\x1b[2J" * 100, ""], ["done", "evil\x1b[2J"]):
        assert "evil" not in refused(frame(effect))


@pytest.mark.parametrize("wake", ["soon", True, -1, 1.5, [], {}, [1], [1, [1], 2], {"0": 1, "1": []}])
def test_a_wake_that_is_none(wake):
    assert "wake" in refused(frame(wake=wake))


@pytest.mark.parametrize("time", ["soon", True, -1, 2**53, [], {}, None])
def test_a_wake_time_that_is_none(time):
    assert "wake time" in refused(frame(wake=[time, [1]]))


@pytest.mark.parametrize("due", [None, 1, {}, "1", [True], ["1"], [-1], [1.0], [[1]], list(range(65))])
def test_a_wake_of_nobody(due):
    refused(frame(wake=[1.5, due]))


@pytest.mark.parametrize("text", [b"NaN", b"Infinity", b"1e999", b"-0.5"])
def test_a_wake_time_that_json_should_not_have(text):
    header = b"[[],[[" + text + b",[]],[]]]"
    refused(len(header).to_bytes(4, "little") + header)


@pytest.mark.parametrize("message", [None, 1, "x", {}, [], [None], [None, None], [None, {}], [None, [], []]])
def test_an_output_of_another_shape(message):
    refused(wire.encode(message))


def test_the_structured_part_is_bounded():
    refused(frame(["log", 0, "info", "a", "b" * 600]), Limits(header_bytes=500))


def test_the_number_of_effects_is_bounded():
    assert len(decode_effects(frame(*[["done", 1]] * 10_000), LIMITS).effects) == 10_000
    with pytest.raises(OutputTooLarge, match="10001 effects"):
        decode_effects(frame(*[["done", 1]] * 10_001), LIMITS)


LONG = "x" * 20_000


@pytest.mark.parametrize(
    "effects",
    [
        [[]] * 60_000,
        [[[[]] * 60_000]],
        [1.5] * 110_000,
        [""] * 110_000,
        ["log", 0, "info", "a", [0] * 110_000],
        [int("9" * 4000)] * 110,
    ],
    ids=["lists", "deeper", "numbers", "texts", "in an effect", "long numbers"],
)
def test_what_would_take_long_to_parse_is_not_parsed(effects, monkeypatch):
    monkeypatch.setattr(wire, "decode", lambda *_, **__: pytest.fail("it was parsed"))
    with pytest.raises(OutputTooLarge, match="100000 values"):
        decode_effects(frame(*effects), LIMITS)


def test_effects_have_no_objects():
    with pytest.raises(ProtocolError):
        decode_effects(frame(["log", 0, "info", "a", {}]), LIMITS)
    with pytest.raises(ProtocolError, match="objects"):
        decode_effects(frame(["log", 0, "info", "a", LONG], {"a": 1}), LIMITS)


def test_whatever_a_text_says_it_is_one_value():
    text = '[{"a": 1}, "\\\\"]' * 4000
    (effect,) = decode_effects(frame(["log", 0, "info", "a", text]), LIMITS).effects
    assert effect.message == text


@pytest.mark.parametrize(
    "effect",
    [["log", 2**53 - 1, "warning", "print", "x"], ["call", 123456789, 123456789, 99, "m", 0]],
    ids=["log", "call"],
)
def test_as_many_effects_as_a_step_may_have_are_not_too_many_values(effect):
    pauses = []
    whole = frame(*[effect] * 10_000, blobs=[b'{"a": [[[[1, 2, 3]]]]}' * 100_000])
    output = decode_effects(whole, LIMITS, lambda: pauses.append(None))
    assert len(output.effects) == 10_000
    assert len(pauses) >= 100, "others had the interpreter meanwhile"


def test_an_honest_step_may_have_bytes_for_each_of_its_effects():
    effects = [["data", 1, index, False] for index in range(6000)]
    output = decode_effects(frame(*effects, blobs=[b"x"] * 6000), LIMITS)
    assert len(output.effects) == 6000


def test_log_text_that_no_encoding_can_write_is_mended():
    (effect,) = decode_effects(frame(["log", 0, "info", "a", "x\ud800y"]), LIMITS).effects
    assert effect.message == "x\ufffdy"
    (effect,) = decode_effects(frame(["log", 0, "notice", "a", "\U0001f600"]), LIMITS).effects
    assert (effect.level, effect.message) == ("info", "\U0001f600")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)
almost_effects = st.lists(
    st.one_of(
        st.builds(
            lambda name, rest: [name, *rest],
            st.sampled_from(sorted(protocol._EFFECTS)),
            st.lists(json_values, max_size=9),
        ),
        json_values,
    ),
    max_size=4,
)


def survives(data):
    """Either nothing but well-formed effects, or `ProtocolError`."""
    try:
        output = decode_effects(data, LIMITS)
    except ProtocolError:
        return
    assert output.wake is None or output.wake.time >= 0
    for effect in output.effects:
        assert type(effect) in {kind for kind, _ in protocol._EFFECTS.values()}
        for value in effect:
            assert value is None or isinstance(value, str | int | bytes | tuple)
            if isinstance(value, str):
                value.encode()


@given(json_values)
def test_arbitrary_json(message):
    survives(wire.encode(message))


@given(json_values, almost_effects, st.lists(st.binary(max_size=5), max_size=3))
def test_almost_effects(wake, effects, blobs):
    survives(wire.encode([wake, effects], blobs))


@given(st.binary(max_size=200))
def test_arbitrary_bytes(data):
    survives(data)
    survives(len(data).to_bytes(4, "little") + data)


@given(st.data())
def test_a_real_frame_with_some_bytes_changed(data):
    changed = bytearray(FRAME)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    survives(bytes(changed))


@given(st.integers(0, len(FRAME) - 1))
def test_a_truncated_frame(size):
    refused(FRAME[:size])


@given(st.binary(min_size=1, max_size=20))
def test_a_frame_with_something_behind_it(tail):
    refused(FRAME + tail)


@given(st.integers(0, len(REAL) - 1), st.data())
def test_a_real_effect_with_one_field_replaced(index, data):
    effect = json.loads(json.dumps(REAL[index][0]))
    effect[data.draw(st.integers(0, len(effect) - 1))] = data.draw(json_values)
    survives(frame(effect))


def test_the_prime_frame_has_one_event_without_arguments():
    assert wire.decode(protocol.PRIME) == ([["prime"]], ())


# the other direction --------------------------------------------------------------------------------------------------

numbers, texts = st.integers(1, 2**53 - 1), st.text(max_size=10)
bodies = st.one_of(
    st.none(), st.binary(max_size=10), st.builds(StreamRef, numbers, st.none() | st.integers(0, 2**53 - 1))
)
headers = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
entrypoints = st.none() | texts
EVENTS = {
    "init": st.tuples(
        st.lists(
            st.tuples(texts, texts, st.integers(0, 99))
            | st.tuples(texts, st.just("value"), st.binary(max_size=5)),
            max_size=3,
        ),
        st.dictionaries(texts, texts, max_size=2),
    ),
    "become": st.tuples(
        texts,
        texts,
        st.binary(min_size=1, max_size=5),
        st.none() | numbers,
        st.integers(1, 9),
        st.none() | texts,
    ),
    "focus": st.tuples(st.lists(numbers, max_size=3)),
    "fetch": st.tuples(numbers, entrypoints, json_values, texts, texts, headers, bodies),
    "rpc": st.tuples(numbers, entrypoints, json_values, texts, st.binary(max_size=10)),
    "invoke": st.tuples(numbers, numbers, st.booleans(), texts, st.binary(max_size=10)),
    "released": st.tuples(numbers),
    "handle": st.tuples(numbers, entrypoints, json_values, texts, st.binary(max_size=10)),
    "cancel": st.tuples(numbers),
    "data": st.tuples(numbers, st.binary(max_size=10), st.booleans()),
    "error": st.tuples(numbers, texts),
    "pull": st.tuples(numbers, numbers),
    "stop": st.tuples(numbers),
    "resolve_value": st.tuples(numbers, st.binary(max_size=10)),
    "resolve_response": st.tuples(numbers, st.integers(200, 599), headers, bodies, texts),
    "resolve_upgrade": st.tuples(numbers, headers, numbers, texts),
    "reject": st.tuples(numbers, texts, texts, st.none() | texts),
    "ws_message": st.tuples(numbers, st.binary(max_size=10), st.booleans(), st.booleans()),
    "ws_closed": st.tuples(numbers, numbers, texts, st.booleans()),
    "ws_credit": st.tuples(numbers, numbers),
}


def meant(value, blobs):
    """What the guest makes of an event's field: bytes by their index, bodies by their kind."""
    match value:
        case ["b", int(index)]:
            return blobs[index]
        case ["s", int(number), length]:
            return StreamRef(number, length)
    return value


@given(
    st.lists(
        st.sampled_from([name for name in EVENTS if name not in ("init", "become", "focus")]).flatmap(
            lambda name: st.tuples(st.just(name), EVENTS[name])
        ),
        max_size=6,
    )
)
def test_events_round_trip(script):
    events = Events()
    for name, arguments in script:
        getattr(events, name)(*arguments)
    assert len(events) == len(script)
    decoded, blobs = wire.decode(events.frame())
    for (name, arguments), event in zip(script, decoded, strict=True):
        wanted = [
            list(map(list, part)) if isinstance(part, tuple) and not isinstance(part, StreamRef) else part
            for part in arguments
        ]
        kind, *fields = event
        if name.startswith("resolve_"):
            assert (kind, fields.pop(1)) == ("resolve", name.removeprefix("resolve_"))
        else:
            assert kind == name
        where = {"rpc": 4, "invoke": 4, "handle": 4, "data": 1, "resolve_value": 1, "ws_message": 1}.get(name)
        if where is not None:
            fields[where] = b"" if fields[where] is None else blobs[fields[where]]
        assert [meant(field, blobs) for field in fields] == wanted


@pytest.mark.parametrize("stubs", [[1, 2], None])
def test_a_value_that_names_stubs_has_them_beside_it(stubs):
    events = Events()
    events.rpc(1, None, {}, "x", b"value", stubs)
    events.invoke(2, 7, False, "x", b"value", stubs)
    events.resolve_value(3, b"value", stubs)
    decoded, blobs = wire.decode(events.frame())
    assert [event[-1] for event in decoded] == [[0, stubs], [1, stubs], [2, stubs]]
    assert list(map(bytes, blobs)) == [b"value"] * 3


@given(EVENTS["init"], EVENTS["become"], EVENTS["focus"])
def test_what_a_worker_may_use_and_whom_a_step_is_for_come_before_all_else(arguments, become, focus):
    events = Events()
    events.cancel(1)
    events.focus(*focus)
    events.init(*arguments)
    events.become(*become)
    (init, became, focused, cancel), blobs = wire.decode(events.frame())
    assert (focused, cancel) == (["focus", *focus], ["cancel", 1])
    became[3] = blobs[became[3]]
    assert became == ["become", *become]
    bindings = [(name, kind, blobs[value] if kind == "value" else value) for name, kind, value in init[1]]
    assert (bindings, init[2]) == arguments


def test_the_guest_knows_every_event_and_the_same_window(start):
    driver = start(PROBE)
    told = driver.fetch().json
    sent = {"resolve" if name.startswith("resolve_") else name for name in EVENTS}
    assert set(told["events"]) == sent | {"prime", "close_gaps"}
    assert (told["window"], told["chunk"]) == (protocol.WINDOW, protocol.CHUNK)
    assert told["sockets"] == [protocol.SOCKET_WINDOW, protocol.PIECE]
    assert told["due"] == protocol.MAX_DUE


PROBE = """
import sys
from workers import Response, WorkerEntrypoint
from _pyworkerd import loop, sockets, streams

class Default(WorkerEntrypoint):
    async def fetch(self):
        entry = next(module for module in list(sys.modules.values()) if hasattr(module, "EVENTS"))
        return Response.json({
            "events": list(entry.EVENTS), "window": streams.WINDOW, "chunk": streams.CHUNK,
            "sockets": [sockets.WINDOW, sockets.PIECE], "due": loop.MAX_DUE,
        })
"""
