"""Numbers, flags and bytes of effects: what they may be. No I/O. Readers like those of `texts`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .errors import ProtocolError

if TYPE_CHECKING:
    from .texts import Blobs

MAX_NUMBER: Final = 2**53
NO_NUMBER: Final = "a number is missing or out of range"
NO_BYTES: Final = "an effect names bytes that are not there"


def number(value: Any, _: Blobs) -> int:
    """A number of this language, which JavaScript can say too."""
    if type(value) is int and 0 <= value < MAX_NUMBER:
        return value
    raise ProtocolError(NO_NUMBER)


def numbers(value: Any, blobs: Blobs) -> tuple[int, ...]:
    """Some of them."""
    if type(value) is not list:
        raise ProtocolError("numbers are not a list")
    return tuple([number(each, blobs) for each in value])


def moment(value: Any, blobs: Blobs) -> int | None:
    """When something is due, if ever: a number or nothing."""
    return None if value is None else number(value, blobs)


def flag(value: Any, _: Blobs) -> bool:
    """True or false."""
    if type(value) is not bool:
        raise ProtocolError("a flag is neither true nor false")
    return value


def status(value: Any, _: Blobs) -> int:
    """Of a response."""
    if type(value) is not int or not 200 <= value <= 599:
        raise ProtocolError("a response's status must lie between 200 and 599")
    return value


def close_code(value: Any, _: Blobs) -> int:
    """RFC 6455 section 7.4, and what IANA has registered since."""
    if value is None:
        return 1005
    if type(value) is not int or not (
        1000 <= value <= 1003 or 1007 <= value <= 1014 or 3000 <= value <= 4999
    ):
        raise ProtocolError("a close code is none that can be sent")
    return value


def blob(value: Any, blobs: Blobs) -> bytes:
    """Bytes, by their index."""
    if type(value) is int and 0 <= value < len(blobs):
        return blobs[value]
    raise ProtocolError(NO_BYTES)


def optional_blob(value: Any, blobs: Blobs) -> bytes:
    """The same, or none."""
    return b"" if value is None else blob(value, blobs)
