"""How a serving process comes into being: forked from the supervisor, which has imported everything already.

A fork takes some milliseconds where a new interpreter takes a hundred, and shares what was imported. It is safe because
the supervisor has no threads, forks outside of its event loop, and nothing of that loop is ever run, closed or
collected in the child: its descriptors are replaced by ones of /dev/null, under the same numbers, so that no object
that still holds a number can reach what another one means by it.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

QUIET: Final = (signal.SIGINT, signal.SIGHUP)
"""A terminal sends these to all processes at once; what they mean is the supervisor's to say."""
PLAIN: Final = (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1)


class Fork(NamedTuple):
    """A new process, as the supervisor sees it."""

    pid: int
    channel: socket.socket
    errors: int
    """What it writes to standard output and error can be read here."""


def open_descriptors() -> frozenset[int]:
    """Descriptors of this process."""
    folder = Path("/proc/self/fd") if Path("/proc/self/fd").is_dir() else Path("/dev/fd")
    found = {int(name) for name in os.listdir(folder)}  # noqa: PTH208 (numbers, not paths)
    return frozenset(each for each in found if _is_open(each))  # the folder's own is gone by now


def fork(serve: Callable[[socket.socket], int], shared: frozenset[int]) -> Fork:
    """Fork a process that runs `serve` with its end of a control channel and exits with what it returns.

    Of the supervisor's descriptors it keeps those in `shared`. Raises OSError if there can be no more processes.
    """
    ours, theirs = socket.socketpair()
    reading, writing = os.pipe()
    sys.stdout.flush()
    sys.stderr.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        pid = os.fork()
        if pid == 0:
            _become(serve, theirs, writing, open_descriptors() - shared, before)
    except OSError:
        ours.close()
        os.close(reading)
        raise
    finally:
        # Only the supervisor comes here.
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        theirs.close()
        os.close(writing)
    return Fork(pid, ours, reading)


def _become(
    serve: Callable[[socket.socket], int],
    end: socket.socket,
    errors: int,
    foreign: frozenset[int],
    mask: Iterable[int],
) -> None:
    """The new process's whole life. Never returns."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)  # it is the supervisor's: a signal of ours would be taken for one of its own
        for number in QUIET:
            signal.signal(number, signal.SIG_IGN)
        for number in PLAIN:
            signal.signal(number, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, 0)
        os.dup2(errors, 1)
        os.dup2(errors, 2)
        for each in foreign - {0, 1, 2, nothing, end.fileno()}:
            os.dup2(nothing, each, inheritable=False)
        gc.freeze()
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        status = serve(end)
    except BaseException:  # noqa: BLE001 (there is nobody else to tell)
        traceback.print_exc()
    finally:
        try:
            sys.stdout.flush()
            sys.stderr.flush()
        finally:
            os._exit(status)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True
