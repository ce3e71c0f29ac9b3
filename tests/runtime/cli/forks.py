"""Processes of the `pyworkerd` command, forked from one that has imported what most commands need: that takes a quarter
of a second less for each of some hundreds.

Such a process is one like any other, with its own arguments, environment, folder and files. That each command imports
what it needs is left to tests that begin it anew (`test_main`).
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IMPORTED: Final = (
    "uvloop",
    "pyworkerd.cli.main",
    "pyworkerd.cli.serve",
    "pyworkerd.serving",
    "pyworkerd.supervisor.run",
    "pyworkerd_config.load",
)
_NUMBER: Final = struct.Struct("i")


class Forked:
    """One of these processes, used as a `subprocess.Popen` is."""

    def __init__(self, command: Sequence[str], told: socket.socket) -> None:
        self._command, self._told = command, told
        self._lock = threading.Lock()
        self.returncode: int | None = None
        self.pid = self._number()

    def _number(self) -> int:
        data = self._told.recv(_NUMBER.size)
        if not data:
            raise AssertionError("the process that forks has ended")
        return int(_NUMBER.unpack(data)[0])

    def poll(self) -> int | None:
        """Its exit status, if it has ended; minus the signal that ended it."""
        if not self._lock.acquire(blocking=False):
            return None  # somebody waits for it
        try:
            return self._wait(0)
        except subprocess.TimeoutExpired:
            return None
        finally:
            self._lock.release()

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its exit status. Raises `TimeoutExpired` after so many seconds."""
        with self._lock:
            return self._wait(timeout)

    def _wait(self, timeout: float | None) -> int:
        if self.returncode is None:
            self._told.settimeout(timeout)
            try:
                self.returncode = self._number()
            except (TimeoutError, BlockingIOError):
                raise subprocess.TimeoutExpired(self._command, timeout or 0) from None
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)


class Forks:
    """The process that forks."""

    def __init__(self) -> None:
        self._channel, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            command = [sys.executable, "-P", __file__, str(number)]
            self._process = subprocess.Popen(command, pass_fds=[number], stdin=subprocess.DEVNULL)
        self._lock = threading.Lock()

    def start(
        self, command: Sequence[str], files: tuple[int, int, int], environment: Mapping[str, str]
    ) -> Forked:
        """Begin `pyworkerd` with these arguments, its own name first, in the folder of whoever asks. `files` become its
        standard input, output and errors.
        """
        said = json.dumps([list(command), str(Path.cwd()), dict(environment)]).encode()
        told, theirs = socket.socketpair()
        with theirs, self._lock:
            socket.send_fds(self._channel, [_NUMBER.pack(len(said))], [*files, theirs.fileno()])
            self._channel.sendall(said)
        return Forked(command, told)

    def close(self) -> None:
        """Let the process that forks end."""
        self._channel.close()
        self._process.wait()


@functools.cache
def forks() -> Forks:
    """Those of this process, begun by the first test that has use for them."""
    made = Forks()
    atexit.register(made.close)
    return made


def _serve(channel: socket.socket) -> None:
    """Fork when asked to, and tell who has ended, until nobody can ask any more. A fork ends with its command."""
    from pyworkerd.cli.main import main  # noqa: PLC0415 (whoever asks need not import it)

    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    ended, woken = socket.socketpair()
    ended.setblocking(False)
    woken.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken.fileno())
    whose: dict[int, socket.socket] = {}
    with selectors.DefaultSelector() as selector:
        selector.register(channel, selectors.EVENT_READ)
        selector.register(ended, selectors.EVENT_READ)
        while True:
            ready = {key.fileobj for key, _ in selector.select()}
            if ended in ready:
                ended.recv(4096)
                _tell(whose)
            if channel not in ready:
                continue
            size, files, _, _ = socket.recv_fds(channel, _NUMBER.size, 4)
            if not size:
                return
            said = json.loads(channel.recv(*_NUMBER.unpack(size), socket.MSG_WAITALL))
            process = os.fork()
            if not process:
                break
            whose[process] = socket.socket(fileno=files.pop())
            _say(whose[process], process)
            for file in files:
                os.close(file)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for other in (channel, ended, woken, *whose.values(), socket.socket(fileno=files.pop())):
        other.close()
    sys.argv, folder, environment = said
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.exit(main())


def _tell(whose: dict[int, socket.socket]) -> None:
    """Tell of each process that has ended, and forget it."""
    while whose:
        process, status = os.waitpid(-1, os.WNOHANG)
        if not process:
            return
        with whose.pop(process) as told:
            _say(told, os.waitstatus_to_exitcode(status))


def _say(told: socket.socket, number: int) -> None:
    """Tell whoever asked for a process. A test that has failed may have gone, and others have use for this one."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        told.sendall(_NUMBER.pack(number))


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
