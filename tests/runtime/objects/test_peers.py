"""Two processes, one live instance of each object: calls go to whoever has it, until that one dies."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.errors import (
    ExceededWallTime,
    PyworkerdError,
    StorageError,
    UpstreamError,
    WorkerException,
)
from pyworkerd.objects import framing
from pyworkerd.objects.ids import key_of, of_name
from pyworkerd.objects.peers import Peers
from pyworkerd.services.base import Target
from pyworkerd.websocket.base import WebSocketClosed
from pyworkerd_config.model import Limits
from pyworkerd_isolates import wire

from tests.runtime.objects.other_process import ROOM, SOURCE, opened

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from pyworkerd.loaded import LoadedWorker

ROOT = Path(__file__).parents[3]


class Other:
    """The other process."""

    def __init__(self, folder: Path, calls: int) -> None:
        command = [sys.executable, "-m", "tests.runtime.objects.other_process", str(folder), str(calls)]
        self.process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.answer() == "ready"

    def ask(self, *question: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()

    def answer(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    async def does(self, *question: Any) -> Any:
        self.ask(*question)
        return await asyncio.to_thread(self.answer)

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def another(folder: Path, calls: int = 1000) -> Iterator[Other]:
    other = Other(folder, calls)
    try:
        yield other
    finally:
        if other.process.poll() is None:
            other.kill()
        for pipe in (other.process.stdin, other.process.stdout):
            assert pipe is not None
            pipe.close()


def run(
    folder: Path, test: Callable[[LoadedWorker, Other], Awaitable[None]], theirs: int = 1000, **limits: int
) -> None:
    async def main(other: Other) -> None:
        async with opened(folder) as runtime:
            given = Limits(**{"cpu_ms": 5000, **limits})
            worker = await runtime.load(SOURCE, name="shop", bindings=ROOM, limits=given)
            await test(worker, other)

    with another(folder, theirs) as other:
        asyncio.run(main(other))


def test_an_object_is_live_in_one_process_alone(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        assert await other.does("on", "a", "add") == 1
        assert await worker.call("on", "a", "add") == 2
        assert len(worker.service.objects) == 0  # nothing of it is here
        assert await worker.call("on", "b", "add") == 1
        assert await other.does("on", "b", "add") == 2
        assert await other.does("on", "a", "in_memory") == 2
        assert await worker.call("on", "b", "in_memory") == 2

    run(tmp_path, test)


def test_all_that_call_at_once_from_both_are_counted(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        other.ask("many", "a", 100)
        mine = await worker.call("many", "a", 100)
        theirs = await asyncio.to_thread(other.answer)
        assert sorted(mine + theirs) == list(range(1, 201))

    run(tmp_path, test)


def test_it_is_taken_over_when_its_process_is_killed(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        for expected in range(1, 4):
            assert await other.does("on", "a", "add") == expected
        hanging = asyncio.create_task(worker.call("on", "a", "wait"))
        while not await worker.call("on", "a", "waits"):
            await asyncio.sleep(0.001)
        other.kill()
        with pytest.raises(PyworkerdError, match="ended"):
            await hanging
        assert await worker.call("on", "a", "add") == 4
        assert await worker.call("on", "a", "in_memory") == 1

    run(tmp_path, test)


def test_one_that_hibernates_is_taken_over_with_what_it_has_stored_when_its_process_is_killed(
    tmp_path: Path,
) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        assert [await other.does("on", "a", "add") for _ in range(3)] == [1, 2, 3]
        await asyncio.sleep(0.2)
        assert await worker.call("on", "a", "in_memory") == 3
        await asyncio.sleep(0.2)
        other.kill()
        assert await worker.call("on", "a", "add") == 4
        assert await worker.call("on", "a", "in_memory") == 1

    run(tmp_path, test)


def test_an_alarm_that_rings_elsewhere_has_as_long_as_one_here(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        in_an_hour = int(time.time() + 3600) * 1000
        assert await other.does("on", "a", "rings", in_an_hour) is None
        stores = worker.service.objects.storage
        assert stores is not None
        id_ = of_name(key_of(worker.service.objects.options("Room").unique_key), "a")
        event = {"scheduledTime": in_an_hour, "retryCount": 0, "isRetry": False, "givenUp": False}
        target = Target("Room", {}, id_, "a")
        await stores.peers.ring("shop", target, wire.dump_value(event))
        assert await other.does("on", "a", "in_memory") == 7
        with pytest.raises(ExceededWallTime, match="100 ms"):
            await worker.call("on", "a", "wait")

    run(tmp_path, test, wall_ms=100)


def test_who_asked_hears_of_it_when_the_other_process_makes_no_sense(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        await other.does("on", "a", "add")
        monkeypatch.setattr(framing, "MOST", 10)  # its answer is a frame that is too large
        with pytest.raises(WorkerException, match="failed to ask the process"):
            await worker.call("on", "a", "add")

    run(tmp_path, test)


def test_a_process_that_could_not_listen_tries_again(tmp_path: Path) -> None:
    async def main() -> None:
        peers = Peers(tmp_path, {}.__getitem__)
        path = peers._socket(os.getpid())
        path.mkdir(parents=True)
        with pytest.raises(StorageError, match="cannot be reached"):
            await peers.listen()
        path.rmdir()
        await peers.listen()
        assert path.is_socket()
        await peers.aclose()
        assert not path.exists()

    asyncio.run(main())


def test_what_an_object_raises_arrives_as_it_was(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        await other.does("on", "a", "add")
        with pytest.raises(WorkerException, match="as it was told") as caught:
            await worker.call("on", "a", "fails")
        assert caught.value.type_name == "KeyError"
        with pytest.raises(PyworkerdError, match="no method 'nothing'"):
            await worker.call("on", "a", "nothing")

    run(tmp_path, test)


def test_bodies_stream_both_ways(tmp_path: Path) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b"x" * 100_000

    async def test(worker: LoadedWorker, other: Other) -> None:
        await other.does("on", "a", "add")
        response = await worker.fetch("/", method="POST", body=chunks())
        assert (response.status, response.header("x-size")) == (201, "4000000")
        assert await response.read() == b"y" * 3_000_000
        response = await worker.fetch("/", method="POST", body=b"z" * 10)
        assert response.header("x-size") == "10"
        await response.aclose()
        assert (await (await worker.fetch("/")).read())[:1] == b"y"

    run(tmp_path, test)


def test_a_body_that_breaks_there_breaks_here(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        await other.does("on", "a", "add")
        response = await worker.fetch("/break")
        with pytest.raises(UpstreamError):
            await response.read()
        assert await worker.call("on", "a", "add") == 2

    run(tmp_path, test)


def test_a_caller_that_has_gone_is_gone_there_too(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        await other.does("on", "a", "add")
        hanging = asyncio.create_task(worker.call("on", "a", "wait"))
        while not await worker.call("on", "a", "waits"):
            await asyncio.sleep(0.001)
        hanging.cancel()
        while await worker.call("on", "a", "waits"):
            await asyncio.sleep(0.001)

    run(tmp_path, test)


def test_calls_between_processes_end_at_the_same_depth(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        await other.does("on", "a", "add")
        await worker.call("on", "b", "add")
        assert await worker.call("on", "a", "around", "b", 10) == 0
        with pytest.raises(PyworkerdError, match="in a row"):
            await worker.call("on", "a", "around", "b", 100)

    run(tmp_path, test)


def test_calls_that_were_made_elsewhere_for_a_request_are_counted_for_it(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        for name in "ac":
            await other.does("on", name, "add")
        # Each time one call from here, and twenty from there.
        ways = ["call", "fails", "fetch", "lent"]
        assert {way: await worker.call("spread", way, 10) for way in ways} == dict.fromkeys(ways, 3)

    run(tmp_path, test, calls=50)


def test_calls_that_are_made_elsewhere_at_once_are_of_one_request(tmp_path: Path) -> None:
    """Otherwise each could make as many as one request may, and each of these as many again."""

    async def test(worker: LoadedWorker, other: Other) -> None:
        for name in "ac":
            await other.does("on", name, "add")
        for _ in range(3):  # what one request has made is none of the next one's
            assert await worker.call("spread_at_once", 1) == 1
            assert await worker.call("spread_at_once", 20) <= 3
            assert await worker.call("leave", 10) <= 3, "who does not wait for an answer pays as well"

    run(tmp_path, test, calls=70, theirs=70)


def test_web_sockets_cross(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        await other.does("on", "a", "add")
        async with await worker.web_socket("/socket") as socket:
            for message in ("hello", "", b"\0\xff", "\u00fc" * 100_000, b"x" * 300_000):
                await socket.send(message)
                assert await socket.receive() == message
            assert await worker.call("on", "a", "add") == 2
        with pytest.raises(WebSocketClosed) as closed:
            await socket.receive()
        assert closed.value.code == 1000

    run(tmp_path, test)


def test_a_web_socket_ends_with_its_process(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, other: Other) -> None:
        await other.does("on", "a", "add")
        socket = await worker.web_socket("/socket")
        await socket.send("hello")
        assert await socket.receive() == "hello"
        other.kill()
        with pytest.raises(WebSocketClosed) as closed:
            await socket.receive()
        assert closed.value.code == 1006
        assert await worker.call("on", "a", "add") == 2

    run(tmp_path, test)
