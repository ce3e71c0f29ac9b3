"""The runtime's own log."""

from __future__ import annotations

import logging
from contextvars import copy_context
from typing import TYPE_CHECKING

from pyworkerd.observe.own import ROOTS, OwnLogs
from pyworkerd.observe.scope import begin, scope

if TYPE_CHECKING:
    from pyworkerd.observe.logs import LogEntry


def test_records_become_entries_while_it_is_entered() -> None:
    seen: list[LogEntry] = []
    logger = logging.getLogger("pyworkerd.test")
    before = [(each.level, each.propagate, list(each.handlers)) for each in map(logging.getLogger, ROOTS)]
    with OwnLogs(seen.append):
        logger.info("opened %s", "it")
        logger.debug("not this")
        logger.error("failed", exc_info=ValueError("why"))
        logging.getLogger("somebody.else").warning("not ours")
    logger.warning("over")
    assert [(each.worker, each.level, each.source) for each in seen] == [
        ("", "info", "pyworkerd.test"),
        ("", "error", "pyworkerd.test"),
    ]
    assert seen[0].message == "opened it"
    assert seen[1].message.startswith("failed\n")
    assert seen[1].message.endswith("ValueError: why")
    assert before == [
        (each.level, each.propagate, list(each.handlers)) for each in map(logging.getLogger, ROOTS)
    ]


def test_a_record_knows_the_request_on_whose_behalf_it_was_written() -> None:
    seen: list[LogEntry] = []
    made, _ = begin()
    context = copy_context()
    context.run(scope.set, made)
    with OwnLogs(seen.append):
        context.run(logging.getLogger("pyworkerd.test").error, "failed")
        logging.getLogger("pyworkerd.test").error("nobody's")
    assert [(each.request_id, each.trace_id) for each in seen] == [
        (made.request_id, made.trace_id),
        ("", ""),
    ]
