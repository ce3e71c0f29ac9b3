"""Ids, namespaces and stubs of Durable Objects, as a JavaScript worker makes them."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates.protocol import Call, Fetch, Part
from pyworkerd_isolates.testing import Reply, RunFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver

    Start = Callable[..., Driver]

KEY = hashlib.sha256(b"shop-Room").digest()
SOURCE = {
    "w.js": """
import { WorkerEntrypoint } from "cloudflare:workers";

export default class extends WorkerEntrypoint {
  name(name) {
    const id = this.env.ROOM.idFromName(name);
    const same = this.env.ROOM.getByName(name).id.equals(id) && this.env.ROOM.getByName(name).name === name;
    return [String(id), id.name, same, id.equals(String(id))];
  }

  unique() {
    const ids = Array.from({ length: 20 }, () => this.env.ROOM.newUniqueId());
    return [...new Set(ids.map(String)), "name" in ids[0]];
  }

  string(text) {
    return this.env.ROOM.idFromString(text).toString();
  }

  foreign(text) {
    this.env.OTHER.get(this.env.ROOM.idFromString(text));
  }

  noId() {
    this.env.ROOM.get("0".repeat(64));
  }

  jurisdiction() {
    this.env.ROOM.newUniqueId({ jurisdiction: "eu" });
  }

  async calls(text) {
    const stub = this.env.ROOM.get(this.env.ROOM.idFromString(text), { locationHint: "weur" });
    const answer = await stub.fetch("http://room/enter", { method: "POST", body: "x" });
    return [await answer.text(), await stub.greet("you", { loud: true }), typeof stub.then];
  }
}
"""
}
BINDINGS = [("ROOM", "durable_object", 3, KEY), ("OTHER", "durable_object", 4, b"k" * 70)]


def id_of(name: str) -> str:
    """The reference's scheme, written down once more."""
    half = hmac.digest(KEY, name.encode(), "sha256")[:16]
    return (half + hmac.digest(KEY, half, "sha256")[:16]).hex()


def test_an_id_of_a_name_is_always_the_same(start: Start) -> None:
    driver = start(SOURCE, bindings=BINDINGS)
    for name in ("lobby", "", "gr\u00fc\u00df", "x" * 5000):
        assert driver.call("name", name).value == [id_of(name), name, True, False]


def test_unique_ids_are_valid_and_all_different(start: Start) -> None:
    driver = start(SOURCE, bindings=BINDINGS)
    *ids, named = driver.call("unique").value
    assert (len(ids), named) == (20, False)
    assert [driver.call("string", each).value for each in ids] == ids


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("string", ["0" * 63], "Invalid Durable Object ID: must be 64 hex digits"),
        ("string", ["g" * 64], "Invalid Durable Object ID: must be 64 hex digits"),
        ("string", [7], "Invalid Durable Object ID: must be 64 hex digits"),
        ("string", ["0" * 64], "Durable Object ID is not valid for this namespace."),
        ("foreign", [id_of("x")], "Durable Object ID is not valid for this namespace."),
        ("noId", [], "get() takes a DurableObjectId, not string"),
        ("name", [7], "a name is a string, not number"),
        ("jurisdiction", [], "Jurisdiction restrictions are not implemented."),
    ],
)
def test_mistakes(start: Start, method: str, arguments: list[Any], message: str) -> None:
    with pytest.raises(RunFailed) as caught:
        _ = start(SOURCE, bindings=BINDINGS).call(method, *arguments).value
    assert caught.value.run.failure is not None
    assert caught.value.run.failure.message == message


def test_stubs_name_their_object(start: Start) -> None:
    def answer(asked: Call | Fetch) -> Any:
        return Reply(body=b"entered") if isinstance(asked, Fetch) else "hello"

    driver = start(SOURCE, bindings=BINDINGS, answer=answer)
    assert driver.call("calls", id_of("x").upper()).value == ["entered", "hello", "undefined"]
    assert [each.capability for each in driver.seen] == [Part(3, id_of("x"))] * 2
