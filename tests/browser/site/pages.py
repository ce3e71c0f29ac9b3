"""What the pages talk to. Each page is one way in which browsers use a server."""

import asyncio
import hashlib
import json
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from workers import Response, WorkerEntrypoint

begun = []
"""Requests that wait for the browser to give up."""
watched = asyncio.Event()
"""The browser has seen that an upload is not complete."""
seen = []
"""How they ended, as the worker saw it."""


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        url = urlsplit(request.url)
        page = url.path.removeprefix("/")
        if page.endswith(".html"):
            return Response(Path(page).read_text(), headers={"content-type": "text/html;charset=utf-8"})
        return await getattr(self, f"at_{page}")(request, parse_qs(url.query))

    async def at_data(self, request, query):
        body = await request.json() if request.method == "POST" else None
        return Response.json({"method": request.method, "query": query, "body": body, "ünïcode": "✓"})

    async def at_events(self, request, query):
        """Three at a time; then the browser comes again, and says what it had last."""
        last = int(request.headers.get("last-event-id", 0))
        headers = {"content-type": "text/event-stream", "cache-control": "no-store"}
        return Response(self.events(last), headers=headers)

    async def events(self, last):
        try:
            yield "retry: 10\n\n"
            for number in range(last + 1, last + 4):
                yield f"id: {number}\nevent: count\ndata: {number}\ndata: of many\n\n"
                await asyncio.sleep(0.01)
            if last:
                await asyncio.sleep(3600)
        except BaseException as error:
            seen.append(f"events: {type(error).__name__}")
            raise

    async def at_upload(self, request, query):
        digest, size = hashlib.sha256(), 0
        async for piece in request.body:
            digest.update(piece)
            size += len(piece)
            if size > 1_000_000 and not watched.is_set():
                await watched.wait()
        watched.clear()
        return Response.json({"size": size, "sha256": digest.hexdigest()})

    async def at_watched(self, request, query):
        watched.set()
        return Response(None, status=204)

    async def at_form(self, request, query):
        form = await request.form_data()
        file = form.get("file")
        content = await file.bytes()
        return Response.json(
            {
                "text": form.get("text"),
                "name": file.name,
                "type": file.type,
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        )

    async def at_slow(self, request, query):
        return Response(self.slow())

    async def slow(self):
        yield "the beginning"
        await self.until_it_ends("slow")

    async def at_never(self, request, query):
        await self.until_it_ends("never")

    async def until_it_ends(self, name):
        begun.append(name)
        try:
            await asyncio.sleep(3600)
        except BaseException as error:
            seen.append(f"{name}: {type(error).__name__}")
            raise

    async def at_seen(self, request, query):
        return Response(
            json.dumps({"begun": len(begun), "ended": seen}), headers={"cache-control": "no-store"}
        )

    async def at_raise(self, request, query):
        raise ValueError("no <b>bold</b> <script>document.title = 'taken over'</script> " + "x" * 300)
