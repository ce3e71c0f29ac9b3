"""Checks of stores that workers share: who may bind them, and that nobody binds one by mistake. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_config.model import Config, Place, Store, Worker, flat
from pyworkerd_config.problems import Problem, did_you_mean, listing, quote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyworkerd_config.kinds import BindingKinds


def stores(config: Config, kinds: BindingKinds) -> Iterator[Problem]:
    """What is wrong with `[[stores]]`, and with the bindings that name a store of it."""
    shared: dict[tuple[str, str], Store] = {}
    bound = {service.name for service in config.services if isinstance(service.kind, Worker)}
    for store in config.stores:
        known = kinds.get(store.kind)
        if known is None or known.value != "store":
            yield Problem(store.place, f"there are no stores of the kind {quote(store.kind)}", "leave it out")
        if (store.kind, store.name) in shared:
            yield Problem(store.place, f"two {store.kind} stores are named {quote(store.name)}", "rename one")
        shared.setdefault((store.kind, store.name), store)
        yield from _workers(store, bound)
    for service in config.services:
        if isinstance(service.kind, Worker):
            yield from _bindings(service.name, service.kind, shared, kinds)


def _workers(store: Store, bound: set[str]) -> Iterator[Problem]:
    if not store.workers:
        message = f"no worker may bind the store {quote(store.name)}"
        yield Problem(_at(store, "workers"), message, "name those that share it, or leave the store out")
    for i, name in enumerate(store.workers):
        if name not in bound:
            known = f"there are {listing(sorted(bound)[:10], 'and')}" if bound else "there are no workers"
            message = f"unknown worker {quote(name)}"
            yield Problem(_at(store, "workers", i), message, did_you_mean(name, bound, known))


def _bindings(
    owner: str, worker: Worker, shared: Mapping[tuple[str, str], Store], kinds: BindingKinds
) -> Iterator[Problem]:
    def is_store(kind: str) -> bool:
        return kind in kinds and kinds[kind].value == "store"

    named = [b for b in flat(worker.bindings) if is_store(b.kind) and isinstance(b.value, str)]
    for binding in named:
        store = shared.get((binding.kind, binding.value))
        if store is None:
            continue
        if owner not in store.workers:
            message = f"{quote(owner)} is not among the workers that share the store {quote(store.name)}"
            remedy = f"add it to the store's workers ({store.place}), or name another store"
            yield Problem(binding.place, message, remedy)
        if "size_mb" in binding.options:
            remedy = f"write it there ({store.place})"
            yield Problem(binding.place, "a shared store has its size_mb where it is declared", remedy)


def _at(store: Store, *path: str | int) -> Place:
    return store.places.at(*path) if store.places.lines else store.place
