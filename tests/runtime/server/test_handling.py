"""Handlers that are asked without a task: the same answers, the same endings, whatever has to be waited for."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar, copy_context
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import NoRoute, WorkerException
from pyworkerd.messages import Body, Request, Response
from pyworkerd.observe.scope import Scope, scope
from pyworkerd.server.info import connection_info

from tests.runtime.server.client import chunk, get, run, site

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from contextvars import Context

    from pyworkerd.services.base import Reply, Surroundings

LOOPS = ["asyncio", "uvloop"]
POST = get("/", "Content-Length: {}", method="POST").decode()


class Question:
    def __init__(self, request: Request, context: Context, reply: Reply) -> None:
        self.request, self.context, self.reply = request, context, reply
        self.cancelled = asyncio.Event()
        self.over = False

    def answer(self, response: Response) -> None:
        self.over = True
        self.reply(response, None)

    def fail(self, error: Exception) -> None:
        self.over = True
        self.reply(None, error)

    def done(self) -> bool:
        return self.over

    def cancel(self) -> None:
        self.over = True
        self.cancelled.set()


class Asked:
    """A handler that is asked; the test answers."""

    def __init__(self) -> None:
        self.questions: asyncio.Queue[Question] = asyncio.Queue()

    async def __call__(self, request: Request) -> Response:
        return Response(200, (), Body(b"in a task"))

    def ask(self, request: Request, span: Scope, surroundings: Surroundings, reply: Reply) -> Question | None:
        if request.url.endswith("/task"):
            return None
        if request.url.endswith("/raises"):
            raise NoRoute("nowhere")
        question = Question(request, surroundings(), reply)
        if request.url.endswith("/once"):
            question.answer(Response(200, (), Body(b"at once")))
        else:
            self.questions.put_nowait(question)
        return question


@pytest.mark.parametrize("loop", LOOPS)
def test_answers_come_by_reply_at_once_or_from_a_task(loop: str) -> None:
    async def main() -> None:
        asked = Asked()
        async with site(asked) as place:
            client = await place.connect()
            client.send(get("/later"))
            question = await asked.questions.get()
            question.answer(Response(201, (), Body(b"later")))
            assert (await client.response())[::2] == (201, b"later")
            assert (await client.ask(get("/once")))[::2] == (200, b"at once")
            assert (await client.ask(get("/task")))[::2] == (200, b"in a task")
            status, headers, _ = await client.ask(get("/raises"))
            assert (status, headers["x-pyworkerd-error"]) == (404, "no_route")
            client.send(get("/fails"))
            (await asked.questions.get()).fail(WorkerException("ValueError", "no", ""))
            status, headers, _ = await client.response()
            assert (status, headers["x-pyworkerd-error"]) == (500, "worker_exception")
            assert (await client.ask(get("/once")))[0] == 200

    run(main, loop)


def test_what_is_done_for_a_request_knows_it() -> None:
    async def main() -> None:
        asked = Asked()
        async with site(asked) as place:
            client = await place.connect()
            client.send(get("/"))
            question = await asked.questions.get()
            span, info = question.context.run(scope.get), question.context.run(connection_info.get)
            question.answer(Response())
            assert span is not None
            assert info is not None
            assert info.client == "127.0.0.1"
            assert (await client.response())[1]["x-request-id"] == span.request_id
            assert scope.get() is None

    run(main, "asyncio")


MARK: ContextVar[str] = ContextVar("mark", default="")


def in_another(work: Callable[[], object]) -> None:
    """As what is done for one request ends another."""
    context = copy_context()
    context.run(MARK.set, "another's")
    context.run(work)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_request_begins_in_no_other_ones_context(loop: str) -> None:
    async def main() -> None:
        asked = Asked()
        async with site(asked) as place:
            client = await place.connect()
            client.send(get("/") * 3)
            for _ in range(3):
                question = await asked.questions.get()
                assert question.context.run(MARK.get) == ""
                in_another(lambda question=question: question.answer(Response()))
                await client.response()

        marks = []

        async def handler(request: Request) -> Response:
            marks.append(MARK.get())
            MARK.set("another's")
            await request.body.read()  # reading goes on in this context when there is room again
            await asyncio.sleep(0)
            return Response()

        async with site(handler, request_buffer=100) as place:
            client = await place.connect()
            for _ in range(2):
                client.send(get("/", "Content-Length: 1000", method="POST") + b"x" * 1000)
                await client.response()
            client.send(get("/") * 2)
            await client.response()
            await client.response()
        assert marks == [""] * 4

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_pipelined_requests_are_answered_in_order(loop: str) -> None:
    async def main() -> None:
        asked = Asked()
        async with site(asked) as place:
            client = await place.connect()
            client.send(get("/1") + get("/once") + get("/2") + get("/task") + get("/once"))
            (await asked.questions.get()).answer(Response(200, (), Body(b"1")))
            (await asked.questions.get()).answer(Response(200, (), Body(b"2")))
            bodies = [(await client.response())[2] for _ in range(5)]
            assert bodies == [b"1", b"at once", b"2", b"in a task", b"at once"]

    run(main, loop)


def test_hundreds_of_pipelined_requests_that_are_answered_at_once() -> None:
    async def main() -> None:
        async with site(Asked()) as place:
            client = await place.connect()
            client.send(get("/once") * 500)
            for _ in range(500):
                assert (await client.response())[2] == b"at once"

    run(main, "uvloop")


@pytest.mark.parametrize("loop", LOOPS)
def test_a_streamed_answer_and_a_streamed_request(loop: str) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"
        yield b"b"

    async def main() -> None:
        asked = Asked()
        async with site(asked) as place:
            client = await place.connect()
            client.send(get("/", "Transfer-Encoding: chunked", method="POST"))
            question = await asked.questions.get()
            question.answer(Response(200, (), question.request.body))
            client.send(chunk(b"up") + chunk(b"stream") + b"0\r\n\r\n")
            assert (await client.response())[2] == b"upstream"
            client.send(get("/"))
            (await asked.questions.get()).answer(Response(200, (), Body(chunks=pieces())))
            assert (await client.response())[2] == b"ab"

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_client_that_leaves_cancels_the_question(loop: str) -> None:
    async def main() -> None:
        asked = Asked()
        async with site(asked) as place:
            client = await place.connect()
            client.send(get("/"))
            question = await asked.questions.get()
            await client.aclose()
            await question.cancelled.wait()
            other = await place.connect()
            assert (await other.ask(get("/once")))[0] == 200

    run(main, loop)


def test_a_server_that_stops_answers_503() -> None:
    async def main() -> None:
        asked = Asked()
        async with site(asked) as place:
            client = await place.connect()
            client.send(get("/"))
            question = await asked.questions.get()
            await place.server.aclose()
            assert question.cancelled.is_set()
            status, headers, _ = await client.response()
            assert (status, headers["x-pyworkerd-error"]) == (503, "overloaded")

    run(main, "asyncio")


def test_an_answer_that_cannot_be_sent_is_a_failure() -> None:
    async def main() -> None:
        asked = Asked()
        async with site(asked) as place:
            client = await place.connect()
            client.send(get("/"))
            (await asked.questions.get()).answer(Response(200, (("bad name", "x"),), Body(b"?")))
            status, headers, _ = await client.response()
            assert (status, headers["x-pyworkerd-error"]) == (500, "bad_effect")

    run(main, "asyncio")


def test_a_client_that_does_not_read_is_waited_for_before_the_next_answer() -> None:
    big = bytes(8 << 20)

    async def main() -> None:
        asked = Asked()
        async with site(asked) as place:
            client = await place.stalled()
            client.send(get("/") + get("/once"))
            (await asked.questions.get()).answer(Response(200, (), Body(big)))
            assert (await client.response())[2] == big
            assert (await client.response())[2] == b"at once"

    run(main, "asyncio")
