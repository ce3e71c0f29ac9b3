"""What processes kept, asked for."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING

from pyworkerd.admin.entries import SUPERVISOR, Numbered, ask, in_order
from pyworkerd.observe.feed import Feed, Question
from pyworkerd.observe.logs import LogEntry

from tests.runtime.admin.test_routes import Fixed
from tests.runtime.server.client import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest


def log(message: str, time: float = 1.0, worker: str = "shop") -> LogEntry:
    return LogEntry(time, worker, 1, "info", "stdout", message)


def test_of_all_processes_and_the_supervisor_by_time() -> None:
    async def main() -> None:
        server = Fixed(2)
        server.feeds, server.feed = {1: Feed(), 2: Feed()}, Feed()
        server.feeds[1](log("one", 1.0))
        server.feeds[2](log("two", 2.0))
        server.feed(log("half", 1.5, worker=""))
        server.feeds[1](log("three", 3.0))
        answers = await ask(server, Question(), {1: Question(logs=1)})
        assert answers.keys() == {SUPERVISOR, 1, 2}
        found = [json.loads(each.to_json()) for each in in_order(answers)]
        assert [each["message"] for each in found] == ["half", "two", "three"]
        assert [each["id"] for each in found] == ["0-log-1", "2-log-1", "1-log-2"]

    run(main)


def test_a_process_that_talks_nonsense_is_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    class Hostile(Fixed):
        async def ask(
            self, question: str, argument: bytes = b"", each: Mapping[int, bytes] | None = None
        ) -> dict[int, bytes]:
            return {**await super().ask(question, argument), 7: b"\x94nonsense"}

    async def main() -> None:
        server = Hostile(1)
        server.feeds = {1: Feed()}
        with caplog.at_level(logging.ERROR):
            assert (await ask(server, Question())).keys() == {1}
        assert "serving process 7" in caplog.text
        assert "nonsense" not in caplog.text

    run(main)


def test_one_line_of_ascii_whatever_is_in_it() -> None:
    line = Numbered(1, 2, log("\ud800\u2028\n\r<script>é")).to_json()
    assert line.isascii()
    assert line.isprintable()
    assert json.loads(line)["message"] == "\ud800\u2028\n\r<script>é"
