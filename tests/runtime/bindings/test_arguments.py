"""Arguments of a guest are believed in nothing: whatever arrives is bound as declared, or is a TypeError."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyworkerd.bindings import arguments as args
from pyworkerd.errors import WorkerException
from pyworkerd_isolates import wire

if TYPE_CHECKING:
    from collections.abc import Callable

PARAMETERS = {"key": str, "count": int}


def test_positional_and_named_arguments() -> None:
    for positional, named in (["k", 1], {}), (["k"], {"count": 1}), ([], {"count": 1, "key": "k"}):
        encoded = wire.dump_value([positional, named])
        assert args.bind("m", PARAMETERS, args.decode(encoded)) == {"key": "k", "count": 1}


@pytest.mark.parametrize(
    ("positional", "named", "said"),
    [
        (["k", 1, 2], {}, "takes 2 arguments but 3 were given"),
        (["k"], {}, "missing the argument 'count'"),
        ([], {}, "missing the argument 'key'"),
        (["k"], {"key": "k", "count": 1}, "multiple values for argument 'key'"),
        (["k", 1], {"other": 1}, "unexpected argument 'other'"),
        (["k", True], {}, "'count' must be int, not bool"),
        ([None, 1], {}, "'key' must be str, not NoneType"),
        ([["k"], 1], {}, "'key' must be str, not list"),
    ],
)
def test_wrong_arguments_are_type_errors(positional: list[Any], named: dict[str, Any], said: str) -> None:
    with pytest.raises(WorkerException, match=said) as caught:
        args.bind("m", PARAMETERS, (positional, named))
    assert caught.value.type_name == "TypeError"
    assert caught.value.message.startswith("m()")


@pytest.mark.parametrize(
    "value", [None, [], [[]], [[], {}, {}], [{}, []], [[], {1: 2}], {"a": 1}, "text", [[], [[]]]]
)
def test_what_is_not_a_pair_of_arguments(value: Any) -> None:
    with pytest.raises(WorkerException, match="positional"):
        args.decode(wire.dump_value(value))


@given(st.binary(max_size=200))
def test_any_bytes_are_arguments_or_a_type_error(data: bytes) -> None:
    try:
        positional, named = args.decode(data)
    except WorkerException as error:
        type_name = error.type_name
        assert type_name == "TypeError"
    else:
        assert type(positional) is list
        assert all(type(key) is str for key in named)


@given(
    st.lists(st.none() | st.integers() | st.text(max_size=3)),
    st.dictionaries(st.sampled_from(["key", "count", "x"]), st.integers()),
)
def test_bound_arguments_have_exactly_the_declared_types(
    positional: list[Any], named: dict[str, Any]
) -> None:
    try:
        bound = args.bind("m", PARAMETERS, (positional, named))
    except WorkerException as error:
        type_name = error.type_name
        assert type_name == "TypeError"
    else:
        assert {key: type(value) for key, value in bound.items()} == PARAMETERS


def test_too_much_is_refused_before_it_is_read() -> None:
    with pytest.raises(WorkerException, match="larger than 65536 bytes"):
        args.decode(wire.dump_value([["x" * args.SMALL], {}]))
    with pytest.raises(WorkerException, match="other than byte strings"):
        args.decode(wire.dump_value([["x" * args.MAX_TEXT], {}]), wire.MAX_VALUE)
    with pytest.raises(WorkerException, match="would take about 78 ms to read, which is more than 12"):
        args.decode(wire.dump_value([[[]] * args.MAX_CONTAINERS, {}]), wire.MAX_VALUE)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (["x" * args.MAX_TEXT], "other than byte strings"),
        ([[]] * args.MAX_CONTAINERS, "parts"),
        ([dict.fromkeys(map(str, range(args.MAX_KEYS + 1)))], "65536 keys"),
    ],
)
def test_on_a_thread_more_is_read_but_not_without_bound(value: Any, said: str) -> None:
    with pytest.raises(WorkerException, match=said):
        args.read_apart(wire.dump_value([value, {}]))


def test_what_was_read_apart_is_what_decode_would_have_read() -> None:
    value = [[float(number) for number in range(100_000)], b"1" * 70_000, {"a": [1, 2]}]
    encoded = wire.dump_value([value, {"key": "k"}])
    assert args.is_long(encoded)
    with pytest.raises(WorkerException, match="would take about"):
        args.decode(encoded, wire.MAX_VALUE)
    read = args.read_apart(encoded)
    assert args.decode(read, wire.MAX_VALUE) == (value, {"key": "k"})
    for limit, text in (args.SMALL, args.MAX_TEXT), (wire.MAX_VALUE, args.SMALL):
        with pytest.raises(WorkerException, match="larger than 65536"):
            args.decode(read, limit, text)


@given(st.binary(max_size=200) | st.text('[]{},:$"bi01.e-', max_size=60).map(wire.alone))
@example(wire.alone("[[NaN],{}]"))
@example(wire.alone("[[" + "1" * 5000 + "],{}]"))
@example(wire.alone('[[{"$":["b",1]}],{}]'))
@example(wire.alone("[" * 300))
def test_both_ways_of_reading_agree_on_any_bytes(data: bytes) -> None:
    def outcome(read: Callable[[bytes], object]) -> str:
        try:
            return repr(read(data))
        except WorkerException as error:
            return error.message

    assert outcome(lambda data: args.decode(args.read_apart(data))) == outcome(args.decode)


def test_others_have_the_interpreter_while_numbers_are_read() -> None:
    """The C scanner alone keeps it until it is through: 20 ms and more for these."""
    encoded = wire.dump_value([[1] * 200_000, {}])
    turns, interval = [0], sys.getswitchinterval()
    thread = threading.Thread(target=args.read_apart, args=(encoded,))
    sys.setswitchinterval(1e-5)
    try:
        thread.start()
        while thread.is_alive():
            turns[0] += 1
            time.sleep(0)
    finally:
        sys.setswitchinterval(interval)
    assert turns[0] > 20


def test_byte_strings_and_brackets_in_texts_do_not_count() -> None:
    data = bytes(2 * args.MAX_TEXT)
    text = '[{"\\' * args.MAX_CONTAINERS
    assert args.decode(wire.dump_value([[data, text], {}]), wire.MAX_VALUE) == ([data, text], {})


def test_a_tag_of_the_sdk_is_no_plain_value() -> None:
    encoded = wire.encode([[{"$": ["Response", []]}], {}])
    with pytest.raises(WorkerException, match="'Response' is not known here"):
        args.decode(encoded)


JSON = st.recursive(
    st.none() | st.text('[{"\\a', max_size=6),
    lambda inner: st.lists(inner) | st.dictionaries(st.text('[{"\\'), inner),
)


COSTLY = {
    "lists": ([[]] * 20_000, 16_000),
    "dictionaries": ([{"a": 1}] * 20_000, 16_000),
    "numbers": ([1] * 150_000, 80_000),
    "long numbers": ([1.2345678901234567e300] * 40_000, 25_000),
    "tags": ([float("nan")] * 20_000, 8_000),
}


@pytest.mark.parametrize("kind", COSTLY)
def test_what_takes_a_guest_long_to_read_is_refused(kind: str) -> None:
    value, harmless = COSTLY[kind]
    with pytest.raises(WorkerException, match="the result would take about"):
        args.bounded(wire.dump_value(value), "the result")
    few = wire.dump_value(value[: harmless // 2])
    assert args.bounded(few, "the result") == few
    with pytest.raises(WorkerException, match=r"more than 3\.3"):
        args.bounded(few, "the result", 10)


def test_text_is_cheap_and_byte_strings_are_free() -> None:
    value = wire.dump_value(["[{,\\" * 150_000, bytes(10_000_000)])
    assert args.bounded(value, "the result", 50) == value
    with pytest.raises(WorkerException, match="larger than 1048576"):
        args.bounded(wire.dump_value("x" * 1_048_577), "the result")


def test_integers_cost_what_their_digits_do() -> None:
    """Written in decimals they took quadratic time, a millisecond for five of the largest."""
    value = [10**4299] * 100
    assert args.reading_ms(wire.dump_value(value)) < 5
    forged = b"[[],[" + b",".join([b"9" * 4300] * 240) + b"]]"
    assert args.reading_ms(len(forged).to_bytes(4, "little") + forged) > args.READING_MS


@given(JSON)
@example({"": ""})
@example([{"": "", "a": ""}] * 30)
@example([""] * 90)
@example({str(number): "" for number in range(90)})
def test_what_reading_takes_is_never_guessed_too_low(value: Any) -> None:
    encoded = wire.encode(value)
    exact = args.reading_ms(encoded)
    for enough in (0.0, exact / 2, exact, 1.0):
        guess = args.reading_ms(encoded, enough)
        assert guess == exact or exact <= guess <= enough
        assert (args.reading_ms(encoded, enough, beyond=True) > enough) == (exact > enough)


def test_what_is_nothing_but_quotes_is_not_taken_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """It held the event loop up for 30 milliseconds and more, for each call."""
    monkeypatch.delattr(wire, "outside_strings")
    forged = b'"' * (1 << 20)
    with pytest.raises(WorkerException, match="would take about 87 ms"):
        args.bounded(len(forged).to_bytes(4, "little") + forged, "the result")


@given(st.text('[]{},0"\\a', max_size=60).map(str.encode))
def test_what_is_small_enough_not_to_be_looked_at_takes_no_longer_than_that(text: bytes) -> None:
    value = len(text).to_bytes(4, "little") + text
    assert args.reading_ms(value) <= len(value) * args._BYTE_MS
