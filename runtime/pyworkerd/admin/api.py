"""The API below `/api/v1`: from a request to a row of a table, with who asks, and everything in it checked.

A row says what a request may bring and what comes back as types. `msgspec` reads by them, so nothing that they do not
allow reaches a handler, and `openapi` makes the document of them.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from http import HTTPStatus
from time import time
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from pyworkerd.errors import BodyTooLarge, ConfigurationError
from pyworkerd.messages import Body, Response, header

from .auth import Denied

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from pyworkerd.messages import Request

    from .auth import Caller, Gate
    from .routes import Server
    from .uploads import Uploads

ROOT: Final = "/api/v1"
MAX_BODY: Final = 1 << 20
"""Bytes of a JSON body."""
MAX_FIELDS: Final = 32
"""Of a query."""
JSON: Final = "application/json"
PROBLEM: Final = "application/problem+json"
"""RFC 9457."""


class Fault(msgspec.Struct, omit_defaults=True):
    """One thing that is wrong: the whole sentence, and its parts where they are known."""

    text: str
    file: str | None = None
    line: int | None = None
    message: str | None = None
    remedy: str | None = None


class Problem(msgspec.Struct, omit_defaults=True):
    """What every answer that is none says (RFC 9457)."""

    title: str
    status: int
    detail: str
    problems: list[Fault] = []


class ApiError(Exception):
    """A handler cannot do it. The status has to be among the `errors` of its row."""

    def __init__(self, status: int, detail: str, problems: Sequence[Fault] = ()) -> None:
        self.status, self.detail, self.problems = status, detail, problems
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Call:
    """What a handler is given."""

    server: Server
    gate: Gate
    uploads: Uploads
    request: Request
    client: str | None
    """Address of the client; None on a Unix socket."""
    caller: Caller | None
    """Who asks; None where a row is open to everybody."""
    path: Mapping[str, str]
    query: Any
    """Of the type that the row says."""
    body: Any
    """The same."""


@dataclass(frozen=True, slots=True)
class Route:
    """A row: what can be asked, and what answers."""

    method: str
    path: str
    """Below `ROOT`; `{name}` stands for any part."""
    handler: Callable[[Call], Awaitable[Any]]
    """Returns what `answer` says, or a `Response`. Raises `ApiError`."""
    summary: str
    answer: Any = None
    """Type of what it returns; None: there is no body (204). A text: the media type of a `Response`."""
    query: type[msgspec.Struct] | None = None
    body: Any = None
    """Type of the JSON body; a text is a media type, whose bytes the handler reads itself."""
    errors: tuple[int, ...] = ()
    """Statuses besides those that any row may answer with."""
    open: bool = False
    """Whether it needs no token."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Of the answer, with what each is for."""


class Api:
    """Answers requests below `ROOT`."""

    def __init__(self, server: Server, gate: Gate, routes: Sequence[Route]) -> None:
        self._server = server
        self._gate = gate
        from .uploads import Uploads  # noqa: PLC0415 - it needs what is here

        self._uploads = Uploads()
        self._routes = [(tuple(f"{ROOT}{each.path}".split("/")), each) for each in routes]

    async def answer(self, request: Request, client: str | None) -> Response:
        """The answer to one request, whatever it is."""
        try:
            return await self._answer(request, client)
        except Denied as denied:
            more = () if denied.retry_s is None else (("retry-after", str(denied.retry_s)),)
            if denied.status == 401:
                more = (*more, ("www-authenticate", 'Bearer realm="pyworkerd"'))
            return problem(denied.status, denied.detail, headers=more)
        except ApiError as error:
            return problem(error.status, error.detail, error.problems)
        except ConfigurationError as error:
            return problem(502, str(error))
        except BodyTooLarge as error:
            return problem(413, f"the body is longer than {error.limit} bytes")

    async def _answer(self, request: Request, client: str | None) -> Response:
        parts = urlsplit(request.url)
        path = tuple(parts.path.split("/"))
        found = [
            (route, given) for pattern, route in self._routes if (given := _match(pattern, path)) is not None
        ]
        method = "GET" if request.method == "HEAD" else request.method
        route, values = next(((r, v) for r, v in found if r.method == method), (None, {}))
        caller = None
        if route is None or not route.open:
            caller = self._gate.caller(request, client, time())
        if not found:
            raise ApiError(404, f"there is nothing at {parts.path}: see {ROOT}/openapi.json")
        if route is None:
            methods = {r.method for r, _ in found}
            allow = ", ".join(sorted(methods | ({"HEAD"} if "GET" in methods else set())))
            return problem(405, f"this takes {allow}", headers=(("allow", allow),))
        query = _query(parts.query, route.query)
        body = await _body(request, route.body)
        call = Call(self._server, self._gate, self._uploads, request, client, caller, values, query, body)
        return _encoded(await route.handler(call), route)


def problem(
    status: int, detail: str, problems: Sequence[Fault] = (), headers: Sequence[tuple[str, str]] = ()
) -> Response:
    """An answer that says what is wrong."""
    said = Problem(HTTPStatus(status).phrase, status, detail, list(problems))
    return Response(status, (("content-type", PROBLEM), *headers), Body(msgspec.json.encode(said)))


def _encoded(value: Any, route: Route) -> Response:
    if isinstance(value, Response):
        return value
    if route.answer is None:
        return Response(204)
    return Response(200, (("content-type", JSON),), Body(msgspec.json.encode(value)))


def _match(pattern: tuple[str, ...], path: tuple[str, ...]) -> dict[str, str] | None:
    """What stands for the names of a pattern; None if the path is another one."""
    if len(pattern) != len(path):
        return None
    found: dict[str, str] = {}
    for expected, part in zip(pattern, path, strict=True):
        if expected.startswith("{"):
            found[expected[1:-1]] = unquote(part)
            if not part:
                return None
        elif expected != part:
            return None
    return found


def _query(text: str, kind: type[msgspec.Struct] | None) -> Any:
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=bool(text),
            max_num_fields=MAX_FIELDS,
            errors="strict",
        )
    except ValueError as error:
        raise ApiError(400, f"the query cannot be read: {error}") from None
    given = dict(pairs)
    if len(given) < len(pairs):
        raise ApiError(400, "the query says something twice")
    if kind is None:
        if given:
            raise ApiError(400, "this takes no query")
        return None
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise ApiError(400, f"the query: {error}") from None


async def _body(request: Request, kind: Any) -> Any:
    if kind is None or isinstance(kind, str):
        if isinstance(kind, str) and _media_type(request) != kind:
            raise ApiError(415, f"the body has to be {kind}")
        return None
    if _media_type(request) != JSON:
        raise ApiError(415, f"the body has to be {JSON}")
    data = await request.body.read(MAX_BODY)
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ApiError(400, f"the body: {error}") from None
    finally:
        await asyncio.sleep(0)


def _media_type(request: Request) -> str:
    return (header(request.headers, "content-type") or "").partition(";")[0].strip().lower()
