"""What is waited for of a thread: tasks go on in the turn in which it is there, and are cancelled as ever."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import pytest
from pyworkerd.storage.answer import Answer

here: ContextVar[str] = ContextVar("pyworkerd_test_answer", default="nowhere")


async def wait(answer: Answer) -> Any:
    here.set("in the task")
    found = await answer
    return found, here.get()


def waiting() -> tuple[Answer, asyncio.Task[Any]]:
    answer = Answer(asyncio.get_running_loop())
    return answer, asyncio.create_task(wait(answer))


async def set_by_the_loop(answer: Answer, outcome: Any, task: asyncio.Task[Any]) -> bool:
    """As a thread does; whether the task had ended when `set` returned."""
    ended = asyncio.get_running_loop().create_future()

    def settle() -> None:
        answer.set(outcome)
        ended.set_result(task.done())

    asyncio.get_running_loop().call_soon_threadsafe(settle)
    return bool(await ended)


def test_who_waits_goes_on_before_set_returns_and_in_his_own_context() -> None:
    async def main() -> None:
        answer, task = waiting()
        await asyncio.sleep(0)
        assert await set_by_the_loop(answer, 5, task)
        assert await task == (5, "in the task")
        assert here.get() == "nowhere"

    asyncio.run(main())


def test_an_error_is_raised_and_not_held_after_that() -> None:
    async def main() -> None:
        answer, task = waiting()
        await asyncio.sleep(0)
        assert await set_by_the_loop(answer, ValueError("no"), task)
        with pytest.raises(ValueError, match="no"):
            await task
        assert answer.result() is None

    asyncio.run(main())


def test_what_is_there_already_is_not_waited_for() -> None:
    async def main() -> None:
        answer = Answer(asyncio.get_running_loop())
        answer.set("early")
        answer.set("late")
        assert await answer == "early"
        told: list[Answer] = []
        answer.add_done_callback(told.append)
        assert not told
        await asyncio.sleep(0)
        assert told == [answer]

    asyncio.run(main())


def test_a_task_that_is_cancelled_hears_so_and_the_outcome_goes_nowhere() -> None:
    async def main() -> None:
        answer, task = waiting()
        await asyncio.sleep(0)
        task.cancel()
        assert not task.done()
        assert not answer.cancel()
        answer.set(5)
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(asyncio.CancelledError):
            answer.result()

    asyncio.run(main())


def test_a_timeout_ends_the_waiting() -> None:
    async def main() -> None:
        answer = Answer(asyncio.get_running_loop())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wait(answer), 0.001)
        assert answer.done()

    asyncio.run(main())
