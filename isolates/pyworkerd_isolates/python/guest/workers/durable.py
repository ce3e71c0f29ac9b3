"""Durable Objects: the class to derive from, the namespaces on `env`, ids, stubs.

from workers import DurableObject

class Room(DurableObject):
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.guests = 0

    async def enter(self):
        self.guests += 1
        return self.guests

`await env.ROOM.get_by_name("lobby").enter()` calls it from anywhere. Names are Python's, the platform's beside them.
"""

import hmac
import os

from _pyworkerd import objects
from _pyworkerd.calls import Part
from _pyworkerd.invocation import current
from _pyworkerd.objects import DurableObjectAbort

from .capability import Capability, Fetcher
from .object_sockets import ObjectSockets
from .storage import DurableObjectStorage

HALF = 16
"""Bytes of an id that say which object it is; the other half says that this namespace made it (workerd,
actor-id-impl.c++)."""


MAX_NAME = 1024
"""Bytes of the longest name that an object is told (Workers: the same)."""


def _mac(key, data):
    return hmac.digest(key, data, "sha256")[:HALF]


class DurableObjectId:
    """Which object. `name` is the name that it was made from, where that is known."""

    __slots__ = ("_hex", "name")

    def __init__(self, hexadecimal, name=None):
        self._hex = hexadecimal
        self.name = name

    def __str__(self):
        return self._hex

    def to_string(self):
        """64 hexadecimal digits, for `id_from_string`."""
        return self._hex

    toString = to_string

    def equals(self, other):
        """Whether both mean the same object."""
        return isinstance(other, DurableObjectId) and self._hex == other._hex

    __eq__ = equals

    def __hash__(self):
        return hash(self._hex)

    def __repr__(self):
        return f"<DurableObjectId {self._hex}>"


def _untold(name):
    try:
        return name is None or len(name.encode()) > MAX_NAME
    except UnicodeEncodeError:  # half a surrogate pair, which is no text for anybody else
        return True


class DurableObjectStub(Fetcher):
    """One object, wherever it lives: `fetch()` sends it a request, any other name is one of its methods."""

    __slots__ = ("id",)

    def __init__(self, index, id):
        super().__init__(Part([index, str(id)] if _untold(id.name) else [index, str(id), id.name]))
        self.id = id

    @property
    def name(self):
        """The name that its id was made from, where that is known."""
        return self.id.name

    def __repr__(self):
        return f"<DurableObjectStub {self.id}>"


class DurableObjectNamespace(Capability):
    """All objects of a class."""

    __slots__ = ("_key",)

    def __init__(self, index, key):
        super().__init__(index)
        self._key = key

    def _id(self, half, name=None):
        return DurableObjectId((half + _mac(self._key, half)).hex(), name)

    def id_from_name(self, name):
        """The id of the object of this name: always the same."""
        if not isinstance(name, str):
            raise TypeError(f"a name is a str, not {type(name).__name__}")
        return self._id(_mac(self._key, name.encode("utf-8", "surrogatepass")), name)

    def new_unique_id(self, options=None, *, jurisdiction=None):
        """An id that nobody has had before, and nobody can guess."""
        if jurisdiction is not None or (options or {}).get("jurisdiction") is not None:
            self.jurisdiction(jurisdiction)
        return self._id(os.urandom(HALF))

    def id_from_string(self, text):
        """The id that `str(id)` was. TypeError for what this namespace has not made."""
        if not isinstance(text, str) or len(text) != 4 * HALF:
            raise TypeError("Invalid Durable Object ID: must be 64 hex digits")
        try:
            data = bytes.fromhex(text)
        except ValueError:
            data = b""
        if len(data) != 2 * HALF:
            raise TypeError("Invalid Durable Object ID: must be 64 hex digits")
        if not hmac.compare_digest(_mac(self._key, data[:HALF]), data[HALF:]):
            raise TypeError("Durable Object ID is not valid for this namespace.")
        return DurableObjectId(data.hex())

    def get(self, id, options=None, **hints):
        """The object of this id, as a stub: nothing is asked yet. There is one place, so hints mean nothing."""
        if not isinstance(id, DurableObjectId):
            raise TypeError(f"get() takes a DurableObjectId, not {type(id).__name__}")
        self.id_from_string(str(id))
        return DurableObjectStub(self._index, id)

    def get_by_name(self, name, options=None, **hints):
        """The object of this name, as a stub."""
        return DurableObjectStub(self._index, self.id_from_name(name))

    def jurisdiction(self, jurisdiction):
        """There are none here."""
        raise ValueError("Jurisdiction restrictions are not implemented.")

    idFromName = id_from_name
    newUniqueId = new_unique_id
    idFromString = id_from_string
    getByName = get_by_name


class DurableObjectState:
    """`ctx` of a Durable Object: who it is, and what it may do about itself."""

    __slots__ = ("_sockets", "id", "storage")

    def __init__(self, id, database):
        self.id = id
        self.storage = DurableObjectStorage(database)
        self._sockets = ObjectSockets()

    @property
    def props(self):
        return {}

    def wait_until(self, awaitable):
        """Accepted, as in a worker: the object stays in memory until `awaitable` is done."""
        current().wait_until(awaitable)

    def block_concurrency_while(self, callback):
        """Run an async function while the object takes no other event. Can be awaited for its result.

        If it raises, or takes longer than 30 s, the object is reset: the next call makes it anew.
        """
        return objects.this.block(callback)

    def abort(self, reason="the object was aborted", options=None):
        """End this object now; the next call makes it anew. Does not return."""
        objects.this.abort(reason)
        raise DurableObjectAbort(reason)

    def accept_web_socket(self, socket, tags=()):
        """Accept a WebSocket for the object: its events are calls of `web_socket_message(socket, message)`,
        `web_socket_close(socket, code, reason, was_clean)` and `web_socket_error(socket, error)`."""
        self._sockets.accept(socket, tags)

    def get_web_sockets(self, tag=None):
        """Those that were accepted like that and are open; those with a tag."""
        return self._sockets.all(tag)

    def get_tags(self, socket):
        """The tags that it was accepted with."""
        return self._sockets.tags(socket)

    def set_web_socket_auto_response(self, pair=None):
        """Answer one message always the same, without a handler; None for no more."""
        self._sockets.pair = pair

    def get_web_socket_auto_response(self):
        """The pair that was set."""
        return self._sockets.pair

    def get_web_socket_auto_response_timestamp(self, socket):
        """When that answer was given last, in milliseconds since 1970."""
        return self._sockets.answered(socket)

    waitUntil = wait_until
    blockConcurrencyWhile = block_concurrency_while
    acceptWebSocket = accept_web_socket
    getWebSockets = get_web_sockets
    getTags = get_tags
    setWebSocketAutoResponse = set_web_socket_auto_response
    getWebSocketAutoResponse = get_web_socket_auto_response
    getWebSocketAutoResponseTimestamp = get_web_socket_auto_response_timestamp


class DurableObject:
    """Base of a worker's Durable Object classes. There is one instance for each id, anywhere.

    Handlers are found by name; every other public method can be called on a stub.
    """

    def __init__(self, ctx, env):
        self.ctx = ctx
        self.env = env
