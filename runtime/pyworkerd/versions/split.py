"""A service of which two versions answer: requests and calls are divided among them. See `choice`.

Objects, `scheduled`, `queue` and `tail` handlers are not asked through this: those are the first version's alone.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final, cast

from pyworkerd.services.base import DEFAULT, Target

from .choice import cookie_of, is_second, key_of, may_have_cookie, wants_cookie

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from pyworkerd.messages import Request, Response
    from pyworkerd.observe.scope import Scope
    from pyworkerd.services.base import Ask, Asks, CallReply, Pending, Reply, Service

_RANDOM: Final = SystemRandom()


class Split:
    """Implements `services.base.Service` and `Asks`. It owns neither of the versions."""

    external = False

    def __init__(
        self, name: str, first: Callable[[], Service], second: Service, version: str, percent: float
    ) -> None:
        self.name = name
        self._first, self._second = first, second
        self._version, self._percent = version, percent

    def __repr__(self) -> str:
        return f"<Split {self.name}: {self._percent:g} % to {self._version}>"

    def choose(self, request: Request | None = None) -> Service:
        """The version for a request, or for a call, which has no key."""
        key = None if request is None else key_of(request.headers)
        if key is None:
            is_second_now = _RANDOM.random() * 100 < self._percent
        else:
            is_second_now = is_second(key, self._version, self._percent)
        return self._second if is_second_now else self._first()

    async def fetch(self, request: Request, target: Target = DEFAULT, **options: Any) -> Response:
        """See `services.base.Service`. A page gets a cookie: the next requests of its visitor go the same way."""
        if not wants_cookie(request.headers) or key_of(request.headers) is not None:
            return await self.choose(request).fetch(request, target, **options)
        key = secrets.token_urlsafe(12)
        service = self._second if is_second(key, self._version, self._percent) else self._first()
        response = await service.fetch(request, target, **options)
        if response.web_socket is not None or not may_have_cookie(response.headers):
            return response
        return replace(
            response,
            headers=(
                *response.headers,
                ("set-cookie", cookie_of(key, secure=request.url.startswith("https:"))),
            ),
        )

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        """See `services.base.Service`."""
        return await self.choose().call(method, arguments, target)

    def ask(self, request: Request, span: Scope, context: Context, reply: Reply) -> Pending | None:
        """See `services.base.Ask`. A page that is to get a cookie has to be fetched."""
        if wants_cookie(request.headers) and key_of(request.headers) is None:
            return None
        ask: Ask | None = getattr(self.choose(request), "ask", None)
        return None if ask is None else ask(request, span, context, reply)

    def ask_fetch(
        self, request: Request, target: Target, span: Scope, context: Context, reply: Reply
    ) -> Pending | None:
        """See `services.base.Asks`."""
        if wants_cookie(request.headers) and key_of(request.headers) is None:
            return None
        found = self.choose(request)
        if not hasattr(found, "ask_fetch"):
            return None
        return cast("Asks", found).ask_fetch(request, target, span, context, reply)

    def ask_call(
        self, method: str, arguments: bytes, target: Target, span: Scope, context: Context, reply: CallReply
    ) -> Pending | None:
        """See `services.base.Asks`."""
        found = self.choose()
        if not hasattr(found, "ask_call"):
            return None
        return cast("Asks", found).ask_call(method, arguments, target, span, context, reply)

    async def aclose(self) -> None:
        """Both versions are somebody else's."""
