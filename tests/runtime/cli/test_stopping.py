"""Signals, within this process; the whole command's end is in test_serve.py."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from pyworkerd.cli.stopping import SIGNALS, Stopping


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_cancels_what_may_be_cancelled(number: signal.Signals) -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def work() -> None:
            os.kill(os.getpid(), number)
            try:
                await asyncio.Event().wait()
            finally:
                ended.set()

        with Stopping() as stopping:
            assert await stopping.unless_asked(work()) is False
            assert ended.is_set()
            assert (stopping.status, stopping.urgent.is_set()) == (0, False)

    asyncio.run(main())


def test_without_a_signal_work_is_done() -> None:
    async def main() -> None:
        async def work() -> None:
            done.append(1)

        async def fail() -> None:
            raise ValueError("mine")

        done: list[int] = []
        with Stopping() as stopping:
            assert await stopping.unless_asked(work()) is True
            assert done == [1]
            with pytest.raises(ValueError, match="mine"):
                await stopping.unless_urgent(fail())

    asyncio.run(main())


def test_handlers_are_given_back() -> None:
    async def main() -> None:
        with Stopping():
            assert signal.getsignal(signal.SIGTERM) != signal.SIG_DFL
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL

    asyncio.run(main())
