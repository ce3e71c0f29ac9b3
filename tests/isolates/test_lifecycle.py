"""The life of an isolate: a complete table, its rules, and the diagram in the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.errors import ClosedIsolate
from pyworkerd_isolates.lifecycle import TAKES_WORK, TRANSITIONS, Cause, State, diagram, next_state

DOCUMENT = Path(__file__).parents[2] / "docs" / "lifecycle.md"


def test_every_state_has_its_row():
    assert set(TRANSITIONS) == set(State)
    assert {cause for row in TRANSITIONS.values() for cause in row} == set(Cause)


def test_every_state_can_be_reached():
    reached, pending = {State.COLD}, [State.COLD]
    while pending:
        for state in TRANSITIONS[pending.pop()].values():
            if state not in reached:
                reached.add(state)
                pending.append(state)
    assert reached == set(State)


@given(st.sampled_from(State), st.sampled_from(Cause))
def test_what_the_table_does_not_have_is_a_bug_of_the_caller(state, cause):
    if cause in TRANSITIONS[state]:
        assert next_state(state, cause) is TRANSITIONS[state][cause]
    else:
        with pytest.raises(ClosedIsolate, match=f"{state.value} cannot {cause.value}"):
            next_state(state, cause)


def test_rule_1_new_work_is_taken_only_by_the_living():
    assert {state for state in State if Cause.INVOKE in TRANSITIONS[state]} == TAKES_WORK


def test_rule_2_there_is_no_way_back_from_draining():
    assert set(TRANSITIONS[State.DRAINING].values()) == {State.DRAINING, State.DEAD}


def test_rule_3_dead_is_final_and_can_always_be_reached():
    assert set(TRANSITIONS[State.DEAD].values()) == {State.DEAD}
    assert all(row[Cause.END] is State.DEAD for row in TRANSITIONS.values())


def test_the_documentation_shows_this_table():
    (shown,) = re.findall(r"```mermaid\n(.*?)\n```", DOCUMENT.read_text(), re.DOTALL)
    assert shown == diagram()
