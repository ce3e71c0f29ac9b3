"""What a consumer does next, and what becomes of a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.queues.plan import LOOK_S, judge, pause
from pyworkerd.queues.store import Message, Outlook
from pyworkerd_config.model import Queue

QUEUE = Queue("jobs", max_batch_size=3, max_batch_timeout=2, max_retries=2, retry_delay=9, max_concurrency=2)
NOW = 1000.0


@pytest.mark.parametrize(
    ("outlook", "seconds"),
    [
        (Outlook(0, None, None, 0), LOOK_S),
        (Outlook(3, NOW, None, 0), 0.0),  # full
        (Outlook(1, NOW, None, 0, 256_000), 0.0),  # full as well
        (Outlook(1, NOW - 2, None, 0), 0.0),  # the first has waited for long enough
        (Outlook(1, NOW - 0.5, None, 0), 1.5),
        (Outlook(1, NOW - 0.5, NOW + 0.2, 0), 0.2),  # one more comes, that may fill it
        (Outlook(0, None, NOW + 3, 0), 3.0),
        (Outlook(0, None, NOW + 3000, 0), LOOK_S),
        (Outlook(3, NOW - 60, None, 2), LOOK_S),  # enough are handled already
    ],
)
def test_when_a_batch_is_taken(outlook: Outlook, seconds: float) -> None:
    assert pause(QUEUE, outlook, NOW) == pytest.approx(seconds)


def test_without_patience_each_message_goes_at_once() -> None:
    assert pause(replace(QUEUE, max_batch_timeout=0), Outlook(1, NOW, None, 0), NOW) == 0.0


def message(number: int, attempts: int = 1) -> Message:
    return Message(number, NOW, attempts, "json", b"")


def fates(outcome: Any, *messages: Message) -> dict[int, Any]:
    verdict = judge(QUEUE, messages, outcome)
    return {
        **{each.number: "done" for each in verdict.done},
        **{retry.message.number: retry.delay_s for retry in verdict.retries},
        **{each.number: "dead" for each in verdict.dead},
    }


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ({"failed": False, "all": None, "acks": [], "retries": []}, {1: "done", 2: "done"}),
        ({"failed": True, "all": None, "acks": [1], "retries": []}, {1: "done", 2: 9.0}),
        ({"failed": True, "all": "ack", "acks": [], "retries": [[2, 5]]}, {1: "done", 2: 5.0}),
        ({"failed": False, "all": [None], "acks": [1], "retries": []}, {1: "done", 2: 9.0}),
        ({"failed": False, "all": [30], "acks": [], "retries": [[2, None]]}, {1: 30.0, 2: 9.0}),
        ({"failed": False, "all": None, "acks": [], "retries": [[1, 0]]}, {1: 0.0, 2: "done"}),
        (None, {1: 9.0, 2: 9.0}),  # its isolate died
        # What a guest forges is at most about its own batch.
        ({"acks": "all", "retries": {"1": 2}, "all": 7, "failed": 1}, {1: "done", 2: "done"}),
        ({"failed": True, "acks": [True, "1", 99], "retries": [[1], [2, -1], [[], 1]]}, {1: 9.0, 2: 9.0}),
    ],
)
def test_what_becomes_of_it(outcome: Any, expected: dict[int, Any]) -> None:
    assert fates(outcome, message(1), message(2)) == expected


def test_what_has_failed_too_often_is_given_up() -> None:
    assert fates(None, message(1, 2), message(2, 3)) == {1: 9.0, 2: "dead"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["acks", "retries", "all", "failed"]), inner, max_size=4)
        ),
    )
)
def test_whatever_a_guest_answers_each_message_has_one_fate(outcome: Any) -> None:
    messages = [message(n, n) for n in range(1, 5)]
    verdict = judge(QUEUE, messages, outcome if isinstance(outcome, dict) else None)
    all_of_them = [*verdict.done, *(retry.message for retry in verdict.retries), *verdict.dead]
    assert sorted(all_of_them) == messages
    assert all(0 <= retry.delay_s <= 86_400 for retry in verdict.retries)
