"""Greets visitors, and counts them."""

from html import escape
from urllib.parse import parse_qs, urlsplit

from workers import Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        url = urlsplit(request.url)
        if url.path != "/":
            return Response("there is no such page", status=404)
        name = parse_qs(url.query).get("name", ["world"])[0]
        page = f"<h1>{escape(self.env.GREETING)}, {escape(name)}!</h1><p>visit {await self.visit()}</p>"
        return Response(page, headers={"content-type": "text/html;charset=utf-8"})

    async def visit(self) -> int:
        """Count one more. A worker that is bound to this one may call it: `await env.HELLO.visit()`."""
        count = int(await self.env.VISITS.get("count") or 0) + 1
        await self.env.VISITS.put("count", str(count))
        return count
