"""What the corpus accepts reaches a real worker as it was sent: by its routes, through the sandbox, octet for octet."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from pyworkerd.server import ServerOptions
from pyworkerd.server.origin import ABOUT_CLIENT
from pyworkerd.serving import Serving
from pyworkerd_config import load as load_config

from tests.conformance.corpus import DEFAULT_AUTHORITY, SMALL, load
from tests.runtime.server.client import Client

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest
    from pyworkerd.runtime import Runtime

CONFIG = """
[[sockets]]
name = "http"
address = "127.0.0.1:0"

[[services]]
name = "everything"
routes = ["/*"]
[services.worker]
main = "mirror.py"
limits = { cpu_ms = 60000 }
"""
MIRROR = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        body = await request.bytes()
        return Response.json([str(request.method), request.url, body.decode("latin-1"), request.headers.items()])
"""
ACCEPTED = [case for case in load() if case.sees and not (case.statuses or case.incomplete or case.interim)]


def joined(headers: tuple[tuple[str, str], ...]) -> dict[str, str]:
    """As `Headers` has them: one value for each name (RFC 9110 section 5.3; cookies by RFC 6265 section 5.4)."""
    found: dict[str, str] = {}
    for name, value in headers:
        found[name] = f"{found[name]}{'; ' if name == 'cookie' else ', '}{value}" if name in found else value
    return found


def without_own(headers: dict[str, str]) -> dict[str, str]:
    """Trace context and what there is about the client are the runtime's own."""
    return {
        name: value
        for name, value in headers.items()
        if name != "traceparent" and not ABOUT_CLIENT.fullmatch(name)
    }


def test_a_worker_sees_what_was_sent(
    with_runtime: Callable[..., None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "config.toml").write_text(CONFIG)
    (tmp_path / "mirror.py").write_text(MIRROR)

    async def main(runtime: Runtime) -> None:
        serving = Serving(runtime, ServerOptions(limits=SMALL))
        (socket,) = await serving.start()
        host, port = socket.address.rsplit(":", 1)
        for case in ACCEPTED:
            client = Client(*await asyncio.open_connection(host, int(port)))
            client.send(case.sent)
            for number, seen in enumerate(case.sees):
                status, _, body = await client.response(seen.method)
                assert status == 200, case.id
                if seen.method == "HEAD":
                    continue
                method, url, got, headers = json.loads(body)
                wanted = seen.url.replace(f"//{DEFAULT_AUTHORITY}/", f"//{socket.address}/")
                assert (method, url, got) == (seen.method, wanted, seen.body.decode("latin-1")), case.id
                if case.headers is not None and number == 0:
                    assert without_own(dict(headers)) == without_own(joined(case.headers)), case.id
            await client.aclose()
        await serving.aclose()

    with_runtime(main, load_config(tmp_path / "config.toml"))
    assert not caplog.records
