"""The WebSockets of one isolate, by the numbers that the guest knows them by.

A socket that the guest makes (odd) leaves with a response, and its other end is whoever gets that. One that it is given
(even) came with the answer to a fetch; accepted, it is joined to a `Socket` of this isolate; untouched, it can be
handed on, and nothing of it ever comes through the sandbox.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

from pyworkerd.errors import BadEffect, ExceededWebSockets
from pyworkerd.messages import Response, header
from pyworkerd.websocket import Close, WebSocket, splice
from pyworkerd.websocket.base import FAILED, GOING_AWAY, UNWANTED
from pyworkerd.websocket.handshake import PROTOCOL

from .socket import Socket
from .streams import Door

if TYPE_CHECKING:
    import asyncio

    from pyworkerd_isolates.protocol import SocketClose, SocketCredit, SocketSend

    from pyworkerd.messages import Headers
    from pyworkerd.observe.counters import WorkerCounters

    from .allowance import Allowance
    from .invocation import Invocation
RESTART: Final = Close(1012, "", clean=False)
"""Service restart, in IANA's registry of close codes: connect again."""
LOST: Final = Close(FAILED, "", clean=False)
TOO_MANY: Final = Close(1013, "too many WebSockets", clean=False)
OVERFLOW: Final = Close(1013, "too much waits to be read", clean=False)


class SocketDoor(Door, Protocol):
    """What sockets may do with their isolate."""

    def rested(self, invocation: Invocation) -> None:
        """The socket that it had answered with has ended: what is left of it has its wall time, as if it began now."""


class Keeper(Protocol):
    """The worker whose sockets they are."""

    @property
    def places(self) -> Places:
        """Of all its isolates."""

    @property
    def message_bytes(self) -> int:
        """The largest message that a guest is sent."""

    @property
    def allowance(self) -> Allowance:
        """What an invocation may use while its socket is open."""

    @property
    def counters(self) -> WorkerCounters:
        """Limits that were reached."""


class Places:
    """How many sockets the isolates of one worker may have, and have."""

    __slots__ = ("limit", "taken")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.taken = 0

    def take(self) -> None:
        """One more. Raises `ExceededWebSockets`."""
        if self.taken >= self.limit:
            raise ExceededWebSockets(f"the worker has {self.limit} WebSockets open (limits.websockets)")
        self.taken += 1


class Given(NamedTuple):
    """A socket that the guest has neither accepted nor handed on yet."""

    number: int
    socket: WebSocket
    owner: Invocation


class Sockets:
    """Those that are open."""

    __slots__ = ("_door", "_given", "_keeper", "_next", "_open", "resting")

    def __init__(self, door: SocketDoor, keeper: Keeper) -> None:
        self._door, self._keeper = door, keeper
        self.resting = 0
        """Invocations that have answered with a WebSocket that is open."""
        self._open: dict[int, Socket] = {}
        self._given: dict[int, Given] = {}
        self._next = 2

    def __len__(self) -> int:
        return len(self._open) + len(self._given)

    # between the guest and others ------------------------------------------------------------------------------------

    def answer(self, invocation: Invocation, headers: Headers, number: int) -> None:
        """Answer with a WebSocket. Its messages are what the invocation has budgets for from now on. See `outbound`."""
        try:
            socket = self.outbound(number, invocation, header(headers, PROTOCOL) or "")
        except ExceededWebSockets as error:
            self._keeper.counters.limit(error.code)
            invocation.fail(error)
            return
        invocation.renewed = invocation.log_renewed = self._door.loop.time()
        if invocation.resting:
            invocation.stop_clock()
        invocation.succeed(Response(101, headers, web_socket=socket))

    def outbound(self, number: int, owner: Invocation, protocol: str) -> WebSocket:
        """The end that the guest answers with. Raises `BadEffect` for one that is not its to give.

        Raises `ExceededWebSockets` if the worker has too many; the guest has been told then.
        """
        if not number % 2:
            given = self._given.get(number)
            if given is None:
                raise BadEffect("the worker handed on a WebSocket that it was not given, or has accepted")
            self._forget_given(given)
            return given.socket
        if number in self._open:
            raise BadEffect("the worker used the number of a WebSocket twice")
        try:
            self._keeper.places.take()
        except ExceededWebSockets:
            self._door.send(
                owner.id, lambda events: events.ws_closed(number, TOO_MANY.code, TOO_MANY.reason, False)
            )
            raise
        self.resting += 1
        owner.resting = True
        owner.move(None)
        return self._made(number, owner).outer(protocol)

    def discard(self, number: int, owner: int) -> None:
        """Nobody is there to take it."""
        given = self._given.get(number)
        if given is not None:
            self._forget_given(given)
            given.socket.end(UNWANTED)
        elif number % 2 and number not in self._open:
            self._door.send(owner, lambda events: events.ws_closed(number, UNWANTED.code, "", False))

    def _made(self, number: int, owner: Invocation) -> Socket:
        socket = self._open[number] = Socket(self._door, self, number, owner)
        owner.hold(socket)
        return socket

    def inbound(self, socket: WebSocket, owner: Invocation) -> int:
        """Give the guest a socket. Raises `ExceededWebSockets`, and closes it."""
        try:
            self._keeper.places.take()
        except ExceededWebSockets:
            socket.end(UNWANTED)
            raise
        number = self._next
        self._next += 2
        given = self._given[number] = Given(number, socket, owner)
        owner.hold(given)
        return number

    def _forget_given(self, given: Given) -> None:
        del self._given[given.number]
        given.owner.let_go(given)
        self._keeper.places.taken -= 1

    # for each socket -------------------------------------------------------------------------------------------------

    @property
    def message_bytes(self) -> int:
        """See `Keeper`."""
        return self._keeper.message_bytes

    def crowd(self) -> asyncio.Future[None] | None:
        """See `crowd.Crowd.full`."""
        return self._door.crowd.full()

    def sends(self, socket: Socket, cost: int) -> None:
        """So much of a message goes into the next step for its owner."""
        owner = socket.owner
        self._door.crowd.joins(owner.id, cost)
        self._keeper.allowance.renew(owner, self._door.loop.time(), message=True, inside=socket.inside)

    def overflows(self, socket: Socket) -> None:
        """There is no room for what the guest sends on it: whoever reads that slowly has to come again."""
        self._keeper.counters.limit(ExceededWebSockets.code)
        socket.give_up(OVERFLOW, tell=True)

    def ended(self, socket: Socket) -> None:
        """Its other end has closed, or it has been given up."""
        if self._open.get(socket.number) is socket:
            del self._open[socket.number]
            self._keeper.places.taken -= 1
            socket.owner.let_go(socket)
            if socket.number % 2:
                self.resting -= 1
                socket.owner.resting = False
                self._door.rested(socket.owner)

    # effects ---------------------------------------------------------------------------------------------------------
    # Whatever names a socket that is gone crossed its end on the way.

    def sent(self, effect: SocketSend) -> None:
        """A piece of a message; `BadEffect` for more than the window."""
        socket = self._open.get(effect.socket)
        if socket is not None:
            socket.sent(effect)
        elif effect.socket in self._given:
            raise BadEffect("the worker sent on a WebSocket that it had not accepted")

    def closed(self, effect: SocketClose) -> None:
        """The guest closes."""
        socket = self._open.get(effect.socket)
        given = self._given.get(effect.socket)
        if socket is not None:
            socket.close(Close(effect.code, effect.reason))
        elif given is not None:
            self._forget_given(given)
            given.socket.end(Close(effect.code, effect.reason))

    def credit(self, effect: SocketCredit) -> None:
        """The guest has room for more; `BadEffect` for more than the window. The first time, it accepts."""
        given = self._given.pop(effect.socket, None)
        if given is not None:
            given.owner.let_go(given)
            socket = self._made(given.number, given.owner)
            socket.inside = given.socket.inside
            given.socket.lead_inside()
            self._door.spawn(splice(socket.outer(), given.socket), given.owner.context)
        found = self._open.get(effect.socket)
        if found is not None:
            found.credit(effect.credit)

    # the end ---------------------------------------------------------------------------------------------------------

    def break_off(self, owner: Invocation) -> None:
        """The invocation has passed a limit: its sockets close with 1011, and the guest hears of it."""
        for socket in _of(owner):
            socket.give_up(Close(FAILED, "", clean=False), tell=True)

    def release(self, owner: Invocation) -> None:
        """The invocation is done: what it left open is closed, after what it has sent."""
        for held in tuple(owner.held or ()):
            if isinstance(held, Given):
                self._forget_given(held)
                held.socket.end(UNWANTED)
        for socket in _of(owner):
            socket.give_up(Close(FAILED if socket.number % 2 else GOING_AWAY, "", clean=False))

    def shut(self, close: Close) -> None:
        """Close all that the guest has made: the worker goes away."""
        for socket in tuple(self._open.values()):
            if socket.number % 2:
                self._door.clear(partial(socket.give_up, close, tell=True))

    def end(self, close: Close = LOST) -> None:
        """The isolate is dead. Harmless when called again."""
        given, self._given = self._given, {}
        for each in given.values():
            each.owner.let_go(each)
            self._door.clear(partial(self._end_given, each))
        for socket in tuple(self._open.values()):
            self._door.clear(partial(socket.give_up, close))

    def _end_given(self, given: Given) -> None:
        self._keeper.places.taken -= 1
        given.socket.end(UNWANTED)


def _of(owner: Invocation) -> list[Socket]:
    return [held for held in owner.held or () if isinstance(held, Socket)]
