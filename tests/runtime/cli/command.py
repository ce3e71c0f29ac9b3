"""The real `pyworkerd` command, in processes of its own."""

from __future__ import annotations

import http.client
import json
import os
import queue
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PROGRAM = Path(sys.executable).with_name("pyworkerd")
PATIENCE_S = 100.0
"""Only a command that hangs takes so long: the first one may have to build the engine."""

CONFIG = """\
[[sockets]]
name = "http"
address = "127.0.0.1:0"
service = "w"

[[services]]
name = "w"
[services.worker]
main = "w.py"
"""
WORKER = """\
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""


class Answer(NamedTuple):
    """A whole HTTP response."""

    status: int
    headers: Mapping[str, str]
    body: str


def project(folder: Path, config: str = CONFIG, **files: str) -> Path:
    """Write a configuration and the files beside it (`w` is `w.py`); returns the path of the configuration."""
    (folder / "config.toml").write_text(config)
    for name, text in ({"w": WORKER} | files).items():
        (folder / f"{name}.py").write_text(text)
    return folder / "config.toml"


def run(
    *arguments: str | Path, typed: str | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [PROGRAM, *arguments],
        capture_output=True,
        text=True,
        input=typed,
        timeout=PATIENCE_S,
        check=False,
        env=os.environ | environment,
    )


class Lines:
    """What a process writes, line by line, and all of it in the end."""

    def __init__(self, stream: IO[str]) -> None:
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.seen: list[str] = []
        self._ended = False
        threading.Thread(target=self._read, args=(stream,), daemon=True).start()

    def _read(self, stream: IO[str]) -> None:
        for line in stream:
            self._lines.put(line.rstrip("\n"))
        self._lines.put(None)

    def until(self, text: str) -> str:
        """The next line that has this text in it. Fails if the output ends first."""
        while (line := self._next()) is not None:
            if text in line:
                return line
        raise AssertionError(f"no line with {text!r} in {self.seen}")

    def rest(self) -> list[str]:
        """All lines, once the process has ended."""
        while self._next() is not None:
            pass
        return self.seen

    def _next(self) -> str | None:
        line = None if self._ended else self._lines.get(timeout=PATIENCE_S)
        if line is None:
            self._ended = True
        else:
            self.seen.append(line)
        return line


class Served:
    """A running `pyworkerd serve`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        assert process.stderr is not None
        self.process = process
        self.output = Lines(process.stdout)
        self.errors = Lines(process.stderr)

    def address(self, socket: str = "http") -> tuple[str, int]:
        """Wait until it listens. Sockets have to be asked for in the order of the configuration."""
        line = self.output.until(f"({socket} -> ")
        host, _, port = line.split()[2].removeprefix("http://").rpartition(":")
        return host, int(port)

    def stop(self, *signals: int) -> int:
        """Send signals, wait for the end, return the exit status."""
        for number in signals:
            self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def serve(
    *arguments: str | Path, processes: int | None = 1, verb: str = "serve", **environment: str
) -> Iterator[Served]:
    """`pyworkerd serve ...`; killed at the end if it still runs. `processes` None leaves their number to it."""
    if processes is not None:
        arguments = (*arguments, f"--processes={processes}")
    with subprocess.Popen(
        [PROGRAM, verb, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | environment,
    ) as process:
        served = Served(process)
        try:
            yield served
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
            served.output.rest()
            served.errors.rest()


def ask(
    address: tuple[str, int], path: str = "/", method: str = "GET", body: Any = None, **headers: str
) -> Answer:
    """One request on a connection of its own."""
    connection = http.client.HTTPConnection(*address, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        named = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, named, response.read().decode())
    finally:
        connection.close()


def events(output: list[str]) -> list[dict[str, Any]]:
    """The lines of `--json`."""
    return [json.loads(line) for line in output]
