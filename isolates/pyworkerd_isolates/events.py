"""What the host tells a guest: a batch of events for one step. See `protocol`. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import short, wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .protocol import Entry, HeaderPairs, StreamRef
    from .short import Writer


class Events:
    """A batch of events for one step. The host's own side: arguments are trusted to be well typed."""

    __slots__ = ("_blobs", "_events")

    def __init__(self) -> None:
        self._events: list[list[Any]] = []
        self._blobs: list[bytes] = []

    def __len__(self) -> int:
        return len(self._events)

    def _blob(self, data: bytes) -> int:
        self._blobs.append(data)
        return len(self._blobs) - 1

    def _body(self, body: bytes | StreamRef | None) -> object:
        if body is None:
            return None
        return ["b", self._blob(body)] if isinstance(body, bytes) else ["s", body.number, body.length]

    def init(self, bindings: Sequence[Entry], meta: dict[str, object]) -> None:
        """What the worker may use: (name, shape, capability index), or (name, "value", encoded value). What its guest's
        half needs to know besides the index follows it.

        An isolate's first step begins with it, whatever else the batch holds already.
        """
        table = [[self._blob(v) if isinstance(v, bytes) else v for v in entry] for entry in bindings]
        self._events.insert(0, ["init", table, meta])

    def become(
        self, class_name: str, id_: str, pages: bytes, alarm: int | None, most: int, name: str | None = None
    ) -> None:
        """The isolate is this Durable Object from now on, which has these pages stored and may have `most`, and whose
        name is this, as far as it is known. It comes after `init`."""
        stored = self._blob(pages) if pages else None
        self._events.insert(1, ["become", class_name, id_, stored, alarm, most, name])

    def focus(self, invocations: Sequence[int]) -> None:
        """The step is for these invocations alone: what is ready for others, and their timers, waits. It comes before
        all other events but `init`. A step without it is for all."""
        self._events.insert(0, ["focus", invocations])

    def fetch(
        self,
        invocation: int,
        entrypoint: str | None,
        props: object,
        method: str,
        url: str,
        headers: HeaderPairs,
        body: bytes | StreamRef | None,
    ) -> None:
        """A request begins an invocation."""
        told = None if body is None else self._body(body)
        self._events.append(["fetch", invocation, entrypoint, props, method, url, headers, told])

    def _value(self, value: bytes, stubs: Sequence[int | StreamRef] | None) -> object:
        blobs = self._blobs
        blob = len(blobs)
        blobs.append(value)
        if stubs == ():
            return blob
        return [blob, None if stubs is None else list(map(self._beside, stubs))]

    def _beside(self, each: int | StreamRef) -> object:
        return each if isinstance(each, int) else self._body(each)

    def rpc(
        self,
        invocation: int,
        entrypoint: str | None,
        props: object,
        method: str,
        arguments: bytes,
        stubs: Sequence[int | StreamRef] | None = (),
    ) -> None:
        """A method call begins an invocation. `stubs` are those that the arguments name, and the bodies that stream;
        None: there was no room."""
        self._events.append(["rpc", invocation, entrypoint, props, method, self._value(arguments, stubs)])

    def invoke(
        self,
        invocation: int,
        loan: int,
        reads: bool,
        method: str,
        arguments: bytes,
        stubs: Sequence[int | StreamRef] | None = (),
    ) -> None:
        """Something that the guest lends is called, or asked for a property: an invocation begins."""
        self._events.append(["invoke", invocation, loan, reads, method, self._value(arguments, stubs)])

    def released(self, loan: int) -> None:
        """Nobody holds a stub of something that the guest lent any more."""
        self._events.append(["released", loan])

    def handle(
        self, invocation: int, entrypoint: str | None, props: object, handler: str, event: bytes
    ) -> None:
        """A handler that no client waits for begins an invocation: `scheduled`, say. It is answered as a call is."""
        self._events.append(["handle", invocation, entrypoint, props, handler, self._blob(event)])

    def cancel(self, invocation: int) -> None:
        """The caller of an invocation has gone."""
        self._events.append(["cancel", invocation])

    def data(self, stream: int, data: bytes, end: bool) -> None:
        """A piece of a body that the guest receives."""
        self._events.append(["data", stream, self._blob(data) if data else None, end])

    def error(self, stream: int, message: str) -> None:
        """A body that the guest receives cannot be completed."""
        self._events.append(["error", stream, message])

    def pull(self, stream: int, credit: int) -> None:
        """So much of a body that the guest sends has been read."""
        self._events.append(["pull", stream, credit])

    def stop(self, stream: int) -> None:
        """Nobody reads a body that the guest sends any more."""
        self._events.append(["stop", stream])

    def resolve_value(self, call: int, value: bytes, stubs: Sequence[int | StreamRef] | None = ()) -> None:
        """A call returned an encoded value, which names these stubs."""
        self._events.append(["resolve", call, "value", self._value(value, stubs)])

    def resolve_response(
        self, call: int, status: int, headers: HeaderPairs, body: bytes | StreamRef | None, url: str
    ) -> None:
        """A fetch was answered."""
        self._events.append(["resolve", call, "response", status, headers, self._body(body), url])

    def resolve_upgrade(self, call: int, headers: HeaderPairs, socket: int, url: str) -> None:
        """A fetch was answered with a WebSocket."""
        self._events.append(["resolve", call, "upgrade", headers, socket, url])

    def reject(self, call: int, code: str, message: str, type_name: str | None = None) -> None:
        """A call failed."""
        self._events.append(["reject", call, code, message, type_name])

    def ws_message(self, socket: int, data: bytes, text: bool, end: bool) -> None:
        """A message on a WebSocket, or a part of one; text as UTF-8, cut anywhere."""
        self._events.append(["ws_message", socket, self._blob(data) if data else None, text, end])

    def ws_closed(self, socket: int, code: int, reason: str, clean: bool) -> None:
        """A WebSocket is closed: nothing comes any more, and nothing is sent."""
        self._events.append(["ws_closed", socket, code, reason, clean])

    def ws_credit(self, socket: int, credit: int) -> None:
        """So much of what the guest sent on a WebSocket has been taken."""
        self._events.append(["ws_credit", socket, credit])

    def parts(self) -> tuple[list[Any], list[bytes]]:
        """The batch for a guest whose half is Python: each event as a list that begins with its name, and the bytes
        that events name by their index.
        """
        return self._events, self._blobs

    def frame(self) -> bytes:
        """The batch as bytes for the guest."""
        return wire.encode(self._events, self._blobs)

    def short_frame(self, written: Writer = short.written) -> bytes:
        """The same for a guest that reads short frames: one of those, if there is one for this batch."""
        frame = written(self._events, self._blobs)
        return self.frame() if frame is None else frame
