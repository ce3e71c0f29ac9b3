"""Child processes: servers that announce their port, commands that run to their end, and what they weigh.

A `Server` owns its process and everything that process starts (they share a process group of their own) and
ends them all in `stop()`.
"""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

import psutil

from .errors import BenchError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

START_TIMEOUT = 60.0
"""Seconds until a server has to have announced its port: the slowest compiles something first."""
STOP_TIMEOUT = 5.0
"""Seconds between asking and forcing a process to end."""
KEPT_LINES = 20
"""How much of a server's output is kept for an error message."""


@contextmanager
def pinned(*cpus: int | None) -> Iterator[None]:
    """Start children on these processors:

    they inherit the affinity that this thread has meanwhile. None: do nothing.
    """
    wanted = {cpu for cpu in cpus if cpu is not None}
    if not wanted:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, wanted)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM into SystemExit, so that `finally` blocks and context managers end the children.

    Main thread only.
    """

    def leave(*_: object) -> None:
        raise SystemExit(128 + signal.SIGTERM)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class Server:
    """A server process on a port that the system chose and that the server announced in its output.

    `announcement` finds the port, as its first group, in a line of standard output or error. A server with several
    sockets announces each by name: then the groups are called `port` and `name`, and `names` are waited for.
    Raises BenchError if the process ends, or says nothing fitting for `timeout` seconds; it is then stopped.
    """

    def __init__(
        self,
        command: Sequence[str],
        announcement: str,
        *,
        cpu: int | None = None,
        environment: Mapping[str, str] | None = None,
        timeout: float = START_TIMEOUT,
        names: Sequence[str] = (),
    ) -> None:
        with pinned(cpu):
            self._process = _spawn(command, environment)
        self._stopped = False
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        try:
            self.ports = self._wait_for(re.compile(announcement), timeout, names or ("",))
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def port(self) -> int:
        """Where it listens; the first address if there are several."""
        return next(iter(self.ports.values()))

    def _read(self, stream: IO[str]) -> None:
        """Keep the pipe empty for as long as the server lives, else it would block on its own log."""
        for line in stream:
            self._lines.put(line)
        self._lines.put(None)

    def _wait_for(
        self, announcement: re.Pattern[str], timeout: float, names: Sequence[str]
    ) -> dict[str, int]:
        deadline = time.monotonic() + timeout
        ports: dict[str, int] = {}
        seen: list[str] = []
        while ports.keys() != set(names):
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise BenchError(f"the server did not announce its port within {timeout:g} s") from None
            if line is None:
                raise BenchError(f"the server ended while starting: {''.join(seen[-KEPT_LINES:]).strip()}")
            if found := announcement.search(line):
                groups = found.groupdict()
                name = groups.get("name", names[0])
                if name in names:
                    ports[name] = int(groups.get("port", found[1]))
            seen.append(line)
        return {name: ports[name] for name in names}

    def cpu_seconds(self) -> float:
        """Processor time that the server and its children have used so far."""
        try:
            process = psutil.Process(self.pid)
            times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
        except psutil.Error as error:
            raise BenchError(f"cannot read the processor time of process {self.pid}: {error}") from error
        return float(sum(one.user + one.system for one in times))

    def uss(self) -> int:
        """Private memory in bytes: what would come back if the server and its children ended now."""
        try:
            process = psutil.Process(self.pid)
            return sum(
                int(one.memory_full_info().uss) for one in (process, *process.children(recursive=True))
            )
        except psutil.Error as error:
            raise BenchError(f"cannot read the memory of process {self.pid}: {error}") from error

    def pss(self) -> int:
        """Memory in bytes of the server and its children, pages that several processes map counted in parts."""
        try:
            process = psutil.Process(self.pid)
            every = (process, *process.children(recursive=True))
            weighed = [one.memory_full_info() for one in every]
        except psutil.Error as error:
            raise BenchError(f"cannot read the memory of process {self.pid}: {error}") from error
        return sum(int(getattr(one, "pss", one.uss)) for one in weighed)  # macOS has no PSS

    def own(self) -> int:
        """Memory in bytes that only this server and its children can have filled: heaps, and changed pages of files.

        USS also counts pages of a mapped file that nobody else maps just now, and falls by tens of megabytes when
        another process maps the same engine; this does not. Where the system cannot tell (macOS) it is the USS.
        """
        try:
            process = psutil.Process(self.pid)
            return sum(_anonymous(one.pid) for one in (process, *process.children(recursive=True)))
        except FileNotFoundError:
            return self.uss()
        except (OSError, psutil.Error) as error:
            raise BenchError(f"cannot read the memory of process {self.pid}: {error}") from error

    def stop(self) -> None:
        """End the process group: ask first, then force. May be called again."""
        if self._stopped:
            return
        # Once the group is gone its number may belong to somebody else: never signal it twice over.
        self._stopped = True
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.pid, sign)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT)
                break
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._reader.join(STOP_TIMEOUT)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _anonymous(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))


def _spawn(command: Sequence[str], environment: Mapping[str, str] | None) -> subprocess.Popen[str]:
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise BenchError(f"cannot start {command[0]}: {error}") from error


def run_to_exit(command: Sequence[str]) -> float:
    """Seconds from spawning a command to its end. Raises BenchError if it fails."""
    began = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            check=False,
        )
    except OSError as error:
        raise BenchError(f"cannot start {command[0]}: {error}") from error
    seconds = time.perf_counter() - began
    if done.returncode != 0:
        raise BenchError(f"{command[0]} ended with status {done.returncode}")
    return seconds


def output_of(command: Sequence[str], *, timeout: float = 300.0, cwd: str | None = None) -> str:
    """What a command printed, stripped. Raises BenchError if it fails, with the last lines it said."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            cwd=cwd,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"cannot run {command[0]}: {error}") from error
    if done.returncode != 0:
        said = " | ".join((done.stderr or done.stdout).strip().splitlines()[-3:])
        raise BenchError(f"{command[0]} ended with status {done.returncode}: {said}")
    return done.stdout.strip()
