"""Log entries and outcomes of all processes, the supervisor among them: asked for, and read as hostile."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd.observe.feed import FeedError, Question, read_answer
from pyworkerd.observe.logs import LogEntry
from pyworkerd.observe.selection import as_object

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pyworkerd.observe.feed import Answer
    from pyworkerd.observe.selection import Entry

    from .routes import Server

logger = logging.getLogger("pyworkerd.admin")

SUPERVISOR: Final = 0
"""In place of a process's number."""
_NONE: Final[Mapping[int, Question]] = {}


class Numbered(NamedTuple):
    """An entry, and what tells it from all others: a process numbers log entries and outcomes each by themselves."""

    process: int
    number: int
    entry: Entry

    def as_object(self) -> dict[str, object]:
        """For JSON."""
        kind = "log" if isinstance(self.entry, LogEntry) else "invocation"
        return {
            "id": f"{self.process}-{kind}-{self.number}",
            "process": self.process,
            **as_object(self.entry),
        }

    def to_json(self) -> str:
        """One line of ASCII."""
        return json.dumps(self.as_object())


async def ask(server: Server, question: Question, each: Mapping[int, Question] = _NONE) -> dict[int, Answer]:
    """The answers of those that gave a sound one in time, by process; `each` goes before `question`."""
    packed = {number: own.pack() for number, own in each.items()}
    found: dict[int, Answer] = {}
    for number, answer in (await server.ask("entries", question.pack(), packed)).items():
        try:
            found[number] = read_answer(answer)
        except FeedError as error:
            logger.error("serving process %d: its entries cannot be read: %s", number, error)  # noqa: TRY400
        await asyncio.sleep(0)
    if server.feed is not None:
        found[SUPERVISOR] = server.feed.answer(each.get(SUPERVISOR, question))
    return found


def in_order(answers: Mapping[int, Answer]) -> list[Numbered]:
    """All entries, by time."""
    entries = [
        Numbered(process, number, entry)
        for process, answer in answers.items()
        for number, entry in answer.entries
    ]
    entries.sort(key=_time)
    return entries


def _time(numbered: Numbered) -> float:
    return numbered.entry.time
