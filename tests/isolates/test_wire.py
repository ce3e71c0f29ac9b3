"""The frame and value codec: round trips, and every way in which hostile bytes can be wrong."""

from __future__ import annotations

import asyncio
import json
import math
from collections import OrderedDict, defaultdict
from datetime import UTC, datetime, timedelta, timezone
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyworkerd_isolates import wire
from pyworkerd_isolates.wire import RemoteError, WireError, decode, dump_value, encode, load_value

any_text = st.text(alphabet=st.characters(exclude_categories=()), max_size=20)
json_leaves = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | any_text
)
json_trees = st.recursive(
    json_leaves,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(any_text, inner, max_size=5),
    max_leaves=25,
)


def raw(header: bytes, rest: bytes = b"") -> bytes:
    return len(header).to_bytes(4, "little") + header + rest


def depth(tree: Any) -> int:
    if isinstance(tree, dict):
        return 1 + max(map(depth, tree.values()), default=0)
    return 1 + max(map(depth, tree), default=0) if isinstance(tree, list) else 0


class TestFrames:
    @given(json_trees, st.lists(st.binary(max_size=20), max_size=4))
    def test_what_was_encoded_is_decoded(self, message: Any, blobs: list[bytes]) -> None:
        assert decode(encode(message, blobs)) == (message, tuple(blobs))

    def test_the_format_is_this(self) -> None:
        assert encode({"a": ["é", "\ud800"]}, [b"xy", b""]) == raw(
            b'[[2,0],{"a":["\\u00e9","\\ud800"]}]', b"xy"
        )

    def test_a_view_gives_views_and_bytes_give_bytes(self) -> None:
        frame = encode(1, [b"blob"])
        (view,) = decode(memoryview(frame))[1]
        assert isinstance(view, memoryview)
        assert bytes(view) == b"blob"
        assert type(decode(frame)[1][0]) is bytes
        assert type(decode(bytearray(frame))[1][0]) is bytearray

    def test_blobs_may_be_views(self) -> None:
        assert decode(encode(0, [memoryview(b"abc")[1:], bytearray(b"d")])) == (0, (b"bc", b"d"))

    def test_utf8_headers_of_other_guests_are_read(self) -> None:
        assert decode(raw('[[],"é"]'.encode())) == ("é", ())

    @pytest.mark.parametrize(
        ("data", "why"),
        [
            (b"", "cut short"),
            (b"\x01\x00\x00", "cut short"),
            (b"\xff\xff\xff\xff[[],1]", "cut short"),
            (raw(b""), "not JSON"),
            (raw(b"[[],1"), "not JSON"),
            (raw(b"[[],NaN]"), "not JSON"),
            (raw(b"[[],-Infinity]"), "not JSON"),
            (raw(b'[[],"\xff"]'), "not JSON"),
            (raw(b'[[],"\xed\xa0\x80"]'), "not JSON"),
            (raw(b'[[],"a\nb"]'), "not JSON"),
            (raw(b"[[]," + b"9" * 5000 + b"]"), "not JSON"),
            (raw(b"[" * 200), "not JSON"),
            (raw(b"[" * 100_000), "brackets"),
            (raw(b'{"a":' * 100_000), "brackets"),
            (raw(b'["]]",' * 300), "brackets"),
            (raw(rb'["\\\"]",' * 300), "brackets"),
            (raw(b"[[]," + b"[" * 300 + b"]" * 300 + b"]"), "brackets"),
            (raw(b"[[]," + b'{"a":' * 300 + b"1" + b"}" * 300 + b"]"), "brackets"),
            (raw(b"[[],1] "), "pair"),
            (raw(b"[[],1][]"), "pair"),
            (raw(b" [[],1]"), "pair"),
            (raw(b"[[]]"), "pair"),
            (raw(b"[[],1,2]"), "pair"),
            (raw(b"[{},1]"), "pair"),
            (raw(b"[null,1]"), "pair"),
            (raw(b'{"a":1}'), "pair"),
            (raw(b"1"), "pair"),
            (raw(b"[[1],1]"), "length"),
            (raw(b"[[-1],1]", b"x"), "length"),
            (raw(b"[[true],1]", b"x"), "length"),
            (raw(b"[[1.0],1]", b"x"), "length"),
            (raw(b'[["1"],1]', b"x"), "length"),
            (raw(b"[[[1]],1]", b"x"), "length"),
            (raw(b"[[99999999999999999999],1]", b"x"), "length"),
            (raw(b"[[1,1],1]", b"x"), "length"),
            (raw(b"[[],1]", b"x"), "more bytes"),
            (raw(b"[[0],1]", b"x"), "more bytes"),
            (raw(b"[[" + b",".join([b"0"] * 5000) + b"],1]"), "blobs"),
        ],
    )
    def test_whatever_does_not_add_up_is_refused(self, data: bytes, why: str) -> None:
        for form in (data, bytearray(data), memoryview(data)):
            # A leading space is a JSON error to the scanner, so both sentences are right for it.
            with pytest.raises(WireError, match=f"{why}|not JSON" if data[4:5] == b" " else why):
                decode(form)

    def test_limits_are_exact(self) -> None:
        frame = raw(b"[[1,1],[[]]]", b"xy")
        assert decode(frame, max_header=12, max_blobs=2, max_depth=3) == ([[]], (b"x", b"y"))
        for limit in ({"max_header": 11}, {"max_blobs": 1}, {"max_depth": 2}):
            with pytest.raises(WireError):
                decode(frame, **limit)

    def test_many_brackets_are_not_depth(self) -> None:
        message: list[Any] = [*([{}] for _ in range(1000)), "[" * 1000, '\\"[' * 1000, {'"[\\': "[{" * 1000}]
        assert decode(encode(message))[0] == message

    @given(json_trees, st.integers(0, 20))
    def test_the_depth_is_counted_as_json_nests(self, tree: Any, wraps: int) -> None:
        for _ in range(wraps):
            tree = [tree, '"]\\']
        assert wire.deepest(json.dumps(tree).encode()) == depth(tree)

    @given(st.binary(max_size=200))
    def test_random_bytes_raise_nothing_else(self, data: bytes) -> None:
        for attempt in (data, raw(data), raw(b"[[]," + data + b"]")):
            try:
                decode(attempt)
            except WireError:
                continue

    @given(st.data())
    def test_a_damaged_frame_raises_nothing_else(self, data: st.DataObject) -> None:
        frame = bytearray(encode({"a": [1, "b"]}, [b"blob"]))
        frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
        try:
            decode(frame)
        except WireError:
            return

    @pytest.mark.parametrize("message", [object(), {1, 2}, b"bytes", 1j])
    def test_what_json_cannot_say_is_a_type_error(self, message: object) -> None:
        with pytest.raises(TypeError):
            encode([message])

    def test_nan_is_a_value_error(self) -> None:
        with pytest.raises(ValueError):
            encode(math.nan)

    def test_without_the_c_encoder_the_bytes_are_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        message = {"a": [1, 2.5, None, True, "é\ud800"]}
        fast = encode(message, [b"x"])
        monkeypatch.setattr(json.encoder, "c_make_encoder", None)
        monkeypatch.setattr(wire, "_chunks", wire._make_encoder())
        assert encode(message, [b"x"]) == fast


offsets = st.integers(-23 * 60, 23 * 60)
zones: Any = st.none() | st.builds(lambda minutes: timezone(timedelta(minutes=minutes)), offsets)
moments = st.datetimes(datetime(2, 1, 1), datetime(9998, 1, 1), timezones=zones)  # noqa: DTZ001
small = st.integers(-(2**63) + 1, 2**63 - 1)
keys = (
    st.none()
    | st.booleans()
    | small
    | st.floats(allow_nan=False)
    | any_text
    | st.binary(max_size=8)
    | moments
)
leaves = keys | st.integers() | st.floats() | st.integers(-(10**4299), 10**4299)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(any_text | st.just("$"), inner, max_size=5)
        | st.dictionaries(keys, inner, max_size=5)
        | st.sets(keys, max_size=5)
    ),
    max_leaves=25,
)


def same(left: Any, right: Any) -> bool:
    """Equality that tells 1 from True and from 1.0, and takes nan for itself."""
    if type(left) is not type(right):
        return False
    if isinstance(left, float):
        return left == right or (math.isnan(left) and math.isnan(right))
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return same(list(left), list(right)) and all(map(same, left.values(), right.values()))
    return bool(left == right)


class TestValues:
    @given(values)
    @example([{"$": ["b", 0]}, {"$": 1, "a": 2}, {"\\u0024": '"$"'}])
    @example({"a": {"$": {"$": [{"$": b"x"}]}}})
    @example([2**53, 2**53 - 1, -(2**53), -(2**53) + 1])
    def test_what_was_dumped_is_loaded(self, value: Any) -> None:
        assert same(load_value(dump_value(value)), value)

    @given(values)
    def test_what_is_small_and_plain_is_written_like_everything_else(self, value: Any) -> None:
        writer = wire._Writer(None)
        tree = writer.write(value, 1)
        assert dump_value(value) == encode(tree, writer.blobs)

    @given(values)
    @example([{"a": {}}, {"\\u0024": '"$"'}])
    def test_each_dictionary_is_replaced_if_that_is_wanted(self, value: Any) -> None:
        class Mine(dict[Any, Any]):
            pass

        def mine(found: Any) -> Any:
            if isinstance(found, list):
                return list(map(mine, found))
            return (
                Mine((key, mine(item)) for key, item in found.items()) if isinstance(found, dict) else found
            )

        assert same(load_value(dump_value(value), new_dict=Mine), mine(value))

    @given(values)
    def test_the_text_is_strict_json_that_a_double_can_hold(self, value: Any) -> None:
        def check(text: str) -> int:
            assert abs(int(text)) < 2**62  # moments of a far future pass 2**53
            return int(text)

        data = dump_value(value)
        header = data[4 : 4 + int.from_bytes(data[:4], "little")].decode("ascii")
        json.loads(header, parse_int=check, parse_constant=pytest.fail)

    @pytest.mark.parametrize(
        ("value", "header"),
        [
            ("x", '[[],"x"]'),
            (b"xy", '[[2],{"$":["b",0]}]'),
            (-(2**60), '[[],{"$":["i","-1000000000000000"]}]'),
            (-math.inf, '[[],{"$":["f","-inf"]}]'),
            (datetime(1970, 1, 1, 2, tzinfo=timezone(timedelta(hours=1))), '[[],{"$":["t",3600000000]}]'),
            (datetime(1970, 1, 1, 0, 0, 1), '[[],{"$":["n",1000000]}]'),  # noqa: DTZ001
            ({1}, '[[],{"$":["s",[1]]}]'),
            ({1: "a"}, '[[],{"$":["m",[[1,"a"]]]}]'),
            ({"$": 1}, '[[],{"$":["m",[["$",1]]]}]'),
            (KeyError("k"), '[[],{"$":["e",["KeyError","k"]]}]'),
        ],
    )
    def test_the_format_is_this(self, value: object, header: str) -> None:
        data = dump_value(value)
        assert data[4 : 4 + len(header)].decode() == header

    def test_subclasses_lose_their_class(self) -> None:
        class Colour(StrEnum):
            RED = "red"

        class Size(IntEnum):
            BIG = 3

        class Ratio(float):
            pass

        value = [Colour.RED, Size.BIG, Ratio(0.5), OrderedDict(a=1), defaultdict(list, b=[Colour.RED])]
        assert same(load_value(dump_value(value)), ["red", 3, 0.5, {"a": 1}, {"b": ["red"]}])
        assert same(load_value(dump_value({Colour.RED: 1})), {"red": 1})

    def test_an_instant_comes_back_in_utc_and_a_naive_time_naive(self) -> None:
        aware = datetime(2026, 11, 23, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=-5)))
        loaded = load_value(dump_value(aware))
        assert loaded == aware
        assert loaded.tzinfo is UTC
        naive = aware.replace(tzinfo=None)
        assert load_value(dump_value(naive)) == naive

    def test_a_memoryview_comes_back_as_bytes(self) -> None:
        assert same(load_value(dump_value(memoryview(b"abcdef")[::2])), b"ace")

    def test_loaded_bytes_do_not_keep_the_buffer(self) -> None:
        buffer = bytearray(dump_value([b"abc"]))
        (loaded,) = load_value(memoryview(buffer))
        buffer[:] = bytes(len(buffer))
        assert loaded == b"abc"

    @pytest.mark.parametrize(
        "error", [ValueError("bad"), KeyError("k"), TimeoutError("late"), Exception("e"), OSError()]
    )
    def test_builtin_exceptions_keep_their_kind(self, error: Exception) -> None:
        loaded = load_value(dump_value(error))
        assert type(loaded) is type(error)
        assert str(loaded) == str(error)

    def test_other_exceptions_keep_name_and_message_over_any_number_of_hops(self) -> None:
        class SoldOut(ValueError):
            pass

        error: Any = SoldOut("no seats")
        for _ in range(3):
            error = load_value(dump_value(error))
        assert type(error) is RemoteError
        assert (error.name, error.message, str(error)) == ("SoldOut", "no seats", "SoldOut: no seats")
        assert (
            load_value(dump_value(UnicodeDecodeError("utf-8", b"", 0, 1, "why"))).name == "UnicodeDecodeError"
        )

    @pytest.mark.parametrize(
        "value",
        [
            (1, 2),
            bytearray(b"x"),
            object(),
            1j,
            range(3),
            frozenset((1,)),
            print,
            int,
            BaseException("x"),
            ...,
        ],
    )
    def test_what_cannot_be_sent_is_refused_wherever_it_is(self, value: object) -> None:
        sentence = f"{type(value)} cannot be sent over RPC."
        for wrapped in (value, [1, value], {"a": value}, {1: [value]}):
            with pytest.raises(TypeError) as caught:
                dump_value(wrapped)
            assert str(caught.value) == sentence

    def test_awaitables_are_named_as_such(self) -> None:
        async def job() -> None:
            pass

        coroutine = job()
        with pytest.raises(TypeError, match=r"^Awaitable <class 'coroutine'> cannot be sent over RPC\.$"):
            dump_value([coroutine])
        coroutine.close()

        async def main() -> None:
            with pytest.raises(TypeError, match=r"^Awaitable "):
                dump_value(asyncio.get_running_loop().create_future())

        asyncio.run(main())

    def test_cycles_are_refused_and_repetition_is_not(self) -> None:
        cycle: list[Any] = [1]
        cycle.append({"a": {1: cycle}})
        with pytest.raises(ValueError, match="contains itself"):
            dump_value(cycle)
        twice = [1, {"x"}]
        assert load_value(dump_value([twice, twice, {"a": twice}])) == [twice, twice, {"a": twice}]

    @pytest.mark.parametrize(
        "wrap",
        [lambda v: [v], lambda v: {"a": v}, lambda v: {1: v}, lambda v: {"$": v}],
        ids=["list", "dict", "map", "$"],
    )
    def test_the_deepest_value_that_can_be_dumped_can_be_loaded(self, wrap: Any) -> None:
        value: Any = "x"
        for _ in range(1000):
            deeper = wrap(value)
            try:
                data = dump_value(deeper)
            except ValueError:
                with pytest.raises(ValueError, match="brackets"):
                    dump_value(deeper)
                break
            assert load_value(data) == deeper
            value = deeper
        else:
            pytest.fail("there is no limit")

    def test_integers_have_a_limit(self) -> None:
        assert load_value(dump_value(10**4299)) == 10**4299
        with pytest.raises(ValueError, match="bits"):
            dump_value(10**4301)
        for hashed in ({2**63}, {2**63: 1}, [{-(2**63): 1}]):
            with pytest.raises(ValueError, match="64 bits"):
                dump_value(hashed)

    def test_specials_are_values_themselves_and_nest(self) -> None:
        class Box:
            def __init__(self, inside: object) -> None:
                self.inside = inside

        def write(value: object) -> tuple[str, object] | None:
            return ("box", {"in": value.inside}) if isinstance(value, Box) else None

        def read(tag: str, value: Any) -> object:
            assert tag == "box"
            return Box(value["in"])

        data = dump_value([Box([b"bytes", Box({1})])], write)
        (box,) = load_value(data, read)
        assert box.inside[0] == b"bytes"
        assert box.inside[1].inside == {1}
        with pytest.raises(WireError, match="box"):
            load_value(data)
        with pytest.raises(TypeError, match="Other"):
            dump_value(type("Other", (), {})(), write)

    def test_a_failing_special_is_a_wire_error_with_its_cause(self) -> None:
        def read(tag: str, value: object) -> object:
            raise LookupError(tag)

        with pytest.raises(WireError) as caught:
            load_value(dump_value(object(), lambda value: ("thing", None)), read)
        assert isinstance(caught.value.__cause__, LookupError)

    def test_each_dictionary_can_be_made_another(self) -> None:
        loaded = load_value(
            dump_value({"a": [{"b": 1}, {2: {}}]}), new_dict=lambda found: list(found.items())
        )
        assert loaded == [("a", [[("b", 1)], [(2, [])]])]

    @pytest.mark.parametrize(
        "header",
        [
            '{"$":1}',
            '{"$":[]}',
            '{"$":["b"]}',
            '{"$":["b",0,0]}',
            '{"$":[1,0]}',
            '{"$":["b",0],"a":1}',
            '{"$":["b",0]}',
            '{"$":["b",-1]}',
            '{"$":["b",true]}',
            '{"$":["b","0"]}',
            '{"$":["i",1]}',
            '{"$":["i",""]}',
            '{"$":["i","1_0"]}',
            '{"$":["i"," 1"]}',
            '{"$":["i","1\\n"]}',
            '{"$":["i","01"]}',
            '{"$":["i","\\u0661"]}',
            '{"$":["i","A"]}',
            '{"$":["i","--1"]}',
            '{"$":["i","' + "9" * 3573 + '"]}',
            '{"$":["f","0"]}',
            '{"$":["f",0]}',
            '{"$":["f",[]]}',
            '{"$":["t","0"]}',
            '{"$":["t",1.5]}',
            '{"$":["t",true]}',
            '{"$":["t",999999999999999999999]}',
            '{"$":["t",-99999999999999999]}',
            '{"$":["n",null]}',
            '{"$":["s",1]}',
            '{"$":["s",[[]]]}',
            '{"$":["s",[{"$":["s",[]]}]]}',
            '{"$":["s",[9223372036854775808]]}',
            '{"$":["m",{}]}',
            '{"$":["m",[1]]}',
            '{"$":["m",[[1]]]}',
            '{"$":["m",[[1,2,3]]]}',
            '{"$":["m",[[{},1]]]}',
            '{"$":["m",[[{"$":["i","ffffffffffffffff"]},1]]]}',
            '{"$":["e","x"]}',
            '{"$":["e",["x"]]}',
            '{"$":["e",["x",1]]}',
            '{"$":["e",[null,"x"]]}',
            '{"$":["zz",1]}',
            '{"\\u0024":["zz",1]}',
            '[1,{"a":{"$":0}}]',
        ],
    )
    def test_a_tag_that_is_wrong_is_refused(self, header: str) -> None:
        with pytest.raises(WireError):
            load_value(raw(f"[[],{header}]".encode()))

    @pytest.mark.parametrize(
        "body", [b"1x", b"NaN", b"", b"1]", b"[1", b"1, 2", b'"\xff"', b"[[" + b"[" * 90, b"tru"]
    )
    def test_a_short_value_is_read_as_strictly_as_a_long_one(self, body: bytes) -> None:
        for room in (0, 300):
            header = b"[[]," + b" " * room + body + b"]"
            with pytest.raises(WireError):
                load_value(len(header).to_bytes(4, "little") + header)

    @pytest.mark.parametrize("length", range(118, 125))
    def test_short_and_long_values_have_one_format(self, length: int) -> None:
        value = "x" * length
        header = f'[[],"{value}"]'.encode()
        assert dump_value(value) == len(header).to_bytes(4, "little") + header
        assert load_value(dump_value(value)) == value
        assert load_value(dump_value(value).replace(b"xx", "\u00e9".encode())) == value.replace(
            "xx", "\u00e9"
        )

    def test_a_value_has_a_size(self) -> None:
        data = dump_value("x" * 100)
        assert load_value(data, max_size=len(data)) == "x" * 100
        with pytest.raises(WireError, match="larger"):
            load_value(data, max_size=len(data) - 1)

    @given(st.binary(max_size=100), json_trees)
    def test_hostile_bytes_raise_nothing_else(self, data: bytes, tree: Any) -> None:
        tagged = json.dumps({"$": tree}).encode()
        for attempt in (data, raw(b"[[]," + data + b"]"), raw(b"[[]," + tagged + b"]")):
            try:
                load_value(attempt)
            except WireError:
                continue

    @given(st.sampled_from("bifntsme"), json_trees)
    def test_hostile_payloads_raise_nothing_else(self, tag: str, tree: Any) -> None:
        try:
            load_value(encode([{"$": [tag, tree]}, {"$": [tag, [tree, tree]]}], []))
        except WireError:
            return
