"""A chat room: whatever one says, all hear. The first message of each is a name."""

import json
from pathlib import Path
from urllib.parse import urlsplit

from workers import Response, WebSocket, WebSocketPair, WorkerEntrypoint

PAGE = Path("index.html").read_text()
MAX_NAME, MAX_TEXT = 40, 2000
room: dict[WebSocket, str] = {}
"""Names by socket."""


def tell(**message):
    """Send to everybody. Who reads too slowly is asked to come again."""
    text = json.dumps(message)
    for member in tuple(room):
        try:
            member.send(text)
        except BufferError:
            member.close(1013, "you read too slowly")


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        url = urlsplit(request.url)
        if url.path != "/chat":
            page = {"content-type": "text/html;charset=utf-8"}
            return Response(PAGE, headers=page) if url.path == "/" else Response("not found", status=404)
        if request.headers.get("upgrade") != "websocket":
            return Response("this is for WebSockets", status=426)
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != url.netloc:
            return Response("not from this page", status=403)  # browsers let any page connect
        client, server = WebSocketPair().object_values()
        server.accept()
        self.ctx.waitUntil(self.talk(server))
        return Response(None, status=101, web_socket=client)

    async def talk(self, server):
        name = await anext(server, None)
        if not isinstance(name, str) or not 0 < len(name) <= MAX_NAME or name in room.values():
            server.close(4000, "choose another name")
            return
        room[server] = name
        tell(joined=name, here=sorted(room.values()))
        try:
            async for text in server:
                if isinstance(text, str) and len(text) <= MAX_TEXT:
                    tell(name=name, text=text)
        finally:
            del room[server]
            tell(left=name)
