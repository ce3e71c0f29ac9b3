"""Short frames: what most steps of a call take in and give out, as a few numbers in place of JSON. No I/O.

To read JSON takes a guest of CPython three thousand instructions, and a thousand for each value, to write it more.

| kind | numbers | then |
|---|---|---|
| answer | call, focus | the encoded value |
| called | invocation, length of the name with the focus in its highest bit | the method's name, the encoded arguments |
| asked | invocation, length of the line with the focus as above, length of the headers | method, space, URL; headers |
| call | call, invocation, length of the address | the address, the encoded arguments |
| returned | invocation | the encoded value |
| replied | invocation, length of the head, length of the body | the head, the body; perhaps another one |

Numbers have four bytes, and the kind comes first: its highest bit tells such a frame from others, whose headers are not
that long. `focus` is the one invocation that the step is for, or 0; of a call or a request, whether it is for that
alone. An address is what is called and the method's name, as JSON without its brackets; a head is status and headers in
the same way. `returned` and `replied` say `done` as well. Of those that are asked or that replied a frame tells one
after the other. A request's headers are JSON, which is read when somebody looks at them: few programs do.
"""

from __future__ import annotations

import json.encoder
from struct import Struct, error
from typing import TYPE_CHECKING, Any, Final

from . import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    Writer = Callable[[Sequence[Sequence[Any]], Sequence[bytes]], bytes | None]

ANSWER, CALLED, CALL, RETURNED, REPLIED, ASKED = range(0x80000001, 0x80000007)
LAST_LENGTH: Final = b"\x7f"
"""The fourth byte of a frame that is none of these is no more: that of its header's length."""
FOCUS: Final = 1 << 31
MAX_ADDRESS: Final = 8192
"""Bytes: an object's name may have a thousand characters, a method's 256, and each six bytes."""
MAX_HEAD: Final = 256
"""Bytes: such as most responses have. They are read once, and known then."""
KNOWN_HEADERS, MAX_KNOWN = 256, 2048
"""Lists of headers that are known when they are written again, and bytes of one of them."""
LEAST_PLAIN, MOST_PLAIN = 12, 4092
"""Bytes of an encoded value, behind the length of its header, that the engine of JavaScript looks through."""
_two, _three, _four = Struct("<II"), Struct("<III"), Struct("<IIII")
REPLIED_FIRST: Final = REPLIED.to_bytes(4, "little")


class ShortFrameError(wire.WireError):
    """These bytes are no short frame."""


def is_short(frame: bytes) -> bool:
    """Whether this is meant to be one."""
    return frame[3:4] > LAST_LENGTH


# What a guest is handed -----------------------------------------------------------------------------------------------


def written(events: Sequence[Sequence[Any]], blobs: Sequence[bytes]) -> bytes | None:
    """These events as a short frame; None if they are others. The host's own, so trusted to be well typed."""
    focus: Sequence[int] = ()
    if len(events) == 2 and events[0][0] == "focus":
        focus, events = events[0][1], events[1:]
        if len(focus) != 1:
            return None
    try:
        if len(events) == 1 or (events and events[0][0] == "fetch"):
            make = _MADE.get(events[0][0])
            return None if make is None else make(events, focus, blobs)
    except error:  # a number of more than four bytes
        pass
    return None


def written_plain(events: Sequence[Sequence[Any]], blobs: Sequence[bytes]) -> bytes | None:
    """One call as a short frame, with arguments that an engine of JavaScript reads without its guest; None if these are
    others.
    """
    if len(events) != 1 or events[0][0] != "rpc":
        return None
    # They are another tenant's, and an engine traps at what it does not read: all that it asks is asked here.
    size = len(blobs[0]) - 4
    if not LEAST_PLAIN <= size <= MOST_PLAIN or wire.length_of(blobs[0])[0] != size:
        return None
    value = blobs[0][4:]
    if b"$" in value or not value.isascii():
        return None
    if not (value.startswith(b"[[],[[") and value.endswith(b"],{}]]")):
        return None
    try:
        return _called(events, (), blobs)
    except error:
        return None


def _answer(events: Sequence[Sequence[Any]], focus: Sequence[int], blobs: Sequence[bytes]) -> bytes | None:
    _, call, kind, value, *_rest = events[0]
    if kind != "value" or type(value) is not int:
        return None
    return _three.pack(ANSWER, call, focus[0] if focus else 0) + blobs[value]


def _called(events: Sequence[Sequence[Any]], focus: Sequence[int], blobs: Sequence[bytes]) -> bytes | None:
    _, invocation, entrypoint, props, method, arguments = events[0]
    if entrypoint is not None or props or type(arguments) is not int or not method.isascii():
        return None
    if focus and focus[0] != invocation:
        return None
    size = len(method) | FOCUS if focus else len(method)
    return b"".join((_three.pack(CALLED, invocation, size), method.encode(), blobs[arguments]))


def _asked(events: Sequence[Sequence[Any]], focus: Sequence[int], _: Sequence[bytes]) -> bytes | None:
    parts: list[bytes] = []
    for event in events:
        if event[0] != "fetch":
            return None
        _, invocation, entrypoint, props, method, url, headers, body = event
        if entrypoint is not None or props or body is not None or not url.isascii():
            return None
        line, fields = f"{method} {url}".encode(), _fields(headers)
        size = len(line)
        if focus:
            if focus[0] != invocation:
                return None
            size |= FOCUS
        parts += (_four.pack(ASKED, invocation, size, len(fields)), line, fields)
    return b"".join(parts)


def _fields(headers: Any) -> bytes:
    """Headers as JSON. What names the request itself comes first, and the others are often those of another one."""
    if not headers or headers[0][0] != "traceparent":
        return _known_fields(headers)
    first = f'[["traceparent",{_escaped(headers[0][1])}]'.encode()
    return first + b"," + _known_fields(headers[1:])[1:] if len(headers) > 1 else first + b"]"


def _known_fields(headers: Any) -> bytes:
    try:
        fields = _fields_before.get(headers)
    except TypeError:  # lists: whoever made this request is not type-checked
        return wire.written(headers).encode()
    if fields is None:
        fields = wire.written(headers).encode()
        if len(fields) <= MAX_KNOWN:
            if len(_fields_before) >= KNOWN_HEADERS:
                _fields_before.clear()
            _fields_before[headers] = fields
    return fields


_fields_before: Final[dict[Any, bytes]] = {}
_escaped = json.encoder.encode_basestring_ascii
_MADE: Final[Mapping[str, Callable[..., bytes | None]]] = {
    "resolve": _answer,
    "rpc": _called,
    "fetch": _asked,
}


WRITERS: Final[Mapping[str, Writer]] = {
    "python": written,
    "javascript": written_plain,
}
"""By language whose guests can be handed such frames: what makes them, or None. Any guest may give them out."""


# What a guest gives out: hostile --------------------------------------------------------------------------------------


def returned(frame: bytes) -> tuple[int, bytes] | None:
    """Invocation and value; None if it is of another kind. Raises `ShortFrameError`."""
    try:
        kind, invocation = _two.unpack_from(frame)
    except error:
        raise ShortFrameError("a short frame is cut short") from None
    return (invocation, frame[8:]) if kind == RETURNED else None


def called(frame: bytes) -> tuple[int, int, bytes, bytes]:
    """Call, invocation, address, arguments. Raises `ShortFrameError`."""
    try:
        kind, call, invocation, size = _four.unpack_from(frame)
    except error:
        raise ShortFrameError("a short frame is cut short") from None
    end = 16 + size
    if kind != CALL or size > MAX_ADDRESS or end > len(frame):
        raise ShortFrameError("a short frame is of no known kind, or its address is too long")
    return call, invocation, frame[16:end], frame[end:]


def replied(frame: bytes, at: int) -> tuple[int, bytes, bytes, int]:
    """Invocation, head and body of the one that begins there; and where it ends. Raises `ShortFrameError`."""
    try:
        kind, invocation, head_size, body_size = _four.unpack_from(frame, at)
    except error:
        raise ShortFrameError("a short frame is cut short") from None
    start = at + 16 + head_size
    end = start + body_size
    if kind != REPLIED or head_size > MAX_HEAD or end > len(frame):
        raise ShortFrameError("a short frame is of no known kind, or its parts are too long")
    return invocation, frame[at + 16 : start], frame[start:end], end


def address(text: bytes) -> tuple[Any, Any]:
    """What is called and which method of it, whatever values these are. Raises `ShortFrameError`."""
    return _two_of(text, "an address is no JSON of what is called and a method's name")


def head(text: bytes) -> tuple[Any, Any]:
    """Status and headers, whatever values these are. Raises `ShortFrameError`."""
    return _two_of(text, "a head is no JSON of a status and headers")


def _two_of(text: bytes, refusal: str) -> tuple[Any, Any]:
    try:
        (first, second), _ = wire.decode(wire.alone(f"[{str(text, 'ascii')}]"))
    except (wire.WireError, ValueError, TypeError):
        raise ShortFrameError(refusal) from None
    return first, second


# Either in the words of all others ------------------------------------------------------------------------------------


def spelled_events(frame: bytes) -> bytes:
    """A frame of events as JSON, whatever it was before. Raises `ShortFrameError`."""
    if not is_short(frame):
        return frame
    try:
        kind, number, more = _three.unpack_from(frame)
    except error:
        raise ShortFrameError("a short frame is cut short") from None
    if kind == ANSWER:
        focus, event, value = [more] if more else [], ["resolve", number, "value", 0], frame[12:]
    elif kind == CALLED:
        end = 12 + (more & ~FOCUS)
        focus = [number] if more & FOCUS else []
        event = ["rpc", number, None, {}, str(frame[12:end], "latin-1"), 0]
        value = frame[end:]
    elif kind == ASKED:
        return _spelled_requests(frame)
    else:
        raise ShortFrameError("a short frame is of no known kind")
    return wire.encode([["focus", focus], event] if focus else [event], [value])


def _spelled_requests(frame: bytes) -> bytes:
    events: list[list[Any]] = []
    end = 0
    try:
        while end < len(frame):
            _, invocation, size, fields_size = _four.unpack_from(frame, end)
            start = end + 16 + (size & ~FOCUS)
            method, url = str(frame[end + 16 : start], "ascii").split(" ", 1)
            end = start + fields_size
            headers, _ = wire.decode(wire.alone(str(frame[start:end], "ascii")))
            if size & FOCUS:
                events.append(["focus", [invocation]])
            events.append(["fetch", invocation, None, {}, method, url, headers, None])
        return wire.encode(events)
    except (error, ValueError, wire.WireError):
        raise ShortFrameError("a request is cut short, or its headers are no JSON") from None


def spelled_effects(frame: bytes) -> bytes:
    """A frame of effects as JSON, whatever it was before. Raises `ShortFrameError`."""
    if not is_short(frame):
        return frame
    if (found := returned(frame)) is not None:
        invocation, value = found
        return wire.encode([None, [["result", invocation, 0]]], [value])
    if frame[:4] == REPLIED_FIRST:
        return _spelled_replies(frame)
    call, invocation, to, arguments = called(frame)
    try:
        return wire.encode([None, [["call", call, invocation, *address(to), 0]]], [arguments])
    except ValueError:  # 1e999 is read, and is no number then
        raise ShortFrameError("an address has a number that is too large") from None


def _spelled_replies(frame: bytes) -> bytes:
    effects: list[list[Any]] = []
    bodies: list[bytes] = []
    at = 0
    while at < len(frame):
        invocation, text, body, at = replied(frame, at)
        effects.append(["replied", invocation, *head(text), ["b", len(bodies)]])
        bodies.append(body)
    try:
        return wire.encode([None, effects], bodies)
    except ValueError:
        raise ShortFrameError("a head has a number that is too large") from None
