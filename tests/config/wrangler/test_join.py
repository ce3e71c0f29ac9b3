"""Several Wrangler files as one configuration."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pyworkerd_config import BINDING_KINDS, Config, Place, Worker, check
from pyworkerd_config.wrangler.join import join
from pyworkerd_config.wrangler.reader import parse_wrangler

FRONT = """
name = "front"
main = "front.ts"
routes = ["front.example.com/*"]
services = [{ binding = "BACK", service = "back" }]
kv_namespaces = [{ binding = "CACHE", id = "shared" }, { binding = "OWN", id = "front" }]
[[queues.producers]]
binding = "JOBS"
queue = "jobs"
delivery_delay = 5
"""
BACK = """
name = "back"
main = "back.ts"
account_id = "0"
routes = ["back.example.com/*"]
kv_namespaces = [{ binding = "STORE", id = "shared" }]
[[queues.producers]]
binding = "JOBS"
queue = "jobs"
[[queues.consumers]]
queue = "jobs"
max_batch_size = 3
"""


def read(name: str, text: str, **secrets: str) -> Config:
    config = parse_wrangler(text, Place(Path(name) / "wrangler.toml"), secrets=secrets)
    return replace(config, secrets=secrets)


def joined() -> Config:
    front = read("a", FRONT, TOKEN="one", SAME="same", MINE="mine")
    return join([front, read("b", BACK, TOKEN="two", SAME="same")], BINDING_KINDS)


def test_one_file_is_what_it_is() -> None:
    alone = read("b", BACK)
    assert join([alone], BINDING_KINDS) is alone


def test_workers_of_all_files_are_there_and_the_first_gets_what_no_route_takes() -> None:
    config = joined()
    assert check(config) == []
    assert [(service.name, service.routes) for service in config.services] == [
        ("front", ("front.example.com/*", "/*")), ("back", ("back.example.com/*",)), ("internet", ()),
    ]  # fmt: skip
    assert len(config.sockets) == 1
    assert len(config.warnings) == 1


def test_what_several_name_is_one() -> None:
    config = joined()
    assert [(store.kind, store.name, store.workers) for store in config.stores] == [
        ("kv", "shared", ("front", "back")),
        ("kv", "front", ("front",)),
    ], "an id is the account's, whoever binds it"
    (queue,) = config.queues
    assert (queue.producers, queue.consumer, queue.max_batch_size, queue.delivery_delay) == (
        ("front", "back"), "back", 3, 5,
    )  # fmt: skip


def test_each_worker_has_the_secrets_of_its_own_file() -> None:
    config = joined()
    seen = {}
    for service in config.services:
        if isinstance(service.kind, Worker):
            secrets = [each for each in service.kind.bindings if each.kind == "secret"]
            seen[service.name] = {each.name: config.secrets[each.value] for each in secrets}
    assert seen == {
        "front": {"TOKEN": "one", "SAME": "same", "MINE": "mine"},
        "back": {"TOKEN": "two", "SAME": "same"},
    }


def test_a_secret_that_a_file_has_no_value_for_is_not_another_files() -> None:
    needs = 'name = "NAME"\nmain = "NAME.ts"\nsecrets = { required = ["TOKEN"] }'
    for front, back in (({"TOKEN": "one"}, {}), ({}, {"TOKEN": "one"})):
        config = join(
            [
                read("a", needs.replace("NAME", "front"), **front),
                read("b", needs.replace("NAME", "back"), **back),
            ],
            BINDING_KINDS,
        )
        found = [
            config.secrets.get(each.value)
            for service in config.services
            if isinstance(service.kind, Worker)
            for each in service.kind.bindings
        ]
        assert found == [front.get("TOKEN"), back.get("TOKEN")]


def test_a_second_consumer_of_a_queue_is_told_that_it_gets_nothing() -> None:
    text = 'name = "NAME"\nmain = "NAME.ts"\n[[queues.consumers]]\nqueue = "jobs"'
    config = join([read(name, text.replace("NAME", name)) for name in ("front", "back")], BINDING_KINDS)
    assert [queue.consumer for queue in config.queues] == ["front"]
    (warning,) = config.warnings
    assert warning.place.file == Path("back", "wrangler.toml")
    assert warning.message == '"back" gets no messages of queue "jobs", which "front" consumes'
