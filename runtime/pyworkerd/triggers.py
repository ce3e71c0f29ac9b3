"""What calls a worker that no client waits for, by its configuration, and whether it has a handler for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd.dispatch.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from pyworkerd_config.model import Config
    from pyworkerd_config.model import Worker as WorkerModel

    from pyworkerd.services.base import Service


def unanswered(config: Config, name: str, worker: WorkerModel, handlers: Container[str]) -> Iterator[str]:
    """A sentence for each trigger of a worker that has no handler for it: all its runs would fail.

    `handlers` are those of its default entrypoint. It is no error: a Wrangler file gives its crons to all its services.
    """
    if worker.crons and "scheduled" not in handlers:
        yield f"has crons, but no handler `scheduled`: {_listed(worker.crons)} will fail each time"
    consumed = [queue.name for queue in config.queues if queue.consumer == name]
    if consumed and "queue" not in handlers:
        yield f"consumes queues, but has no handler `queue`: messages of {_listed(consumed)} wait"


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")


def tell_unanswered(service: Service, config: Config, model: WorkerModel) -> None:
    """Write them to the log of a worker that was just deployed."""
    if isinstance(service, Worker):
        for message in unanswered(config, service.name, model, service.entrypoints().get("", ())):
            service.log(0, "warning", "pyworkerd", message)
