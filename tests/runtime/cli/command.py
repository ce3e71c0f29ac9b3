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
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from tests.runtime.cli.forks import Forked, forks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Process = subprocess.Popen[bytes] | subprocess.Popen[str] | Forked
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
    """Run a command to its end, in a process of its own."""
    command = [str(PROGRAM), *map(str, arguments)]
    with TemporaryFile() as given, TemporaryFile() as output, TemporaryFile() as errors:
        given.write((typed or "").encode())
        given.seek(0)
        files = given.fileno(), output.fileno(), errors.fileno()
        process = forks().start(command, files, os.environ | environment)
        try:
            status = process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        said = [_text(file) for file in (output, errors)]
    return subprocess.CompletedProcess(command, status, *said)


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


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

    def __init__(self, process: Process, output: IO[str], errors: IO[str]) -> None:
        self.process = process
        self.output = Lines(output)
        self.errors = Lines(errors)

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
    with running(verb, *arguments, **environment) as served:
        yield served


@contextmanager
def running(*arguments: str | Path, anew: bool = False, **environment: str) -> Iterator[Served]:
    """A command that does not end by itself, killed if it still runs. `anew` is without what `forks` has imported."""
    command = [str(PROGRAM), *map(str, arguments)]
    (output, to_output), (errors, to_errors) = os.pipe(), os.pipe()
    with os.fdopen(output) as said, os.fdopen(errors) as told, Path(os.devnull).open() as nothing:
        try:
            files, everything = (nothing.fileno(), to_output, to_errors), os.environ | environment
            process: Process
            if anew:
                given, out, err = files
                process = subprocess.Popen(command, stdin=given, stdout=out, stderr=err, env=everything)
            else:
                process = forks().start(command, files, everything)
        finally:
            os.close(to_output)
            os.close(to_errors)
        served = Served(process, said, told)
        try:
            yield served
        finally:
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
