"""What JavaScript workers use for real: sockets, buckets, objects, caches, loaders."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.websocket import Close, WebSocketClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.runtime import Runtime

ROOM = {
    "room.ts": """
const room = new Set<WebSocket>();

export default {
  async fetch(request: Request): Promise<Response> {
    const [client, server] = Object.values(new WebSocketPair());
    server.accept();
    room.add(server);
    server.addEventListener("message", ({ data }) => {
      if (data === "close") server.close(4000, "as you wish");
      else room.forEach((each) => each.send(data));
    });
    server.addEventListener("close", ({ code }) => {
      room.delete(server);
      console.log(`left with ${code}`);
    });
    const protocol = request.headers.get("sec-websocket-protocol")?.split(", ").at(-1);
    const headers = protocol ? { "sec-websocket-protocol": protocol } : {};
    return new Response(null, { status: 101, webSocket: client, headers });
  },
};
"""
}
PROXY = {
    "proxy.js": """
export default { fetch: (request, env) => env.INNER.fetch(request) };
"""
}


@pytest.mark.parametrize("proxied", [False, True])
def test_a_program_talks_to_a_worker_over_a_web_socket(
    with_runtime: Callable[..., None], proxied: bool
) -> None:
    async def main(runtime: Runtime) -> None:
        inner = await runtime.load(ROOM)
        worker = await runtime.load(PROXY, bindings={"INNER": inner}) if proxied else inner
        async with await worker.web_socket("/", protocols=["v1", "v2"]) as socket:
            assert socket.protocol == "v2"
            for message in ("hello", b"\0", "ä" * 100_000, b"x" * 1_000_000):
                await socket.send(message)
                assert await socket.receive() == message
            await socket.send("close")
            with pytest.raises(WebSocketClosed) as caught:
                await socket.receive()
            assert caught.value.close == Close(4000, "as you wish")
        while inner.service.busy:
            await asyncio.sleep(0)
        assert "left with 4000" in [entry.message for entry in inner.logs]

    with_runtime(main)
