"""Checks of queues: who may send, who consumes, where what fails goes. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_config.limits import QUEUE_RANGES
from pyworkerd_config.model import Config, Place, Queue, Worker, flat
from pyworkerd_config.problems import Problem, did_you_mean, listing, quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pyworkerd_config.kinds import BindingKinds


def queues(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    """What is wrong with `[[queues]]`, and with the bindings that name one."""
    known = {queue.name: queue for queue in config.queues}
    workers = {service.name for service in config.services if isinstance(service.kind, Worker)}
    seen: set[str] = set()
    for queue in config.queues:
        if queue.name in seen:
            yield Problem(_at(queue, "name"), f"two queues are named {quote(queue.name)}", "rename one")
        seen.add(queue.name)
        yield from _queue(queue, workers, known)
    for service in config.services:
        if isinstance(service.kind, Worker):
            for binding in flat(service.kind.bindings):
                if binding.kind == "queue" and isinstance(binding.value, str):
                    yield from _binding(service.name, binding.value, binding.place, known)


def _queue(queue: Queue, workers: set[str], known: dict[str, Queue]) -> Iterator[Problem]:
    for i, name in enumerate(queue.producers):
        if name not in workers:
            yield _unknown(_at(queue, "producers", i), "worker", name, workers)
    if queue.consumer is not None and queue.consumer not in workers:
        yield _unknown(_at(queue, "consumer"), "worker", queue.consumer, workers)
    dead = queue.dead_letter_queue
    if dead is not None and dead not in known:
        yield _unknown(_at(queue, "dead_letter_queue"), "queue", dead, known)
    if dead == queue.name:
        message = "what a queue gives up cannot come into the same queue"
        yield Problem(_at(queue, "dead_letter_queue"), message, "name another queue")
    elif circle := _circle(queue, known):
        message = f"what a queue gives up comes back to it: {', '.join(circle)}"
        yield Problem(_at(queue, "dead_letter_queue"), message, "name another queue")
    for key, bounds in QUEUE_RANGES.items():
        value = getattr(queue, key)
        if value is not None and not bounds.minimum <= value <= bounds.maximum:
            message = f"{key} must be between {bounds.minimum:,} and {bounds.maximum:,}, found {value}"
            yield Problem(_at(queue, key), message, f"write for example {key} = {bounds.maximum}")


def _circle(queue: Queue, known: dict[str, Queue]) -> list[str]:
    """The queues that a message passes until it is back in this one; empty if it never is."""
    passed = [queue.name]
    following: Queue | None = queue
    while (
        following is not None and following.consumer is not None and following.dead_letter_queue is not None
    ):
        name = following.dead_letter_queue
        if name == queue.name:
            return [*passed, name]
        if name in passed:  # it goes round among others
            return []
        passed.append(name)
        following = known.get(name)
    return []


def _binding(owner: str, name: str, place: Place, known: dict[str, Queue]) -> Iterator[Problem]:
    queue = known.get(name)
    if queue is None:
        message = f"there is no queue {quote(name)}"
        yield Problem(place, message, did_you_mean(name, known, "declare it: [[queues]]"))
    elif owner not in queue.producers:
        message = f"{quote(owner)} is not among the producers of the queue {quote(name)}"
        yield Problem(place, message, f"add it to the queue's producers ({queue.place})")


def _unknown(place: Place, what: str, name: str, known: Iterable[str]) -> Problem:
    names = sorted(known)[:10]
    there = f"there are {listing(names, 'and')}" if names else f"there are no {what}s"
    return Problem(place, f"unknown {what} {quote(name)}", did_you_mean(name, names, there))


def _at(queue: Queue, *path: str | int) -> Place:
    return queue.places.at(*path) if queue.places.lines else queue.place
