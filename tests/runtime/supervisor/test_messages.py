"""The control protocol: what was said is heard, and nothing else."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.problems import Fault
from pyworkerd.supervisor import messages
from pyworkerd.supervisor.messages import (
    FROM_PROCESS,
    FROM_SUPERVISOR,
    MAX_ENTRIES,
    MAX_FRAME,
    MAX_NAME,
    MAX_TEXT,
    Answer,
    Ask,
    Beat,
    BoundSocket,
    ControlError,
    Decoder,
    Deployed,
    Discard,
    Drain,
    Hurry,
    Leaving,
    Message,
    Prepare,
    Prepared,
    Progress,
    Ready,
    Refused,
    Switch,
    Switched,
    Trouble,
    encode,
)

NUMBERS = st.integers(0, 2**63 - 1)
NAMES = st.text(max_size=MAX_NAME // 16)
FAULTS = st.builds(Fault, NAMES, st.none() | NAMES, st.none() | NUMBERS, st.none() | NAMES, st.none() | NAMES)
DEPLOYED = st.lists(st.builds(Deployed, NAMES, NUMBERS, st.booleans()), max_size=3).map(tuple)
SOCKETS = st.lists(st.builds(BoundSocket, NAMES, NAMES, NUMBERS), max_size=3).map(tuple)
PROCESS = st.one_of(
    st.builds(Progress, NAMES),
    st.builds(Ready, NAMES, DEPLOYED),
    st.builds(Prepared, NUMBERS, NAMES, DEPLOYED),
    st.builds(Refused, NUMBERS, NUMBERS, st.lists(FAULTS, max_size=3).map(tuple)),
    st.builds(Switched, NUMBERS),
    st.builds(Beat, NUMBERS, NUMBERS, NUMBERS, NUMBERS),
    st.just(Leaving()),
    st.builds(Answer, NUMBERS, st.binary(max_size=50)),
)
SUPERVISOR = st.one_of(
    st.builds(Prepare, NUMBERS, SOCKETS),
    st.builds(Switch, NUMBERS),
    st.builds(Discard, NUMBERS),
    st.builds(Trouble, st.lists(FAULTS, max_size=3).map(tuple)),
    st.builds(Drain, NUMBERS),
    st.just(Hurry()),
    st.builds(Ask, NUMBERS, NAMES, st.binary(max_size=50)),
)


@pytest.mark.parametrize(("table", "said"), [(FROM_PROCESS, PROCESS), (FROM_SUPERVISOR, SUPERVISOR)])
def test_messages_arrive_whole_however_they_are_cut(table: Any, said: st.SearchStrategy[Message]) -> None:
    @given(st.lists(said, max_size=4), st.lists(st.integers(1, 40), min_size=1, max_size=5))
    def check(spoken: list[Message], cuts: list[int]) -> None:
        stream = b"".join(map(encode, spoken))
        decoder, heard, at = Decoder(table), [], 0
        for number in range(len(stream)):
            if at >= len(stream):
                break
            size = cuts[number % len(cuts)]
            heard += decoder.feed(stream[at : at + size])
            at += size
        assert heard == spoken
        assert [type(each) for each in heard] == [type(each) for each in spoken]

    check()


def framed(value: Any) -> bytes:
    body = msgpack.packb(value)
    return len(body).to_bytes(4, "big") + body


FIELD = msgpack.ExtType(1, b"x")


@pytest.mark.parametrize(
    "value",
    [
        [],
        {},
        None,
        "beat",
        [1],
        ["nothing"],
        ["hurry"],  # the supervisor's word, not a process's
        ["beat", 1, 2, 3],
        ["beat", 1, 2, 3, 4, 5],
        ["beat", 1, 2, 3, -1],
        ["beat", 1, 2, 3, 2**63],
        ["beat", 1, 2, 3, True],
        ["beat", 1, 2, 3, 5.0],
        ["progress", b"bytes"],
        ["progress", "x" * (MAX_TEXT + 1)],
        ["answer", 1, "text"],
        ["answer", 1, FIELD],
        ["ready", "x" * (MAX_NAME + 1), []],
        ["ready", "d", {}],
        ["ready", "d", [["w", 1]]],
        ["ready", "d", [["w", 1, 1]]],
        ["ready", "d", [["w", 1, True]] * (MAX_ENTRIES + 1)],
        ["refused", 1, 2, [["text", None, None, None]]],
        ["refused", 1, 2, [[None, None, None, None, None]]],
        ["switched", None],
        ["beat", {"a": 1}, 2, 3, 4],
    ],
)
def test_what_was_not_agreed_is_refused(value: Any) -> None:
    with pytest.raises(ControlError):
        Decoder(FROM_PROCESS).feed(framed(value))


@given(st.binary(max_size=200))
def test_arbitrary_bytes(data: bytes) -> None:
    try:
        heard = Decoder(FROM_PROCESS).feed(data)
    except ControlError:
        return
    assert all(type(each) in {kind for kind, _ in FROM_PROCESS.values()} for each in heard)


@given(st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda x: st.lists(x, max_size=3)))
def test_arbitrary_values(value: Any) -> None:
    try:
        data = framed(["ready", value, value])
    except OverflowError:
        return
    with pytest.raises(ControlError):
        Decoder(FROM_PROCESS).feed(data)


def test_a_frame_may_be_so_long_and_no_longer() -> None:
    whole = encode(Answer(1, b"x" * (MAX_FRAME - 20)))
    assert len(Decoder(FROM_PROCESS).feed(whole)) == 1
    with pytest.raises(ControlError, match="too long"):
        encode(Answer(1, b"x" * MAX_FRAME))
    with pytest.raises(ControlError, match="announced"):
        Decoder(FROM_PROCESS).feed((MAX_FRAME + 1).to_bytes(4, "big"))


def test_every_message_has_its_row() -> None:
    kinds = [kind for kind, _ in (*FROM_PROCESS.values(), *FROM_SUPERVISOR.values())]
    assert set(kinds) == set(messages.FromProcess.__args__) | set(messages.FromSupervisor.__args__)  # type: ignore[attr-defined]
    for kind, readers in (*FROM_PROCESS.values(), *FROM_SUPERVISOR.values()):
        assert len(kind._fields) == len(readers)  # type: ignore[attr-defined]
