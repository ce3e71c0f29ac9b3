"""Recordings: what one fresh isolate was handed and what it answered, step by step, as one file. No I/O.

A file is `MAGIC`, then one frame of `wire`: a header that says what was run, and the bytes of each step. Whoever reads
one believes nothing: it may come from anywhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import RecordingError
from pyworkerd_isolates.image import is_image_name
from pyworkerd_isolates.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

FORMAT: Final = 1
"""Changes when a recording of before cannot be run again: with this file's fields, and with what a step is."""
MAGIC: Final = b"pyworkerd recording "
STEPS_BYTES: Final = 8 * 1024 * 1024
"""Of all steps of one recording: as much as one step may give out. What comes after that is not recorded."""
MAX_STEPS: Final = 4096
MAX_FILES: Final = 1000
"""Files of a worker that a recording names, so that a change can be named too."""
MAX_HEADER: Final = 1024 * 1024
MAX_FILE: Final = STEPS_BYTES + MAX_HEADER + 4096
MAX_TEXT: Final = 4096
LAST_MS: Final = 253_402_300_799_999
"""The end of the year 9999, after which no calendar here goes."""
_DIGITS: Final = re.compile(r"[0-9a-f]{0,64}")


class Step(NamedTuple):
    """One step: when, what went in, and what came out."""

    now_ns: int
    events: bytes
    """A frame."""
    answer: bytes | None
    """A frame; None if the step did not come to its end."""
    failure: tuple[str, str] | None = None
    """How it ended otherwise: the name of an error of `errors`, and its text."""

    @property
    def size(self) -> int:
        """Bytes."""
        return len(self.events) + len(self.answer or b"")


@dataclass(frozen=True, slots=True)
class Recording:
    """One isolate from its start: which image it began on, and its steps."""

    worker: str
    language: str
    has_storage: bool
    """Whether its engine is that of workers with Durable Objects."""
    image: str
    """The image's name, which is made from the code's content."""
    image_digest: str
    """SHA-256 of the image itself; empty where it is not known."""
    cpu_ms: int
    memory_mb: int
    began_ms: int
    """Milliseconds since 1970."""
    request_id: str
    trace_id: str
    key: bytes = field(repr=False)
    """What its random numbers were made from."""
    steps: tuple[Step, ...] = field(repr=False)
    complete: bool = True
    """Whether it was recorded to its end."""
    hidden: tuple[str, ...] = ()
    """What was replaced by placeholders, in words."""
    differs: int | None = None
    """The step, from 0, in which the real isolate did something else: what it did depends on what was hidden."""
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of the worker's files, where they are known."""
    version: str = ""
    """Of pyworkerd."""

    @property
    def code(self) -> str:
        """The digest of the worker's files, as far as the image's name has it."""
        return self.image.split("-")[2]

    @property
    def limits(self) -> Limits:
        """What its isolates may use."""
        return Limits(cpu_ms=self.cpu_ms, memory_mb=self.memory_mb)


def encode(recording: Recording) -> bytes:
    """As a file."""
    blobs = [recording.key]
    steps: list[object] = []
    for step in recording.steps:
        blobs += (step.events, step.answer or b"")
        steps.append([step.now_ns, step.answer is not None, step.failure])
    header = {name: getattr(recording, name) for name in _FIELDS}
    frame = wire.encode({**header, "hidden": list(recording.hidden), "steps": steps}, blobs)
    return b"%b%d\n%b" % (MAGIC, FORMAT, frame)


def decode(data: bytes) -> Recording:
    """What a file says. Raises `RecordingError` for everything that is not a recording of this format."""
    first, newline, frame = data[: len(MAGIC) + 8].partition(b"\n")
    if not newline or not first.startswith(MAGIC) or not first[len(MAGIC) :].isdigit():
        raise RecordingError("it is not a recording of pyworkerd")
    if int(first[len(MAGIC) :]) != FORMAT:
        raise RecordingError(
            f"it is a recording of format {int(first[len(MAGIC) :])}, and this version replays format {FORMAT}: "
            "replay it with the version that recorded it"
        )
    frame = data[len(first) + 1 :]
    try:
        header, blobs = wire.decode(frame, max_header=MAX_HEADER, max_blobs=2 * MAX_STEPS + 1)
    except wire.WireError as error:
        raise RecordingError(f"it is damaged, or cut off: {error}") from None
    if type(header) is not dict or set(header) != {*_FIELDS, "steps"} or not blobs:
        raise RecordingError("it is damaged: its header has other fields than a recording has")
    read = {name: check(header[name], name) for name, check in _FIELDS.items()}
    if len(blobs[0]) != 32:
        raise RecordingError("it is damaged: its entropy key has not 32 bytes")
    return Recording(**read, key=blobs[0], steps=_steps(header["steps"], blobs[1:]))


def _steps(raw: Any, blobs: tuple[bytes, ...]) -> tuple[Step, ...]:
    if type(raw) is not list or not 0 < len(raw) <= MAX_STEPS or len(blobs) != 2 * len(raw):
        raise RecordingError("it is damaged: it has no steps, or too many")
    steps = []
    for number, each in enumerate(raw):
        match each:
            case [int(now), bool(answered), None | [str(), str()] as failure] if 0 <= now < 1 << 63:
                ended = None if failure is None else (failure[0][:256], failure[1][:MAX_TEXT])
                answer = blobs[2 * number + 1] if answered else None
                steps.append(Step(now, blobs[2 * number], answer, ended))
            case _:
                raise RecordingError(f"it is damaged: its step {number + 1} is none")
    return tuple(steps)


def _wrong(name: str) -> RecordingError:
    return RecordingError(f"it is damaged: its {name!r} is not what it has to be")


def _text(value: Any, name: str) -> str:
    if type(value) is not str or len(value) > MAX_TEXT:
        raise _wrong(name)
    return value


def _hexadecimal(value: Any, name: str) -> str:
    if type(value) is not str or not _DIGITS.fullmatch(value):
        raise _wrong(name)
    return value


def _image(value: Any, name: str) -> str:
    if type(value) is not str or not is_image_name(value):
        raise _wrong(name)
    return value


def _number(most: int) -> Callable[[Any, str], int]:
    def check(value: Any, name: str) -> int:
        if type(value) is not int or not 0 <= value <= most:
            raise _wrong(name)
        return value

    return check


def _flag(value: Any, name: str) -> bool:
    if type(value) is not bool:
        raise _wrong(name)
    return value


def _step_number(value: Any, name: str) -> int | None:
    return None if value is None else _number(MAX_STEPS)(value, name)


def _texts(value: Any, name: str) -> tuple[str, ...]:
    if type(value) is not list or len(value) > MAX_FILES:
        raise _wrong(name)
    return tuple(_text(each, name) for each in value)


def _files(value: Any, name: str) -> dict[str, str]:
    if type(value) is not dict or len(value) > MAX_FILES:
        raise _wrong(name)
    return {_text(path, name): _hexadecimal(digest, name) for path, digest in value.items()}


_FIELDS: Final[dict[str, Callable[[Any, str], Any]]] = {
    "worker": _text,
    "language": _text,
    "has_storage": _flag,
    "image": _image,
    "image_digest": _hexadecimal,
    "cpu_ms": _number(86_400_000),
    "memory_mb": _number(4096),
    "began_ms": _number(LAST_MS),
    "request_id": _hexadecimal,
    "trace_id": _hexadecimal,
    "complete": _flag,
    "hidden": _texts,
    "differs": _step_number,
    "files": _files,
    "version": _text,
}
