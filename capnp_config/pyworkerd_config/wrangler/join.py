"""Several Wrangler files as one configuration: the first is the one that a server listens for. Pure.

As with `wrangler dev -c a -c b`: workers of all files call each other by name, and what no route takes goes to the
first file's. A namespace, bucket, database, dataset or queue of one name is the same to all of them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pyworkerd_config.model import Config, Queue, Service, Store, Worker
from pyworkerd_config.problems import Problem, quote
from pyworkerd_config.toml.reader import with_internet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from pyworkerd_config.kinds import BindingKinds
    from pyworkerd_config.model import Place

EVERYTHING = "/*"
"""The route of a file's own worker that takes what no other takes."""


def join(configs: Sequence[Config], kinds: BindingKinds) -> Config:
    """One of several, each of one file."""
    first = configs[0]
    if len(configs) == 1:
        return first
    secrets: dict[str, str] = {}
    services: list[Service] = []
    for config in configs:
        own = [service for service in config.services if isinstance(service.kind, Worker)]
        if config is not first:
            own = [
                replace(each, routes=tuple(route for route in each.routes if route != EVERYTHING))
                for each in own
            ]
        services += _with_secrets(own, config, configs, secrets)
    by_id = {(store.kind, store.name) for config in configs for store in config.stores}
    named = [queue for config in configs for queue in config.queues]
    joined = replace(
        first,
        services=tuple(services),
        queues=tuple(_queues(named)),
        stores=tuple(account_stores(services, kinds, first.place, by_id)),
        warnings=(*(warning for config in configs for warning in config.warnings), *_second_consumers(named)),
        secrets=secrets,
    )
    return with_internet(joined)


def account_stores(
    services: Iterable[Service], kinds: BindingKinds, place: Place, by_id: Collection[tuple[str, str]]
) -> Iterator[Store]:
    """Those that belong to no worker: what a file names by an id, which stays the same whoever comes to bind it, and
    what several workers have under one name. `by_id` are the kinds and names of the former.
    """
    users: dict[tuple[str, str], list[str]] = {}
    for service in services:
        assert isinstance(service.kind, Worker)
        for binding in service.kind.bindings:
            if binding.kind in kinds and kinds[binding.kind].value == "store":
                of = users.setdefault((binding.kind, binding.value), [])
                if service.name not in of:
                    of.append(service.name)
    for (kind, name), names in users.items():
        if len(names) > 1 or (kind, name) in by_id:
            yield Store(kind, name, tuple(names), place=place)


def _with_secrets(
    services: Iterable[Service], config: Config, configs: Sequence[Config], known: dict[str, str]
) -> Iterator[Service]:
    """The same services, with secrets that are not the same to all files under names of their own.

    A file that has no value for one of its secrets must not be given another file's.
    """
    elsewhere = {
        name for other in configs if other is not config for name in _bound(other) - other.secrets.keys()
    }
    renamed = {
        name: f"{config.place.file}:{name}"
        for name, value in config.secrets.items()
        if name in elsewhere or known.get(name, value) != value
    }
    known.update({renamed.get(name, name): value for name, value in config.secrets.items()})
    for service in services:
        worker = service.kind
        assert isinstance(worker, Worker)
        bindings = tuple(
            replace(each, value=renamed.get(each.value, each.value)) if each.kind == "secret" else each
            for each in worker.bindings
        )
        yield replace(service, kind=replace(worker, bindings=bindings))


def _bound(config: Config) -> set[str]:
    """Names of the secrets that workers of a file have."""
    return {
        each.value
        for service in config.services
        if isinstance(service.kind, Worker)
        for each in service.kind.bindings
        if each.kind == "secret"
    }


def _second_consumers(queues: Iterable[Queue]) -> Iterator[Problem]:
    first: dict[str, Queue] = {}
    for queue in queues:
        if queue.consumer is not None and (known := first.setdefault(queue.name, queue)) is not queue:
            yield Problem(
                queue.place,
                f"{quote(queue.consumer)} gets no messages of queue {quote(queue.name)}, which "
                f"{quote(known.consumer or '')} consumes",
                "leave one of the consumers out",
            )


def _queues(queues: Iterable[Queue]) -> Iterator[Queue]:
    """One of each name: all that send to it in any file do; how it is consumed is what its consumer's file says."""
    by_name: dict[str, list[Queue]] = {}
    for queue in queues:
        by_name.setdefault(queue.name, []).append(queue)
    for same in by_name.values():
        consumed = next((queue for queue in same if queue.consumer is not None), same[0])
        yield replace(
            consumed,
            producers=tuple(dict.fromkeys(name for queue in same for name in queue.producers)),
            delivery_delay=max(queue.delivery_delay for queue in same),
        )
