"""What is gathered of one invocation."""

from __future__ import annotations

import pytest
from pyworkerd.observe.trace_item import ENTRY, MAX_CHARACTERS, TraceItem


def item() -> TraceItem:
    return TraceItem("shop", None, {"request": {"url": "http://x/"}}, "stateless", 1000)


def test_all_of_it() -> None:
    gathered = item()
    gathered.log("info", "hello", 1001)
    gathered.log("critical", "help", 1002)
    gathered.exception("ValueError", "no", "Traceback", 1003)
    gathered.answered(201)
    assert gathered.finish(1.23456, 1010) == {
        "scriptName": "shop",
        "entrypoint": None,
        "executionModel": "stateless",
        "event": {"request": {"url": "http://x/"}, "response": {"status": 201}},
        "eventTimestamp": 1000,
        "outcome": "ok",
        "logs": [
            {"timestamp": 1001, "level": "log", "message": ["hello"]},
            {"timestamp": 1002, "level": "error", "message": ["help"]},
        ],
        "exceptions": [{"timestamp": 1003, "name": "ValueError", "message": "no", "stack": "Traceback"}],
        "cpuTime": 1.235,
        "wallTime": 10,
        "truncated": False,
    }


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("exception", "exception"), ("no_handler", "exception"), ("exceeded_cpu", "exceededCpu"),
        ("exceeded_memory", "exceededMemory"), ("exceeded_wall_time", "exceededWallTime"),
        ("internal", "internalError"), ("overloaded", "loadShed"),
    ],
)  # fmt: skip
def test_outcomes_by_the_error_that_was_answered(code: str, outcome: str) -> None:
    gathered = item()
    gathered.failed(code)
    told = gathered.finish(0, 1000)
    assert told["outcome"] == outcome
    assert "response" not in told["event"]


def test_one_that_nobody_waited_for_was_canceled_and_a_clock_that_went_back_makes_no_negative_time() -> None:
    told = item().finish(0, 900)
    assert (told["outcome"], told["wallTime"]) == ("canceled", 0)


def test_what_is_beyond_its_room_is_left_out_and_that_is_said() -> None:
    gathered = item()
    for _ in range(4):
        gathered.log("info", "x" * (MAX_CHARACTERS // 3), 1)
    gathered.exception("ValueError", "no", "", 1)
    told = gathered.finish(0, 1000)
    assert (len(told["logs"]), told["exceptions"], told["truncated"]) == (2, [], True)
    assert gathered.size <= MAX_CHARACTERS  # or all of it would be dropped for want of room


def test_entries_without_text_are_not_free() -> None:
    gathered = item()
    for _ in range(MAX_CHARACTERS // ENTRY):
        gathered.log("info", "", 1)
        gathered.exception("", "", "", 1)
    assert gathered.size == MAX_CHARACTERS
    told = gathered.finish(0, 1)
    assert len(told["logs"]) + len(told["exceptions"]) == MAX_CHARACTERS // ENTRY
    assert told["truncated"]
