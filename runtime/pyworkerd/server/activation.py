"""Sockets that systemd opened and handed to this process (sd_listen_fds(3)): `address = "systemd:NAME"`.

They stay open as systemd gave them, and what is adopted is a duplicate: a configuration can be read again, and clients
that come while nobody serves wait in the kernel.
"""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

FIRST: Final = 3
"""SD_LISTEN_FDS_START."""
UNNAMED: Final = "unknown"
"""What systemd calls sockets that it has no name for."""
_MOST: Final = 1024
"""Descriptors; more than a process customarily may have open."""


class NotActivated(LookupError):
    """systemd gave this process nothing of that name; the sentence says what it gave."""


def given(environment: Mapping[str, str], process: int) -> dict[str, tuple[int, ...]]:
    """The descriptors that are meant for this process, by name. Several sockets of one unit share theirs."""
    if environment.get("LISTEN_PID") != str(process):
        return {}
    count = environment.get("LISTEN_FDS", "")
    if not count.isascii() or not count.isdigit() or len(count) > 4 or int(count) > _MOST:
        return {}
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, tuple[int, ...]] = {}
    for i in range(int(count)):
        name = (names[i] if i < len(names) else "") or UNNAMED
        found[name] = (*found.get(name, ()), FIRST + i)
    return found


def adopt(name: str, environment: Mapping[str, str] | None = None) -> tuple[socket.socket, ...]:
    """The sockets of that name, for the caller to close. Raises `NotActivated`, or `OSError` for what is no socket
    that clients can connect to.
    """
    found = given(os.environ if environment is None else environment, os.getpid())
    if name not in found:
        known = ", ".join(sorted(found)) or "none: LISTEN_FDS and LISTEN_PID do not name any for this process"
        raise NotActivated(f"systemd gave no socket named {name!r}; there are: {known}")
    adopted: list[socket.socket] = []
    try:
        for descriptor in found[name]:
            adopted.append(socket.socket(fileno=os.dup(descriptor)))
            if adopted[-1].type != socket.SOCK_STREAM:
                raise OSError("it is no stream socket")  # noqa: TRY301 - the sockets before it are closed below
            adopted[-1].setblocking(False)
    except OSError:
        for each in adopted:
            each.close()
        raise
    return tuple(adopted)
