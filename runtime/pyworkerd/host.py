"""What the bindings of a worker may use of the runtime; services by their names, in the generation of the moment."""

from __future__ import annotations

import os
from time import time
from typing import TYPE_CHECKING, Any

from pyworkerd_config.checks.objects import unique_key
from pyworkerd_config.model import Worker as WorkerModel

from pyworkerd.errors import ConfigurationError
from pyworkerd.services.base import DEFAULT, Target

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextvars import Context

    from pyworkerd_config.model import Queue

    from pyworkerd.dispatch.worker import Worker
    from pyworkerd.generation import Generation
    from pyworkerd.messages import Request, Response
    from pyworkerd.observe.scope import Scope
    from pyworkerd.services.base import CallReply, Pending, Reply, Service
    from pyworkerd.storage import layout


class Host:
    """What the bindings of one worker may use of the runtime: see `bindings.base.Host`."""

    def __init__(self, generation: Generation, worker: str, cpu_ms: float) -> None:
        self.generation = generation
        self.worker, self.cpu_ms = worker, cpu_ms
        ground = generation.ground
        self.environment: Mapping[str, str] = os.environ if ground.environment is None else ground.environment
        self.secrets = generation.config.secrets
        self.shared = ground.shared
        self.own: Worker | None = None
        self.given: list[object] = []
        """What bindings were told that is written elsewhere than with the worker: where stores are, and queues."""

    def store(self, kind: str, name: str) -> layout.Location:
        """Where the worker's store of this name is."""
        location = self.generation.store(kind, self.worker, name)
        self.given.append(location._replace(sharers=()))  # who else shares it makes no other worker
        return location

    def queue(self, name: str) -> tuple[Queue, layout.Location]:
        """A queue that the worker is among the producers of."""
        queue, location = self.generation.queue(name)
        if self.worker not in queue.producers:
            raise ConfigurationError(f"{self.worker!r} is not among the producers of the queue {name!r}")
        self.given.append((queue, location))
        return queue, location

    def service(self, name: str) -> Service:
        """The service of this name, by reference."""
        if name != self.worker and not self.generation.has(name):
            raise ConfigurationError(f"there is no service named {name!r}")
        return _Reference(self, name, self.generation.is_outside(name))

    async def awake(self, name: str) -> Worker:
        """The worker of this name, deployed. Raises `PyworkerdError`."""
        return await self.generation.wake(name)

    def unique_key(self, service: str, class_name: str) -> str:
        """What the ids of a worker's Durable Object class are made from."""
        models = self.generation.config.services
        worker = next((m.kind for m in models if m.name == service and isinstance(m.kind, WorkerModel)), None)
        return unique_key(service, worker, class_name)

    def now(self) -> float:
        """The wall clock."""
        return time()


class _Reference:
    """A service by its name, in the generation that its worker belongs to at the time."""

    def __init__(self, host: Host, name: str, external: bool) -> None:
        self._host, self.name, self.external = host, name, external

    async def fetch(self, request: Request, target: Target = DEFAULT, **options: Any) -> Response:
        return await self._now(target).fetch(request, target, **options)

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        return await self._now(target).call(method, arguments, target)

    def ask_fetch(
        self, request: Request, target: Target, span: Scope, context: Context, reply: Reply
    ) -> Pending | None:
        ask = getattr(self._now(target), "ask_fetch", None)
        return None if ask is None else ask(request, target, span, context, reply)

    def ask_call(
        self, method: str, arguments: bytes, target: Target, span: Scope, context: Context, reply: CallReply
    ) -> Pending | None:
        generation = self._host.generation
        service = generation.asked(self.name) if target.object is None else self._now(target)
        ask = getattr(service, "ask_call", None)
        return None if ask is None else ask(method, arguments, target, span, context, reply)

    def _now(self, target: Target) -> Service:
        generation = self._host.generation
        # An object has one owner: with two versions it is the first one's.
        return generation.asked(self.name) if target.object is None else generation.service(self.name)

    async def aclose(self) -> None:
        """Nothing is held."""
