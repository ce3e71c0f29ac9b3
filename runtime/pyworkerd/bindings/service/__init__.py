"""`NAME = { service = "auth", entrypoint = "Admin", props = {...} }`: another service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from pyworkerd.bindings.base import Access, Binding, problem
from pyworkerd.services.base import Target

from .capability import ServiceCapability

if TYPE_CHECKING:
    from pyworkerd_config.model import Binding as Configured
    from pyworkerd_config.model import Place

    from pyworkerd.bindings.base import Grant, Host
    from pyworkerd.services.base import Service


class ServiceBinding(Binding):
    """A fetcher on `env`: `await env.NAME.fetch(...)`, or any method of the entrypoint."""

    __slots__ = ("_service", "_target")

    kind = "service"
    shape = "fetcher"

    def __init__(
        self, name: str, service: str | Service, target: Target | None = None, place: Place | None = None
    ) -> None:
        super().__init__(name, place)
        self._service = service
        """The service's name, or the service itself where a program gave it."""
        self._target = target or Target()

    @classmethod
    def configure(cls, configured: Configured) -> Self:
        """The value is a service's name. That the service exists is checked with the whole configuration."""
        if not isinstance(configured.value, str) or not configured.value:
            raise problem(
                configured.name,
                configured.place,
                "the value is not the name of a service",
                'write { service = "auth" }',
            )
        entrypoint = configured.options.get("entrypoint")
        if entrypoint is not None and (not isinstance(entrypoint, str) or not entrypoint):
            raise problem(
                configured.name,
                configured.place,
                "the entrypoint is not the name of a class",
                'write entrypoint = "Admin", or leave it out',
            )
        props: Any = configured.options.get("props")
        target = Target(entrypoint, {} if props is None else props)
        return cls(configured.name, configured.value, target, configured.place)

    async def prepare(self, host: Host) -> Grant:
        """Finds the service; does not start it."""
        service = host.service(self._service) if isinstance(self._service, str) else self._service
        capability = ServiceCapability(service, self._target, host.worker, host.cpu_ms)
        return Access("fetcher", capability)
