"""What some of upstream's server scripts answer, by their names. (Upstream runs the `.py` files: here no code
of a checkout runs outside of a worker.)
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from pyworkerd.messages import Body, Response

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pyworkerd.messages import Request

MOST_BODY: Final = 16 << 20
MOST_PIECES: Final = 1000
_DESCRIBED: Final = (
    "content-type",
    "content-length",
    "content-encoding",
    "content-language",
    "content-location",
)

Query = dict[str, str]


def query_of(text: str) -> Query:
    """The first value of each name, byte for byte."""
    return dict(reversed(parse_qsl(text, keep_blank_values=True, encoding="latin-1")))


async def echo_content(request: Request, query: Query) -> Response:
    """The request's body."""
    del query
    return Response(200, (*_about(request), ("content-type", "text/plain")), Body(await _body(request)))


async def echo_escaped(request: Request, query: Query) -> Response:
    """The same, with what is no printable ASCII as `\\xff`; line breaks of two bytes stay."""
    del query
    text = "".join(
        f"\\x{byte:02x}" if byte < 0x20 or byte > 0x7E else "\\\\" if byte == 0x5C else chr(byte)
        for byte in await _body(request)
    )
    headers = (*_about(request), ("content-type", "text/plain; charset=UTF-8"))
    return Response(200, headers, Body(text.replace("\\x0d\\x0a", "\r\n").encode()))


async def inspect_headers(request: Request, query: Query) -> Response:
    """The request's headers of the names in `headers`, as headers."""
    await request.body.aclose()
    given: dict[str, str] = {}
    for name, value in request.headers:
        given[name] = f"{given[name]}, {value}" if name in given else value
    wanted = [name.lower() for name in query.get("headers", "").split("|")]
    found = [(f"x-request-{name}", given[name]) for name in wanted if name in given]
    return Response(200, (*found, ("content-type", "text/plain")))


async def method(request: Request, query: Query) -> Response:
    """The request's method and what its headers say of the body, as headers; and the body."""
    del query
    given = dict(request.headers)
    headers = [(f"x-request-{name}", given.get(name, "NO")) for name in _DESCRIBED]
    return Response(200, (("x-request-method", request.method), *headers), Body(await _body(request)))


async def status(request: Request, query: Query) -> Response:
    """An answer with the status `code`."""
    await request.body.aclose()
    code = int(query.get("code", "200"))
    headers = (("content-type", query.get("type", "")), ("x-request-method", request.method))
    empty = code in (204, 205, 304) or request.method == "HEAD"
    return Response(code, headers, Body(b"" if empty else query.get("content", "").encode("latin-1")))


async def trickle(request: Request, query: Query) -> Response:
    """A line, `count` times, `ms` milliseconds apart."""
    await request.body.aclose()
    pause = float(query.get("ms", "500")) / 1000

    async def lines() -> AsyncIterator[bytes]:
        for _ in range(min(int(query.get("count", "50")), MOST_PIECES)):
            await asyncio.sleep(pause)
            yield b"TEST_TRICKLE\n"

    headers = () if "notype" in query else (("content-type", "text/plain"),)
    return Response(200, headers, Body(chunks=lines()))


async def _body(request: Request) -> bytes:
    return await request.body.read(MOST_BODY)


def _about(request: Request) -> tuple[tuple[str, str], ...]:
    given = dict(request.headers)
    return (
        ("x-request-method", request.method),
        ("x-request-content-length", given.get("content-length", "NO")),
        ("x-request-content-type", given.get("content-type", "NO")),
    )


HANDLERS: Final = {
    "echo-content.py": echo_content,
    "echo-content.h2.py": echo_content,
    "echo-content-escaped.py": echo_escaped,
    "inspect-headers.py": inspect_headers,
    "method.py": method,
    "status.py": status,
    "trickle.py": trickle,
}
