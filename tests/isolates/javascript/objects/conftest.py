"""An object written in JavaScript that runs what a test tells it to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates.testing import LATER

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

    Start = Callable[..., Driver]
    Room = Callable[..., "Tested"]

ID = "0a" * 32
PAGE = 4096
SOURCE = """
import { DurableObject } from "cloudflare:workers";

const AsyncFunction = (async () => {}).constructor;
let made = 0;

export class Room extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.made = ++made;
    this.seen = [];
    CONSTRUCTOR
  }

  async run(code, ...given) {
    const names = ["storage", "kv", "sql", "self", "given"];
    const { storage } = this.ctx;
    return new AsyncFunction(...names, code)(storage, storage.kv, storage.sql, this, given);
  }

  fetch(request) {
    if (request.headers.get("upgrade") !== "websocket") return new Response(`${this.ctx.id} ${this.made}`);
    const [client, server] = Object.values(new WebSocketPair());
    this.ctx.acceptWebSocket(server, new URL(request.url).searchParams.getAll("tag"));
    return new Response(null, { status: 101, webSocket: client });
  }

  note(what) {
    this.seen.push(what);
    return [...this.seen];
  }

  async askFirst(what) {
    this.seen.push("asks");
    await this.env.ELSE();
    this.seen.push(what);
  }

  _hidden() {}

  METHODS
}
"""


class Tested:
    """An object, and what a host would have of it."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def run(self, code: str, *given: Any) -> Any:
        return self.driver.call("run", code, *given, entrypoint="Room").value

    def fails(self, code: str, *given: Any) -> str:
        failure = self.driver.call("run", code, *given, entrypoint="Room").failure
        assert failure is not None
        return f"{failure.type_name}: {failure.message}"

    @property
    def stored(self) -> bytes:
        """The pages of all commits."""
        pages: dict[int, bytes] = {}
        size = 0
        for commit in self.driver.commits:
            size = commit.size
            for index, number in enumerate(commit.numbers):
                pages[number] = commit.pages[index * PAGE : (index + 1) * PAGE]
        return b"".join(pages[number] for number in range(size))


@pytest.fixture
def room(start: Start) -> Room:
    """Begin one: what its constructor does besides, and more methods."""

    def begin(constructor: str = "", methods: str = "alarm() {}", **options: Any) -> Tested:
        source = SOURCE.replace("CONSTRUCTOR", constructor).replace("METHODS", methods)
        bindings = [("ELSE", "callable", 1)]
        options = {"answer": lambda _: LATER, "is_object": ("Room", ID), **options}
        return Tested(start({"w.js": source}, bindings=bindings, **options))

    return begin
