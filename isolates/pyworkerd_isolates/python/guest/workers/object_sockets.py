"""WebSockets that a Durable Object accepts for itself: their events are calls of its own handlers.

client, server = WebSocketPair().object_values()
self.ctx.accept_web_socket(server, ["room"])
...
async def web_socket_message(self, socket, message): ...

An object stays in memory as long as it has one that is open.
"""

import time

from _pyworkerd import objects

from .websocket import WebSocket

MAX_TAGS = 10
MAX_TAG = 256
MAX_AUTO_RESPONSE = 2048
"""Workers: tags of one WebSocket, characters of a tag, bytes of a request or a response that is given by itself."""


class WebSocketRequestResponsePair:
    """A message that is answered without a handler, and the answer."""

    __slots__ = ("request", "response")

    def __init__(self, request, response):
        for text in (request, response):
            if not isinstance(text, str):
                raise TypeError("request and response are str")
            if len(text.encode()) > MAX_AUTO_RESPONSE:
                raise ValueError(f"request and response have at most {MAX_AUTO_RESPONSE} bytes each")
        self.request, self.response = request, response


class ObjectSockets:
    """Those of one object."""

    def __init__(self):
        self._tags = {}
        self._answered = {}
        self.pair = None

    def accept(self, socket, tags):
        """Take it over."""
        if not isinstance(socket, WebSocket):
            raise TypeError("accept_web_socket() takes a WebSocket")
        tags = list(dict.fromkeys(tags or ()))
        if len(tags) > MAX_TAGS:
            raise ValueError(f"a WebSocket cannot have more than {MAX_TAGS} tags")
        for tag in tags:
            if not isinstance(tag, str) or len(tag) > MAX_TAG:
                raise ValueError(f"a tag is a str of at most {MAX_TAG} characters")
        if socket in self._tags:
            raise ValueError("accept_web_socket() was called with this WebSocket before")
        self._tags[socket] = tags
        socket.accept()
        socket.add_event_listener("message", self._message)
        socket.add_event_listener("error", self._error)
        socket.add_event_listener("close", self._close)

    def all(self, tag):
        """Those that are open, or those with a tag."""
        return [socket for socket, tags in self._tags.items() if tag is None or tag in tags]

    def tags(self, socket):
        """Raises ValueError for one that was not accepted here, or is closed."""
        if socket not in self._tags:
            raise ValueError("this WebSocket was not accepted by accept_web_socket(), or is closed")
        return list(self._tags[socket])

    def answered(self, socket):
        """When it was answered by itself the last time, in milliseconds since 1970; None if never."""
        return self._answered.get(socket)

    async def _message(self, event):
        if self.pair is not None and event.data == self.pair.request:
            event.target.send(self.pair.response)
            self._answered[event.target] = int(time.time() * 1000)
            return
        await _call(("web_socket_message", "webSocketMessage"), event.target, event.data)

    async def _error(self, event):
        await _call(("web_socket_error", "webSocketError"), event.target, event.error)

    async def _close(self, event):
        self._tags.pop(event.target, None)
        self._answered.pop(event.target, None)
        names = ("web_socket_close", "webSocketClose")
        await _call(names, event.target, event.code, event.reason, event.was_clean)


async def _call(names, *arguments):
    this = objects.this
    await this.admitted()
    handler = next((found for name in names if (found := getattr(this.instance, name, None))), None)
    if handler is not None:
        result = handler(*arguments)
        if hasattr(result, "__await__"):
            await result
