"""The ticker: it counts while something runs, and never rests too early."""

from __future__ import annotations

import threading
import time
from typing import NoReturn

import pytest
from pyworkerd_isolates.errors import ClosedIsolate
from pyworkerd_isolates.native import Machine
from pyworkerd_isolates.ticker import Ticker


def test_epochs_pass_once_something_has_begun() -> None:
    passed = threading.Semaphore(0)
    ticker = Ticker(passed.release)
    assert not passed.acquire(blocking=False)
    ticks = ticker.ticks_for(3)
    assert ticks >= 5, "three whole epochs, the one that has begun, and one for rounding"
    for _ in range(ticks):
        passed.acquire()
    ticker.close()
    ticker.close()


def test_it_rests_when_nothing_runs_and_wakes_when_something_does() -> None:
    passed = threading.Semaphore(0)
    ticker = Ticker(passed.release, park_after_ns=0)
    for _ in range(2):
        ticker.ticks_for(1)
        while not ticker.parked:
            time.sleep(0)
        assert passed.acquire(blocking=False)
    ticker.close()


def test_a_ticker_does_not_rest_when_a_step_began_as_it_was_about_to() -> None:
    machine = Machine()
    ticker: Ticker = machine.ticker
    ticker.ticks_for(10)
    seen = ticker.steps
    ticker.ticks_for(10)  # begins between the last look and the decision to rest
    ticker._park(seen)  # would wait for ever
    assert not ticker.parked
    machine.close()


def test_a_closed_machine_begins_no_step() -> None:
    machine = Machine()
    machine.close()
    with pytest.raises(ClosedIsolate):
        machine.ticker.ticks_for(1)


def test_it_looks_at_what_runs_only_where_nobody_changes_it() -> None:
    class Changing(dict[int, int]):
        def items(self) -> NoReturn:
            raise RuntimeError("dictionary changed size during iteration")

    passed = threading.Semaphore(0)
    ticker = Ticker(passed.release)
    ticker.running = Changing({1: 0})
    ticker.ticks_for(1)
    for _ in range(3):
        assert passed.acquire(timeout=20)
    ticker.close()
