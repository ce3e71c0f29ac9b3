"""pyworkerd with state: one server, a worker for each kind of binding."""

from __future__ import annotations

import http.client
import json
import re
import socket as socket_
import time
from typing import TYPE_CHECKING, Final

from pyworkerd_bench.contestant import SUBJECT, Probe
from pyworkerd_bench.errors import BenchError
from pyworkerd_bench.http_client import get_request
from pyworkerd_bench.http_contestant import HttpContestant

from .configuration import service, socket, write
from .pyworkerd import about, serve

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from pyworkerd_bench.http_client import Connection
    from pyworkerd_bench.processes import Server

PAIRS: Final = 10
CALLS: Final = 100
QUERIES: Final = 100
ROWS: Final = 1_000
SCHEMA: Final = "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT, price REAL)"
FILL: Final = f"""WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS - 1})
INSERT INTO items SELECT i, 'item ' || i, i / 2.0 FROM n"""
QUERY: Final = "SELECT * FROM items WHERE id = ?"
MESSAGES: Final = 2_000
MEGABYTES: Final = 100
CHUNK: Final = 256 * 1024
OBJECTS: Final = 200
SLEEP_MS: Final = 2_000
ADMIN: Final = "admin.sock"
TIMEOUT_S: Final = 60.0
POLL_S: Final = 0.005

KV: Final = f"""\
from random import random

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        value = str(random())  # SQLite writes nothing where nothing changes
        for number in range({PAIRS}):
            await self.env.CACHE.put(f"k{{number}}", value)
            if await self.env.CACHE.get(f"k{{number}}") != value:
                raise ValueError("lost")
        return Response("hello")
"""

SQL: Final = f"""\
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        query = self.env.DB.prepare("{QUERY}")
        for number in range({QUERIES}):
            if (await query.bind(number).first())["id"] != number:
                raise ValueError("lost")
        return Response("hello")
"""

BATCH: Final = f"""\
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        query = self.env.DB.prepare("{QUERY}")
        found = await self.env.DB.batch([query.bind(number) for number in range({QUERIES})])
        if [each.results[0]["id"] for each in found] != list(range({QUERIES})):
            raise ValueError("lost")
        return Response("hello")
"""

OBJECT: Final = f"""\
from workers import DurableObject, Response, WorkerEntrypoint


class Counter(DurableObject):
    value = 0

    async def add(self, number):
        self.value += number
        return self.value


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        counter = self.env.COUNTER.get_by_name("one")
        for _ in range({CALLS}):
            await counter.add(1)
        return Response("hello")
"""

SLEEPERS: Final = """\
from workers import DurableObject, Response, WorkerEntrypoint


class Sleeper(DurableObject):
    visits = 0

    async def visit(self):
        self.visits += 1
        return self.visits


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(str(await self.env.SLEEPER.get_by_name(request.url).visit()))
"""

SENDER: Final = f"""\
import json
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/waiting"):
            return Response(str((await self.env.JOBS.metrics()).backlogCount))
        for start in range(0, {MESSAGES}, 100):
            await self.env.JOBS.send_batch([{{"body": number}} for number in range(start, start + 100)])
        return Response("hello")
"""

RECEIVER: Final = """\
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def queue(self, batch):
        for message in batch.messages:
            message.body
"""

FILES: Final = """\
from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.method == "POST":
            await self.env.FILES.put("file", request.body)
            return Response("hello")
        found = await self.env.FILES.get("file")
        return Response(found.body)
"""


class BindingsSubject(HttpContestant):
    """Every kind that is measured. Its workers are behind paths of one server."""

    name = SUBJECT
    about_path = "/kv"

    def about(self) -> str:
        """Versions and settings."""
        return f"{about()} with defaults, one process, state in SQLite and files"

    def spawn(self, cpu: int | None = None) -> Server:
        """A server with every worker."""
        return serve(write_all(self._folder.path), cpu, processes=1)

    def probes(self) -> Sequence[Probe]:
        """Everything."""
        return [
            Probe("kv", lambda: self.timed("/kv") / PAIRS, 60, 3),
            Probe("d1", lambda: self.timed("/sql") / QUERIES, 60, 3),
            Probe("d1_batch", lambda: self.timed("/batch") / QUERIES, 60, 3),
            Probe("object_call", lambda: self.timed("/object") / CALLS, 60, 3),
            Probe("object_wake", self._wake, 3, 1),
            Probe("queue", self._queue, 5, 1),
            Probe("r2_put", self._put, 5, 1),
            Probe("r2_get", self._get, 5, 1),
        ]

    def _wake(self) -> list[float]:
        """Seconds of a request to each of many objects, all of which hibernate."""
        connection = self._connected()
        visits = {self._visit(connection, number) for number in range(OBJECTS)}
        began = time.perf_counter()
        while self._metric('pyworkerd_isolates{state="hibernated",worker="sleepers"}') < OBJECTS:
            if time.perf_counter() - began > TIMEOUT_S:
                raise BenchError(f"{OBJECTS} objects did not hibernate in {TIMEOUT_S:g} s")
            time.sleep(POLL_S)
        before = self._metric('pyworkerd_wakes_total{worker="sleepers"}')
        connection = self._connected()
        took: list[float] = []
        for number in range(OBJECTS):
            began = time.perf_counter()
            visits.add(self._visit(connection, number) - 1)
            took.append(time.perf_counter() - began)
        if len(visits) != 1:
            raise BenchError("objects lost what they had in memory")
        woken = self._metric('pyworkerd_wakes_total{worker="sleepers"}') - before
        if woken != OBJECTS:
            raise BenchError(f"of {OBJECTS} objects that hibernated, {woken} woke")
        return took

    def _visit(self, connection: Connection, number: int) -> int:
        return int(connection.exchange(get_request(f"/sleepers/{number}")).body)

    def _metric(self, sample: str) -> int:
        """What the server says of itself; 0 for what it does not mention."""
        with socket_.socket(socket_.AF_UNIX) as client:
            client.connect(str(self._folder.path / ADMIN))
            client.sendall(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            text = b"".join(iter(lambda: client.recv(1 << 16), b"")).decode()
        found = re.search(rf"^{re.escape(sample)} (\S+)", text, re.MULTILINE)
        return int(float(found[1])) if found else 0

    def _queue(self) -> float:
        began = time.perf_counter()
        self.timed("/queue/send")
        while int(self._connected().exchange(get_request("/queue/waiting")).body):
            if time.perf_counter() - began > TIMEOUT_S:
                raise BenchError(f"{MESSAGES} messages were not handled in {TIMEOUT_S:g} s")
            time.sleep(POLL_S)
        return MESSAGES / (time.perf_counter() - began)

    def _put(self) -> float:
        piece = bytes(range(256)) * (CHUNK // 256)
        size = MEGABYTES * 1_000_000
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        began = time.perf_counter()
        connection.putrequest("POST", "/files")
        connection.putheader("content-length", str(size))
        connection.endheaders()
        for start in range(0, size, CHUNK):
            connection.send(piece[: min(CHUNK, size - start)])
        answer = connection.getresponse()
        answer.read()
        seconds = time.perf_counter() - began
        connection.close()
        if answer.status != 200:
            raise BenchError(f"the upload was answered {answer.status}")
        return size / seconds

    def _get(self) -> float:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=TIMEOUT_S)
        began = time.perf_counter()
        connection.request("GET", "/files")
        answer = connection.getresponse()
        size = 0
        buffer = bytearray(CHUNK)
        while count := answer.readinto(buffer):
            size += count
        seconds = time.perf_counter() - began
        connection.close()
        if (answer.status, size) != (200, MEGABYTES * 1_000_000):
            raise BenchError(f"the download was answered {answer.status} with {size} bytes")
        return size / seconds


def write_all(folder: Path) -> Path:
    """A configuration with a worker for each kind. Returns its file."""
    limits = {"cpu_ms": 10_000, "background_cpu_ms": 10_000}
    queue = {
        "name": "jobs", "producers": ["sender"], "consumer": "receiver", "max_batch_size": 100, "max_batch_timeout": 0,
    }  # fmt: skip

    def worker(name: str, source: str, route: str | None, **bindings: object) -> str:
        keys = {} if route is None else {"routes": [route]}
        classes = {"durable_objects": [{"class_name": "Sleeper", "idle_ms": SLEEP_MS}]}
        about = classes if "SLEEPER" in bindings else {}
        return service(folder, name, source, keys, {"limits": limits, "bindings": bindings, **about})

    (folder / "migrations").mkdir(exist_ok=True)
    (folder / "migrations" / "0001.sql").write_text(f"{SCHEMA};\n{FILL};\n")
    lines = [f"{key} = {json.dumps(value)}" for key, value in queue.items()]
    return write(
        folder / "config.toml",
        [
            f'admin = "unix:{folder / ADMIN}"\n',
            socket("http"),
            "\n".join(["[[queues]]", *lines, ""]),
            worker("kv", KV, "/kv", CACHE={"kv": "cache"}),
            worker("sql", SQL, "/sql", DB={"d1": "shop", "migrations": "migrations"}),
            worker("batch", BATCH, "/batch", DB={"d1": "shop", "migrations": "migrations"}),
            worker("object", OBJECT, "/object", COUNTER={"durable_object": "Counter"}),
            worker("sleepers", SLEEPERS, "/sleepers/*", SLEEPER={"durable_object": "Sleeper"}),
            worker("sender", SENDER, "/queue/*", JOBS={"queue": "jobs"}),
            worker("receiver", RECEIVER, None),
            worker("files", FILES, "/files", FILES={"r2": "files"}),
        ],
    )
