"""Answers to an authority that looks whether we are who serves a host (RFC 8555 section 8.3, http-01)."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from pyworkerd.messages import Body, Response

if TYPE_CHECKING:
    from pyworkerd.messages import Request
    from pyworkerd.observe.scope import Scope
    from pyworkerd.server import Handler
    from pyworkerd.services.base import Ask, Pending, Reply, Surroundings

    from .files import AcmeFiles

PREFIX: Final = "/.well-known/acme-challenge/"
TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
"""Base64url, by RFC 8555 section 8.1: nothing in it leads to another folder."""


class Answering:
    """A handler in front of another one. What is no challenge of ours goes on to that."""

    def __init__(self, files: AcmeFiles, handler: Handler) -> None:
        self._files = files
        self._handler = handler
        self._ask: Ask | None = getattr(handler, "ask", None)

    async def __call__(self, request: Request) -> Response:
        """Answer a request."""
        token = token_of(request)
        if token is not None:
            answer = await asyncio.to_thread(self._files.answer, token)
            if answer is not None:
                return Response(200, (("content-type", "application/octet-stream"),), Body(answer))
        return await self._handler(request)

    def ask(self, request: Request, span: Scope, surroundings: Surroundings, reply: Reply) -> Pending | None:
        """See `services.base.Ask`."""
        if self._ask is None or PREFIX in request.url:
            return None
        return self._ask(request, span, surroundings, reply)


def token_of(request: Request) -> str | None:
    """The token that a request asks for; None if it is about something else."""
    if request.method not in ("GET", "HEAD") or PREFIX not in request.url:
        return None
    path = urlsplit(request.url).path
    token = path.removeprefix(PREFIX)
    return token if path.startswith(PREFIX) and TOKEN.fullmatch(token) else None
