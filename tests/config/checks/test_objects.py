"""Classes of Durable Objects, and the bindings that lead to them."""

from __future__ import annotations

from pathlib import Path

from pyworkerd_config import check
from pyworkerd_config.checks.objects import unique_key
from pyworkerd_config.explain import to_toml
from pyworkerd_config.model import Config, ObjectClass, Place, Worker
from pyworkerd_config.toml.reader import parse_toml

PLACE = Place(Path("/x/config.toml"))
TWO = """
[[services]]
name = "shop"
[services.worker]
main = "shop.py"
{shop}
[services.worker.bindings]
ROOM = {{ {room} }}
[[services]]
name = "other"
[services.worker]
main = "other.py"
{other}
"""


def config(room: str = 'durable_object = "Room"', shop: str = "", other: str = "") -> Config:
    return parse_toml(TWO.format(room=room, shop=shop, other=other), PLACE)


def problems(**parts: str) -> list[str]:
    return [str(problem) for problem in check(config(**parts))]


def test_what_is_right_is_found_right_and_written_as_it_was() -> None:
    shop = 'durable_objects = [{ class_name = "Room", unique_key = "rooms", prevent_eviction = true }]'
    read = config('durable_object = "Cart", service_name = "other"', shop)
    assert check(read) == []
    worker = read.services[0].kind
    assert isinstance(worker, Worker)
    assert worker.durable_objects == (ObjectClass("Room", "rooms", prevent_eviction=True),)
    again = parse_toml(to_toml(read), PLACE)
    assert isinstance(again.services[0].kind, Worker)
    assert again.services[0].kind.durable_objects == worker.durable_objects
    assert again.services[0].kind.bindings == worker.bindings


def test_how_it_hibernates_is_read_and_bounded() -> None:
    read = config(shop='durable_objects = [{ class_name = "Room", hibernate = false, idle_ms = 60_000 }]')
    assert check(read) == []
    worker = read.services[0].kind
    assert isinstance(worker, Worker)
    assert worker.durable_objects == (ObjectClass("Room", hibernate=False, idle_ms=60_000),)
    again = parse_toml(to_toml(read), PLACE).services[0].kind
    assert isinstance(again, Worker)
    assert again.durable_objects == worker.durable_objects
    for wrong in (0, -1, 86_400_001):
        (found,) = problems(shop=f'durable_objects = [{{ class_name = "Room", idle_ms = {wrong} }}]')
        assert "idle_ms must be between 1 and 86,400,000" in found
        assert "config.toml:6" in found
    (found,) = problems(shop='durable_objects = [{ class_name = "Room", max_objects = 0 }]')
    assert "max_objects must be between 1 and 1,000,000" in found


def test_a_key_is_made_of_service_and_class_unless_there_is_one() -> None:
    worker = Worker(Path(), Path(), durable_objects=(ObjectClass("Room", "rooms"), ObjectClass("Cart")))
    assert unique_key("shop", worker, "Room") == "rooms"
    assert unique_key("shop", worker, "Cart") == "shop-Cart"
    assert unique_key("shop", worker, "Else") == "shop-Else"
    assert unique_key("shop", None, "Room") == "shop-Room"


def test_a_class_is_named_once() -> None:
    twice = 'durable_objects = [{ class_name = "Room" }, { class_name = "Room" }]'
    assert "twice" in problems(shop=twice)[0]


def test_no_two_classes_have_the_same_ids() -> None:
    (found,) = problems(
        shop='durable_objects = [{ class_name = "Room" }]',
        other='durable_objects = [{ class_name = "Cart", unique_key = "shop-Room" }]',
    )
    assert '"shop.Room" and "other.Cart" have the same unique key "shop-Room"' in found
    assert "config.toml:13" in found


def test_a_class_is_an_identifier() -> None:
    assert "cannot be a class" in problems(room='durable_object = "a b"')[0]
    assert "cannot be a class" in problems(shop='durable_objects = [{ class_name = "a/b" }]')[0]


def test_a_binding_names_a_worker() -> None:
    assert 'unknown service "els"' in problems(room='durable_object = "Room", service_name = "els"')[0]
    assert "is no worker" in problems(room='durable_object = "Room", service_name = "internet"')[0]
