"""What a process keeps for whoever looks at it."""

from __future__ import annotations

import asyncio

import msgpack
import pytest
from pyworkerd.observe.feed import (
    MESSAGE,
    Answer,
    Feed,
    FeedError,
    Question,
    read_answer,
    read_question,
)
from pyworkerd.observe.logs import LogEntry
from pyworkerd.observe.selection import Outcome, Selection

from tests.runtime.server.client import run


def log(message: str, worker: str = "shop", time: float = 1.0, level: str = "info") -> LogEntry:
    return LogEntry(time, worker, 1, level, "stdout", message)


def outcome(event: str, time: float = 1.0) -> Outcome:
    return Outcome(time, "shop", 1, "", event, "ok", 200, 0.5, 1.5, "r" * 16, "t" * 32)


def said(answer: Answer) -> list[str]:
    return [each.message if isinstance(each, LogEntry) else each.event for _, each in answer.entries]


def test_both_kinds_by_time_and_only_what_is_asked_for() -> None:
    feed = Feed()
    feed(log("one", time=1.0))
    feed.ended(outcome("GET /", time=1.5))
    feed(log("two", time=2.0, level="error"))
    feed(log("theirs", worker="other", time=3.0))
    assert said(feed.answer(Question())) == ["one", "GET /", "two", "theirs"]
    assert said(feed.answer(Question(most=2))) == ["two", "theirs"]
    assert said(feed.answer(Question(since=1.5))) == ["GET /", "two", "theirs"]
    assert said(feed.answer(Question(selection=Selection("shop", "error")))) == ["two"]
    later = feed.answer(Question(logs=2, outcomes=1))
    assert (later.logs, later.outcomes, said(later)) == (3, 1, ["theirs"])


def test_outcomes_are_wanted_while_somebody_follows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyworkerd.observe.feed.WATCHED_S", 0.001)

    async def main() -> None:
        feed = Feed()
        feed.answer(Question())
        assert not feed.watched
        feed.answer(Question(follow=True))
        feed.answer(Question(follow=True))
        assert feed.watched
        while feed.watched:
            await asyncio.sleep(0)

    run(main)


def test_who_follows_is_told_everything_and_what_was_lost() -> None:
    async def main() -> None:
        feed = Feed()
        for number in range(3000):
            feed(log(str(number), worker="loud"))
        feed(log("hello"))
        first = feed.answer(Question(follow=True, most=1))
        assert said(first)[-1] == "hello"
        assert len(first.entries) + first.missed["loud"] == 3001
        assert feed.answer(Question(first.logs, follow=True)).missed == {}

    run(main)


def test_long_messages_are_cut_and_names_made_labels() -> None:
    feed = Feed()
    feed(log("x" * 100_000, worker="a\nb\x1b[31m" + "w" * 1000))
    ((_, entry),) = feed.answer(Question()).entries
    assert isinstance(entry, LogEntry)
    assert entry.message == "x" * MESSAGE + f"... ({100_000 - MESSAGE} characters more)"
    assert entry.worker.startswith("a\\nb\\x1b[31mwww")
    assert len(entry.worker) == 200


@pytest.mark.parametrize(
    "question", [Question(), Question(3, 4, True, 5, 6.5, Selection("w", "error", "é", "ok"))]
)
def test_questions_cross(question: Question) -> None:
    assert read_question(question.pack()) == question


def test_answers_cross_whatever_a_worker_wrote() -> None:
    entries = [(1, log("half a \ud800 character \x00\u202e <script>")), (9, outcome("GET /\udfff"))]
    answer = Answer(4, 5, {"w": 6, "": 7}, entries)
    assert read_answer(answer.pack()) == answer


def packed(*fields: object) -> bytes:
    return bytes(msgpack.packb(fields))


ENTRY = [1, 1.0, "w", 1, "info", "s", "m", "r", "t"]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xc1",
        packed(),
        packed(1, 2, [], [], 3),
        packed(-1, 2, [], []),
        packed(2**63, 2, [], []),
        packed(True, 2, [], []),
        packed(1, 2, [["w", "1"]], []),
        packed(1, 2, {"w": 1}, []),
        packed(1, 2, [], {}),
        packed(1, 2, [], [1]),
        packed(1, 2, [], [ENTRY[:-1]]),
        packed(1, 2, [], [[*ENTRY[:-1], 5]]),
        packed(1, 2, [], [[1, float("nan"), *ENTRY[2:]]]),
        packed(1, 2, [], [[1, float("inf"), *ENTRY[2:]]]),
        packed(1, 2, [], [[1, 1, *ENTRY[2:]]]),
        packed(1, 2, [], [[*ENTRY[:6], "m" * (MESSAGE + 65), "r", "t"]]),
        packed(1, 2, [], [[*ENTRY[:6], b"m", "r", "t"]]),
    ],
)
def test_what_is_no_answer(data: bytes) -> None:
    with pytest.raises(FeedError):
        read_answer(data)


def test_the_entry_that_those_are_made_of_is_one() -> None:
    assert len(read_answer(packed(1, 2, [], [ENTRY])).entries) == 1


@pytest.mark.parametrize("selection", [("", "loud", "", ""), ("", "", "", "bad"), ("", "", "")])
def test_what_is_no_question(selection: tuple[str, ...]) -> None:
    with pytest.raises(FeedError):
        read_question(packed(0, 0, False, 5, 0.0, *selection))
