"""What the supervisor and a serving process say to each other: named tuples, and MessagePack on the wire. No I/O.

A frame is a length of four bytes (big-endian) and a MessagePack list: the message's name, then its fields. Each side
decodes only what the other may say, with exact types and limits, and nothing optional: a serving process runs code of
tenants, so the supervisor takes what comes out of one as hostile. What does not fit raises `ControlError`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

import msgpack

from pyworkerd.problems import Fault

MAX_FRAME: Final = 32 * 1024 * 1024
"""Metrics of many workers are the largest thing that is said: 10,000 workers with some 3 KB each."""
MAX_TEXT: Final = 64 * 1024
MAX_NAME: Final = 256
MAX_ENTRIES: Final = 100_000
"""Workers, problems or sockets in one message."""
MAX_NUMBER: Final = 2**63
_LENGTH: Final = 4


class ControlError(Exception):
    """The other side broke the protocol."""


class Deployed(NamedTuple):
    """A worker is ready. `built`: its top level ran now, and not for an earlier deploy of the same files."""

    worker: str
    microseconds: int
    built: bool


class BoundSocket(NamedTuple):
    """A socket of the configuration that comes with the message: so many descriptors of those that follow."""

    name: str
    address: str
    descriptors: int


# From a serving process ----------------------------------------------------------------------------------------


class Progress(NamedTuple):
    """The engine is being built."""

    step: str


class Ready(NamedTuple):
    """It serves. `digest` names what: configuration and files."""

    digest: str
    deployed: tuple[Deployed, ...]


class Prepared(NamedTuple):
    """The new configuration is deployed beside the old one; as `Ready`."""

    generation: int
    digest: str
    deployed: tuple[Deployed, ...]


class Refused(NamedTuple):
    """A configuration cannot work: the first one (generation 0), or one that was to be prepared."""

    generation: int
    status: int
    """The exit status that says so."""
    faults: tuple[Fault, ...]


class Switched(NamedTuple):
    """New requests go to the new configuration."""

    generation: int


class Beat(NamedTuple):
    """Its event loop turns, and this is how things stand."""

    connections: int
    active: int
    requests: int
    isolates: int


class Leaving(NamedTuple):
    """Somebody else than the supervisor has told it to end (SIGTERM): it drains."""


class Answer(NamedTuple):
    """To `Ask`."""

    number: int
    data: bytes


# From the supervisor ----------------------------------------------------------------------------------------


class Prepare(NamedTuple):
    """Read the configuration again and deploy it beside the one that runs. Its new sockets come along.

    With `only` nothing is read: of what runs, this service alone becomes another one.
    """

    generation: int
    sockets: tuple[BoundSocket, ...]
    only: str = ""
    lives: bytes = b""
    """What was deployed on top of it: see `versions.current`."""
    trial: bytes = b""
    """What has to work before it is prepared: see `versions.trial`."""


class Switch(NamedTuple):
    """Send new requests to what was prepared."""

    generation: int


class Discard(NamedTuple):
    """Forget what was prepared."""

    generation: int


class Trouble(NamedTuple):
    """What is wrong with the files as they are now; nothing, when they have been loaded again."""

    faults: tuple[Fault, ...]


class Drain(NamedTuple):
    """Accept nothing more, finish what runs for so long, and end."""

    milliseconds: int


class Hurry(NamedTuple):
    """End now."""


class Ask(NamedTuple):
    """A question of the table `questions.QUESTIONS`, with its argument."""

    number: int
    question: str
    argument: bytes


FromProcess: TypeAlias = Progress | Ready | Prepared | Refused | Switched | Beat | Leaving | Answer
FromSupervisor: TypeAlias = Prepare | Switch | Discard | Trouble | Drain | Hurry | Ask
Message: TypeAlias = FromProcess | FromSupervisor

# Readers ----------------------------------------------------------------------------------------

_Read = Callable[[Any], Any]


def _number(value: Any) -> int:
    if type(value) is not int or not 0 <= value < MAX_NUMBER:
        raise ControlError("a field is not a number that was agreed on")
    return value


def _flag(value: Any) -> bool:
    if type(value) is not bool:
        raise ControlError("a field is not true or false")
    return value


def _text(limit: int) -> _Read:
    def read(value: Any) -> str:
        if type(value) is not str or len(value) > limit:
            raise ControlError("a field is not a text, or too long")
        return value

    return read


def _maybe(read: _Read) -> _Read:
    return lambda value: None if value is None else read(value)


def _data(value: Any) -> bytes:
    if type(value) is not bytes:
        raise ControlError("a field is not bytes")
    return value


def _list(kind: Callable[..., Any], *readers: _Read) -> _Read:
    def read(value: Any) -> tuple[Any, ...]:
        if type(value) is not list or len(value) > MAX_ENTRIES:
            raise ControlError("a field is not a list, or too long")
        return tuple(kind(*_fields(entry, readers)) for entry in value)

    return read


def _fields(value: Any, readers: tuple[_Read, ...]) -> list[Any]:
    if type(value) is not list or len(value) != len(readers):
        raise ControlError("a message or an entry has other fields than agreed")
    return [read(field) for read, field in zip(readers, value, strict=True)]


_NAME, _LINE = _text(MAX_NAME), _text(MAX_TEXT)
_FAULTS = _list(Fault, _LINE, _maybe(_LINE), _maybe(_number), _maybe(_LINE), _maybe(_LINE))
_DEPLOYED = _list(Deployed, _NAME, _number, _flag)
_SOCKETS = _list(BoundSocket, _NAME, _LINE, _number)

FROM_PROCESS: Final[Mapping[str, tuple[Callable[..., FromProcess], tuple[_Read, ...]]]] = {
    "progress": (Progress, (_LINE,)),
    "ready": (Ready, (_NAME, _DEPLOYED)),
    "prepared": (Prepared, (_number, _NAME, _DEPLOYED)),
    "refused": (Refused, (_number, _number, _FAULTS)),
    "switched": (Switched, (_number,)),
    "beat": (Beat, (_number,) * 4),
    "leaving": (Leaving, ()),
    "answer": (Answer, (_number, _data)),
}
FROM_SUPERVISOR: Final[Mapping[str, tuple[Callable[..., FromSupervisor], tuple[_Read, ...]]]] = {
    "prepare": (Prepare, (_number, _SOCKETS, _NAME, _data, _data)),
    "switch": (Switch, (_number,)),
    "discard": (Discard, (_number,)),
    "trouble": (Trouble, (_FAULTS,)),
    "drain": (Drain, (_number,)),
    "hurry": (Hurry, ()),
    "ask": (Ask, (_number, _NAME, _data)),
}
_NAMES: Final[Mapping[Any, str]] = {
    kind: name for name, (kind, _) in (*FROM_PROCESS.items(), *FROM_SUPERVISOR.items())
}

# Bytes ----------------------------------------------------------------------------------------


def encode(message: Message) -> bytes:
    """One frame. Raises `ControlError` for a message that no decoder would take."""
    body: bytes = msgpack.packb([_NAMES[type(message)], *message])
    if len(body) > MAX_FRAME:
        raise ControlError(f"a message of {len(body)} bytes is too long")
    return len(body).to_bytes(_LENGTH, "big") + body


class Decoder:
    """From the bytes of one direction to its messages: `FROM_PROCESS` or `FROM_SUPERVISOR`."""

    def __init__(self, table: Mapping[str, tuple[Callable[..., Any], tuple[_Read, ...]]]) -> None:
        self._table = table
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[Any]:
        """The messages that are complete now. Raises `ControlError`; nothing can be fed after that."""
        self._buffer += data
        found = []
        start, size = 0, len(self._buffer)
        while size - start >= _LENGTH:
            length = int.from_bytes(self._buffer[start : start + _LENGTH], "big")
            if length > MAX_FRAME:
                raise ControlError(f"a message of {length} bytes is announced")
            end = start + _LENGTH + length
            if end > size:
                break
            found.append(self._message(bytes(self._buffer[start + _LENGTH : end])))
            start = end
        del self._buffer[:start]
        return found

    def _message(self, body: bytes) -> Any:
        try:
            value = msgpack.unpackb(body, use_list=True, strict_map_key=True, max_map_len=0, max_ext_len=0)
        except (ValueError, msgpack.UnpackException) as error:
            raise ControlError(f"a message cannot be read: {error}") from None
        if type(value) is not list or not value or type(value[0]) is not str or value[0] not in self._table:
            raise ControlError("a message has no name that was agreed on")
        kind, readers = self._table[value[0]]
        return kind(*_fields(value[1:], readers))
