"""Those who follow what workers say and do: processes are asked while somebody does, and everybody has a buffer.

Rule 1: nobody in a serving process waits for a reader. A process keeps a bounded room of the newest, and is asked.
Rule 2: no reader waits for another one. Who is slow loses the oldest of what waits, and is told how many.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Final, Self

from pyworkerd.observe.feed import Question
from pyworkerd.observe.logs import LogEntry

from .auth import UNIX
from .entries import SUPERVISOR, ask, in_order

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyworkerd.observe.feed import Answer
    from pyworkerd.observe.selection import Selection

    from .auth import Caller
    from .entries import Numbered
    from .routes import Server

POLL_S: Final = 0.25
"""Between two questions. Our own figure: a person takes it for at once, and a flood of entries is fetched together."""
ALIVE_S: Final = 15.0
"""Something is sent after so long without an entry, so that either end notices when the other one has gone (HTML
standard, section 9.2.7: every 15 seconds or so)."""
LONGEST_S: Final = 900.0
"""Then a stream ends, and its reader has to be admitted again. Our own figure."""
FOLLOWERS: Final = 32
"""At once. Our own figure: people and terminals, with room among an address's 48 connections for probes."""
EACH: Final = 16
"""Of them for one token, so that nobody keeps all others out. Whoever can open the Unix socket may have all."""
WAITING_BYTES: Final = 512 * 1024
"""That wait for one reader, besides what its connection holds."""
BEFORE_BYTES: Final = 4 * 1024 * 1024
"""Of what was, that a stream begins with; of more, the newest. Our own figure: a thousand entries of 4 KiB."""
TURN: Final = 64
"""Entries that are made into lines before the event loop turns: some milliseconds."""
ALIVE: Final = b": nothing new\n\n"

Seen = dict[int, tuple[int, int]]
"""By process: the numbers of the newest log entry and the newest outcome that somebody has."""


def event(kind: str, data: str) -> bytes:
    """One server-sent event; `data` is one line of ASCII."""
    return f"event: {kind}\ndata: {data}\n\n".encode("ascii")


def _missed(count: int) -> bytes:
    return event("missed", f'{{"count": {count}}}')


def seen(answers: Mapping[int, Answer]) -> Seen:
    """What is known after these answers."""
    return {process: (answer.logs, answer.outcomes) for process, answer in answers.items()}


class Follower:
    """The body of one stream: pieces of server-sent events.

    It is no generator: one that was never begun would never hear of its end.
    """

    def __init__(self, followers: Followers, selection: Selection, caller: Caller) -> None:
        self._followers, self.selection, self.caller = followers, selection, caller
        self._waiting: deque[tuple[Numbered, bytes]] = deque()
        self._size = self._missed = 0
        self._news = asyncio.Event()
        self._seen: Seen = {}
        self._before: list[bytes] = []
        self._until = asyncio.get_running_loop().time() + LONGEST_S

    async def begin(self, before: Sequence[Numbered], known: Seen) -> None:
        """What came before, and up to where that goes: what comes may overlap with it."""
        newest: deque[bytes] = deque()
        left = BEFORE_BYTES
        for index, each in enumerate(reversed(before)):
            data = event("entry", each.to_json())
            left -= len(data)
            if left < 0:
                newest.appendleft(_missed(len(before) - index))
                break
            newest.appendleft(data)
            if index % TURN == TURN - 1:
                await asyncio.sleep(0)
        self._before, self._seen = [ALIVE, *newest], known
        self._news.set()

    def hear(self, numbered: Numbered, data: bytes) -> None:
        """There is another entry of its selection."""
        self._waiting.append((numbered, data))
        self._size += len(data)
        while self._size > WAITING_BYTES:
            self._size -= len(self._waiting.popleft()[1])
            self._missed += 1
        self._news.set()

    def miss(self, missed: Mapping[str, int]) -> None:
        """So many entries were gone before they were fetched, by worker."""
        worker = self.selection.worker
        count = missed.get(worker, 0) if worker else sum(missed.values())
        if count:
            self._missed += count
            self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        left = self._until - asyncio.get_running_loop().time()
        if left <= 0 or self._followers.closed:
            await self.aclose()
            raise StopAsyncIteration
        try:
            async with asyncio.timeout(min(ALIVE_S, left)):
                await self._news.wait()
        except TimeoutError:
            return ALIVE
        return self._take()

    def _take(self) -> bytes:
        self._news.clear()
        pieces, self._before = self._before, []
        if self._missed:
            pieces.append(_missed(self._missed))
        pieces += [data for numbered, data in self._waiting if not self._has(numbered)]
        self._waiting.clear()
        self._size = self._missed = 0
        return b"".join(pieces) or ALIVE

    def _has(self, numbered: Numbered) -> bool:
        logs, outcomes = self._seen.get(numbered.process, (0, 0))
        return numbered.number <= (logs if isinstance(numbered.entry, LogEntry) else outcomes)

    async def aclose(self) -> None:
        """Follow no more. Harmless when called again."""
        self._followers.remove(self)

    def wake(self) -> None:
        """Look whether it is over."""
        self._news.set()


class Followers:
    """Of one server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._all: set[Follower] = set()
        self._polling: asyncio.Task[None] | None = None
        self._beginning = asyncio.Lock()
        """Who begins to ask has asked for what came before in the same order as others."""
        self.closed = False

    async def follow(self, selection: Selection, before: Question, caller: Caller = UNIX) -> Follower | None:
        """One more, and for a beginning the answer to `before`; None if there are too many. Iterate it, or close it."""
        if self.closed or len(self._all) >= FOLLOWERS or self._has_its_part(caller):
            return None
        follower = Follower(self, selection, caller)
        self._all.add(follower)
        try:
            async with self._beginning:
                answers = await ask(self._server, before)
                known = seen(answers)
                self._polling = self._polling or asyncio.create_task(self._poll(known))
            await follower.begin(in_order(answers)[-before.most :] if before.most else (), known)
        except BaseException:
            self.remove(follower)
            raise
        return follower

    def _has_its_part(self, caller: Caller) -> bool:
        return caller is not UNIX and sum(each.caller.name == caller.name for each in self._all) >= EACH

    def remove(self, follower: Follower) -> None:
        """It follows no more."""
        self._all.discard(follower)
        if not self._all and self._polling is not None:
            self._polling.cancel()
            self._polling = None

    async def _poll(self, known: Seen) -> None:
        polled: set[int] = set()
        while True:
            each = {process: Question(*numbers, follow=True) for process, numbers in known.items()}
            answers = await ask(self._server, Question(follow=True), each)
            # What was missed while nobody followed is nobody's.
            await self._tell(
                answers, [answer.missed for process, answer in answers.items() if process in polled]
            )
            polled |= answers.keys()
            alive = {SUPERVISOR, *self._server.numbers()}
            known = {
                process: numbers for process, numbers in (known | seen(answers)).items() if process in alive
            }
            polled &= alive
            await asyncio.sleep(POLL_S)

    async def _tell(self, answers: Mapping[int, Answer], missed: Sequence[Mapping[str, int]]) -> None:
        for index, numbered in enumerate(in_order(answers)):
            if index % TURN == TURN - 1:
                await asyncio.sleep(0)
            readers = [each for each in self._all if each.selection.passes(numbered.entry)]
            if readers:
                data = event("entry", numbered.to_json())
                for reader in readers:
                    reader.hear(numbered, data)
        for counts in missed:
            for reader in self._all:
                reader.miss(counts)

    async def aclose(self) -> None:
        """Let all streams end."""
        self.closed = True
        for follower in self._all:
            follower.wake()
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait((self._polling,))
            self._polling = None
