"""The line before a worker's isolates."""

from __future__ import annotations

from contextvars import copy_context
from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.dispatch.budget import Budget
from pyworkerd.dispatch.invocation import CallWork, Invocation
from pyworkerd.dispatch.line import Line
from pyworkerd.observe.scope import begin
from pyworkerd.services.base import DEFAULT
from pyworkerd_isolates.pool import Policy

NUMBERS = count(1)


def invocation(caller: str = "", since: float = 0.0) -> Invocation:
    span = begin()[0].call(caller=caller)[0]
    work = CallWork("m", b"12345", DEFAULT)
    return Invocation(next(NUMBERS), work, None, since, Budget(50.0, 300_000), 10, 100, copy_context(), span)


def line(isolates: int = 1, concurrency: int = 4, queue: int = 4) -> Line:
    return Line(Policy(isolates=isolates, concurrency=concurrency, queue=queue, queue_s=5.0))


def test_requests_from_outside_wait_in_order() -> None:
    waiting = line()
    asked = [invocation() for _ in range(5)]
    assert [waiting.put(each) for each in asked] == [True] * 5
    assert waiting.overflows()
    assert waiting.eager()
    assert list(waiting) == asked
    assert waiting.candidates(0.0) == (asked, [])
    waiting.leave(asked[0])
    waiting.begin(asked[1])
    assert list(waiting) == asked[2:]
    assert asked[1] not in waiting
    assert asked[2] in waiting


def test_who_was_begun_before_comes_first_and_perhaps_alone() -> None:
    waiting = line()
    first, again = invocation(), invocation()
    waiting.put(first)
    assert waiting.alone() == []
    again.alone = True
    waiting.put_back(again)
    assert list(waiting) == [again, first]
    assert waiting.alone() == [again]
    assert waiting.candidates(0.0) == ([first], [])
    waiting.begin(again)
    assert waiting.alone() == []


def test_calls_of_one_worker_are_held_back_and_nobody_waits_for_them() -> None:
    waiting = line(concurrency=4, queue=10)
    calls = [invocation("greedy") for _ in range(4)]
    for call in calls[:2]:
        assert not waiting.must_wait(call)
        waiting.put(call)
        waiting.begin(call)
    assert waiting.must_wait(calls[2])
    waiting.put(calls[2])
    waiting.hold_back()
    assert not waiting.eager()
    other = invocation("modest")
    assert not waiting.must_wait(other)
    waiting.put(other)
    assert waiting.eager()
    assert waiting.candidates(1.0) == ([other], [])
    assert waiting.candidates(5.0) == ([other], [calls[2]]), "it has waited for too long"
    calls[0].finish()
    assert waiting.candidates(1.0) == ([calls[2], other], [])


def test_one_worker_does_not_fill_the_line() -> None:
    waiting = line(queue=10)
    assert [waiting.put(invocation("greedy")) for _ in range(7)] == [True] * 5 + [False] * 2
    assert waiting.put(invocation("modest"))
    assert waiting.put(invocation())


@given(
    st.lists(
        st.tuples(st.sampled_from(["", "a", "b"]), st.sampled_from(["put", "begin", "leave", "finish"])),
        max_size=100,
    )
)
def test_every_place_is_given_back(moves: list[tuple[str, str]]) -> None:
    waiting = line()
    begun: list[Invocation] = []
    for caller, move in moves:
        mine = [each for each in waiting if each.scope.caller == caller]
        if move == "put":
            waiting.put(invocation(caller))
        elif move == "begin" and mine:
            waiting.begin(mine[0])
            begun.append(mine[0])
        elif move == "leave" and mine:
            waiting.leave(mine[0])
            mine[0].finish()
        elif move == "finish" and begun:
            begun.pop().finish()
        assert waiting._queue._taken == len(waiting)
        assert waiting._places._taken == len(begun)
    for each in [*waiting]:
        waiting.leave(each)
        each.finish()
    for each in begun:
        each.finish()
        each.finish()
    assert (waiting._queue._taken, waiting._places._taken) == (0, 0)
    assert not waiting._queue._held
    assert not waiting._places._held
