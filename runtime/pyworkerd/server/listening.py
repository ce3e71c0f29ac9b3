"""From an address to a bound socket. Who binds it and who serves on it may be two processes: see `supervisor`.

    listener = bind("127.0.0.1:8787")
    address = await HttpServer(handler).start(listener)

Binding does not listen yet: until somebody serves, clients are refused instead of being kept waiting.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import ConfigurationError

from .activation import NotActivated, adopt
from .address import SystemdAddress, TcpAddress, UnixAddress, parse_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_config import Socket

_TRIES: Final = 10
"""For a port of the system's choice that is free at all addresses of a name."""
_REMEDIES: Final = {
    errno.EADDRINUSE: ": end what listens there, or choose another one (dev --port, serve --socket-addr)",
    errno.EADDRNOTAVAIL: ": this machine has no such address; *:PORT is each that it has, 127.0.0.1 itself alone",
    errno.EACCES: ": ports below 1024 are root's; choose another one, or let systemd open it (systemd:NAME)",
}
"""What to do, by the kernel's reason."""


@dataclass(frozen=True, slots=True)
class Listener:
    """Bound sockets of one address: a name such as `localhost` may stand for several."""

    address: TcpAddress | UnixAddress
    """As it was written, with the port that the system chose for port 0."""
    sockets: tuple[socket.socket, ...]
    file: _File | None = None
    """Of a Unix socket that this listener made, and removes in the end."""

    def listen(self, backlog: int) -> None:
        """Let clients connect; so many wait until somebody accepts. Raises `ConfigurationError`."""
        try:
            for each in self.sockets:
                each.listen(backlog)
        except OSError as error:
            raise _cannot(str(self.address), error) from error

    def share(self) -> Listener:
        """The same sockets for somebody else to close; what a file stands for stays with this one."""
        return replace(self, sockets=tuple(each.dup() for each in self.sockets), file=None)

    def close(self) -> None:
        """Stop listening here. Harmless when called again."""
        for each in self.sockets:
            each.close()
        if self.file is not None:
            self.file.remove()


@dataclass(frozen=True, slots=True)
class _File:
    """What a Unix socket is in the file system. Another server may have put its own there since."""

    path: Path
    device: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> _File:
        status = path.lstat()
        return cls(path, status.st_dev, status.st_ino)

    def remove(self) -> None:
        with contextlib.suppress(OSError):
            status = self.path.lstat()
            if (status.st_dev, status.st_ino) == (self.device, self.inode):
                self.path.unlink()


def bind(text: str, mode: int | None = None) -> Listener:
    """Bind `host:port`, `[ipv6]:port`, `*:port` (every interface) or `unix:/path`; adopt `systemd:NAME`.

    Looks up names, so it may block.

    `mode`: permissions of a Unix socket's file; None leaves them to the umask.
    Raises `ConfigurationError` for an address that is not one or cannot be used.
    """
    wanted = parse_address(text)
    try:
        if isinstance(wanted, SystemdAddress):
            return _adopt(wanted)
        if isinstance(wanted, UnixAddress):
            return _bind_unix(wanted, mode)
        bound = (_every_interface(wanted.port),) if wanted.host is None else _bind_name(wanted)
    except OSError as error:
        raise _cannot(text, error) from error
    return Listener(TcpAddress(wanted.host, bound[0].getsockname()[1]), bound)


def _cannot(text: str, error: OSError) -> ConfigurationError:
    remedy = _REMEDIES.get(error.errno or 0, "")
    return ConfigurationError(f"cannot listen on {text}: {error.strerror or error}{remedy}")


def _every_interface(port: int) -> socket.socket:
    """One socket for IPv4 and IPv6 where the system can, so that port 0 means one port."""
    if socket.has_dualstack_ipv6():
        with contextlib.suppress(OSError):
            return _bound(socket.AF_INET6, ("::", port), v6_only=False)
    return _bound(socket.AF_INET, ("", port))


def _bind_name(wanted: TcpAddress) -> tuple[socket.socket, ...]:
    found = socket.getaddrinfo(wanted.host, wanted.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    places = list(dict.fromkeys((family, address) for family, _, _, _, address in found))
    for _ in range(_TRIES if wanted.port == 0 else 1):
        try:
            return _bind_all(places)
        except OSError as error:
            last = error
            if error.errno != errno.EADDRINUSE:
                break
    raise last


def _bind_all(places: Sequence[tuple[int, tuple[object, ...]]]) -> tuple[socket.socket, ...]:
    """All of a name's addresses, on one port. Those that the machine does not have are left out, unless that is all."""
    bound: list[socket.socket] = []
    missing: OSError | None = None
    with contextlib.ExitStack() as undo:
        for family, (host, port, *scope) in places:
            chosen = bound[0].getsockname()[1] if bound else port
            try:
                bound.append(undo.enter_context(_bound(family, (host, chosen, *scope))))
            except OSError as error:
                if error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                    raise
                missing = error
        if not bound and missing is not None:
            raise missing
        undo.pop_all()
    return tuple(bound)


def _bound(family: int, address: tuple[object, ...], *, v6_only: bool = True) -> socket.socket:
    with contextlib.ExitStack() as undo:
        made = undo.enter_context(socket.socket(family, socket.SOCK_STREAM))
        # Connections of a server that has just ended linger in the kernel; they must not keep its successor out.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6_only)
        made.bind(address)
        made.setblocking(False)
        undo.pop_all()
    return made


def bind_socket(model: Socket) -> Listener:
    """Bind a socket as the configuration describes it: see `bind`."""
    return bind(model.address, None if model.mode is None else int(model.mode, 8))


def _adopt(wanted: SystemdAddress) -> Listener:
    try:
        sockets = adopt(wanted.name)
    except NotActivated as error:
        raise ConfigurationError(f"cannot listen on {wanted}: {error}") from None
    name = sockets[0].getsockname()
    if isinstance(name, tuple):
        return Listener(TcpAddress(name[0], name[1]), sockets)
    return Listener(UnixAddress(os.fsdecode(name)), sockets)


def _bind_unix(wanted: UnixAddress, mode: int | None) -> Listener:
    path = Path(wanted.path)
    _remove_stale(path)
    with contextlib.ExitStack() as undo:
        made = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        made.bind(os.fspath(path))
        if mode is not None:
            path.chmod(mode)  # nobody can connect before somebody listens
        made.setblocking(False)
        undo.pop_all()
    return Listener(wanted, (made,), _File.of(path))


def _remove_stale(path: Path) -> None:
    """Remove a socket that nobody listens on any more. Raises OSError if somebody does."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise OSError("another server listens there")
