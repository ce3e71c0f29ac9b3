"""The binding from its configuration to what a guest asks of it, without a guest."""

from __future__ import annotations

import asyncio
import shutil
from typing import Any

import pytest
from pyworkerd.bindings.queue import QueueBinding
from pyworkerd.bindings.registry import configure
from pyworkerd.errors import BadCall, ConfigurationError, NoSuchMethod, WorkerException
from pyworkerd.messages import Body, Request
from pyworkerd.queues.rules import MAX_MESSAGE
from pyworkerd_config import Binding
from pyworkerd_isolates import wire

from tests.runtime.bindings.hosts import StaticHost, ask, built


@pytest.mark.parametrize("wrong", ["", None, 3])
def test_a_queue_has_to_be_named(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r'write { queue = "jobs" }'):
        configure(Binding("NAME", "queue", wrong))


def test_what_can_be_asked() -> None:
    async def main() -> None:
        host = StaticHost()
        async with built([QueueBinding("NAME", "jobs")], host) as environment:
            assert not environment.table.find(1).external
            assert await ask(environment, "metrics") == [0, 0, None]
            assert await ask(environment, "send", [[b"ab", "json", None]]) is None
            assert await ask(environment, "sendBatch", [[b"c", "text", 5], [b"d", "v8", None]]) is None
            assert await ask(environment, "metrics") == [3, 4, 1000.0]
            with pytest.raises(BadCall, match="Queue sendBatch failed: message count of 101"):
                await ask(environment, "sendBatch", [[b"c", "text", 5]] * 101)
            for arguments in (["x"], [[]], [[["text", "json", None]]], []):
                with pytest.raises((WorkerException, BadCall, NoSuchMethod)):
                    await ask(environment, "send", *arguments)
            with pytest.raises(NoSuchMethod):
                await ask(environment, "take")
            with pytest.raises(NoSuchMethod):
                await environment.table.find(1).fetch(Request("GET", "http://x/", (), Body()), "manual")
            assert (await ask(environment, "metrics"))[0] == 3, "what was refused was not kept in part"
        await host.shared.aclose()
        assert host.state is not None
        shutil.rmtree(host.state)

    asyncio.run(main())


def test_as_much_as_the_platform_takes_and_no_more() -> None:
    async def main() -> None:
        host = StaticHost()
        async with built([QueueBinding("NAME", "jobs")], host) as environment:
            whole = wire.dump_value("x" * (MAX_MESSAGE - 30))
            await ask(environment, "send", [[whole, "json", None]])
            await ask(environment, "sendBatch", [[whole, "json", None]] * 2)
            assert (await ask(environment, "metrics"))[0] == 3
            with pytest.raises(BadCall, match="message length of 128001 bytes exceeds"):
                await ask(environment, "send", [[bytes(MAX_MESSAGE + 1), "json", None]])
            with pytest.raises(BadCall, match=r"total message size of 38\d{4} bytes exceeds"):
                await ask(environment, "sendBatch", [[whole, "json", None]] * 3)
            with pytest.raises(WorkerException, match="the arguments are larger than"):
                await ask(environment, "sendBatch", [[whole, "json", None]] * 9)
            with pytest.raises(WorkerException, match="other than byte strings"):
                await ask(environment, "send", ["x" * 500_000])
            costly = wire.dump_value([[]] * 40_000)
            with pytest.raises(WorkerException, match="the message would take about"):
                await ask(environment, "send", [[costly, "json", None]])
        await host.shared.aclose()
        assert host.state is not None
        shutil.rmtree(host.state)

    asyncio.run(main())


def test_only_producers_may_send() -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError, match="not among the producers"):
            async with built([QueueBinding("NAME", "others")], StaticHost()):
                pass

    asyncio.run(main())
