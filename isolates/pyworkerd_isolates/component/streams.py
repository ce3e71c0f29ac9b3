"""`wasi:io` for programs: streams, what can be waited for, errors. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.errors import Trap
from pyworkerd_isolates.protocol import CHUNK

from .abi import NOWHERE, put, return_bytes, return_ok_bytes, u32
from .handles import Pollable, Resource

if TYPE_CHECKING:
    from collections.abc import Callable

    from .abi import Answer, Answering
    from .bodies import Inflow, Outflow
    from .host import Host

MAX_POLLED: Final = 1024
"""Things that are waited for at once."""
_FAILED, _CLOSED = 0, 1
"""`stream-error`."""


class IoError(Resource):
    """Why an operation on a stream failed."""

    __slots__ = ("why",)

    def __init__(self, why: str) -> None:
        self.why = why


class InputStream(Resource):
    """Something that the program reads; without a body, one that is at its end."""

    __slots__ = ("body",)

    def __init__(self, body: Inflow | None) -> None:
        self.body = body


class OutputStream(Resource):
    """Something that the program writes to."""

    __slots__ = ()

    def room(self) -> int:
        """Bytes that it takes now; -1 if it takes no more at all."""
        raise NotImplementedError

    def write(self, data: bytes) -> None:
        """Take what there is room for."""
        raise NotImplementedError


class BodyStream(OutputStream):
    """One that writes a body."""

    __slots__ = ("body", "closed")

    def __init__(self, body: Outflow) -> None:
        self.body = body
        self.closed = False

    def room(self) -> int:
        """As much as there is credit for."""
        return -1 if self.closed or self.body.stopped else min(max(self.body.room, 0), CHUNK)

    def write(self, data: bytes) -> None:
        """A piece of the body."""
        self.body.write(data)


class LogStream(OutputStream):
    """One of which each line is an entry of the log."""

    __slots__ = ("_take",)

    def __init__(self, take: Callable[[bytes], None]) -> None:
        self._take = take

    def room(self) -> int:
        """It takes everything; what is too much is dropped by who logs."""
        return CHUNK

    def write(self, data: bytes) -> None:
        """Some text."""
        self._take(data)


# input ---------------------------------------------------------------------------------------------------------------


def _input(host: Host, me: int) -> InputStream:
    return host.handles.get(me, InputStream)


def _ready_to_read(stream: InputStream) -> Pollable:
    body = stream.body
    return Pollable() if body is None else Pollable(body.ready, body.want, body.due_ns)


def _read(host: Host, me: int, most: int, to: int) -> Answer:
    return _read_now(host, _input(host, me), most, to)


def _blocking_read(host: Host, me: int, most: int, to: int) -> Answer:
    stream = _input(host, me)
    if most:
        yield [_ready_to_read(stream)]
    return (yield from _read_now(host, stream, most, to))


def _read_now(host: Host, stream: InputStream, most: int, to: int) -> Answer:
    body = stream.body
    if body is not None:
        body.lapse(host.now_ns)
    if body is None or (body.ended and not len(body)):
        _fail(host, to, None if body is None else body.failed, 4)
        return None
    body.want()
    return (yield from return_ok_bytes(host.memory, to, body.read(min(most, CHUNK))))


def _skip(host: Host, me: int, most: int, to: int) -> None:
    _skip_now(host, _input(host, me), most, to)


def _blocking_skip(host: Host, me: int, most: int, to: int) -> Answer:
    stream = _input(host, me)
    if most:
        yield [_ready_to_read(stream)]
    _skip_now(host, stream, most, to)
    return None


def _skip_now(host: Host, stream: InputStream, most: int, to: int) -> None:
    body = stream.body
    if body is not None:
        body.lapse(host.now_ns)
    if body is None or (body.ended and not len(body)):
        _fail(host, to, None if body is None else body.failed, 8)
        return
    body.want()
    _number(host, to, len(body.read(min(most, CHUNK))))


def _number(host: Host, to: int, value: int) -> None:
    """A result that is a u64."""
    host.memory.write(to, bytes(8) + value.to_bytes(8, "little"))


def _fail(host: Host, to: int, why: str | None, offset: int) -> None:
    """A result that is a `stream-error`, which lies so far behind."""
    error = u32(_CLOSED) if why is None else u32(_FAILED) + u32(host.handles.add(IoError(why)))
    host.memory.write(to, u32(1) + bytes(offset - 4) + error)


# output --------------------------------------------------------------------------------------------------------------


def _output(host: Host, me: int) -> OutputStream:
    return host.handles.get(me, OutputStream)


def _ready_to_write(stream: OutputStream) -> Pollable:
    return Pollable(lambda: stream.room() != 0)


def _check_write(host: Host, me: int, to: int) -> None:
    room = _output(host, me).room()
    if room < 0:
        _fail(host, to, None, 8)
    else:
        _number(host, to, room)


def _write(host: Host, me: int, at: int, size: int, to: int) -> None:
    stream = _output(host, me)
    room = stream.room()
    if room < 0:
        _fail(host, to, None, 4)
        return
    if size > room:
        raise Trap("the program wrote more to a stream than there was room for")
    stream.write(host.memory.read(at, size))
    host.memory.write(to, b"\0")


def _write_zeroes(host: Host, me: int, size: int, to: int) -> None:
    stream = _output(host, me)
    room = stream.room()
    if room < 0:
        _fail(host, to, None, 4)
        return
    if size > room:
        raise Trap("the program wrote more to a stream than there was room for")
    stream.write(bytes(size))
    host.memory.write(to, b"\0")


def _blocking_write(host: Host, me: int, at: int, size: int, to: int) -> Answer:
    return _write_all(host, _output(host, me), host.memory.read(at, _one_write(size)), to)


def _blocking_zeroes(host: Host, me: int, size: int, to: int) -> Answer:
    return _write_all(host, _output(host, me), bytes(_one_write(size)), to)


def _one_write(size: int) -> int:
    # WASI allows 4096 bytes, wasmtime traps beyond; a whole chunk is as good.
    if size > CHUNK:
        raise Trap(f"the program wrote {size} bytes at once; at most {CHUNK} are allowed")
    return size


def _write_all(host: Host, stream: OutputStream, data: bytes, to: int) -> Answer:
    while True:
        room = stream.room()
        if room < 0:
            _fail(host, to, None, 4)
            return None
        stream.write(data[:room])
        data = data[room:]
        if not data:
            break
        yield [_ready_to_write(stream)]
    host.memory.write(to, b"\0")
    return None


def _flush(host: Host, me: int, to: int) -> None:
    # What was written leaves when the step ends, whatever is done about it.
    if _output(host, me).room() < 0:
        _fail(host, to, None, 4)
    else:
        host.memory.write(to, b"\0")


def _splice(host: Host, me: int, source: int, most: int, to: int) -> None:
    _splice_now(host, _output(host, me), _input(host, source), most, to)


def _blocking_splice(host: Host, me: int, source: int, most: int, to: int) -> Answer:
    stream, read = _output(host, me), _input(host, source)
    if most:
        yield [_ready_to_write(stream)]
        yield [_ready_to_read(read)]
    _splice_now(host, stream, read, most, to)
    return None


def _splice_now(host: Host, stream: OutputStream, read: InputStream, most: int, to: int) -> None:
    room, body = stream.room(), read.body
    if body is not None:
        body.lapse(host.now_ns)
    if room < 0 or body is None or (body.ended and not len(body)):
        _fail(host, to, None if body is None or room < 0 else body.failed, 8)
        return
    body.want()
    data = body.read(min(most, room, CHUNK))
    stream.write(data)
    _number(host, to, len(data))


# waiting -------------------------------------------------------------------------------------------------------------


def _poll(host: Host, at: int, count: int, to: int) -> Answer:
    if not count or count > MAX_POLLED:
        raise Trap("the program waits for nothing, or for too much")
    numbers = host.memory.read(at, 4 * count)
    found = [
        host.handles.get(int.from_bytes(numbers[i : i + 4], "little"), Pollable)
        for i in range(0, 4 * count, 4)
    ]
    yield found
    ready = b"".join(u32(place) for place, each in enumerate(found) if each.ready(host.now_ns))
    where = yield from put(host.memory, ready, 4)
    host.memory.write(to, u32(where or NOWHERE) + u32(len(ready) // 4))
    return None


def _block(host: Host, me: int) -> Answer:
    yield [host.handles.get(me, Pollable)]
    return None


def _ready(host: Host, me: int) -> int:
    pollable = host.handles.get(me, Pollable)
    pollable.want()
    return pollable.ready(host.now_ns)


def _subscribe_to_input(host: Host, me: int) -> int:
    return host.handles.add(_ready_to_read(_input(host, me)))


def _subscribe_to_output(host: Host, me: int) -> int:
    return host.handles.add(_ready_to_write(_output(host, me)))


def _to_debug_string(host: Host, me: int, to: int) -> Answer:
    return return_bytes(host.memory, to, host.handles.get(me, IoError).why.encode("utf-8", "replace"))


_STREAMS: Final = "wasi:io/streams "
ANSWERS: Final[dict[str, Answering]] = {
    f"{_STREAMS}input-stream.read": _read,
    f"{_STREAMS}input-stream.blocking-read": _blocking_read,
    f"{_STREAMS}input-stream.skip": _skip,
    f"{_STREAMS}input-stream.blocking-skip": _blocking_skip,
    f"{_STREAMS}input-stream.subscribe": _subscribe_to_input,
    f"{_STREAMS}output-stream.check-write": _check_write,
    f"{_STREAMS}output-stream.write": _write,
    f"{_STREAMS}output-stream.blocking-write-and-flush": _blocking_write,
    f"{_STREAMS}output-stream.flush": _flush,
    f"{_STREAMS}output-stream.blocking-flush": _flush,
    f"{_STREAMS}output-stream.subscribe": _subscribe_to_output,
    f"{_STREAMS}output-stream.write-zeroes": _write_zeroes,
    f"{_STREAMS}output-stream.blocking-write-zeroes-and-flush": _blocking_zeroes,
    f"{_STREAMS}output-stream.splice": _splice,
    f"{_STREAMS}output-stream.blocking-splice": _blocking_splice,
    "wasi:io/poll poll": _poll,
    "wasi:io/poll pollable.block": _block,
    "wasi:io/poll pollable.ready": _ready,
    "wasi:io/error error.to-debug-string": _to_debug_string,
}
