"""Trace context, case by case as the recommendation has it (https://www.w3.org/TR/trace-context-2/)."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.observe.trace import (
    STATE_CHARACTERS,
    STATE_MEMBERS,
    Parent,
    format_parent,
    parse_parent,
    parse_state,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (f"00-{TRACE}-{SPAN}-00", 0),
        (f"00-{TRACE}-{SPAN}-01", 1),
        (f"00-{TRACE}-{SPAN}-03", 3),
        (f"00-{TRACE}-{SPAN}-ff", 3),
        (f"00-{TRACE}-{SPAN}-fe", 2),
        (f"cc-{TRACE}-{SPAN}-01", 1),
        (f"cc-{TRACE}-{SPAN}-01-", 1),
        (f"cc-{TRACE}-{SPAN}-01-what-the-future-will-be-like", 1),
    ],
)
def test_well_formed(value: str, flags: int) -> None:
    assert parse_parent(value) == Parent(TRACE, SPAN, flags)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "foo",
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}-01-",
        f"00-{TRACE}-{SPAN}-01.",
        f"cc-{TRACE}-{SPAN}-01.what",
        f"cc-{TRACE}-{SPAN}-0",
        f"00-{TRACE}-{SPAN}",
        f"00-{TRACE}-{SPAN}-1",
        f"00-{TRACE}-{SPAN}-0x",
        f"0-{TRACE}-{SPAN}-01",
        f"000-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{SPAN}-01",
        f"00-{TRACE}-{SPAN.upper()}-01",
        f"0A-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0A",
        f"00-{TRACE[1:]}-{SPAN}-01",
        f"00-{TRACE}0-{SPAN}-01",
        f"00-{TRACE}-{SPAN[1:]}-01",
        f"00-{TRACE}-{SPAN}0-01",
        f"00_{TRACE}_{SPAN}_01",
        f" 00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-01 ",
        f"00-{TRACE}-{SPAN}-01\n",
        f"00-{TRACE}-{SPAN}-01,00-{TRACE}-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-\u0660\u0661",
        f"00-{TRACE[:-1]}\xb2-{SPAN}-01",
    ],
)
def test_malformed(value: str) -> None:
    assert parse_parent(value) is None


@given(st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?", fullmatch=True))
def test_whatever_is_read_can_be_written_and_read_again(value: str) -> None:
    parent = parse_parent(value)
    if parent is not None:
        assert re.fullmatch(r"[0-9a-f]{32} [0-9a-f]{16}", f"{parent.trace_id} {parent.span_id}")
        assert parse_parent(format_parent(*parent)) == parent


@pytest.mark.parametrize(
    ("values", "state"),
    [
        ([], ""),
        ([""], ""),
        ([" ,\t, "], ""),
        (["foo=1"], "foo=1"),
        (["foo=1,bar=2"], "foo=1,bar=2"),
        (["foo=1", "bar=2"], "foo=1,bar=2"),
        (["foo=1 \t, \t bar=2,"], "foo=1,bar=2"),
        (["t61rcwkgmze@vendor=a b"], "t61rcwkgmze@vendor=a b"),
        (["0-_*/@=!~"], "0-_*/@=!~"),
        (["a= x"], "a= x"),
        (["a" * 256 + "=" + "v"], "a" * 256 + "=v"),
    ],
)
def test_states(values: list[str], state: str) -> None:
    assert parse_state(values) == state


@pytest.mark.parametrize(
    "value",
    [
        "foo",
        "foo=",
        "=1",
        "foo =1",
        "FOO=1",
        "foo.bar=1",
        "_foo=1",
        "foo=1=2",
        "foo=bar\tbaz",
        "foo=\xe9",
        "foo=1,foo=2",
        "foo=1,bar",
        "a" * 257 + "=1",
        "a=" + "v" * 257,
        ",".join(f"k{i}=1" for i in range(STATE_MEMBERS + 1)),
    ],
)
def test_a_malformed_state_is_dropped_as_a_whole(value: str) -> None:
    assert parse_state([value]) == ""


def test_long_members_go_first_and_then_the_last_ones() -> None:
    long = "long=" + "x" * 200
    short = [f"k{i:02}=" + "v" * 26 for i in range(16)]
    assert parse_state([",".join([long, *short])]) == ",".join(short[:16])
    wide = [f"k{i:02}=" + "v" * 60 for i in range(16)]
    assert parse_state([",".join(wide)]) == ",".join(wide[:7])
    assert parse_state(["a=" + "v" * 256, "b=" + "v" * 250]) == "a=" + "v" * 256 + ",b=" + "v" * 250


MEMBERS = st.from_regex(r"[a-z0-9][a-z0-9_\-*/@]{0,200}=[!-+\--<>-~]{1,200}", fullmatch=True)


@given(st.lists(MEMBERS, max_size=STATE_MEMBERS) | st.lists(st.text()))
def test_a_state_is_short_and_made_of_whole_members_in_their_order(values: list[str]) -> None:
    state = parse_state(values)
    assert len(state) <= STATE_CHARACTERS
    assert parse_state([state]) == state
    given_members = iter([part.strip(" \t") for value in values for part in value.split(",")])
    assert all(member in given_members for member in state.split(",") if member)
