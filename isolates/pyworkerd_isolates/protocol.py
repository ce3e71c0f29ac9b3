"""Events and effects: the whole language between host and guest. No I/O.

A step takes one frame of events and gives one frame of effects. A frame is `wire.encode(message, blobs)`; each event
or effect is a list that begins with its name, and bytes lie beside the list and are named by their index.

Everything that a step gives out is hostile: `decode_effects` accepts exactly the shapes in `_EFFECTS`, within limits,
and raises `ProtocolError` for anything else.

Credit: the sender of a stream may be `WINDOW` bytes ahead of its reader; `pull` gives more. A stream into the guest
begins without credit: a body that is not read is not sent, and can be handed on. A WebSocket is two such streams of
messages, `SOCKET_WINDOW` each way; its first `ws_credit` from the guest accepts it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeAlias

from . import short, texts, wire
from .errors import OutputTooLarge, ProtocolError

# Part of this language, told on:
from .events import Events as Events  # noqa: PLC0414
from .scalars import MAX_NUMBER, NO_BYTES, NO_NUMBER
from .scalars import blob as _blob
from .scalars import close_code as _close_code
from .scalars import flag as _flag
from .scalars import moment as _moment
from .scalars import number as _number
from .scalars import numbers as _numbers
from .scalars import optional_blob as _optional_blob
from .scalars import status as _status
from .texts import MAX_HEADER_BYTES as MAX_HEADER_BYTES  # noqa: PLC0414
from .texts import MAX_HEADERS as MAX_HEADERS  # noqa: PLC0414
from .texts import MAX_NAME as MAX_NAME  # noqa: PLC0414
from .texts import MAX_REASON as MAX_REASON  # noqa: PLC0414
from .texts import MAX_URL as MAX_URL  # noqa: PLC0414
from .texts import HeaderPairs as HeaderPairs  # noqa: PLC0414

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .limits import Limits
    from .texts import Blobs, Reader

WINDOW: Final = 262_144
"""Bytes in flight per stream, both ways. The guest's `streams.WINDOW` is the same number; a test compares them."""
CHUNK: Final = 65_536
SOCKET_WINDOW: Final = 65_536
"""The same per WebSocket; smaller, because one isolate has thousands. Messages cross in pieces."""
PIECE: Final = 64
"""Bytes that a piece of a message counts for besides its data."""
MAX_STUBS: Final = 250
"""Stubs and streams that one value names; the guests' `MAX_STUBS` is the same number."""
MAX_DUE: Final = 64
"""Invocations that are named as due at once; the guest's `loop.MAX_DUE` is the same number."""
LONG_HEADER: Final = 16_384
"""Bytes of structured output that are read in no time, whatever they are."""
MAX_PARTS: Final = 100_000
"""Values in the structured part of a step's output: more than as many calls have as a step may make."""
PORTION: Final = 64
"""Effects that are decoded in a tenth of a millisecond."""

Entry: TypeAlias = tuple[str, str, bytes | int] | tuple[str, str, int, bytes]
"""A row of `Events.init`."""


class StreamRef(NamedTuple):
    """A body that arrives as `Data` of this stream. `length` is what the sender claims, None if it cannot tell."""

    number: int
    length: int | None


class HandedOn(NamedTuple):
    """A body that the guest received as this stream and passes on untouched: its bytes never come through it."""

    number: int


BodyRef: TypeAlias = bytes | StreamRef | HandedOn | None


class Log(NamedTuple):
    """Something was printed or logged; invocation 0 is none."""

    invocation: int
    level: str
    source: str
    message: str


class Respond(NamedTuple):
    """The response begins."""

    invocation: int
    status: int
    headers: HeaderPairs
    body: BodyRef


class Replied(Respond):
    """The whole of a response, and nothing of the invocation is left."""

    __slots__ = ()


class Reference(NamedTuple):
    """A stub that a value names: of something that the guest lends, by a number of its own, or one that it holds."""

    lends: bool
    number: int


Beside: TypeAlias = Reference | StreamRef | HandedOn


class Shared(bytes):
    """An encoded value that names stubs and bodies, by their place in a list."""

    stubs: tuple[Beside, ...] = ()

    @classmethod
    def of(cls, value: bytes, stubs: tuple[Beside, ...]) -> Self:
        """This value, with these."""
        made = cls(value)
        made.stubs = stubs
        return made


class Return(NamedTuple):
    """An RPC method returned; `value` is an encoded value, perhaps `Shared`."""

    invocation: int
    value: bytes


class Result(Return):
    """The same, and nothing of the invocation is left: `Return` and `Done` in one."""


class Fail(NamedTuple):
    """The handler did not answer. `reason` is one of FAIL_REASONS."""

    invocation: int
    reason: str
    type_name: str
    message: str
    traceback: str


class Done(NamedTuple):
    """Nothing of the invocation is left."""

    invocation: int


class Data(NamedTuple):
    """A piece of a body that the guest sends, perhaps the last."""

    stream: int
    data: bytes
    end: bool


class Broken(NamedTuple):
    """A body that the guest sends cannot be completed."""

    stream: int
    message: str


class Pull(NamedTuple):
    """The guest has read so much of a body that it receives."""

    stream: int
    credit: int


class Stop(NamedTuple):
    """The guest will read no more of a body."""

    stream: int


class Part(NamedTuple):
    """One of the many things behind a capability: an object of a namespace, by its id, and perhaps its name."""

    capability: int
    id: str
    name: str | None = None


class Held(NamedTuple):
    """A stub that this isolate holds, by its number there; `reads` a property of what it leads to, or calls."""

    stub: int
    reads: bool


Named: TypeAlias = int | Part | Held
"""How an effect names what it is sent through."""


class Call(NamedTuple):
    """Call a method of a capability, or through a stub, whose method "" is what it leads to itself. `arguments` is an
    encoded value, perhaps `Shared`."""

    call: int
    invocation: int
    capability: Named
    method: str
    arguments: bytes


class Fetch(NamedTuple):
    """Send a request through a capability."""

    call: int
    invocation: int
    capability: Named
    method: str
    url: str
    headers: HeaderPairs
    body: BodyRef
    redirect: str
    connect_ms: int | None = None
    """What a connection may take to be made. Only programs say it (`connect-timeout`): SDKs leave the field out."""


class Abandon(NamedTuple):
    """The guest no longer waits for a call."""

    call: int


class Drop(NamedTuple):
    """The guest lets go of a stub that it holds."""

    stub: int


class Upgrade(NamedTuple):
    """The response is one with status 101 and a WebSocket. Odd numbers are the guest's, for those that it makes; even
    ones the host's, for those that it is given. One that it was given and has not accepted it may hand on.
    """

    invocation: int
    headers: HeaderPairs
    socket: int


class SocketSend(NamedTuple):
    """A message that the guest sends on a WebSocket, or a part of one; text as UTF-8, cut anywhere."""

    socket: int
    data: bytes
    text: bool
    end: bool


class SocketClose(NamedTuple):
    """The guest closes a WebSocket; 1005 for no code. It sends no more, and hears when it is closed."""

    socket: int
    code: int
    reason: str


class SocketCredit(NamedTuple):
    """The guest has room for so much more of what comes on a WebSocket; the first time, it accepts it."""

    socket: int
    credit: int


class Commit(NamedTuple):
    """A Durable Object's storage has changed. It comes first of a step's effects, which wait until it is durable."""

    size: int
    """Pages that the storage has now; 0 if nothing is stored any more."""
    numbers: tuple[int, ...]
    """Pages that are new or have changed, from 0."""
    pages: bytes
    """Their content, one after the other."""
    alarm: int | None
    """When its alarm is due, in milliseconds since 1970."""


class Abort(NamedTuple):
    """A Durable Object gives up what it has in memory; the next call starts it anew from its storage."""

    message: str


class Crash(NamedTuple):
    """The guest's own machinery failed: the isolate is of no use any more."""

    message: str


Effect: TypeAlias = (
    Crash | Log | Respond | Replied | Return | Result | Fail | Done | Data | Broken | Pull | Stop | Call | Fetch
    | Abandon | Drop | Upgrade | SocketSend | SocketClose | SocketCredit | Commit | Abort
)  # fmt: skip


class Wake(NamedTuple):
    """The guest wants to run again: at this loop time (seconds), for these invocations."""

    time: float
    invocations: tuple[int, ...]


class Output(NamedTuple):
    """What one step gave out. `wake` is None if only an event can make the guest go on."""

    wake: Wake | None
    effects: list[Effect]


# The usual case of a field stands first in its reader, and in one piece: each step waits for them.


def _capability(value: Any, blobs: Blobs) -> Named:
    if type(value) is int:
        return _number(value, blobs)
    if (
        type(value) is not list
        or len(value) not in (2, 3)
        or type(value[1]) is not str
        or not _is_id(value[1])
    ):
        raise ProtocolError("a capability is neither a number nor a part of one")
    number = _number(value[0], blobs)
    return Part(number, value[1], texts.object_name(value[2], blobs) if value[2:] else None)


def _asked(value: Any, blobs: Blobs) -> Named:
    if type(value) is int and 0 <= value < MAX_NUMBER:
        return value
    if type(value) is list and len(value) == 2 and type(value[1]) is bool:
        return Held(_number(value[0], blobs), value[1])
    return _capability(value, blobs)


def _value(value: Any, blobs: Blobs) -> bytes:
    if type(value) is int:
        if 0 <= value < len(blobs):
            return blobs[value]
        raise ProtocolError(NO_BYTES)
    if type(value) is not list or len(value) != 2 or type(value[1]) is not list:
        raise ProtocolError("a value is neither bytes nor bytes with stubs")
    if len(value[1]) > MAX_STUBS:
        raise ProtocolError(f"a value names more than {MAX_STUBS} stubs and streams")
    return Shared.of(_blob(value[0], blobs), tuple([_beside(each, blobs) for each in value[1]]))


def _beside(value: Any, blobs: Blobs) -> Beside:
    if type(value) is list and value and value[0] in ("s", "p"):
        return _body(value, blobs)  # type: ignore[return-value]
    if type(value) is not list or len(value) != 2:
        raise ProtocolError("a stub is not [lends, number]")
    return Reference(_flag(value[0], blobs), _number(value[1], blobs))


def _body(value: Any, blobs: Blobs) -> BodyRef:
    if value is None:
        return None
    if type(value) is list and len(value) == 2 and value[0] == "b":
        return _blob(value[1], blobs)
    if type(value) is list and len(value) == 3 and value[0] == "s":
        length = None if value[2] is None else _number(value[2], blobs)
        return StreamRef(_number(value[1], blobs), length)
    if type(value) is list and len(value) == 2 and value[0] == "p":
        return HandedOn(_number(value[1], blobs))
    raise ProtocolError("a body is neither bytes nor a stream")


def _body_in_hand(value: Any, blobs: Blobs) -> bytes:
    if type(value) is list and len(value) == 2 and value[0] == "b":
        return _blob(value[1], blobs)
    raise ProtocolError("the body of a reply is not bytes")


_is_id: Final = re.compile(r"[0-9a-f]{64}").fullmatch

_EFFECTS: Final[dict[str, tuple[type[Effect], tuple[Reader, ...]]]] = {
    "log": (Log, (_number, texts.level, texts.name, texts.text)),
    "respond": (Respond, (_number, _status, texts.header_pairs, _body)),
    "replied": (Replied, (_number, _status, texts.header_pairs, _body_in_hand)),
    "return": (Return, (_number, _value)),
    "result": (Result, (_number, _value)),
    "fail": (Fail, (_number, texts.fail_reason, texts.name, texts.text, texts.text)),
    "done": (Done, (_number,)),
    "data": (Data, (_number, _optional_blob, _flag)),
    "error": (Broken, (_number, texts.text)),
    "pull": (Pull, (_number, _number)),
    "stop": (Stop, (_number,)),
    "call": (Call, (_number, _number, _asked, texts.method_name, _value)),
    "fetch": (
        Fetch,
        (
            _number,
            _number,
            _capability,
            texts.http_method,
            texts.url,
            texts.header_pairs,
            _body,
            texts.redirect,
            _moment,
        ),
    ),
    "abandon": (Abandon, (_number,)),
    "drop": (Drop, (_number,)),
    "upgrade": (Upgrade, (_number, texts.header_pairs, _number)),
    "ws_send": (SocketSend, (_number, _optional_blob, _flag, _flag)),
    "ws_close": (SocketClose, (_number, _close_code, texts.close_reason)),
    "ws_credit": (SocketCredit, (_number, _number)),
    "commit": (Commit, (_number, _numbers, _blob, _moment)),
    "abort": (Abort, (texts.text,)),
    "crash": (Crash, (texts.text,)),
}


def decode_effects(frame: bytes, limits: Limits, let_others: Callable[[], object] | None = None) -> Output:
    """Read a step's output. Raises `ProtocolError` for anything that is not exactly as agreed, or too much.

    `let_others` is called now and then: there another thread may have the interpreter.
    """
    if frame[3:4] > short.LAST_LENGTH:
        return _decode_short(frame, limits, let_others)
    if len(frame) > LONG_HEADER or len(frame) > limits.header_bytes:
        size = int.from_bytes(frame[:4], "little")
        if size > limits.header_bytes:
            raise OutputTooLarge(
                f"the structured part of a step's output is limited to {limits.header_bytes} bytes"
            )
        if size > LONG_HEADER:
            _check_parts(frame[4 : 4 + size])
    try:
        message, blobs = wire.decode(frame, max_header=limits.header_bytes, max_blobs=limits.effects)
    except wire.WireError as error:
        raise ProtocolError(f"the step's output is malformed: {error}") from None
    if type(message) is not list or len(message) != 2:
        raise ProtocolError("the step's output is not [wake, effects]")
    wake, raw = message
    if type(raw) is not list:
        raise ProtocolError("the step's effects are not a list")
    if len(raw) > limits.effects:
        raise OutputTooLarge(f"the step gave out {len(raw)} effects; the limit is {limits.effects}")
    due = None if wake is None else _wake(wake)
    if let_others is None or len(raw) <= PORTION:
        return _new(Output, (due, _read(raw, blobs)))
    effects = []
    for start in range(0, len(raw), PORTION):
        effects += _read(raw[start : start + PORTION], blobs)
        let_others()
    return Output(due, effects)


def _decode_short(frame: bytes, limits: Limits, let_others: Callable[[], object] | None) -> Output:
    try:
        if frame[:4] == short.REPLIED_FIRST:
            return _new(Output, (None, _replies(frame, limits, let_others)))
        if (found := short.returned(frame)) is not None:
            return _new(Output, (None, [_new(Result, found)]))
        call, invocation, address, arguments = short.called(frame)
        capability, method = (_known_address if len(address) < MAX_NAME else _address)(address)
    except wire.WireError as error:
        raise ProtocolError(f"the step's output is malformed: {error}") from None
    return _new(Output, (None, [_new(Call, (call, invocation, capability, method, arguments))]))


def _replies(frame: bytes, limits: Limits, let_others: Callable[[], object] | None) -> list[Effect]:
    effects: list[Effect] = []
    at, size = 0, len(frame)
    while at < size:
        invocation, text, body, at = short.replied(frame, at)
        status, headers = _known_head(text)
        effects.append(_new(Replied, (invocation, status, headers, body)))
        if len(effects) > limits.effects:
            raise OutputTooLarge(f"the step gave out more than {limits.effects} effects")
        if let_others is not None and not len(effects) % PORTION:
            let_others()
    return effects


@lru_cache(512)
def _known_head(text: bytes) -> tuple[int, texts.HeaderPairs]:
    status, headers = short.head(text)
    return _status(status, ()), texts.header_pairs(headers, ())


def _address(text: bytes) -> tuple[Named, str]:
    capability, method = short.address(text)
    return _asked(capability, ()), texts.method_name(method, ())


_known_address: Final = lru_cache(512)(_address)
"""For short ones, so that what a tenant can make it hold is small."""


def _check_parts(header: bytes) -> None:
    """Refuse what would take long to parse. The parser holds the interpreter's lock until it is through, and it takes
    its time per value, not per byte: a megabyte of empty lists would stop all other tenants for a tenth of a second.
    """
    text = wire.without_escapes(header)
    if text.count(b'"') <= 2 * MAX_PARTS:
        outside = wire.outside_strings(text)
        if b"{" in outside:
            raise ProtocolError("effects have no objects")
        if len(outside) <= 4 * MAX_PARTS and outside.count(b",") + outside.count(b"[") <= MAX_PARTS:
            return
    raise OutputTooLarge(f"the structured part of a step's output is limited to {MAX_PARTS} values")


def _wake(value: Any) -> Wake:
    if type(value) is not list or len(value) != 2:
        raise ProtocolError("the step's wake is not [time, invocations]")
    when, numbers = value
    if type(when) not in (int, float) or not 0 <= when < MAX_NUMBER:
        raise ProtocolError("the step's wake time is not a time")
    if type(numbers) is not list or len(numbers) > MAX_DUE:
        raise ProtocolError(f"the invocations that are due are not a list, or more than {MAX_DUE}")
    return Wake(when, tuple([_number(number, ()) for number in numbers]))


def checked(item: Any, blobs: Blobs) -> Effect:
    """One effect as a guest encoded it, or would have. Raises `ProtocolError` for anything that is not as agreed."""
    return _read((item,), blobs)[0]


def _read(items: Iterable[Any], blobs: Blobs) -> list[Effect]:
    effects: list[Effect] = []
    for item in items:
        name = item[0] if type(item) is list and item else None
        if type(name) is not str or (row := _ROWS.get(name)) is None:
            raise ProtocolError("an effect has no known name")
        make, numbers, readers = row
        fields = item[1:]
        if make is Fetch and len(fields) == _FETCH_FIELDS - 1:
            fields.append(None)
        if len(fields) != numbers + len(readers):
            raise ProtocolError(
                f"the effect {item[0]!r} has {len(item) - 1} fields instead of {numbers + len(readers)}"
            )
        for value in fields if not readers else fields[:numbers]:
            if type(value) is not int or not 0 <= value < MAX_NUMBER:
                raise ProtocolError(NO_NUMBER)
        for place, read in readers:
            fields[place] = read(fields[place], blobs)
        # The constructor that a named tuple has otherwise takes the fields one by one, which costs as much as reading.
        effects.append(_new(make, fields))
    return effects


def _row(
    make: type[Effect], readers: tuple[Reader, ...]
) -> tuple[type[Effect], int, tuple[tuple[int, Reader], ...]]:
    """Of a row of `_EFFECTS`: how many numbers it begins with, which are read without a call, and how the rest is
    read, each with its place."""
    numbers = next((place for place, reader in enumerate(readers) if reader is not _number), len(readers))
    return make, numbers, tuple(enumerate(readers))[numbers:]


_ROWS: Final = {name: _row(*row) for name, row in _EFFECTS.items()}
_FETCH_FIELDS: Final = len(Fetch._fields)
_new: Final = tuple.__new__
PRIME: Final = wire.encode([["prime"]], ())
"""While an engine is built: run the guest's machinery once, so that the base image has it warm."""
