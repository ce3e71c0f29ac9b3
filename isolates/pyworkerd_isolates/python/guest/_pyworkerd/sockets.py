"""WebSockets across the boundary: messages in pieces, with credit both ways. What a worker sees is `workers.websocket`.

Numbers of sockets that the worker makes are odd, those of sockets that it is given are even and the host's. A socket
takes nothing before it is accepted: it can be handed on until then. Whatever sockets have to say is given out at the
end of a step, after everything else: so the host knows a socket before it hears of it.
"""

from collections import deque

from . import outbox

WINDOW = 65_536
"""Bytes in flight per socket, both ways."""
PIECE = 64
"""Bytes that a piece of a message counts for besides its data."""
STEP_EFFECTS = 4096
STEP_BYTES = 2 << 20
"""What sockets give out in one step at most: well below what the host takes. The rest waits for the next one."""
_open = {}
_next = 1
waiting = {}
"""Sockets that have something to give out, in order."""


class Wire:
    """One socket between the worker and the host. `end` is what the worker sees of it."""

    __slots__ = (
        "_credit",
        "_messages",
        "_offset",
        "_owed",
        "_parts",
        "accepted",
        "closing",
        "end",
        "number",
        "queued",
    )

    def __init__(self, number, end=None):
        self.number = number
        self.end = end
        self.accepted = False
        self.closing = None
        """Code and reason of a close that is still to be given out."""
        self.queued = 0
        """Bytes that wait to be given out."""
        self._messages = None
        self._offset = 0
        self._credit = WINDOW
        self._owed = 0
        self._parts = None
        _open[number] = self

    @property
    def over(self):
        """Whether nothing comes any more, and nobody has to be told."""
        return self.number not in _open

    # out -------------------------------------------------------------------------------------------------------------

    def send(self, data, text):
        """Give a message out, as soon as the host has room for it."""
        if self._messages is None:
            self._messages = deque()
        self._messages.append((data, text))
        self.queued += len(data) + PIECE
        waiting[self.number] = self

    def close(self, code, reason):
        """Close, after what was sent before."""
        self.closing = (code, reason)
        waiting[self.number] = self

    def accept(self):
        """Take what comes from now on."""
        self.accepted = True
        self._owed = WINDOW
        waiting[self.number] = self

    def consumed(self, cost):
        """So much of what came has been used up."""
        self._owed += cost
        if self._owed >= WINDOW // 2 and self.number in _open:
            waiting[self.number] = self

    def hand_on(self):
        """Whether nothing of it has been touched, so that the host can pass it on by itself."""
        return not self.number % 2 and not self.accepted and _open.pop(self.number, None) is not None

    def flush(self, effects, size):
        """Give out what there is credit and room for. Returns what is left of both."""
        if self._owed >= WINDOW // 2 and self.accepted:
            outbox.effects.append(f'["ws_credit",{self.number},{self._owed}]')
            self._owed = 0
            effects -= 1
        messages = self._messages
        while messages and effects > 0 and size > 0 and self._credit > PIECE:
            data, text = messages[0]
            left = len(data) - self._offset
            length = min(self._credit - PIECE, left)
            end = length == left
            piece = data if length == len(data) else bytes(memoryview(data)[self._offset :][:length])
            blob = outbox.blob(piece) if length else "null"
            text = "true" if text else "false"
            outbox.effects.append(f'["ws_send",{self.number},{blob},{text},{"true" if end else "false"}]')
            cost = length + PIECE
            self._credit -= cost
            effects -= 1
            size -= cost
            if end:
                messages.popleft()
                self._offset = 0
                self.queued -= len(data) + PIECE
            else:
                self._offset += length
        if not messages:
            self._messages = None
            if self.closing is not None and effects > 0:
                outbox.effects.append(["ws_close", self.number, *self.closing])
                self.closing = None
                effects -= 1
        return effects, size

    @property
    def ready(self):
        """Whether there is something to give out, and credit for it."""
        return self._credit > PIECE if self._messages else self.closing is not None

    # in --------------------------------------------------------------------------------------------------------------

    def take(self, data, text, end):
        """A piece of a message has come. A whole one goes on, with what it costs until it is used up."""
        cost = len(data) + PIECE
        if not end:
            if self._parts is None:
                self._parts = bytearray()
            self._parts += data
            self.consumed(cost)
            return
        if self._parts is not None:
            self._parts += data
            data, self._parts = self._parts, None
        self.end._deliver(str(data, "utf-8") if text else bytes(data), cost)

    def cancel(self):
        """Nobody uses it any more: what was sent leaves, as far as there is credit for it, and then it is closed."""
        if _open.pop(self.number, None) is not None:
            if self.closing is None:
                self.closing = (1001, "")
            self.flush(STEP_EFFECTS, STEP_BYTES)
            self.gone()
            if self.end is not None:
                self.end._closed(1001, "", False)

    abandon = cancel

    def gone(self):
        """Nothing crosses any more."""
        self._messages = self._parts = None
        self.queued = 0
        waiting.pop(self.number, None)


def make(end):
    """A socket of the worker's own, whose other end leaves."""
    global _next
    wire = Wire(_next, end)
    _next += 2
    return wire


def on_message(number, data, text, end):
    """Event: a message, or a part of one."""
    wire = _open.get(number)
    if wire is not None:
        wire.take(data, text, end)


def on_credit(number, credit):
    """Event: the host has room for more."""
    wire = _open.get(number)
    if wire is not None:
        wire._credit += credit
        if wire.ready:
            waiting[number] = wire
        wire.end._drained()


def on_closed(number, code, reason, clean):
    """Event: it is closed."""
    wire = _open.pop(number, None)
    if wire is not None:
        wire.gone()
        wire.end._closed(code, reason, clean)


def on_failed(error, number, *_):
    """An event could not be taken in, most likely for want of memory: its socket cannot go on."""
    wire = _open.get(number)
    if wire is not None:
        wire.gone()
        wire.end._broken(error)


def flush():
    """At the end of a step: give out what waits, as much as fits. Returns whether there is more."""
    effects, size = STEP_EFFECTS, STEP_BYTES
    while waiting and effects > 0 and size > 0:
        number = next(iter(waiting))
        wire = waiting.pop(number)
        effects, size = wire.flush(effects, size)
        if wire.ready:
            waiting[number] = wire
        wire.end._drained()
    return bool(waiting)
