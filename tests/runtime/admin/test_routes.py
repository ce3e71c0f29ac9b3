"""The table of pages."""

from __future__ import annotations

import asyncio
import json
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.admin.live import Live
from pyworkerd.admin.routes import ROUTES, find
from pyworkerd.messages import Request, Response
from pyworkerd.observe.feed import Feed, read_question
from pyworkerd.observe.totals import Totals
from pyworkerd.supervisor.reloading import Stopped
from pyworkerd_config.model import Config

if TYPE_CHECKING:
    from collections.abc import Mapping


class Fixed:
    """A server with so many processes."""

    def __init__(self, serving: int, wanted: int = 2) -> None:
        self.figures = (serving, wanted)
        self.totals = Totals()
        self.answers: dict[int, bytes] = {}
        self.feeds: dict[int, Feed] = {}
        self.feed: Feed | None = None
        self.live = Live(self)
        self.config = Config()

    def numbers(self) -> set[int]:
        return {*self.answers, *self.feeds}

    def readiness(self) -> tuple[int, int]:
        return self.figures

    def describe(self) -> dict[str, Any]:
        return {"processes": [{"number": 1}]}

    async def let_one(self, task: str, argument: bytes, seconds: float) -> bytes | None:
        return None  # none serves

    async def change(self, change: object) -> None:
        raise Stopped

    async def ask(
        self, question: str, argument: bytes = b"", each: Mapping[int, bytes] = MappingProxyType({})
    ) -> dict[int, bytes]:
        if question == "collect":
            return self.answers
        assert question == "entries"
        return {
            number: feed.answer(read_question(each.get(number, argument))).pack()
            for number, feed in self.feeds.items()
        }


def ask(path: str, serving: int = 1, method: str = "GET") -> tuple[int, bytes]:
    page = find(Request(method, f"http://localhost{path}"))
    answer = page if isinstance(page, Response) else asyncio.run(page(Fixed(serving), Request(method, path)))  # type: ignore[arg-type]
    assert answer.body.data is not None
    return answer.status, answer.body.data


@pytest.mark.parametrize(("serving", "status"), [(0, 503), (1, 200), (2, 200)])
def test_ready_as_long_as_one_process_serves(serving: int, status: int) -> None:
    found, body = ask("/ready", serving)
    assert (found, json.loads(body)) == (status, {"ready": serving > 0, "serving": serving, "wanted": 2})


def test_live_whatever_is_served() -> None:
    assert ask("/live", 0) == (200, b"live\n")


def test_processes_as_json() -> None:
    status, body = ask("/processes?x=1")
    assert (status, json.loads(body)) == (200, {"processes": [{"number": 1}]})


def test_what_is_not_there() -> None:
    status, body = ask("/nothing")
    assert (status, body) == (404, f"there are {', '.join(ROUTES)}\n".encode())
    page = find(Request("POST", "http://localhost/live"))
    assert isinstance(page, Response)
    assert (page.status, page.header("allow")) == (405, "GET, HEAD")
    assert ask("/live", method="HEAD")[0] == 200
