"""The admin address over real connections."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from pyworkerd.admin.site import Site
from pyworkerd.admin.tokens import Token, TokenFile, digest_of, make_token
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


def test_the_api_needs_a_token_over_tcp_and_none_by_a_unix_socket(tmp_path: Path) -> None:
    async def main() -> None:
        unix, off, on = f"unix:{tmp_path / 's'}", "127.0.0.1:0", "127.0.0.1:0"
        token = make_token()
        tokens = TokenFile(None, (Token("ci", digest_of(token)),))
        bearer = f"authorization: Bearer {token}\r\n"
        for text, known, given, expected in (
            (unix, None, "", (200, "unix")),
            (off, None, bearer, (403, None)),
            (on, tokens, "", (401, None)),
            (on, tokens, bearer, (200, "ci")),
        ):
            site = Site(Fixed(1), tokens=known)
            listener = bind(text)
            await site.start(listener)
            if text is unix:
                client = Client(*await asyncio.open_unix_connection(text.removeprefix("unix:")))
            else:
                host, _, port = str(listener.address).rpartition(":")
                client = Client(*await asyncio.open_connection(host, int(port)))
            asked = f"GET /api/v1/session HTTP/1.1\r\nhost: 127.0.0.1\r\n{given}\r\n"
            status, headers, body = await client.ask(asked.encode())
            assert (status, json.loads(body).get("name")) == expected
            assert headers["cache-control"] == "no-store"
            asked = f"GET /api/v1/session HTTP/1.1\r\nhost: evil.example\r\n{given}\r\n"
            assert (await client.ask(asked.encode()))[0] == (200 if text is unix else 421)
            await client.aclose()
            await site.aclose()

    run(main)
