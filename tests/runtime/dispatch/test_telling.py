"""What a worker says."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest
from pyworkerd.dispatch.telling import Telling
from pyworkerd.errors import ExceededDepth, ExceededSubrequests, Overloaded, WorkerException
from pyworkerd.observe.counters import WorkerCounters
from pyworkerd.observe.scope import begin

if TYPE_CHECKING:
    from pyworkerd.observe.logs import LogEntry


class Worker(Telling):
    def __init__(self) -> None:
        self.name = "shop"
        self.counters = WorkerCounters()
        self.heard: list[LogEntry] = []
        self.sinks = (self.heard.append, self.heard.append)


def test_every_sink_hears_it_with_the_ids_of_the_request() -> None:
    worker, (span, _) = Worker(), begin(())
    worker.log(7, "info", "print", "hello", span)
    worker.log(0, "error", "pyworkerd", "of nobody")
    first, again, second, _ = worker.heard
    assert first is again
    assert (first.worker, first.invocation, first.level, first.source, first.message) == (
        "shop", 7, "info", "print", "hello",
    )  # fmt: skip
    assert (first.request_id, first.trace_id) == (span.request_id, span.trace_id)
    assert (second.request_id, second.trace_id) == ("", "")
    assert worker.counters.log_entries == 2


def test_what_an_asker_is_told(caplog: pytest.LogCaptureFixture) -> None:
    worker = Worker()
    raised = WorkerException("KeyError", "'tea'")
    assert worker.describe(raised) == (raised.code, "'tea'", "KeyError")
    assert worker.describe(Overloaded("full")) == (Overloaded.code, "full", None)
    assert not caplog.records
    with caplog.at_level(logging.ERROR):
        code, sentence, kind = worker.describe(ZeroDivisionError("a secret"))
    assert (code, kind) == ("internal", None)
    assert "secret" not in sentence
    assert "a secret" in caplog.text, "the operator is told"


@pytest.mark.parametrize("error", [ExceededSubrequests("too many"), ExceededDepth("too deep")])
def test_limits_that_a_call_runs_into_are_counted(error: ExceededSubrequests | ExceededDepth) -> None:
    worker, other = Worker(), WorkerCounters()
    worker.describe(error)
    worker.describe(Overloaded("full"))
    other.limit(error.code)
    assert worker.counters.limits == other.limits
