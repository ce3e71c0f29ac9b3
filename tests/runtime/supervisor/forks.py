"""Run by test_forking in a process of its own, since the tests' own process has threads: prints what it found."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pyworkerd.supervisor.forking import fork, open_descriptors

if TYPE_CHECKING:
    import socket


def look(end: socket.socket, numbers: dict[str, int]) -> int:
    """The child's: what it has of the supervisor's."""
    null = Path(os.devnull).stat()
    found = {
        "null": [name for name, number in numbers.items() if os.path.samestat(os.fstat(number), null)],
        "signals": [
            int(signal.getsignal(number)) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        ],
        "blocked": sorted(map(int, signal.pthread_sigmask(signal.SIG_BLOCK, ()))),
        "wakeup": signal.set_wakeup_fd(-1),
        "standard": [os.path.samestat(os.fstat(number), os.stat(1)) for number in (1, 2)],
    }
    end.sendall(json.dumps(found).encode())
    print("said on output")
    print("said on errors", file=sys.stderr)
    return 7


def fail(_: socket.socket) -> int:
    raise ValueError("on purpose")


def status_of(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def said(descriptor: int) -> str:
    with os.fdopen(descriptor) as stream:
        return stream.read()


def main() -> None:
    before = open_descriptors()
    shared, _ = os.pipe()
    loop = asyncio.SelectorEventLoop()
    received: list[int] = []
    loop.add_signal_handler(signal.SIGTERM, received.append, 1)
    signal.set_wakeup_fd(signal.set_wakeup_fd(-1))
    with tempfile.TemporaryFile() as secret:
        epoll = loop._selector.fileno()
        numbers = {"shared": shared, "secret": secret.fileno(), "epoll": epoll, "input": 0}
        forked = fork(lambda end: look(end, numbers), before | {shared})
        child = json.loads(forked.channel.recv(65536))
        result = {"child": child, "status": status_of(forked.pid), "said": said(forked.errors)}
        failed = fork(fail, before)
        result |= {"failure": status_of(failed.pid), "traceback": said(failed.errors)}
        # The supervisor's own loop has noticed nothing.
        os.kill(os.getpid(), signal.SIGTERM)
        while not received:
            loop.run_until_complete(asyncio.sleep(0))
        result["received"] = received
        result["ends"] = forked.channel.recv(1).decode()
        forked.channel.close()
        failed.channel.close()
        loop.close()
    print(json.dumps(result))


if __name__ == "__main__":
    main()
