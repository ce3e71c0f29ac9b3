from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import pytest
from pyworkerd.server.resetting import reset

from tests.runtime.server.client import run

if TYPE_CHECKING:
    from pathlib import Path

LOOPS = ["asyncio", "uvloop"]


class Resetting(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # not by isinstance: uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)
        reset(self.transport)


@pytest.mark.parametrize("loop", LOOPS)
def test_the_peer_is_told_that_it_is_no_orderly_end(loop: str) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Resetting, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"a part")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()
        server.close()

    run(main, loop)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_unix_socket_is_only_closed(loop: str, tmp_path: Path) -> None:
    async def main() -> None:
        server = await asyncio.get_running_loop().create_unix_server(Resetting, str(tmp_path / "s"))
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        writer.write(b"a part")
        assert await reader.read() == b"a part"
        writer.close()
        server.close()

    run(main, loop)
