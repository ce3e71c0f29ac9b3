"""Checks of Durable Objects: whose class a binding names, and that no two classes have the same ids. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_config.limits import OBJECT_RANGES
from pyworkerd_config.model import Config, Place, Service, Worker, flat
from pyworkerd_config.problems import Problem, quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyworkerd_config.kinds import BindingKinds


def unique_key(service: str, worker: Worker | None, class_name: str) -> str:
    """What the ids of a class are made from: what was configured, or else service and class (as in Wrangler)."""
    configured = worker.object_class(class_name).unique_key if worker is not None else None
    return configured or f"{service}-{class_name}"


def objects(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    """What is wrong with `durable_objects` of workers, and with bindings to classes."""
    workers = {s.name: (s, s.kind) for s in config.services if isinstance(s.kind, Worker)}
    owners: dict[str, str] = {}
    for service, worker in workers.values():
        for i, each in enumerate(worker.durable_objects):
            yield from _class(service, worker, i, owners)
            if not each.class_name.isidentifier():
                yield Problem(_at(service, i), f"{quote(each.class_name)} cannot be a class", "name a class")
            for key, bounds in OBJECT_RANGES.items():
                value = getattr(each, key)
                if value is not None and not bounds.minimum <= value <= bounds.maximum:
                    message = (
                        f"{key} must be between {bounds.minimum:,} and {bounds.maximum:,}, found {value}"
                    )
                    yield Problem(_at(service, i), message, f"write for example {key} = 10_000")
        for binding in flat(worker.bindings):
            named = binding.options.get("service_name")
            if binding.kind != "durable_object" or not isinstance(binding.value, str):
                continue
            if not binding.value.isidentifier():
                message = f"{quote(binding.value)} cannot be a class"
                yield Problem(binding.place, message, 'write { durable_object = "Room" }')
            if isinstance(named, str) and named not in workers and _is_service(config, named):
                message = f"{quote(named)} is no worker, so that it has no Durable Objects"
                yield Problem(binding.place, message, "name the worker that has the class")


def _class(service: Service, worker: Worker, number: int, owners: dict[str, str]) -> Iterator[Problem]:
    class_name = worker.durable_objects[number].class_name
    key, owner = unique_key(service.name, worker, class_name), f"{service.name}.{class_name}"
    before = owners.setdefault(key, owner)
    if any(each.class_name == class_name for each in worker.durable_objects[:number]):
        message = f"the class {quote(class_name)} is there twice"
        yield Problem(_at(service, number), message, "leave one of them out")
    elif before != owner:
        message = f"{quote(before)} and {quote(owner)} have the same unique key {quote(key)}"
        yield Problem(_at(service, number), message, "give each its own unique_key")


def _is_service(config: Config, name: str) -> bool:
    return any(service.name == name for service in config.services)


def _at(service: Service, number: int) -> Place:
    if not service.places.lines:
        return service.place
    return service.places.at("worker", "durable_objects", number)
