"""Events and effects as people and programs read them. Pure: what is told is hostile text, and is not escaped here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates import short, wire
from pyworkerd_isolates.errors import RecordingError
from pyworkerd_isolates.protocol import decode_effects

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_isolates.limits import Limits
    from pyworkerd_isolates.protocol import Effect, Output

MAX_EVENTS_HEADER: Final = 64 * 1024 * 1024
MAX_EVENTS_BLOBS: Final = 1 << 20
SHOWN: Final = 400
"""Characters of one field that are told."""
_VALUES: Final = frozenset(("arguments", "value", "event"))
"""Fields that are encoded values."""

EVENTS: Final[dict[str, tuple[str, ...]]] = {
    "become": ("class", "id", "*pages", "alarm", "most", "name"),
    "init": ("bindings", "meta"),
    "focus": ("invocations",),
    "fetch": ("invocation", "entrypoint", "props", "method", "url", "headers", "body"),
    "rpc": ("invocation", "entrypoint", "props", "method", "*arguments"),
    "invoke": ("invocation", "loan", "reads", "method", "*arguments"),
    "released": ("loan",),
    "handle": ("invocation", "entrypoint", "props", "handler", "*event"),
    "cancel": ("invocation",),
    "data": ("stream", "*data", "end"),
    "error": ("stream", "message"),
    "pull": ("stream", "credit"),
    "stop": ("stream",),
    "resolve value": ("call", "*value"),
    "resolve response": ("call", "status", "headers", "body", "url"),
    "resolve upgrade": ("call", "headers", "socket", "url"),
    "reject": ("call", "code", "message", "type"),
    "ws_message": ("socket", "*data", "text", "end"),
    "ws_closed": ("socket", "code", "reason", "clean"),
    "ws_credit": ("socket", "credit"),
}
"""Fields of each event, in their order; those with a star are numbers of blobs. What is not in the table is told
without names."""


def read_events(frame: bytes) -> tuple[list[list[Any]], Sequence[bytes]]:
    """The events of a frame, and their bytes. Raises `RecordingError`."""
    try:
        events, blobs = wire.decode(
            short.spelled_events(frame), max_header=MAX_EVENTS_HEADER, max_blobs=MAX_EVENTS_BLOBS
        )
    except wire.WireError as error:
        raise RecordingError(f"its events are damaged: {error}") from None
    if type(events) is not list or not all(type(e) is list and e and type(e[0]) is str for e in events):
        raise RecordingError("its events are damaged: they are no list of events")
    return events, blobs


def read_effects(frame: bytes, limits: Limits) -> Output:
    """The effects of a frame. Raises `ProtocolError`."""
    return decode_effects(frame, limits)


def event_fields(event: list[Any], blobs: Sequence[bytes]) -> dict[str, Any]:
    """An event, field by field; its name is its `kind`."""
    name, fields = event[0], event[1:]
    if name == "resolve" and len(fields) > 1 and type(fields[1]) is str:
        name, fields = f"resolve {fields[1]}", [fields[0], *fields[2:]]
    names = EVENTS.get(name, ())
    if len(names) != len(fields):
        return {"kind": name, "fields": fields}
    told: dict[str, Any] = {"kind": name}
    for key, value in zip(names, fields, strict=True):
        if key[0] == "*":
            told[key[1:]] = content(key[1:], blob_of(value, blobs))
        elif key == "body" and type(value) is list and value and value[0] == "b":
            told[key] = content(key, blob_of(value[1] if len(value) > 1 else None, blobs))
        elif key == "bindings":
            told[key] = _bindings(value, blobs)
        else:
            told[key] = value
    return told


def effect_fields(effect: Effect) -> dict[str, Any]:
    """An effect, field by field; its name is its `kind`."""
    told: dict[str, Any] = {"kind": type(effect).__name__.lower()}
    for key, value in effect._asdict().items():
        if isinstance(value, bytes):
            told[key] = content(key, value)
        elif isinstance(value, tuple) and hasattr(value, "_asdict"):
            told[key] = value._asdict()
        else:
            told[key] = value
    return told


def blob_of(number: Any, blobs: Sequence[bytes]) -> bytes | None:
    """The bytes that an event names, with or without stubs; None where it names none."""
    number = number[0] if type(number) is list and number else number
    return bytes(blobs[number]) if type(number) is int and 0 <= number < len(blobs) else None


def content(key: str, data: bytes | None) -> Any:
    """Bytes, as somebody can read them: a value, or text, or how many there are."""
    if data is None:
        return None
    if key in _VALUES:
        try:
            return wire.load_value(data)
        except wire.WireError:
            pass
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return {"bytes": len(data), "begins": data[:32].hex()}
    return text


def _bindings(rows: Any, blobs: Sequence[bytes]) -> Any:
    if type(rows) is not list:
        return rows
    told: dict[str, Any] = {}
    for row in rows:
        match row:
            case [str(name), "value", int(number), *_]:
                told[name] = content("value", blob_of(number, blobs))
            case [str(name), shape, *_]:
                told[name] = f"<{shape}>"
    return told


def line(told: dict[str, Any]) -> str:
    """One line for people: what it is, then its fields. Long ones are cut."""
    kind, *rest = told.items()
    return " ".join([str(kind[1]), *(f"{key}={_short(value)}" for key, value in rest if value is not None)])


def _short(value: Any) -> str:
    text = repr(value)
    more = len(text) - SHOWN
    return text if more <= 0 else f"{text[:SHOWN]}... ({more} characters more)"
