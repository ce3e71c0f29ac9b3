"""What calls a worker by its configuration, and whether it has a handler, or a class, for that."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_config.model import Worker as WorkerModel

from pyworkerd.dispatch.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from pyworkerd_config.model import Config

    from pyworkerd.services.base import Service


def unanswered(
    config: Config, name: str, worker: WorkerModel, handlers: Container[str], classes: Container[str] = ()
) -> Iterator[str]:
    """A sentence for each trigger of a worker that has no handler for it: all its runs would fail.

    `handlers` are those of its default entrypoint, `classes` the Durable Object classes that it exports. It is no
    error: a Wrangler file gives its crons to all its services, and a configuration may be ahead of a program.
    """
    if "fetch" not in handlers and worker.assets is None and (ways := _ways(config, name)):
        yield (
            f"has no handler `fetch`, and requests come to it ({_listed(ways)}), which will fail each time: write one "
            "in its default export (Python: in `class Default(WorkerEntrypoint)`)"
        )
    missing = [each for each in _classes(config, name) if each not in classes]
    if missing:
        yield f"exports no Durable Object class {_listed(missing)}, and bindings lead there: they will fail each time"
    if worker.crons and "scheduled" not in handlers:
        yield f"has crons, but no handler `scheduled`: {_listed(worker.crons)} will fail each time"
    consumed = [queue.name for queue in config.queues if queue.consumer == name]
    if consumed and "queue" not in handlers:
        yield f"consumes queues, but has no handler `queue`: messages of {_listed(consumed)} wait"


def _ways(config: Config, name: str) -> list[str]:
    """Sockets and routes that lead to a service."""
    sockets = [socket.name for socket in config.sockets if socket.service == name]
    return sockets + [
        route for service in config.services if service.name == name for route in service.routes
    ]


def _classes(config: Config, name: str) -> list[str]:
    """Durable Object classes of a worker that bindings lead to."""
    found = (
        str(binding.value)
        for service in config.services
        if isinstance(service.kind, WorkerModel)
        for binding in service.kind.bindings
        if binding.kind == "durable_object" and (binding.options.get("service_name") or service.name) == name
    )
    return list(dict.fromkeys(found))


def _listed(names: tuple[str, ...] | list[str]) -> str:
    return ", ".join(map(repr, names[:5])) + (", ..." if len(names) > 5 else "")


def tell_unanswered(service: Service, config: Config, model: WorkerModel) -> None:
    """Write them to the log of a worker that was just deployed."""
    if isinstance(service, Worker):
        handlers = service.entrypoints().get("", ())
        for message in unanswered(config, service.name, model, handlers, service.image.objects):
            service.log(0, "warning", "pyworkerd", message)
