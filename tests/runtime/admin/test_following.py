"""Those who follow: a buffer for each, and nobody waits for anybody."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.admin.auth import Caller
from pyworkerd.admin.following import ALIVE, EACH, FOLLOWERS, WAITING_BYTES, Follower
from pyworkerd.observe.feed import Feed, Question
from pyworkerd.observe.logs import LogEntry
from pyworkerd.observe.selection import Selection

from tests.runtime.admin.test_routes import Fixed
from tests.runtime.server.client import run

if TYPE_CHECKING:
    from collections.abc import Mapping


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyworkerd.admin.following.POLL_S", 0.001)


ALL = Selection()


def log(message: str, worker: str = "shop") -> LogEntry:
    return LogEntry(1.0, worker, 1, "info", "stdout", message)


def served(*numbers: int) -> Fixed:
    server = Fixed(len(numbers))
    server.feeds = {number: Feed() for number in numbers}
    return server


def events(data: bytes) -> list[tuple[str, Any]]:
    found = []
    for piece in data.decode("ascii").split("\n\n"):
        fields = dict(line.split(": ", 1) for line in piece.split("\n") if line and line[0] != ":")
        if fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


async def heard(follower: Follower, count: int) -> list[str]:
    """So many messages."""
    found: list[str] = []
    while len(found) < count:
        found += [data["message"] for kind, data in events(await anext(follower)) if kind == "entry"]
    return found


async def follow(server: Fixed, selection: Selection = ALL, most: int = 0) -> Follower:
    follower = await server.live.followers.follow(selection, Question(most=most, selection=selection))
    assert follower is not None
    return follower


def test_what_was_and_then_what_comes_from_all_processes_once_each() -> None:
    async def main() -> None:
        server = served(1, 2)
        server.feeds[1](log("a"))
        server.feeds[2](log("b"))
        follower = await follow(server, most=200)
        assert (await anext(follower)).startswith(ALIVE)
        late = await follow(server)
        server.feeds[2](log("c"))
        server.feeds[1](log("d"))
        assert sorted(await heard(follower, 2)) == ["c", "d"]
        assert sorted(await heard(late, 2)) == ["c", "d"]
        await follower.aclose()
        await late.aclose()

    run(main)


def test_of_what_was_a_stream_begins_with_so_much_and_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pyworkerd.admin.following.BEFORE_BYTES", 1000)

    async def main() -> None:
        server = served(1)
        for number in range(200):
            server.feeds[1](log(f"{number}" + "\N{GRINNING FACE}" * 20))  # twelve bytes of JSON each
        follower = await follow(server, most=200)
        piece = await anext(follower)
        found = events(piece)
        numbers = [
            int(data["message"].rstrip("\N{GRINNING FACE}")) for kind, data in found if kind == "entry"
        ]
        assert len(piece) < 1100
        assert numbers == list(range(200 - len(numbers), 200)) != []
        assert found[0] == ("missed", {"count": 200 - len(numbers)})
        await follower.aclose()

    run(main)


def test_everybody_hears_what_they_selected() -> None:
    async def main() -> None:
        server = served(1)
        shop, other = [await follow(server, Selection(worker=name)) for name in ("shop", "other")]
        for number in range(3):
            server.feeds[1](log(f"s{number}"))
            server.feeds[1](log(f"o{number}", "other"))
        assert await heard(shop, 3) == ["s0", "s1", "s2"]
        assert await heard(other, 3) == ["o0", "o1", "o2"]
        await shop.aclose()
        await other.aclose()

    run(main)


def test_a_process_that_comes_later_is_heard_from_its_beginning() -> None:
    async def main() -> None:
        server = served(1)
        follower = await follow(server)
        await anext(follower)
        server.feeds[9] = Feed()
        server.feeds[9](log("born"))
        assert await heard(follower, 1) == ["born"]
        del server.feeds[9]
        server.feeds[1](log("still"))
        assert await heard(follower, 1) == ["still"]
        await follower.aclose()

    run(main)


def test_a_slow_reader_loses_the_oldest_and_is_told_and_a_quick_one_has_all() -> None:
    async def main() -> None:
        server = served(1)
        slow, quick = await follow(server), await follow(server)
        await anext(slow)
        await anext(quick)
        number, seen = 0, 0
        while number < 600:  # in batches that a feed has room for
            for _ in range(10):
                server.feeds[1](log(f"{number} {'x' * 2000}"))
                number += 1
            seen += len(await heard(quick, 10))
        assert seen == 600
        (first, told), *rest = events(await anext(slow))
        assert first == "missed"
        assert told["count"] + len(rest) == 600
        assert rest[-1][1]["message"].startswith("599 ")
        assert sum(len(json.dumps(data)) for _, data in rest) < WAITING_BYTES
        await slow.aclose()
        await quick.aclose()

    run(main)


def test_a_flood_is_told_to_those_who_follow_its_worker() -> None:
    async def main() -> None:
        server = served(1)
        loud, quiet = [await follow(server, Selection(worker=name)) for name in ("loud", "quiet")]
        await anext(loud)
        await anext(quiet)
        server.feeds[1](log("before", "loud"))
        assert await heard(loud, 1) == ["before"]
        for number in range(3000):
            server.feeds[1](log(str(number), "loud"))
        server.feeds[1](log("hello", "quiet"))
        assert events(await anext(quiet))[0][1]["message"] == "hello"
        (kind, data), *rest = events(await anext(loud))
        assert kind == "missed"
        assert data["count"] + len(rest) == 3000
        await loud.aclose()
        await quiet.aclose()

    run(main)


def test_no_more_than_so_many_and_nobody_is_asked_without_one() -> None:
    class Counted(Fixed):
        asked = 0

        async def ask(
            self, question: str, argument: bytes = b"", each: Mapping[int, bytes] | None = None
        ) -> dict[int, bytes]:
            self.asked += 1
            return await super().ask(question, argument, each or {})

    async def main() -> None:
        server = Counted(1)
        all_of_them = [await follow(server) for _ in range(FOLLOWERS)]
        assert await server.live.followers.follow(Selection(), Question()) is None
        await all_of_them.pop().aclose()
        all_of_them.append(await follow(server))
        for each in all_of_them:
            await each.aclose()
            await each.aclose()
        asked = server.asked
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert server.asked == asked
        again = await follow(server)
        await anext(again)
        await again.aclose()

    run(main)


def test_one_token_leaves_places_to_the_others() -> None:
    async def main() -> None:
        followers = served(1).live.followers

        async def follows(name: str) -> Follower | None:
            return await followers.follow(ALL, Question(), Caller(name))

        assert None not in [await follows("one") for _ in range(EACH)]
        assert await follows("one") is None
        other = await follows("two")
        assert other is not None
        assert await follows("unix") is not None, "a token that is called so is a token"
        assert None not in [await followers.follow(ALL, Question()) for _ in range(FOLLOWERS - EACH - 2)]
        await other.aclose()
        assert await follows("one") is None
        assert await follows("two") is not None
        await followers.aclose()

    run(main)


def test_a_sign_of_life_and_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        server = served(1)
        monkeypatch.setattr("pyworkerd.admin.following.ALIVE_S", 0.001)
        follower = await follow(server)
        await anext(follower)
        assert await anext(follower) == ALIVE
        monkeypatch.setattr("pyworkerd.admin.following.LONGEST_S", 0.001)
        short = await follow(server)
        pieces = [piece async for piece in short]
        assert set(pieces) <= {ALIVE}
        await server.live.aclose()
        assert [piece async for piece in follower] == []
        assert await server.live.followers.follow(Selection(), Question()) is None

    run(main)
