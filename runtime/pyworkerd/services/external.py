"""One fixed server as a service, whatever the URL says (workerd.capnp, `ExternalServer`)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyworkerd.errors import ConfigurationError

from .base import DEFAULT
from .outbound import OutboundService
from .outbound_plan import DEFAULT_LIMITS, OutboundLimits, Plan, Wire
from .resolver import SystemResolver

if TYPE_CHECKING:
    import ssl

    from pyworkerd_config.model import External

    from pyworkerd.messages import Request, Response

    from .base import Target
    from .destination import Destination
    from .egress import Address
    from .resolver import Resolver

_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>[0-9]{1,5}))?")


class ExternalService(OutboundService):
    """Sends everything to `model.address`. The operator chose it, so no address policy applies.

    The URL's host is what the server reads in `Host`; its scheme is ignored, as `model.https` decides about
    TLS. The certificate has to carry `certificate_host`, or the host of the address. Raises
    `ConfigurationError`.
    """

    def __init__(
        self,
        name: str,
        model: External,
        *,
        resolver: Resolver | None = None,
        limits: OutboundLimits = DEFAULT_LIMITS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        unix_path, self._base = _read_address(name, model)
        self._tls_name = model.certificate_host if model.https else None
        plan = Plan(
            wire=self._wire,
            resolver=resolver or SystemResolver(),
            permits=_anything,
            unix_path=unix_path,
            tls=tls,
            limits=limits,
        )
        super().__init__(name, plan)

    async def fetch(
        self, request: Request, target: Target = DEFAULT, *, redirect: str = "manual"
    ) -> Response:
        """Ask the server. With `redirect` "follow", redirects lead to the same server; else they are answers.

        Otherwise as `NetworkService.fetch`.
        """
        return await self._exchange(request, target, redirect)

    def _wire(self, destination: Destination) -> Wire:
        return Wire(self._base + destination.target, destination.authority, self._tls_name)


def _anything(_: Address) -> bool:
    return True


def _read_address(name: str, model: External) -> tuple[str | None, str]:
    """The path of a Unix socket, if it is one, and the URL up to the path."""
    if model.address.startswith("unix:"):
        path = model.address.removeprefix("unix:")
        if not path or "\0" in path:
            raise ConfigurationError(
                f"external service {name!r}: write 'unix:/path' with the path of a socket"
            )
        if model.https:
            raise ConfigurationError(f"external service {name!r}: TLS over a Unix socket is not supported")
        return path, "http://localhost"
    parts = _ADDRESS.fullmatch(model.address)
    port = int((parts and parts["port"]) or (443 if model.https else 80))
    if parts is None or not 0 < port < 65536:
        raise ConfigurationError(
            f"external service {name!r}: {model.address!r} is neither 'host:port' nor 'unix:/path'"
        )
    return None, f"{'https' if model.https else 'http'}://{parts['host']}:{port}"
