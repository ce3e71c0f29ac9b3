"""A worker's own `fetch()`: capability 0 of its table, to the service that `global_outbound` names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd.services.base import DEFAULT

from .service.capability import ServiceCapability

if TYPE_CHECKING:
    from pyworkerd.services.base import Service

    from .base import Capability, Host


def outbound(service: str | Service | None, host: Host) -> Capability | None:
    """The way out to a service, or to the service of this name; None for none at all.

    Raises `ConfigurationError` if there is no service of this name.
    """
    if service is None:
        return None
    found = host.service(service) if isinstance(service, str) else service
    return ServiceCapability(found, DEFAULT, host.worker, host.cpu_ms)
