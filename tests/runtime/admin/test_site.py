"""The admin address over real connections."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pyworkerd.admin.site import Site
from pyworkerd.server import bind

from tests.runtime.admin.test_routes import Fixed
from tests.runtime.server.client import Client, run

if TYPE_CHECKING:
    from pathlib import Path


def test_over_tcp_and_a_unix_socket(tmp_path: Path) -> None:
    async def main() -> None:
        for text in ("127.0.0.1:0", f"unix:{tmp_path / 's'}"):
            site = Site(Fixed(1), ["a.internal"])
            listener = bind(text)
            await site.start(listener)
            local = text.startswith("unix:")
            if local:
                client = Client(*await asyncio.open_unix_connection(text.removeprefix("unix:")))
            else:
                port = int(str(listener.address).rpartition(":")[2])
                client = Client(*await asyncio.open_connection("127.0.0.1", port))
            for host, expected in (
                ("127.0.0.1", 200),
                ("a.internal", 200),
                ("evil.example", 200 if local else 421),
            ):
                status, headers, body = await client.ask(
                    f"GET /live HTTP/1.1\r\nhost: {host}\r\n\r\n".encode()
                )
                assert (status, body == b"live\n") == (expected, expected == 200)
                assert headers["cache-control"] == "no-store"
                assert headers["content-security-policy"] == "default-src 'none'"
                assert "access-control-allow-origin" not in headers
            assert (
                await client.ask(b"GET /live HTTP/1.1\r\nhost: 127.0.0.1\r\norigin: http://evil\r\n\r\n")
            )[0] == 403
            await client.aclose()
            await site.aclose()

    run(main)
