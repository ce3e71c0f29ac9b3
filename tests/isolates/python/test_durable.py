"""Ids, namespaces and stubs, as a worker makes them."""

from __future__ import annotations

import hashlib
import hmac

import pytest
from pyworkerd_isolates.protocol import Part
from pyworkerd_isolates.testing import LATER, Reply

KEY = hashlib.sha256(b"shop-Room").digest()
SOURCE = """
from workers import DurableObject, DurableObjectId, Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def name(self, name):
        id = self.env.ROOM.id_from_name(name)
        assert id == self.env.ROOM.idFromName(name) and id.equals(id) and hash(id) == hash(id)
        assert self.env.ROOM.get_by_name(name).id == id and self.env.ROOM.get_by_name(name).name == name
        return [str(id), id.name]

    async def unique(self):
        ids = [self.env.ROOM.new_unique_id() for _ in range(50)]
        assert len(set(ids)) == 50 and ids[0] != ids[1] and not ids[0].equals(str(ids[0]))
        return [str(id) for id in ids]

    async def string(self, text):
        return str(self.env.ROOM.id_from_string(text))

    async def foreign(self, text):
        self.env.OTHER.get(self.env.ROOM.id_from_string(text))

    async def no_id(self):
        self.env.ROOM.get("0" * 64)

    async def jurisdiction(self):
        self.env.ROOM.new_unique_id({"jurisdiction": "eu"})

    async def call(self, text):
        stub = self.env.ROOM.get(self.env.ROOM.id_from_string(text))
        answer = await stub.fetch("http://room/enter", method="POST", body="x")
        return [await answer.text(), await stub.greet("you", loud=True), bool(stub), bool(self.env.ROOM)]

class Room(DurableObject):
    pass
"""
BINDINGS = [("ROOM", "durable_object", 3, KEY), ("OTHER", "durable_object", 4, b"k" * 32)]


def id_of(name: str) -> str:
    """The reference's scheme, written down once more."""
    half = hmac.digest(KEY, name.encode(), "sha256")[:16]
    return (half + hmac.digest(KEY, half, "sha256")[:16]).hex()


def test_an_id_of_a_name_is_always_the_same(start):
    driver = start(SOURCE, bindings=BINDINGS)
    for name in ("lobby", "", "gr\u00fc\u00df", "x" * 5000):
        assert driver.call("name", name).value == [id_of(name), name]


def test_unique_ids_are_unique_in_every_isolate_and_valid(start):
    first, second = start(SOURCE, bindings=BINDINGS), start(SOURCE, bindings=BINDINGS)
    ids = first.call("unique").value + second.call("unique").value
    assert len(set(ids)) == 100
    assert first.call("string", ids[70]).value == ids[70]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "64 hex digits"),
        (7, "64 hex digits"),
        ("0" * 63, "64 hex digits"),
        ("0" * 65, "64 hex digits"),
        ("g" * 64, "64 hex digits"),
        ("0 " * 32, "64 hex digits"),
        ("0" * 64, "not valid for this namespace"),
        (id_of("lobby")[:32] + id_of("other")[32:], "not valid for this namespace"),
    ],
)
def test_a_string_that_is_no_id_of_the_namespace_is_a_type_error(start, text, message):
    failure = start(SOURCE, bindings=BINDINGS).call("string", text).failure
    assert failure.type_name == "TypeError"
    assert message in failure.message


def test_capitals_mean_the_same_id(start):
    driver = start(SOURCE, bindings=BINDINGS)
    assert driver.call("string", id_of("lobby").upper()).value == id_of("lobby")


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        ("foreign", [id_of("lobby")], "not valid for this namespace"),
        ("no_id", [], "takes a DurableObjectId"),
        ("jurisdiction", [], "Jurisdiction"),
    ],
)
def test_what_a_namespace_refuses(start, method, arguments, message):
    assert message in start(SOURCE, bindings=BINDINGS).call(method, *arguments).failure.message


def test_a_stub_names_its_object_in_every_effect(start):
    def answer(effect):
        return Reply(body=b"entered") if effect.method == "POST" else "hello"

    driver = start(SOURCE, bindings=BINDINGS, answer=answer)
    assert driver.call("call", id_of("lobby")).value == ["entered", "hello", True, True]
    assert [effect.capability for effect in driver.seen] == [Part(3, id_of("lobby"))] * 2
    assert driver.seen[0].url == "http://room/enter"


def test_classes_of_objects_are_no_entrypoints(start, sandbox):
    image = sandbox.image(SOURCE)
    assert dict(image.objects) == {"Room": ()}
    assert dict(image.handlers) == {"": ()}
    run = start(SOURCE, bindings=BINDINGS, answer=lambda _: LATER).call("name", "x", entrypoint="Room")
    assert run.failure.reason == "no_entrypoint"


def test_a_worker_may_be_nothing_but_objects(sandbox):
    source = (
        "from workers import DurableObject\nclass Room(DurableObject):\n    async def fetch(self): pass\n"
    )
    assert dict(sandbox.image(source).objects) == {"Room": ("fetch",)}
