"""What surrounds a program: environment, standard streams, clocks, its configuration, its log. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from pyworkerd_isolates.errors import Trap

from .abi import put_list, return_list, return_optional, text, u32
from .handles import Pollable
from .streams import InputStream, LogStream

if TYPE_CHECKING:
    from .abi import Answer, Answering
    from .host import Host

_LEVELS: Final = ("debug", "debug", "info", "warning", "error", "critical")
"""The cases of `wasi:logging` level (trace, debug, info, warn, error, critical) as levels of a log here."""
_MAX_NAME: Final = 1024
_SECOND: Final = 1_000_000_000


def _environment(host: Host, to: int) -> Answer:
    flat = [word.encode() for pair in host.environment.items() for word in pair]
    return return_list(host.memory, to, flat, 2)


def _arguments(host: Host, to: int) -> Answer:
    return return_list(host.memory, to, [])


def _no_folder(host: Host, to: int) -> Answer:
    return return_optional(host.memory, to, None)


def _exit(host: Host, failed: int) -> None:
    host.exit(failed)


def _stdin(host: Host) -> int:
    return host.handles.add(InputStream(host.stdin))


def _stdout(host: Host) -> int:
    return host.handles.add(LogStream(host.log.stdout))


def _stderr(host: Host) -> int:
    return host.handles.add(LogStream(host.log.stderr))


# clocks --------------------------------------------------------------------------------------------------------------


def _now(host: Host) -> int:
    return host.now_ns


def _resolution(host: Host) -> int:
    del host
    return 1


def _wall_now(host: Host, to: int) -> None:
    seconds, nanoseconds = divmod(host.now_ns, _SECOND)
    host.memory.write(to, seconds.to_bytes(8, "little") + u32(nanoseconds))


def _wall_resolution(host: Host, to: int) -> None:
    host.memory.write(to, bytes(8) + u32(1))


def _at_instant(host: Host, when: int) -> int:
    return host.handles.add(Pollable(due_ns=when))


def _after(host: Host, duration: int) -> int:
    return host.handles.add(Pollable(due_ns=host.now_ns + duration))


# configuration and log -----------------------------------------------------------------------------------------------


def _config(host: Host, at: int, size: int, to: int) -> Answer:
    value = host.environment.get(text(host.memory, at, size, _MAX_NAME))
    host.memory.write(to, u32(0))
    return return_optional(host.memory, to + 4, None if value is None else value.encode())


def _all_config(host: Host, to: int) -> Answer:
    flat = [word.encode() for pair in host.environment.items() for word in pair]
    at = yield from put_list(host.memory, flat)
    host.memory.write(to, u32(0) + u32(at) + u32(len(flat) // 2))
    return None


def _log(host: Host, level: int, context_at: int, context_size: int, at: int, size: int) -> None:
    if level >= len(_LEVELS):
        raise Trap("the program logs with a level that there is not")
    source = text(host.memory, context_at, context_size, _MAX_NAME)
    # Not all of a memory is copied for what the log has no room for.
    host.log.entry(_LEVELS[level], source or "log", host.memory.read(at, min(size, host.log.left)))


_CLOCK: Final = "wasi:clocks/monotonic-clock "
ANSWERS: Final[dict[str, Answering]] = {
    "wasi:cli/environment get-environment": _environment,
    "wasi:cli/environment get-arguments": _arguments,
    "wasi:cli/environment initial-cwd": _no_folder,
    "wasi:cli/exit exit": _exit,
    "wasi:cli/exit exit-with-code": _exit,
    "wasi:cli/stdin get-stdin": _stdin,
    "wasi:cli/stdout get-stdout": _stdout,
    "wasi:cli/stderr get-stderr": _stderr,
    f"{_CLOCK}now": _now,
    f"{_CLOCK}resolution": _resolution,
    f"{_CLOCK}subscribe-instant": _at_instant,
    f"{_CLOCK}subscribe-duration": _after,
    "wasi:clocks/wall-clock now": _wall_now,
    "wasi:clocks/wall-clock resolution": _wall_resolution,
    "wasi:config/store get": _config,
    "wasi:config/store get-all": _all_config,
    "wasi:config/runtime get": _config,
    "wasi:config/runtime get-all": _all_config,
    "wasi:logging/logging log": _log,
}
