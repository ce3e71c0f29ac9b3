"""What somebody wants to hear."""

from __future__ import annotations

import pytest
from pyworkerd.observe.logs import LogEntry
from pyworkerd.observe.selection import Entry, Outcome, Selection, as_object, rank, status

LOG = LogEntry(1.5, "shop", 3, "warning", "stock", "tea is Short", "r" * 16, "t" * 32)
FAILED = Outcome(1.0, "shop", 3, "", "GET /tea", "exceededCpu", 0, 30.0, 41.0, "r" * 16, "t" * 32)
OK = FAILED._replace(outcome="ok", status=200)
LEFT = FAILED._replace(outcome="canceled")


@pytest.mark.parametrize(
    ("selection", "passes"),
    [
        (Selection(), (True, True, True, True)),
        (Selection(worker="shop"), (True, True, True, True)),
        (Selection(worker="sho"), (False, False, False, False)),
        (Selection(level="debug"), (True, True, True, True)),
        (Selection(level="warning"), (True, True, False, False)),
        (Selection(level="error"), (False, True, False, False)),
        (Selection(level="critical"), (False, False, False, False)),
        (Selection(status="error"), (False, True, False, False)),
        (Selection(status="ok"), (True, False, True, False)),
        (Selection(status="canceled"), (False, False, False, True)),
        (Selection(text="SHORT"), (True, False, False, False)),
        (Selection(text="get /TEA"), (False, True, True, True)),
        (Selection(text="exceeded"), (False, True, False, False)),
        (Selection(text="rrrr"), (True, True, True, True)),
        (Selection("shop", "warning", "tea", "error"), (False, True, False, False)),
    ],
)
def test_what_is_selected(selection: Selection, passes: tuple[bool, ...]) -> None:
    assert tuple(map(selection.passes, (LOG, FAILED, OK, LEFT))) == passes


@pytest.mark.parametrize("level", ["", "FATAL", "<b>", "error\x1b"])
def test_a_level_that_a_worker_made_up_is_an_ordinary_one(level: str) -> None:
    entry = LOG._replace(level=level)
    assert (rank(entry), status(entry)) == (rank(OK), "ok")


@pytest.mark.parametrize(("entry", "kind"), [(LOG, "log"), (OK, "invocation")])
def test_as_one_object(entry: Entry, kind: str) -> None:
    found = as_object(entry)
    assert found["event"] == kind
    assert (found["worker"], found["time"], found["request_id"]) == ("shop", entry.time, "r" * 16)
    assert found.get("began", "GET /tea") == "GET /tea"
