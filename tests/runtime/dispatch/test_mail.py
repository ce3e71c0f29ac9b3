"""Events that wait: kept apart by invocation, in order, none lost and none delivered twice."""

from __future__ import annotations

from functools import partial
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.dispatch.mail import Mail
from pyworkerd_isolates import wire
from pyworkerd_isolates.protocol import Events


def told(events: Events) -> list[Any]:
    message, _ = wire.decode(events.frame())
    return list(message)


def cancel(number: int) -> Any:
    return partial(Events.cancel, invocation=number)


def test_a_step_takes_what_waits_for_its_invocations() -> None:
    mail = Mail()
    mail.send(1, cancel(10))
    mail.send(2, cancel(20))
    mail.wake([3, 1])
    mail.send(1, cancel(11))
    mail.enclose(cancel(99))
    assert list(mail.waiting) == [1, 2, 3]
    assert told(mail.take([3, 1])) == [["focus", [3, 1]], ["cancel", 99], ["cancel", 10], ["cancel", 11]]
    assert list(mail.waiting) == [2]
    assert told(mail.take([2])) == [["focus", [2]], ["cancel", 20]]
    assert not mail.waiting


def test_a_step_for_all_that_there_are_does_not_name_them() -> None:
    mail = Mail()
    mail.send(1, cancel(10))
    mail.enclose(cancel(99))
    assert told(mail.take([1], all_of_them=True)) == [["cancel", 99], ["cancel", 10]]


def test_what_is_for_nobody_makes_no_step() -> None:
    mail = Mail()
    mail.enclose(cancel(1))
    assert not mail.waiting


def test_who_has_ended_is_forgotten() -> None:
    mail = Mail()
    mail.send(1, cancel(1))
    mail.forget(1)
    mail.forget(2)
    assert not mail.waiting
    mail.send(3, cancel(3))
    mail.enclose(cancel(4))
    mail.clear()
    assert told(mail.take([])) == [["focus", []]]


@given(st.lists(st.tuples(st.integers(1, 5), st.booleans()), max_size=40), st.integers(1, 3))
def test_each_event_is_told_once_and_in_order(script: list[tuple[int, bool]], share: int) -> None:
    mail, sent = Mail(), []
    received: dict[int, list[int]] = {number: [] for number in range(1, 6)}
    for serial, (number, step) in enumerate(script):
        mail.send(number, lambda events, number=number, serial=serial: events.pull(number, serial))
        sent.append((number, serial))
        while step and mail.waiting:
            for _, owner, told_serial in told(mail.take(list(mail.waiting)[:share]))[1:]:
                received[owner].append(told_serial)
    while mail.waiting:
        for _, owner, told_serial in told(mail.take(list(mail.waiting)[:share]))[1:]:
            received[owner].append(told_serial)
    for number, serials in received.items():
        assert serials == [serial for owner, serial in sent if owner == number]
