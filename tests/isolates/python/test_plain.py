"""Small plain values: the guest writes what `wire` writes, and reads what it reads or leaves it to it."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pyworkerd_isolates import wire

from .conftest import GUEST

spec = importlib.util.spec_from_file_location("guest_plain", GUEST / "_pyworkerd" / "plain.py")
assert spec is not None
assert spec.loader is not None
plain = importlib.util.module_from_spec(spec)
spec.loader.exec_module(plain)
SCAN = wire.scanner(None)

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=120)
    | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(VALUES)
@example((1 << 53) - 1)
@example(1 << 53)
@example(-(1 << 53))
@example("é\ud800" * 40)
def test_what_is_written_is_read(value: Any) -> None:
    """Here, and on the other side."""
    frame = wire.dump_value(value)
    assert plain.dump(value) in (None, frame)
    assert plain.dump_call((value,), {}) in (None, wire.dump_value([[value], {}]))
    for positional in ((value, 7), (-7, value), (1, value, 10**9), (1, 2, 3, value)):
        assert plain.dump_call(positional, {}) in (None, wire.dump_value([list(positional), {}]))
    assert plain.dump_call((value, 1), {"a": value}) in (None, wire.dump_value([[value, 1], {"a": value}]))
    read = plain.load(frame, SCAN)
    assert read is plain.UNREAD or (read == value and type(read) is type(value))
    read = plain.load_arguments(wire.dump_value([[value], {}]), SCAN)
    assert read is plain.UNREAD or read == [value]


@pytest.mark.parametrize(
    "value", [0, 7, -7, 10**12, "", "text", None, True, 1.5, [1, "a", {"b": None}], {"a": "b"}]
)
def test_the_usual_values_take_the_short_way(value: Any) -> None:
    assert plain.dump(value) == wire.dump_value(value)
    assert plain.load(wire.dump_value(value), SCAN) == value
    assert plain.load_arguments(plain.dump_call((value,), {}), SCAN) == [value]
    assert plain.load_arguments(plain.dump_call((), {}), SCAN) == []
    assert plain.load_arguments(plain.dump_call((value, 7), {}), SCAN) == [value, 7]
    assert plain.load_arguments(plain.dump_call((-7, value, 0), {}), SCAN) == [-7, value, 0]


MESSAGES = [
    b"007", b"\xb2", b"1 ", b"-", b"nul", b"NaN", b"1]", b"1],[2", b'{"$":["b",0]}', b'{"\\u0024":["i","f"]}',
    b'"\xe9"', b"[[1]", b"[7],{}", b"[07],{}", b"[7,8],{}", b'[{"$":1}],{}', b'[7],{"a":1},{}', b"7,{}", b"[],{}",
]  # fmt: skip


def value_of(frame: bytes) -> Any:
    """What `wire` says of it."""
    try:
        return wire.load_value(frame)
    except wire.WireError:
        return plain.UNREAD


@given(st.sampled_from(MESSAGES) | st.binary(max_size=20), st.integers(-1, 1) | st.just(0))
@example(b"[7],{}", 0)
def test_what_somebody_else_wrote_means_what_it_means_to_wire(message: bytes, wrong: int) -> None:
    frame = (len(message) + 5 + wrong).to_bytes(4, "little") + b"[[]," + message + b"]"
    known = value_of(frame)
    assert plain.load(frame, SCAN) in (plain.UNREAD, known)
    positional = plain.load_arguments(frame, SCAN)
    assert positional is plain.UNREAD or [positional, {}] == known
