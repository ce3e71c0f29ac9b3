"""A host whose parts are written down, and services that remember what they were asked."""

from __future__ import annotations

import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyworkerd.bindings.environments import build
from pyworkerd.bindings.shared import Shared
from pyworkerd.errors import ConfigurationError
from pyworkerd.messages import Body, Request, Response
from pyworkerd.services.base import DEFAULT, Service, Target
from pyworkerd.storage import layout
from pyworkerd_config.model import Queue
from pyworkerd_isolates import wire

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from pyworkerd.bindings.base import Binding, Capability
    from pyworkerd.bindings.environments import Environment
    from pyworkerd.storage.layout import Location


@dataclass
class StaticHost:
    """`bindings.base.Host`; `clock` is moved by hand."""

    worker: str = "shop"
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)
    cpu_ms: float = 50.0
    services: Mapping[str, Service] = field(default_factory=dict)
    shared: Shared = field(default_factory=Shared)
    own: Any = None
    clock: float = 1000.0
    state: Path | None = None

    def service(self, name: str) -> Service:
        if name not in self.services:
            raise ConfigurationError(f"there is no service named {name!r}")
        return self.services[name]

    def store(self, kind: str, name: str) -> Location:
        if self.state is None:
            self.state = Path(tempfile.mkdtemp(prefix="pyworkerd-test-"))
        return layout.own(self.state, kind, self.worker, name)

    def unique_key(self, service: str, class_name: str) -> str:
        return f"{service}-{class_name}"

    def queue(self, name: str) -> tuple[Queue, Location]:
        if name != "jobs":
            raise ConfigurationError(f"{self.worker!r} is not among the producers of the queue {name!r}")
        root = self.store("queue", name).root
        return Queue(name, (self.worker,)), layout.shared(root, "queue", name)

    def now(self) -> float:
        return self.clock


class Echo:
    """A service that answers with what it was asked."""

    def __init__(self, name: str = "echo", response: Response | None = None) -> None:
        self.name = name
        self.requests: list[tuple[Request, Target]] = []
        self.calls: list[tuple[str, bytes, Target]] = []
        self.response = response or Response(body=Body(b"echo"))
        self.closed = False

    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        self.requests.append((request, target))
        return self.response

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        self.calls.append((method, arguments, target))
        return arguments

    async def aclose(self) -> None:
        self.closed = True


class Outside(Echo):
    """A service that says that it leaves the process, and takes a redirect mode."""

    external = True

    async def fetch(
        self, request: Request, target: Target = DEFAULT, *, redirect: str = "follow"
    ) -> Response:
        self.redirect = redirect
        return await super().fetch(request, target)


@asynccontextmanager
async def built(
    bindings: Sequence[Binding], host: StaticHost | None = None, outbound: Capability | None = None
) -> AsyncIterator[Environment]:
    """The environment of some bindings, closed in the end."""
    environment = await build(bindings, outbound, host or StaticHost())
    try:
        yield environment
    finally:
        await environment.aclose()


def arguments(*positional: Any, **named: Any) -> bytes:
    """As a guest encodes them."""
    return wire.dump_value([list(positional), named])


async def value_of(binding: Binding, host: StaticHost | None = None) -> Any:
    """What a worker finds on `env` for a binding that is a plain value."""
    async with built([binding], host) as environment:
        ((name, kind, encoded),) = environment.entries
        assert (name, kind) == (binding.name, "value")
        assert isinstance(encoded, bytes)
        return wire.load_value(encoded)


async def ask(environment: Environment, method: str, *positional: Any, **named: Any) -> Any:
    """Call a method of the last capability of an environment."""
    index = max(value for _, _, value in environment.entries if isinstance(value, int))
    return wire.load_value(await environment.table.find(index).call(method, arguments(*positional, **named)))
