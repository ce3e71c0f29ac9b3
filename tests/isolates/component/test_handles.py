"""Handles are looked up, and are of the kind that they are taken for."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.component.handles import MAX_HANDLES, Handles, Pollable, Resource
from pyworkerd_isolates.errors import Trap


class Thing(Resource):
    """Something."""


@given(st.integers(0, 1 << 40))
def test_forged_handles(number):
    handles = Handles()
    handles.add(Thing())
    if number != 1:
        with pytest.raises(Trap, match="does not have"):
            handles.get(number, Thing)
        with pytest.raises(Trap, match="does not have"):
            handles.drop(number)


def test_a_handle_is_of_one_kind_and_given_away_once():
    handles = Handles()
    number = handles.add(Thing())
    with pytest.raises(Trap, match="pollable"):
        handles.get(number, Pollable)
    assert handles.take(number, Thing)
    with pytest.raises(Trap, match="thing"):
        handles.take(number, Thing)
    assert handles.add(Thing()) != number


def test_there_are_not_too_many():
    handles = Handles()
    for _ in range(MAX_HANDLES):
        number = handles.add(Thing())
    with pytest.raises(Trap, match="more than"):
        handles.add(Thing())
    handles.drop(number)
    handles.add(Thing())
    assert len(handles) == len(handles.all()) == MAX_HANDLES


def test_what_can_be_waited_for():
    wanted = []
    assert Pollable().ready(0)
    assert [Pollable(due_ns=5).ready(now) for now in (4, 5)] == [False, True]
    pollable = Pollable(lambda: False, lambda: wanted.append(1))
    pollable.want()
    assert (pollable.ready(1 << 60), wanted) == (False, [1])
