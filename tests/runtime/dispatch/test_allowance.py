"""What an invocation may use while its WebSocket is open."""

from __future__ import annotations

from contextvars import copy_context
from typing import Any

import pytest
from pyworkerd.dispatch.allowance import LOG_S, RENEW_S, Allowance
from pyworkerd.dispatch.budget import Budget
from pyworkerd.dispatch.invocation import CallWork, Invocation
from pyworkerd.observe.scope import begin
from pyworkerd.services.base import DEFAULT

ALLOWANCE = Allowance(50.0, 7, 1000)


def used_up(now: float = 100.0) -> Invocation:
    answer: Any = None
    work = CallWork("x", b"", DEFAULT)
    invocation = Invocation(1, work, answer, 0.0, Budget(-1.0, 300_000), 0, 0, copy_context(), begin()[0])
    invocation.renewed = invocation.log_renewed = now
    invocation.scope.root.calls = 1000
    return invocation


def test_a_message_renews_time_and_subrequests_but_not_the_log() -> None:
    invocation = used_up()
    ALLOWANCE.renew(invocation, 100.0, message=True)
    assert (invocation.cpu_left_ms, invocation.subrequests_left, invocation.log_left) == (50.0, 7, 0)
    assert (invocation.shared_left_ms, invocation.scope.root.calls) == (50.0, 0)


@pytest.mark.parametrize("passed", [0.0, RENEW_S / 2, RENEW_S, RENEW_S * 9])
def test_so_does_time(passed: float) -> None:
    invocation = used_up()
    ALLOWANCE.renew(invocation, 100.0 + passed)
    assert (invocation.cpu_left_ms > 0) == (invocation.subrequests_left > 0) == (passed >= RENEW_S)


@pytest.mark.parametrize("message", [False, True])
def test_what_other_guests_send_renews_time_alone(message: bool) -> None:
    invocation = used_up()
    ALLOWANCE.renew(invocation, 100.0 + RENEW_S, message=message, inside=True)
    assert (invocation.cpu_left_ms, invocation.shared_left_ms) == (50.0, 50.0)
    assert (invocation.subrequests_left, invocation.scope.root.calls) == (0, 1000)


def test_but_all_where_something_was_heard_from_outside() -> None:
    """A worker that stands between a client and an object that has a WebSocket of its own."""
    front, behind = used_up(), used_up()
    behind.scope.joins(front.scope)
    ALLOWANCE.renew(front, 100.0, message=True)
    assert front.scope.calls == 0
    front.scope.calls = 3
    for left in (7, 0):
        ALLOWANCE.renew(behind, 100.0, message=True, inside=True)
        assert (behind.subrequests_left, front.scope.calls) == (left, 3)
        behind.subrequests_left = 0


def test_the_log_comes_back_with_time_alone() -> None:
    invocation = used_up()
    ALLOWANCE.renew(invocation, 100.0 + LOG_S - 1, message=True)
    assert invocation.log_left == 0
    ALLOWANCE.renew(invocation, 100.0 + LOG_S)
    assert invocation.log_left == 1000


def test_nothing_is_taken_away() -> None:
    invocation = used_up()
    invocation.cpu_left_ms, invocation.subrequests_left = 60.0, 9
    ALLOWANCE.renew(invocation, 100.0, message=True)
    assert (invocation.cpu_left_ms, invocation.subrequests_left) == (60.0, 9)


def test_one_that_has_passed_a_limit_gets_nothing_more() -> None:
    invocation = used_up()
    invocation.winding_up = True
    ALLOWANCE.renew(invocation, 1000.0, message=True)
    assert (invocation.cpu_left_ms, invocation.log_left) == (-1.0, 0)
