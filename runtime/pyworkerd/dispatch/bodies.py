"""The bodies of one isolate, by the numbers that the guest knows them by.

Numbers of bodies that come in are the host's, numbers of bodies that go out the guest's: hostile.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pyworkerd_isolates.protocol import WINDOW, BodyRef, Broken, Data, HandedOn, Pull, Stop, StreamRef

from pyworkerd.errors import BadEffect, IsolateLost, PyworkerdError, UpstreamError
from pyworkerd.messages import Body

from .streams import Feed, Outflow

if TYPE_CHECKING:
    from .invocation import Invocation
    from .streams import Door


class Bodies:
    """Feeds and outflows that are open."""

    __slots__ = ("_door", "_feeds", "_next", "_outflows")

    def __init__(self, door: Door) -> None:
        self._door = door
        self._feeds: dict[int, Feed] = {}
        self._outflows: dict[int, Outflow] = {}
        self._next = 1

    def __len__(self) -> int:
        return len(self._feeds) + len(self._outflows)

    @property
    def arriving(self) -> int:
        """How many come in."""
        return len(self._feeds)

    # into the guest --------------------------------------------------------------------------------------------------

    def inbound(self, body: Body, owner: Invocation) -> bytes | StreamRef | None:
        """A body for the guest: in hand if it is small, otherwise fed as it reads."""
        if body.data is not None and len(body.data) <= WINDOW:
            return body.data or None
        return self.stream(body, owner)

    def stream(self, body: Body, owner: Invocation) -> StreamRef:
        """A body that the guest is fed as it reads, however small."""
        number = self._next
        self._next += 1
        feed = self._feeds[number] = Feed(self._door, number, body, owner, self._fed)
        owner.hold(feed)
        return StreamRef(number, body.length)

    def _fed(self, feed: Feed, number: int) -> None:
        if self._feeds.pop(number, None) is not None:
            feed.owner.let_go(feed)

    def pull(self, effect: Pull) -> None:
        """The guest has read; `BadEffect` for more than the window."""
        feed = self._feeds.get(effect.stream)
        if feed is not None:
            feed.pull(effect.credit)

    def stop(self, effect: Stop) -> None:
        """The guest reads no more."""
        feed = self._feeds.get(effect.stream)
        if feed is not None:
            feed.stop()

    # out of the guest ------------------------------------------------------------------------------------------------

    def outbound(self, ref: BodyRef, owner: Invocation, *, upload: bool = False) -> Body:
        """A body that the guest sends, for whoever reads it. Raises `BadEffect` for one that was never given.

        An `upload` goes with a call, of which there may be many: room for it is promised.
        """
        if ref is None or isinstance(ref, bytes):
            if ref and len(ref) > WINDOW:
                raise BadEffect(f"the worker sent a body of more than {WINDOW} bytes at once")
            return Body(ref or b"")
        if isinstance(ref, HandedOn):
            return self._handed_on(ref.number)
        if ref.number in self._outflows:
            raise BadEffect("the worker used the number of a stream twice")
        outflow = Outflow(self._door, ref, owner, self._flown, WINDOW if upload else 0)
        self._outflows[ref.number] = outflow
        owner.hold(outflow)
        return outflow.body()

    def _handed_on(self, number: int) -> Body:
        feed = self._feeds.get(number)
        if feed is not None:
            return feed.take()
        if number >= self._next:
            raise BadEffect("the worker handed on a body that it was not given")
        # The invocation that it came to may have ended by our hand, while another one was about to hand it on.
        return Body(chunks=_Gone())

    def _flown(self, outflow: Outflow, number: int) -> None:
        if self._outflows.pop(number, None) is not None:
            outflow.owner.let_go(outflow)

    def data(self, effect: Data) -> None:
        """A piece; `BadEffect` for more than the window."""
        outflow = self._outflows.get(effect.stream)
        if outflow is not None:
            outflow.feed(effect.data, effect.end)

    def broken(self, effect: Broken) -> None:
        """The guest cannot complete it."""
        outflow = self._outflows.get(effect.stream)
        if outflow is not None:
            outflow.fail(UpstreamError(effect.message))

    def discard(self, ref: BodyRef) -> None:
        """A body that nobody will read: its sender is told."""
        if isinstance(ref, StreamRef) and ref.number not in self._outflows:
            number = ref.number
            self._door.send(None, lambda events: events.stop(number))
        elif isinstance(ref, HandedOn) and ref.number in self._feeds:
            self._feeds[ref.number].stop()

    # the end ---------------------------------------------------------------------------------------------------------

    def break_off(self, owner: Invocation, error: PyworkerdError) -> None:
        """No more of what this invocation sends: its readers see the error, the guest is told to stop."""
        for held in tuple(owner.held or ()):
            if isinstance(held, Outflow):
                held.break_off(error)

    def release(self, owner: Invocation) -> None:
        """The invocation is done: what it left open is closed."""
        for held in tuple(owner.held or ()):
            if isinstance(held, Feed):
                held.stop()
            elif isinstance(held, Outflow):
                held.fail(UpstreamError("the worker ended before this body was complete"))

    def end(self) -> None:
        """The isolate is dead."""
        for feed in tuple(self._feeds.values()):
            self._door.clear(feed.stop)
        for outflow in tuple(self._outflows.values()):
            error = IsolateLost("the worker ended before this body was complete")
            self._door.clear(partial(outflow.fail, error))


class _Gone:
    """The chunks of a body that is not there any more."""

    def __aiter__(self) -> _Gone:
        return self

    async def __anext__(self) -> bytes:
        raise UpstreamError(
            "this body is gone: it was handed on already, or the invocation that it came to has ended"
        )
