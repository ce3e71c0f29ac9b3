"""Objects written in JavaScript, in a runtime: stored, called from both languages, woken by alarms and messages."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import PyworkerdError
from pyworkerd.objects import alarms
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd.websocket.base import WebSocketClosed
from pyworkerd_config.model import Binding, Limits, ObjectClass
from pyworkerd_isolates.lifecycle import State

from tests.runtime.dispatch.test_hibernation import states

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pyworkerd.loaded import LoadedWorker

ROOM = {"ROOM": Binding("ROOM", "durable_object", "Room"), "SECRET": Binding("SECRET", "text", "hush")}
THERE = {"ROOM": Binding("ROOM", "durable_object", "Room", {"service_name": "shop"})}
SOURCE = {
    "worker.js": """
import { DurableObject, WorkerEntrypoint } from "cloudflare:workers";

export default class extends WorkerEntrypoint {
  on(name, method, ...rest) { return this.env.ROOM.getByName(name)[method](...rest); }
  many(name, count) { return Promise.all(Array.from({ length: count }, () => this.env.ROOM.getByName(name).add())); }
  fetch(request) { return this.env.ROOM.getByName("a").fetch(request); }
}

export class Room extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.heard = [];
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
  }

  async add() {
    const count = ((await this.ctx.storage.get("count")) ?? 0) + 1;
    await this.ctx.storage.put("count", count);
    return count;
  }

  remember(what) {
    this.heard.push(what);
    return [...this.heard, this.env.SECRET];
  }

  // Ed25519 gives equal signatures for equal keys, and for no others.
  async signature() {
    this.pair ??= await crypto.subtle.generateKey("Ed25519", false, ["sign"]);
    return new Uint8Array(await crypto.subtle.sign("Ed25519", this.pair.privateKey, new Uint8Array(1)));
  }

  numbers() {
    return [crypto.randomUUID(), this.ctx.storage.sql.exec("SELECT hex(randomblob(16)) AS n").one().n];
  }

  rows(query, ...values) { return this.ctx.storage.sql.exec(query, ...values).toArray(); }

  abort() {
    this.ctx.storage.kv.put("aborted", true);
    this.ctx.abort("enough");
  }

  async later(seconds) {
    await scheduler.wait(seconds * 1000);
    return this.heard;
  }

  async alarmIn(ms, fails = 0) {
    this.ctx.storage.kv.put("fails", fails);
    await this.ctx.storage.setAlarm(Date.now() + ms);
  }

  async rung() { return [this.ctx.storage.kv.get("rung") ?? [], await this.ctx.storage.getAlarm()]; }

  async alarm(info) {
    const { kv } = this.ctx.storage;
    if ((await this.ctx.storage.getAlarm()) !== null) throw new Error("it is its own");
    if (info.retryCount < kv.get("fails")) throw new Error("not yet");
    kv.put("rung", [...(kv.get("rung") ?? []), [info.isRetry, info.retryCount]]);
  }

  async fetch(request) {
    if (request.headers.get("upgrade") === null) return new Response(`${await request.text()} ${await this.add()}`);
    const [client, server] = Object.values(new WebSocketPair());
    this.ctx.acceptWebSocket(server, request.url.split("/").at(-1).split(","));
    server.serializeAttachment({ name: request.url });
    return new Response(null, { status: 101, webSocket: client });
  }

  async webSocketMessage(socket, message) {
    await null;
    const [tag, text] = message.split(":");
    const count = await this.add();
    for (const each of this.ctx.getWebSockets(tag || undefined)) {
      each.send(`${count} ${text} ${this.ctx.getTags(each)}`);
    }
  }

  webSocketClose(socket, code, reason, wasClean) {
    this.heard.push([code, reason, wasClean, socket.deserializeAttachment().name]);
  }

  state() { return [this.heard, this.ctx.getWebSockets().length]; }

  refused() {
    const server = new WebSocketPair()[1];
    const calls = [
      () => this.ctx.acceptWebSocket(server, Array.from({ length: 11 }, (_, n) => `${n}`)),
      () => this.ctx.acceptWebSocket(server, ["x".repeat(257)]),
      () => this.ctx.acceptWebSocket(server, [1]),
      () => this.ctx.acceptWebSocket("socket"),
      () => this.ctx.getTags(server),
      () => server.serializeAttachment("x".repeat(16384)),
      () => this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("x".repeat(2049), "")),
      () => this.ctx.setWebSocketAutoResponse({}),
    ];
    const found = calls.filter((call) => {
      try {
        call();
      } catch (error) {
        return error instanceof Error;
      }
    });
    return [found.length, server.deserializeAttachment(), this.ctx.getWebSockets().length];
  }
}
"""
}
PYTHON = {
    "other.py": """
from workers import WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def on(self, name, method, *arguments):
        return await getattr(self.env.ROOM.get_by_name(name), method)(*arguments)

    async def ask(self):
        response = await self.env.ROOM.get_by_name("a").fetch("http://room/", method="POST", body="hello")
        return await response.text()
"""
}


def run(
    folder: Path, *tests: Callable[[LoadedWorker, Runtime], Awaitable[None]], room: ObjectClass | None = None
) -> None:
    """Each test in a runtime of its own, on the same folder."""

    async def main(test: Callable[[LoadedWorker, Runtime], Awaitable[None]]) -> None:
        async with Runtime(options=RuntimeOptions(state_dir=folder)) as runtime:
            classes = [room or ObjectClass("Room")]
            limits = Limits(cpu_ms=2000)
            worker = await runtime.load(
                SOURCE, name="shop", bindings=ROOM, limits=limits, durable_objects=classes
            )
            await test(worker, runtime)

    for test in tests:
        asyncio.run(main(test))


def test_what_is_stored_is_there_in_the_next_process(tmp_path: Path) -> None:
    async def first(worker: LoadedWorker, _: Runtime) -> None:
        assert [await worker.call("on", "a", "add") for _ in range(3)] == [1, 2, 3]
        assert await worker.call("on", "b", "add") == 1
        await worker.call("on", "a", "rows", "CREATE TABLE t (n); INSERT INTO t VALUES (?)", 5)

    async def second(worker: LoadedWorker, _: Runtime) -> None:
        assert await worker.call("on", "a", "add") == 4
        assert await worker.call("on", "a", "rows", "SELECT n FROM t") == [{"n": 5}]
        with pytest.raises(PyworkerdError, match="no such table: t: SQLITE_ERROR"):
            await worker.call("on", "b", "rows", "SELECT n FROM t")

    run(tmp_path, first, second)


def test_read_and_write_are_one_for_all_that_call_at_once(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, _: Runtime) -> None:
        answers = await asyncio.gather(*(worker.call("many", "a", 10) for _ in range(5)))
        assert sorted(n for answer in answers for n in answer) == list(range(1, 51))

    run(tmp_path, test)


def test_python_calls_them_too(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, runtime: Runtime) -> None:
        other = await runtime.load(PYTHON, name="other", bindings=THERE)
        assert await other.call("on", "a", "add") == 1
        assert await other.call("ask") == "hello 2"
        assert await other.call("on", "a", "remember", {"x": b"1"}) == [{"x": b"1"}, "hush"]
        with pytest.raises(PyworkerdError, match="no method 'constructor'"):
            await other.call("on", "a", "constructor")
        assert await worker.call("on", "a", "add") == 3

    run(tmp_path, test)


def test_what_an_aborted_step_wrote_is_gone(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, _: Runtime) -> None:
        await worker.call("on", "a", "remember", 1)
        with pytest.raises(PyworkerdError, match="enough"):
            await worker.call("on", "a", "abort")
        assert await worker.call("on", "a", "remember", 2) == [2, "hush"]
        assert await worker.call("on", "a", "rows", "SELECT count(*) AS n FROM sqlite_schema") == [{"n": 1}]

    run(tmp_path, test)


def test_who_changed_too_much_in_one_step_is_not_told_that_it_was_kept(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, _: Runtime) -> None:
        many = "WITH RECURSIVE c(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM c LIMIT 9) SELECT n FROM c"
        query = f"CREATE TABLE t AS SELECT randomblob(1000000) AS b FROM ({many})"
        with pytest.raises(PyworkerdError, match="write less at a time"):
            await worker.call("on", "a", "rows", query)
        with pytest.raises(PyworkerdError, match="no such table"):
            await worker.call("on", "a", "rows", "SELECT count(*) FROM t")

    run(tmp_path, test)


def test_an_alarm_rings_and_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alarms, "backoff", lambda *_: 0.01)

    async def test(worker: LoadedWorker, _: Runtime) -> None:
        await worker.call("on", "a", "alarmIn", 1, 2)
        while not (rung := await worker.call("on", "a", "rung"))[0]:
            await asyncio.sleep(0.01)
        assert rung == [[[True, 2]], None]

    run(tmp_path, test)


def test_messages_are_calls_of_the_objects_own_handlers(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, _: Runtime) -> None:
        first, second = await worker.web_socket("/a,b"), await worker.web_socket("/b")
        await first.send("b:hello")
        assert (await first.receive(), await second.receive()) == ("1 hello a,b", "1 hello b")
        await second.send("a:you")
        assert await first.receive() == "2 you a,b"
        await second.send("ping")
        assert await second.receive() == "pong"
        await first.close(4000, "bye")
        while not (state := await worker.call("on", "a", "state"))[0]:
            await asyncio.sleep(0.001)
        assert state == [[[4000, "bye", True, "http://worker/a,b"]], 1]
        await second.send(":all")
        assert await second.receive() == "3 all b"
        await second.close()
        assert await worker.call("on", "a", "refused") == [8, None, 0]

    run(tmp_path, test)


def test_one_that_hibernates_has_all_it_had(tmp_path: Path) -> None:
    async def test(worker: LoadedWorker, _: Runtime) -> None:
        socket = await worker.web_socket("/a")
        drawn = await worker.call("on", "a", "numbers")
        assert await worker.call("on", "a", "add") == 1
        await worker.call("on", "a", "remember", "before")
        signature = await worker.call("on", "a", "signature")
        for _ in range(2):
            while states(worker) != [State.HIBERNATED]:
                await asyncio.sleep(0.005)
            await socket.send(":awake")
            assert (await socket.receive()).endswith("awake a")
        assert await worker.call("on", "a", "remember", "after") == ["before", "after", "hush"]
        assert await worker.call("on", "a", "add") == 4
        assert await worker.call("on", "a", "signature") == signature
        assert not set(await worker.call("on", "a", "numbers")) & set(drawn)
        await socket.close()
        with pytest.raises(WebSocketClosed):
            await socket.receive()

    run(tmp_path, test, room=ObjectClass("Room", idle_ms=20))
