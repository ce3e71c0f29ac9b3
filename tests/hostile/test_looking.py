"""Tenants who write for those who look at a running server: nobody's words are forged, no flood hides a neighbour."""

from __future__ import annotations

import asyncio
import io
import json

import pytest
from pyworkerd.admin.entries import Numbered
from pyworkerd.cli.tail_lines import Pretty, as_json, events
from pyworkerd.errors import PyworkerdError
from pyworkerd.observe.feed import LOG_CHARACTERS, Feed, Question, read_answer
from pyworkerd.observe.logs import LogEntry
from pyworkerd.observe.ring import ENTRY_CHARACTERS, SHARE
from pyworkerd.observe.selection import Outcome, Selection
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config.model import Limits

from tests.hostile.test_observing import FORGERIES, worker

NAMES = ("bad", "b\n12:00:00.000 error    [neighbour] x: forged", "<script>", "\x1b[2J\u202e", "neighbour ")


@pytest.mark.parametrize("how", FORGERIES)
def test_what_a_worker_logs_is_its_own_for_those_who_follow(how: str, sandbox: object) -> None:
    feed = Feed()

    async def main() -> None:
        async with Runtime(None, RuntimeOptions(sinks=(feed,), feed=feed)) as runtime:
            feed.answer(Question(follow=True))
            for name in NAMES:
                loaded = await runtime.load(
                    worker(f"{FORGERIES[how]}\nreturn Response('done')"), name=name, frozen=False
                )
                try:
                    await (await loaded.fetch(f"/{how}?secret\x1b")).read()
                except PyworkerdError as error:
                    assert error.code == "bad_effect"  # noqa: PT017 - either is right
            await runtime.quiet()

    asyncio.run(main())
    answer = read_answer(feed.answer(Question()).pack())
    assert len([entry for _, entry in answer.entries if isinstance(entry, Outcome)]) == len(NAMES)
    assert "neighbour" not in {entry.worker for _, entry in answer.entries}
    assert all(entry.worker.isprintable() for _, entry in answer.entries)
    for number, entry in answer.entries:
        data = Numbered(1, number, entry).to_json()
        (event,) = events([b"event: entry\n", f"data: {data}\n".encode("ascii"), b"\n"])
        assert json.loads(as_json(event))["worker"] == entry.worker
        lines = Pretty(io.StringIO(), colour=False)(event).splitlines()
        assert all(line.isprintable() for line in lines)
        assert all(line.startswith("    ") for line in lines[1:])
        assert "secret" not in data


def test_a_flood_leaves_the_neighbours_words_where_they_are(sandbox: object) -> None:
    feed = Feed()

    async def main() -> None:
        async with Runtime(None, RuntimeOptions(sinks=(feed,), feed=feed)) as runtime:
            loud = await runtime.load(
                worker("for n in range(3000):\n    print('flood', n)\nreturn Response('x')"),
                name="loud",
                limits=Limits(log_kb=1024),
            )
            quiet = await runtime.load(worker("print('hello')\nreturn Response('x')"), name="quiet")
            await (await quiet.fetch("/")).read()
            for _ in range(3):
                await (await loud.fetch("/")).read()
            assert await (await quiet.fetch("/")).text() == "x"

    asyncio.run(main())
    heard = feed.answer(Question(selection=Selection(worker="quiet")))
    assert [entry.message for _, entry in heard.entries if isinstance(entry, LogEntry)] == ["hello", "hello"]
    flood = feed.answer(Question(most=10_000, selection=Selection(worker="loud"))).entries
    assert 0 < len(flood) <= LOG_CHARACTERS / SHARE / ENTRY_CHARACTERS
