"""From a process's standard error to the supervisor's."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.supervisor import output as output_module
from pyworkerd.supervisor.output import Output
from pyworkerd.supervisor.relay import MAX_LINE, Lines, Relay

if TYPE_CHECKING:
    import pytest


@given(st.lists(st.binary(max_size=20)))
def test_whole_lines_only_and_all_of_them(pieces: list[bytes]) -> None:
    lines, found = Lines(), b""
    for piece in pieces:
        whole = lines.feed(piece)
        assert whole[-1:] in (b"", b"\n")
        found += whole
    found += lines.end()
    said = b"".join(pieces)
    assert found == said + (b"\n" if said and said[-1:] != b"\n" else b"")
    assert lines.end() == b""


def test_a_line_without_end_is_written_in_pieces() -> None:
    lines = Lines()
    assert lines.feed(b"x" * MAX_LINE) == b""
    assert lines.feed(b"x") == b"x" * (MAX_LINE + 1) + b"\n"


def pipes() -> tuple[int, int, int, int]:
    return (*os.pipe(), *os.pipe())


def test_lines_of_two_processes_are_not_mixed() -> None:
    async def main() -> None:
        reading, writing = os.pipe()
        first, one, second, two = pipes()
        output = Output(writing)
        output.attach(asyncio.get_running_loop())
        relays = [Relay(first, output), Relay(second, output)]
        for piece in (b"he", b"llo\nwor", b"ld\nlast"):
            os.write(one, piece)
            os.write(two, piece.upper())
            await asyncio.sleep(0)
        os.close(one)
        os.close(two)
        for relay in relays:
            await relay.closed.wait()
        assert sorted(os.read(reading, 1000).split(b"\n")) == sorted(
            [b"", b"hello", b"world", b"last", b"HELLO", b"WORLD", b"LAST"]
        )
        os.close(reading)
        os.close(writing)

    asyncio.run(main())


def test_a_full_output_holds_the_process_back_and_loses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_module, "WAITING_BYTES", 1 << 18)

    async def main() -> None:
        reading, writing = os.pipe()
        first, one = os.pipe()
        output = Output(writing)
        output.attach(asyncio.get_running_loop())
        relay = Relay(first, output)
        whole = b"".join(b"%07d\n" % number for number in range(200_000))

        def speak() -> None:
            with os.fdopen(one, "wb") as stream:
                stream.write(whole)

        speaking = asyncio.create_task(asyncio.to_thread(speak))
        while not output.full:
            await asyncio.sleep(0)
        heard = b""
        while len(heard) < len(whole):
            heard += await asyncio.to_thread(os.read, reading, 1 << 16)
        await speaking
        await relay.closed.wait()
        assert heard == whole
        relay.close()
        os.close(reading)
        os.close(writing)

    asyncio.run(main())
