"""Processes that consume are killed at any moment: what a sender was told is kept reaches its handler."""

from __future__ import annotations

import http.client
import random
import signal
import threading
import time
from typing import TYPE_CHECKING, Self

import psutil
import pytest

from tests.runtime.cli.command import PATIENCE_S, ask, project
from tests.runtime.supervisor.supervised import supervised

if TYPE_CHECKING:
    from pathlib import Path

CONFIG = """\
[[sockets]]
name = "http"
address = "127.0.0.1:0"
service = "shop"
[[queues]]
name = "jobs"
producers = ["shop"]
consumer = "mailer"
max_batch_size = 5
max_batch_timeout = 0
[[stores]]
kv = "seen"
workers = ["shop", "mailer"]
[[services]]
name = "shop"
[services.worker]
main = "shop.py"
[services.worker.bindings]
JOBS = { queue = "jobs" }
SEEN = { kv = "seen" }
[[services]]
name = "mailer"
[services.worker]
main = "mailer.py"
[services.worker.bindings]
SEEN = { kv = "seen" }
"""
SHOP = """\
from workers import Response, WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        what = request.url.rpartition("/")[2]
        if what == "waiting":
            return Response(str((await self.env.JOBS.metrics())["backlogCount"]))
        if what != "seen":
            await self.env.JOBS.send(what)
            return Response("kept")
        names, page = [], None
        while page is None or not page["list_complete"]:
            page = await self.env.SEEN.list(cursor=page and page["cursor"])
            names += [key["name"] for key in page["keys"]]
        return Response(" ".join(names))
"""
MAILER = """\
import asyncio
from workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def queue(self, batch):
        for m in batch.messages:
            await asyncio.sleep(0.02)
            await self.env.SEEN.put(m.body, str(m.attempts))
            m.ack()
"""
SENDERS = 4


class Senders:
    """They send numbers from threads of their own, while it is entered, and note which were kept."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address, self._stop = address, threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(SENDERS)]
        self.kept: set[str] = set()

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self, sender: int) -> None:
        number, connection = 0, http.client.HTTPConnection(*self._address, timeout=PATIENCE_S)
        while not self._stop.wait(0.01):
            number += 1
            try:
                connection.request("GET", f"/{sender}-{number}")
                answer = connection.getresponse()
                if answer.status == 200 and answer.read() == b"kept":
                    self.kept.add(f"{sender}-{number}")
            except (OSError, http.client.HTTPException):
                connection.close()
        connection.close()


def run(folder: Path, signals: list[signal.Signals], processes: int = 2) -> None:
    chance = random.Random(11)
    config = project(folder, CONFIG, shop=SHOP, mailer=MAILER)
    with supervised(config, processes=processes) as served:
        address = served.complete()
        with Senders(address) as senders:
            for number in signals:
                time.sleep(chance.uniform(0.02, 0.7))
                if number == signal.SIGHUP:
                    served.process.send_signal(number)
                elif children := served.children():
                    victim = chance.choice(children)
                    try:
                        victim.send_signal(number)
                    except psutil.NoSuchProcess:
                        continue
        until = time.monotonic() + PATIENCE_S
        while ask(address, "/waiting").body != "0":
            assert time.monotonic() < until
            time.sleep(0.2)
        seen = set(ask(address, "/seen").body.split())
        assert len(senders.kept) > len(signals)
        assert senders.kept - seen == set()
        assert served.stop(signal.SIGTERM) == 0


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_no_message_is_lost_to_dozens_of_kills(tmp_path: Path) -> None:
    run(tmp_path, [signal.SIGKILL] * 40)


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_nor_to_reloads_and_processes_that_end(tmp_path: Path) -> None:
    signals = [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP] * 8
    random.Random(3).shuffle(signals)
    run(tmp_path, signals)
