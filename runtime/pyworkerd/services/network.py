"""The outside world as a service: any URL whose address the policy permits (workerd.capnp, `Network`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd.errors import AccessDenied, ConfigurationError

from .base import DEFAULT
from .egress import Policy
from .outbound import OutboundService
from .outbound_plan import DEFAULT_LIMITS, OutboundLimits, Plan, Wire
from .resolver import SystemResolver

if TYPE_CHECKING:
    import ssl

    from pyworkerd_config.model import Network

    from pyworkerd.messages import Request, Response

    from .base import Target
    from .destination import Destination
    from .resolver import Resolver


class NetworkService(OutboundService):
    """Fetches absolute http and https URLs. Raises `ConfigurationError` for a policy that cannot be read."""

    def __init__(
        self,
        name: str,
        model: Network,
        *,
        resolver: Resolver | None = None,
        limits: OutboundLimits = DEFAULT_LIMITS,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        try:
            self._policy = Policy.parse(model.allow, model.deny)
        except ValueError as error:
            raise ConfigurationError(f"network service {name!r}: {error}") from None
        plan = Plan(
            wire=self._wire,
            resolver=resolver or SystemResolver(),
            permits=self._policy.permits,
            tls=tls,
            limits=limits,
        )
        super().__init__(name, plan)

    async def fetch(
        self, request: Request, target: Target = DEFAULT, *, redirect: str = "follow"
    ) -> Response:
        """Ask the server that the URL names.

        `redirect` is that of the fetch standard: "follow" (20 at most, each checked like the first), "manual"
        (redirects are answers) or "error". Headers of the connection, `Host`, `Content-Length` and `Expect`
        of the guest are dropped. The answer's body is as it was sent, `Content-Encoding` and all; closing it
        closes the connection. Raises `UpstreamError`, and `AccessDenied` where the policy is the reason.
        """
        return await self._exchange(request, target, redirect)

    def _wire(self, destination: Destination) -> Wire:
        if destination.address is not None and not self._policy.permits(destination.address):
            raise AccessDenied(f"no usable address is known for {destination.authority}")
        return Wire(destination.url, destination.authority)
