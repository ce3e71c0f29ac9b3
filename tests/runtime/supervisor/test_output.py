"""Writing without waiting: to real pipes and files, whose readers are slow, gone or fine."""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import TYPE_CHECKING

import pytest
from pyworkerd.supervisor import output as module
from pyworkerd.supervisor.output import Output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for each in (reading, writing):
        with contextlib.suppress(OSError):
            os.close(each)


async def read_all(descriptor: int, size: int) -> bytes:
    found = b""
    while len(found) < size:
        found += await asyncio.to_thread(os.read, descriptor, 1 << 16)
    return found


def test_before_the_loop_it_waits(pipe: tuple[int, int], tmp_path: Path) -> None:
    Output(pipe[1]).write("héllo \ud800\n")
    assert os.read(pipe[0], 100) == "héllo \\ud800\n".encode()
    with (tmp_path / "log").open("wb") as file:
        output = Output(file.fileno())
        output.write("one\n")
        output.put(b"x" * 100_000 + b"\n")
    assert (tmp_path / "log").read_bytes() == b"one\n" + b"x" * 100_000 + b"\n"


def test_a_reader_that_stops_does_not_stop_the_writer(pipe: tuple[int, int]) -> None:
    async def main() -> None:
        output = Output(pipe[1])
        output.attach(asyncio.get_running_loop())
        said = [b"%06d" % number * 100 + b"\n" for number in range(500)]
        for line in said:
            output.put(line)  # far more than a pipe holds, and nobody reads yet
        whole = b"".join(said)
        assert await read_all(pipe[0], len(whole)) == whole

    asyncio.run(main())


def test_what_there_is_no_room_for_is_counted(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WAITING_BYTES", 100_000)

    async def main() -> None:
        output = Output(pipe[1])
        output.attach(asyncio.get_running_loop())
        rooms: list[int] = []
        lines = [b"%04d" % number * 1000 + b"\n" for number in range(100)]
        for line in lines:
            output.put(line)
        assert output.full
        output.when_there_is_room(lambda: rooms.append(1))
        read = b""
        while not read.endswith(b"written\n"):
            read += await asyncio.to_thread(os.read, pipe[0], 1 << 16)
        *kept, told = read.splitlines(keepends=True)
        assert kept == lines[: len(kept)]
        assert told == b"%d pieces of log were lost: they came faster than they could be written\n" % (
            100 - len(kept)
        )
        assert rooms == [1]
        assert not output.full

    asyncio.run(main())


def test_without_a_reader_it_goes_on_in_silence(pipe: tuple[int, int]) -> None:
    os.close(pipe[0])
    output = Output(pipe[1])
    output.write("one\n")
    assert output.broken
    output.write("two\n")
    assert not output.full


def test_the_end_waits_for_a_reader_but_not_for_ever(pipe: tuple[int, int]) -> None:
    async def main() -> Output:
        output = Output(pipe[1])
        output.attach(asyncio.get_running_loop())
        for _ in range(100):
            output.put(b"x" * 9_999 + b"\n")
        return output

    output = asyncio.run(main())
    output.finish(0.01)
    size = len(os.read(pipe[0], 1 << 20))
    os.set_blocking(pipe[0], False)
    while size < 1_000_000:
        output.finish(0.001)
        with contextlib.suppress(BlockingIOError):
            size += len(os.read(pipe[0], 1 << 20))
    assert size == 1_000_000
