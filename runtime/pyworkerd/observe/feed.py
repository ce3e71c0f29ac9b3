"""What a process keeps of log entries and outcomes for whoever looks at the running server, and gives when it is asked.

Nobody waits for a reader: taking an entry costs a lock that nobody holds for long, and what is not fetched in time is
gone, counted, and told. Outcomes of invocations are only gathered while somebody follows them. There is one who
follows, the supervisor; it has a buffer for each of its readers.
"""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgpack

from .logs import LogEntry
from .ring import Ring
from .selection import LEVELS, STATUSES, Entry, Outcome, Selection
from .snapshot import label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LOG_CHARACTERS: Final = 1024 * 1024
"""Of log entries that a process keeps. Our own figure: some 3,000 of ordinary length."""
OUTCOME_CHARACTERS: Final = 1024 * 1024
"""Of outcomes; each is reckoned at some 300."""
MESSAGE: Final = 8 * 1024
"""Characters of one message that are kept: who wants all of it has the log."""
WATCHED_S: Final = 3.0
"""After the last question of somebody who follows, outcomes are gathered for so long."""
MOST: Final = 1000
"""Entries that are given to one who asks what was."""
NAME: Final = 256
"""Characters of names, ids and searches."""

PACKED_BYTES: Final = 16 * 1024 * 1024
"""Of one answer: both rings, at four bytes for each character, and their fields."""
LARGEST: Final = 2**63 - 1


class FeedError(ValueError):
    """These bytes are not a question or an answer of this version."""


class Question(NamedTuple):
    """What comes after these numbers, of a selection; the newest `most` of them. `follow`: more will be asked soon."""

    logs: int = 0
    outcomes: int = 0
    follow: bool = False
    most: int = MOST
    since: float = 0.0
    """Seconds since the epoch: what is older is left out."""
    selection: Selection = Selection()

    def pack(self) -> bytes:
        """For another process."""
        return _packed([*self[:-1], *self.selection])


class Answer(NamedTuple):
    """The newest numbers, how many entries came and went between two questions, and the entries with their numbers."""

    logs: int
    outcomes: int
    missed: Mapping[str, int]
    """By worker; those of whom there were too many are under no name."""
    entries: Sequence[tuple[int, Entry]]

    def pack(self) -> bytes:
        """For another process."""
        return _packed(
            [
                self.logs,
                self.outcomes,
                [list(each) for each in self.missed.items()],
                [[number, *entry] for number, entry in self.entries],
            ]
        )


class Feed:
    """One for each process. Call it with log entries, from any thread; ask it on the event loop's."""

    def __init__(self) -> None:
        self._logs: Ring[LogEntry] = Ring(LOG_CHARACTERS)
        self._outcomes: Ring[Outcome] = Ring(OUTCOME_CHARACTERS)
        self._lock = threading.Lock()
        self.watched = False
        """Whether outcomes are wanted."""
        self._until: asyncio.TimerHandle | None = None

    def __call__(self, entry: LogEntry) -> None:
        """Keep an entry. Never blocks."""
        size = len(entry.message) + len(entry.source) + len(entry.level)
        if size > MESSAGE or not entry.worker.isprintable():
            entry = _cut(entry)
        with self._lock:
            self._logs.add(entry.worker, size, entry)

    def ended(self, outcome: Outcome) -> None:
        """Keep what became of an invocation. Its texts are bounded: see `dispatch.outcomes`."""
        with self._lock:
            self._outcomes.add(outcome.worker, len(outcome.event), outcome)

    def answer(self, question: Question) -> Answer:
        """What there is. Those who follow are told outcomes from now on."""
        if question.follow:
            self._watch()
        with self._lock:
            logs, outcomes = self._logs.after(question.logs), self._outcomes.after(question.outcomes)
            newest = self._logs.last, self._outcomes.last
            missed = self._missed() if question.follow else {}
        entries: list[tuple[int, Entry]] = [
            (number, entry)
            for number, entry in chain[tuple[int, Entry]](logs, outcomes)
            if entry.time >= question.since and question.selection.passes(entry)
        ]
        entries.sort(key=_time)
        return Answer(*newest, missed, entries if question.follow else entries[-question.most :])

    def _missed(self) -> dict[str, int]:
        return dict(Counter(self._logs.missed()) + Counter(self._outcomes.missed()))

    def _watch(self) -> None:
        self.watched = True
        if self._until is not None:
            self._until.cancel()
        self._until = asyncio.get_running_loop().call_later(WATCHED_S, self._unwatch)

    def _unwatch(self) -> None:
        self.watched, self._until = False, None


def _cut(entry: LogEntry) -> LogEntry:
    more = len(entry.message) - MESSAGE
    message = f"{entry.message[:MESSAGE]}... ({more} characters more)" if more > 0 else entry.message
    return entry._replace(
        worker=label(entry.worker), level=entry.level[:NAME], source=entry.source[:NAME], message=message
    )


def _time(numbered: tuple[int, Entry]) -> float:
    return numbered[1].time


def _packed(plain: list[Any]) -> bytes:
    # A worker's text may hold what is no character; it is written out as an escape in the end.
    return bytes(msgpack.packb(plain, unicode_errors="surrogatepass"))


def read_question(data: bytes) -> Question:
    """What `Question.pack` made. Raises `FeedError`."""
    logs, outcomes, follow, most, since, *selection = _fields(
        _unpacked(data), (int, int, bool, int, float, str, str, str, str)
    )
    _, level, _, status = selection
    if (level and level not in LEVELS) or (status and status not in STATUSES):
        raise FeedError("a selection by what there is not")
    return Question(logs, outcomes, follow, most, since, Selection(*selection))


def read_answer(data: bytes) -> Answer:
    """What `Answer.pack` made. Raises `FeedError` for anything else; it never repeats what the bytes say."""
    logs, outcomes, missed, entries = _fields(_unpacked(data), (int, int, list, list))
    by_worker = dict(_fields(fields, (str, int)) for fields in missed)
    return Answer(logs, outcomes, by_worker, [_entry(fields) for fields in entries])


_LOG: Final = (int, float, str, int, str, str, str, str, str)
_OUTCOME: Final = (int, float, str, int, str, str, str, int, float, float, str, str)
_LONG: Final = MESSAGE + 64


def _entry(fields: Any) -> tuple[int, Entry]:
    if type(fields) is list and len(fields) == len(_LOG):
        number, *rest = _fields(fields, _LOG)
        return number, LogEntry(*rest)
    number, *rest = _fields(fields, _OUTCOME)
    return number, Outcome(*rest)


def _unpacked(data: bytes) -> Any:
    if len(data) > PACKED_BYTES:
        raise FeedError(f"more than {PACKED_BYTES} bytes")
    try:
        return msgpack.unpackb(
            data, unicode_errors="surrogatepass", max_map_len=0, max_ext_len=0, max_bin_len=0
        )
    except Exception as error:  # msgpack raises its own kinds, ValueError and more
        raise FeedError("not MessagePack") from error


def _fields(value: Any, kinds: tuple[type, ...]) -> list[Any]:
    if type(value) is not list or tuple(map(type, value)) != kinds:
        raise FeedError("other fields than agreed")
    for field in value:
        # A time that is no number is within no bounds.
        if type(field) is str:
            if len(field) > _LONG:
                raise FeedError("a text beyond its bounds")
        elif type(field) is not list and not 0 <= field <= LARGEST:
            raise FeedError("a number beyond its bounds")
    return value
