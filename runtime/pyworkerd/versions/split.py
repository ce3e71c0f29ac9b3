"""A service of which two versions answer: requests and calls are divided among them. See `choice`.

Objects, `scheduled`, `queue` and `tail` handlers are not asked through this: those are the first version's alone.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from random import SystemRandom
from time import monotonic_ns
from typing import TYPE_CHECKING, Any, Final, cast

from pyworkerd.dispatch.failures import outcome
from pyworkerd.errors import InternalError
from pyworkerd.services.base import DEFAULT, Target

from .choice import cookie_of, is_second, key_of, may_have_cookie, wants_cookie

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Context

    from pyworkerd.messages import Request, Response
    from pyworkerd.observe.counters import VersionMeters
    from pyworkerd.observe.scope import Scope
    from pyworkerd.services.base import Ask, Asks, CallReply, Pending, Reply, Service, Surroundings

    Counted = Callable[[Response | None, BaseException | None], None]

_RANDOM: Final = SystemRandom()


class Split:
    """Implements `services.base.Service` and `Asks`. It owns neither of the versions."""

    external = False

    def __init__(
        self,
        name: str,
        first: Callable[[], Service],
        second: Service,
        versions: tuple[str, str],
        percent: float,
        meters: VersionMeters,
    ) -> None:
        """`versions` are the ids of the two, and `percent` what the second gets. `close` it in the end."""
        self.name = name
        self._first, self._second = first, second
        self._versions, self._percent = versions, percent
        self._version = versions[1]
        self._meters = meters
        self._counters = tuple(meters.take((name, version)) for version in versions)

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
            return await self._fetch(self.choose(request), request, target, options)
        key = secrets.token_urlsafe(12)
        service = self._second if is_second(key, self._version, self._percent) else self._first()
        response = await self._fetch(service, request, target, options)
        if response.web_socket is not None or not may_have_cookie(response.headers):
            return response
        return replace(
            response,
            headers=(
                *response.headers,
                ("set-cookie", cookie_of(key, secure=request.url.startswith("https:"))),
            ),
        )

    async def _fetch(
        self, service: Service, request: Request, target: Target, options: dict[str, Any]
    ) -> Response:
        counted = self._counted(service)
        try:
            response = await service.fetch(request, target, **options)
        except BaseException as error:
            counted(None, error)
            raise
        counted(response, None)
        return response

    def _counted(self, service: Service, reply: Reply | None = None) -> Counted:
        """What counts the answer of a version, and hands it on."""
        counters, began = self._counters[service is self._second], monotonic_ns()

        def counted(response: Response | None, error: BaseException | None) -> None:
            status = response.status if response is not None else outcome(error or InternalError(""))[0]
            counters.answered(status, monotonic_ns() - began)
            if reply is not None:
                reply(response, cast("Exception | None", error))

        return counted

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        """See `services.base.Service`."""
        return await self.choose().call(method, arguments, target)

    def ask(self, request: Request, span: Scope, surroundings: Surroundings, reply: Reply) -> Pending | None:
        """See `services.base.Ask`. A page that is to get a cookie has to be fetched."""
        if wants_cookie(request.headers) and key_of(request.headers) is None:
            return None
        service = self.choose(request)
        ask: Ask | None = getattr(service, "ask", None)
        return None if ask is None else ask(request, span, surroundings, self._counted(service, reply))

    def ask_fetch(
        self, request: Request, target: Target, span: Scope, context: Context, reply: Reply
    ) -> Pending | None:
        """See `services.base.Asks`."""
        if wants_cookie(request.headers) and key_of(request.headers) is None:
            return None
        found = self.choose(request)
        if not hasattr(found, "ask_fetch"):
            return None
        counted = self._counted(found, reply)
        return cast("Asks", found).ask_fetch(request, target, span, context, counted)

    def ask_call(
        self, method: str, arguments: bytes, target: Target, span: Scope, context: Context, reply: CallReply
    ) -> Pending | None:
        """See `services.base.Asks`."""
        found = self.choose()
        if not hasattr(found, "ask_call"):
            return None
        return cast("Asks", found).ask_call(method, arguments, target, span, context, reply)

    def close(self) -> None:
        """The two no longer share the requests."""
        for version, counters in zip(self._versions, self._counters, strict=True):
            self._meters.give_back((self.name, version), counters)

    async def aclose(self) -> None:
        """Both versions are somebody else's."""
