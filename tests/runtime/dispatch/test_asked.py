"""Requests asked of a worker without a task: answered once, counted, and cancelled like others."""

from __future__ import annotations

import asyncio
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.dispatch.worker import Worker
from pyworkerd.errors import BodyTooLarge, Overloaded
from pyworkerd.messages import Body, Request, Response
from pyworkerd.observe.scope import begin
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.loaded import LoadedWorker
    from pyworkerd.runtime import Runtime
    from pyworkerd.services.base import Pending

SOURCE = """
import asyncio
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/raise"):
            raise ValueError("no")
        if request.url.endswith("/wait"):
            try:
                await self.env.GATE()
            except asyncio.CancelledError:
                await self.env.TELL("cancelled")
                raise
        return Response("answered", 201)
"""


async def nothing(*_: object) -> None:
    """A binding that does nothing."""


class Asking:
    """Asks a worker, and keeps what it replies."""

    def __init__(self, loaded: LoadedWorker) -> None:
        self.worker = loaded.service
        assert isinstance(self.worker, Worker)
        self.replies: asyncio.Queue[tuple[Response | None, Exception | None]] = asyncio.Queue()

    def ask(self, path: str, body: Body | None = None) -> Pending:
        request = Request("GET", f"http://worker{path}", (), body or Body())
        return self.worker.ask(request, begin()[0], copy_context, self._reply)

    def _reply(self, response: Response | None, error: Exception | None) -> None:
        self.replies.put_nowait((response, error))

    def counted(self) -> tuple[list[int], dict[tuple[str, str], int]]:
        return list(self.worker.counters.answers), dict(self.worker.counters.failures)


def test_an_answer_and_a_failure_are_replied_and_counted(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        asking = Asking(await runtime.load(SOURCE_FILES, bindings={"GATE": nothing, "TELL": nothing}))
        pending = asking.ask("/")
        response, error = await asking.replies.get()
        assert error is None
        assert response is not None
        assert (response.status, response.body.data) == (201, b"answered")
        assert pending.done()
        pending.cancel()
        asking.ask("/raise")
        response, error = await asking.replies.get()
        assert response is None
        assert getattr(error, "code", "") == "worker_exception"
        answers, failures = asking.counted()
        assert sum(answers) == 1
        assert list(failures.values()) == [1]

    with_runtime(main)


SOURCE_FILES = {"worker.py": SOURCE}


def test_cancelling_reaches_the_worker_and_nothing_is_replied(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        waiting, told = asyncio.Event(), asyncio.Queue[str]()

        async def gate() -> None:
            waiting.set()
            await asyncio.Event().wait()

        loaded = await runtime.load(SOURCE_FILES, bindings={"GATE": gate, "TELL": told.put})
        asking = Asking(loaded)
        pending = asking.ask("/wait")
        await waiting.wait()
        pending.cancel()
        pending.cancel()
        assert pending.done()
        assert await told.get() == "cancelled"
        asking.ask("/")
        response, _ = await asking.replies.get()
        assert response is not None
        assert response.status == 201
        assert asking.replies.empty()

    with_runtime(main)


def test_what_cannot_be_asked_is_raised_and_counted(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        loaded = await runtime.load(SOURCE_FILES, limits=Limits(request_body_mb=1))
        asking = Asking(loaded)
        with pytest.raises(BodyTooLarge):
            asking.ask("/", Body(bytes((1 << 20) + 1)))
        await loaded.aclose()
        with pytest.raises(Overloaded):
            asking.ask("/")
        failures: Any = asking.counted()[1]
        assert sum(failures.values()) == 2

    with_runtime(main)
