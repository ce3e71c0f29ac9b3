"""Upstream's server, as far as files, what their names and addresses say, and a few of its scripts (`handlers`): the
`globalOutbound` of a test.
"""

from __future__ import annotations

import asyncio
import mimetypes
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs, unquote, urlsplit

from pyworkerd.errors import NoSuchMethod, UpstreamError
from pyworkerd.messages import Body, Response
from pyworkerd.services.base import DEFAULT

from .checkout import HOST, resolve
from .handlers import HANDLERS, query_of

if TYPE_CHECKING:
    from pyworkerd.messages import Request
    from pyworkerd.services.base import Target

    from .checkout import Checkout

_TYPES: Final = {
    ".js": "text/javascript",
    ".json": "application/json",
    ".txt": "text/plain",
    ".html": "text/html",
    ".idl": "text/plain",
}
_PIPED: Final = re.compile(r"(\w+)\(((?:[^()\\]|\\.)*)\)")


class Site:
    """The files of a checkout at the address that its tests believe to be theirs."""

    name = "web-platform-tests"
    external = False

    def __init__(self, checkout: Checkout) -> None:
        self._checkout = checkout

    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        """A file, with the headers of the file beside it and those that `?pipe=` asks for. Raises `UpstreamError`."""
        del target
        parts = urlsplit(request.url)
        name = resolve("", unquote(parts.path)) or ""
        handler = HANDLERS.get(name.rpartition("/")[2])
        if not (parts.hostname or "").endswith(HOST):
            await request.body.aclose()
            raise UpstreamError(f"there is no server {parts.hostname}: tests have the checkout alone")
        if handler is not None:
            return await handler(request, query_of(parts.query))
        await request.body.aclose()
        return await asyncio.to_thread(self._answer, name, parts.query, request.method)

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        """Refused: files have no methods."""
        del arguments, target
        raise NoSuchMethod(self.name, method)

    async def aclose(self) -> None:
        """Nothing is held."""

    def _answer(self, name: str, query: str, method: str) -> Response:
        data = None if name.endswith(".py") else self._checkout.read(name)
        if data is None:
            return Response(404, (("content-type", "text/plain"),), Body(f"no {name} here".encode()))
        headers = {"content-type": _type_of(name)}
        for line in (self._checkout.read(f"{name}.headers") or b"").decode(errors="replace").splitlines():
            field, colon, value = line.partition(":")
            if colon:
                headers[field.strip().lower()] = value.strip()
        status = 200
        for function, arguments in _PIPED.findall(parse_qs(query).get("pipe", [""])[0]):
            if function == "header":
                field, _, value = arguments.partition(",")
                headers[field.strip().lower()] = value.split(",")[0].strip().replace("\\", "")
            elif function == "status":
                status = int(arguments)
        return Response(status, tuple(headers.items()), Body(b"" if method == "HEAD" else data))


def _type_of(name: str) -> str:
    suffix = name[name.rfind(".") :]
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
