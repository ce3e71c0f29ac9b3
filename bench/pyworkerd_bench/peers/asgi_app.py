"""What the ASGI servers run: the shapes on Starlette, and the same without a framework."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from starlette.requests import Request


def bill(order: Any) -> dict[str, object]:
    """What every contestant makes of an order."""
    total = sum(item["price"] * item["count"] for item in order["items"])
    return {"customer": order["customer"]["name"], "items": len(order["items"]), "total": total}


async def bare(
    scope: Mapping[str, Any],
    receive: Callable[[], Awaitable[Mapping[str, Any]]],
    send: Callable[[Mapping[str, Any]], Awaitable[None]],
) -> None:
    """An ASGI application by hand (ASGI 3.0, HTTP)."""
    if scope["type"] != "http":
        return
    kind, body = b"text/plain", b"hello"
    if scope["method"] == "POST":
        body = await _read(receive)
        if scope["path"] == "/json":
            kind, body = b"application/json", json.dumps(bill(json.loads(body))).encode()
    headers = [(b"content-type", kind), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _read(receive: Callable[[], Awaitable[Mapping[str, Any]]]) -> bytes:
    parts, more = [], True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        more = message.get("more_body", False)
    return b"".join(parts)


def starlette() -> Any:
    """The same shapes as anybody would write them on Starlette; a factory, as uvicorn calls it."""
    from starlette.applications import Starlette  # noqa: PLC0415 - a peer: it may be absent
    from starlette.responses import JSONResponse, PlainTextResponse, Response  # noqa: PLC0415
    from starlette.routing import Route  # noqa: PLC0415

    async def hello(_: Request) -> Response:
        return PlainTextResponse("hello")

    async def order(request: Request) -> Response:
        return JSONResponse(bill(await request.json()))

    async def body(request: Request) -> Response:
        return Response(await request.body(), media_type="text/plain")

    return Starlette(
        routes=[
            Route("/hello", hello),
            Route("/json", order, methods=["POST"]),
            Route("/body", body, methods=["POST"]),
        ]
    )
