"""What JavaScript workers use for real: sockets, buckets, objects, caches, loaders."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.websocket import Close, WebSocketClosed
from pyworkerd_config import Binding, load
from pyworkerd_config.model import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

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


OBJECTS = {
    "counter.py": """
from workers import DurableObject, Response, WebSocketPair, WorkerEntrypoint

class Counter(DurableObject):
    async def increment(self, by=1):
        self.ctx.storage.kv.put("n", n := (self.ctx.storage.kv.get("n") or 0) + by)
        return n

    async def fetch(self, request):
        if request.headers.get("upgrade"):
            client, server = WebSocketPair().object_values()
            self.ctx.accept_web_socket(server)
            return Response(None, status=101, web_socket=client)
        return Response(f"{request.method} {request.url} {await request.text()}")

    async def web_socket_message(self, socket, message):
        socket.send(f"object: {message}")

    async def fails(self):
        raise ValueError("no")

class Default(WorkerEntrypoint):
    pass
""",
    "caller.js": """
import { WorkerEntrypoint } from "cloudflare:workers";

export default class extends WorkerEntrypoint {
  async count(name, ...by) {
    return this.env.COUNTER.getByName(name).increment(...by);
  }

  fetch(request) {
    return this.env.COUNTER.getByName("room").fetch(request);
  }

  async fetches(name) {
    const stub = this.env.COUNTER.get(this.env.COUNTER.idFromName(name));
    const answer = await stub.fetch("http://counter/x", { method: "POST", body: "hi" });
    return [await answer.text(), stub.id.toString().length, stub.name];
  }

  async unique() {
    const id = this.env.COUNTER.newUniqueId();
    const again = this.env.COUNTER.idFromString(String(id));
    const [one, two] = [this.env.COUNTER.get(id), this.env.COUNTER.get(again)];
    return [await one.increment(), await two.increment(2), id.equals(again)];
  }

  async failure() {
    try {
      await this.env.COUNTER.getByName("x").fails();
    } catch (error) {
      return error.message;
    }
  }
}
""",
    "config.toml": """
[[services]]
name = "objects"
worker = { main = "counter.py", durable_objects = [{ class_name = "Counter" }] }

[[services]]
name = "caller"
[services.worker]
main = "caller.js"
bindings.COUNTER = { durable_object = "Counter", service_name = "objects" }
""",
}


def test_durable_objects_of_a_python_worker(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    for name, text in OBJECTS.items():
        (tmp_path / name).write_text(text)

    async def main(runtime: Runtime) -> None:
        caller = runtime.worker("caller")
        assert [await caller.call("count", "a"), await caller.call("count", "a", 4)] == [1, 5]
        assert await caller.call("count", "b") == 1
        assert await caller.call("fetches", "lobby") == ["POST http://counter/x hi", 64, "lobby"]
        async with await caller.web_socket("/") as socket:
            await socket.send("hello")
            assert await socket.receive() == "object: hello"
        assert await caller.call("unique") == [1, 3, True]
        assert "no" in await caller.call("failure")

    with_runtime(main, load(tmp_path / "config.toml"))


CACHED = """
import { WorkerEntrypoint } from "cloudflare:workers";

export default class extends WorkerEntrypoint {
  async keeps(url, headers, body) {
    await caches.default.put(url, new Response(body, { headers }));
    const found = await caches.default.match(new Request(url));
    return found === undefined ? null : [await found.text(), found.headers.get("x-a"), found.status];
  }

  async rest() {
    const url = "http://site/page";
    const cache = await caches.open("mine");
    const kept = () => new Response("x", { headers: { "cache-control": "max-age=60" } });
    await cache.put(url, kept());
    const post = new Request(url, { method: "POST" });
    const said = [];
    for (const wrong of [() => cache.put(post, kept()), () => cache.put(url, new Response("x", { status: 206 })),
      () => cache.put(url, new Response("x", { headers: { vary: "*" } })), () => cache.put(url, "no response"),
      () => cache.put(url, new Response(null, { status: 101, webSocket: new WebSocketPair()[0] }))]) {
      try {
        await wrong();
      } catch (error) {
        said.push(`${error.name}: ${error.message}`);
      }
    }
    return [(await caches.default.match(url)) ?? null, await cache.match(post) ?? null,
      await (await cache.match(post, { ignoreMethod: true })).text(), await cache.delete(post),
      await cache.delete(url), await cache.delete(url), (await cache.match(url)) ?? null, said];
  }

  async streams(url, size) {
    const whole = new Uint8Array(size).fill(7);
    await caches.default.put(url, new Response(whole, { headers: { "cache-control": "max-age=60" } }));
    return (await (await caches.default.match(url)).arrayBuffer()).byteLength;
  }

  async none() {
    try {
      await caches.default.match("http://site/");
    } catch (error) {
      return [error.code, error.message];
    }
  }
}
"""


def test_the_cache_api(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"w.js": CACHED})
        kept = {"cache-control": "max-age=60", "x-a": "b"}
        assert await worker.call("keeps", "http://site/a?b=\u2603", kept, "hello") == ["hello", "b", 200]
        assert await worker.call("keeps", "http://site/b", {"cache-control": "no-store"}, "hello") is None
        assert await worker.call("streams", "http://site/c", 3_000_000) == 3_000_000
        *found, said = await worker.call("rest")
        assert found == [None, None, "x", False, True, False, None]
        assert [each.partition(":")[0] for each in said] == ["TypeError"] * 5
        assert "WebSocket" in said[-1]
        without = await runtime.load({"w.js": CACHED}, limits=Limits(cache_mb=0))
        assert (await without.call("none"))[0] == "access_denied"

    with_runtime(main)


SCRIPT = """
addEventListener("fetch", (event) => {
  const key = new URL(event.request.url).pathname;
  event.waitUntil(VISITS.put(key, GREETING));
  event.respondWith(VISITS.get(key).then((found) => new Response(found ?? "nothing yet")));
});
"""


def test_the_service_worker_syntax(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        bindings = {"VISITS": Binding("VISITS", "kv", "visits"), "GREETING": "hello"}
        worker = await runtime.load({"w.js": SCRIPT}, bindings=bindings)
        assert await (await worker.fetch("/a")).text() == "nothing yet"
        while worker.service.busy:
            await asyncio.sleep(0)
        assert await (await worker.fetch("/a")).text() == "hello"

    with_runtime(main)
