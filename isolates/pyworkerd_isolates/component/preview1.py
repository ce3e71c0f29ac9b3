"""WASI preview 1 for a CGI program: three descriptors, an environment, a clock. No I/O.

Source: wasi_snapshot_preview1.witx (records and their layout, errno).
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.errors import Trap
from pyworkerd_isolates.protocol import CHUNK, Output

from .abi import u32
from .cgi import Printed, variables
from .handles import Pollable
from .host import Host

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_isolates.protocol import HeaderPairs

    from .abi import Answer, Answering, Memory
    from .bodies import Inflow

SUCCESS, BAD_DESCRIPTOR, INVALID, BROKEN_PIPE, NO_SEEKING = 0, 8, 28, 64, 70
_STDIN, _STDOUT, _STDERR = 0, 1, 2
_READ, _WRITE = 1 << 1, 1 << 6
_POLL: Final = 1 << 27
"""Rights: fd_read, fd_write, poll_fd_readwrite."""
_CLOCK, _FD_READ, _FD_WRITE = 0, 1, 2
"""`eventtype`."""
_ABSOLUTE: Final = 1
"""`subclockflags`."""
_MONOTONIC: Final = 1
_MOST: Final = 1024
"""Buffers of one call, and subscriptions."""
_SUBSCRIPTION: Final = struct.Struct("<QB7xI4xQQH6x")
_EVENT: Final = struct.Struct("<QHB5xQH6x")
_ARGUMENTS: Final = (b"worker",)


class CgiHost(Host):
    """The host of a program that speaks CGI."""

    def __init__(
        self, memory: Memory, answers: Sequence[tuple[Answering, int]], most_effects: int = 10_000
    ) -> None:
        super().__init__(memory, answers, most_effects)
        self.printed = Printed(self.account, self.respond)
        self.variables: list[bytes] = []

    def _asked(self, method: str, url: str, headers: HeaderPairs, body: Inflow) -> tuple[int, int]:
        self.stdin = body
        # A client must not be able to say what a binding says.
        own = {name: value.encode() for name, value in self.environment.items()}
        said = {**variables(method, url, headers), **own}
        if body.length:  # worker to worker no header says so (RFC 3875 section 4.1.2)
            said.setdefault("CONTENT_LENGTH", str(body.length).encode())
        self.variables = [(f"{name}=".encode() + value).replace(b"\0", b"") for name, value in said.items()]
        return 0, 0

    def output(self, *, over: bool) -> Output:
        """See `Host.output`."""
        if over and not self.cancelled and not self.printed.finish():
            self.say(
                ["fail", self.invocation, "exception", "CgiError", "the program ended without a header", ""]
            )
        return super().output(over=over)


# the environment -----------------------------------------------------------------------------------------------------


def _sizes(host: CgiHost, words: Sequence[bytes], count_to: int, size_to: int) -> int:
    host.memory.write(count_to, u32(len(words)))
    host.memory.write(size_to, u32(sum(len(word) + 1 for word in words)))
    return SUCCESS


def _words(host: CgiHost, words: Sequence[bytes], to: int, at: int) -> int:
    places = []
    for word in words:
        places.append(u32(at))
        at += len(word) + 1
    data = b"".join(word + b"\0" for word in words)
    host.memory.write(at - len(data), data)
    host.memory.write(to, b"".join(places))
    return SUCCESS


def _args_sizes(host: CgiHost, count_to: int, size_to: int) -> int:
    return _sizes(host, _ARGUMENTS, count_to, size_to)


def _args(host: CgiHost, to: int, at: int) -> int:
    return _words(host, _ARGUMENTS, to, at)


def _environ_sizes(host: CgiHost, count_to: int, size_to: int) -> int:
    return _sizes(host, host.variables, count_to, size_to)


def _environ(host: CgiHost, to: int, at: int) -> int:
    return _words(host, host.variables, to, at)


def _time(host: CgiHost, clock: int, _precision: int, to: int) -> int:
    if clock > _MONOTONIC:
        return INVALID
    host.memory.write(to, host.now_ns.to_bytes(8, "little"))
    return SUCCESS


def _resolution(host: CgiHost, clock: int, to: int) -> int:
    if clock > _MONOTONIC:
        return INVALID
    host.memory.write(to, (1).to_bytes(8, "little"))
    return SUCCESS


# descriptors ---------------------------------------------------------------------------------------------------------


def _buffers(host: CgiHost, at: int, count: int) -> list[tuple[int, int]]:
    if count > _MOST:
        raise Trap(f"the program hands over more than {_MOST} buffers at once")
    return list(struct.iter_unpack("<II", host.memory.read(at, 8 * count)))


def _close(_host: CgiHost, descriptor: int) -> int:
    return SUCCESS if descriptor <= _STDERR else BAD_DESCRIPTOR


def _fdstat(host: CgiHost, descriptor: int, to: int) -> int:
    if descriptor > _STDERR:
        return BAD_DESCRIPTOR
    rights = _POLL | (_READ if descriptor == _STDIN else _WRITE)
    host.memory.write(to, bytes(8) + rights.to_bytes(8, "little") + bytes(8))
    return SUCCESS


def _filestat(host: CgiHost, descriptor: int, to: int) -> int:
    if descriptor > _STDERR:
        return BAD_DESCRIPTOR
    host.memory.write(to, bytes(64))
    return SUCCESS


def _read(host: CgiHost, descriptor: int, at: int, count: int, to: int) -> Answer:
    body = host.stdin
    if descriptor != _STDIN or body is None:
        return BAD_DESCRIPTOR
    buffers = [(where, size) for where, size in _buffers(host, at, count) if size]
    if buffers:
        yield [Pollable(body.ready, body.want)]
    done = 0
    for where, size in buffers:
        data = body.read(min(size, CHUNK))
        host.memory.write(where, data)
        done += len(data)
        if len(data) < size:
            break
    host.memory.write(to, u32(done))
    return SUCCESS


def _write(host: CgiHost, descriptor: int, at: int, count: int, to: int) -> Answer:
    if not _STDOUT <= descriptor <= _STDERR:
        return BAD_DESCRIPTOR
    printed = host.printed
    buffers = _buffers(host, at, count)
    if descriptor == _STDOUT and any(size for _, size in buffers):
        yield [Pollable(lambda: printed.room != 0)]
    done = 0
    for where, size in buffers:
        most = CHUNK - done if descriptor == _STDERR else printed.room
        if most < 0:
            return BROKEN_PIPE
        data = host.memory.read(where, min(size, most, CHUNK))
        if descriptor == _STDERR:
            host.log.stderr(data)
        else:
            printed.write(data)
        done += len(data)
        if len(data) < size:
            break
    host.memory.write(to, u32(done))
    return SUCCESS


def _place(_host: CgiHost, descriptor: int, *_: int) -> int:
    """Zig's library tries to write at a place, and goes on without one where it hears that there are none."""
    return NO_SEEKING if descriptor <= _STDERR else BAD_DESCRIPTOR


def _poll(host: CgiHost, at: int, to: int, count: int, done_to: int) -> Answer:
    if not count or count > _MOST:
        return INVALID
    waited: list[tuple[int, int, Pollable]] = []
    for userdata, kind, which, timeout, _, flags in _SUBSCRIPTION.iter_unpack(
        host.memory.read(at, _SUBSCRIPTION.size * count)
    ):
        waited.append((userdata, kind, _pollable(host, kind, which, timeout, flags)))
    yield [each for _, _, each in waited]
    events = [
        _EVENT.pack(userdata, SUCCESS, kind, 1 if kind != _CLOCK else 0, 0)
        for userdata, kind, each in waited
        if each.ready(host.now_ns)
    ]
    host.memory.write(to, b"".join(events))
    host.memory.write(done_to, u32(len(events)))
    return SUCCESS


def _pollable(host: CgiHost, kind: int, which: int, timeout: int, flags: int) -> Pollable:
    if kind == _CLOCK:
        return Pollable(due_ns=timeout if flags & _ABSOLUTE else host.now_ns + timeout)
    body = host.stdin
    if kind == _FD_READ and which == _STDIN and body is not None:
        return Pollable(body.ready, body.want)
    printed = host.printed
    return Pollable(lambda: printed.room != 0) if which == _STDOUT else Pollable()


def _proc_exit(host: CgiHost, code: int) -> None:
    host.exit(code)


_WASI: Final = "wasi_snapshot_preview1 "
ANSWERS: Final[dict[str, Answering]] = {
    f"{_WASI}args_get": _args,
    f"{_WASI}args_sizes_get": _args_sizes,
    f"{_WASI}environ_get": _environ,
    f"{_WASI}environ_sizes_get": _environ_sizes,
    f"{_WASI}clock_time_get": _time,
    f"{_WASI}clock_res_get": _resolution,
    f"{_WASI}fd_close": _close,
    f"{_WASI}fd_fdstat_get": _fdstat,
    f"{_WASI}fd_filestat_get": _filestat,
    f"{_WASI}fd_pread": _place,
    f"{_WASI}fd_pwrite": _place,
    f"{_WASI}fd_read": _read,
    f"{_WASI}fd_seek": _place,
    f"{_WASI}fd_tell": _place,
    f"{_WASI}fd_write": _write,
    f"{_WASI}poll_oneoff": _poll,
    f"{_WASI}proc_exit": _proc_exit,
}
