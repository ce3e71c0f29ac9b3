"""Caches under several serving processes: what one keeps any of them finds, also when it has been killed."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

from tests.runtime.cli.command import project
from tests.runtime.supervisor.supervised import supervised

if TYPE_CHECKING:
    from pathlib import Path

WORKER = """\
import random
from workers import Response, WorkerEntrypoint, caches

who = [None]

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        who[0] = who[0] or f"{random.getrandbits(64):x}"
        found = await caches.default.match("http://key/")
        if found is None:
            found = Response(who[0], headers={"cache-control": "max-age=600"})
            await caches.default.put("http://key/", found.clone())
        return Response(f"{who[0]} {await found.text()}")
"""


def test_one_for_all(tmp_path: Path) -> None:
    with supervised(project(tmp_path, w=WORKER)) as served:
        host, port = served.complete()
        connections = [http.client.HTTPConnection(host, port, timeout=60) for _ in range(8)]
        for connection in connections:
            connection.connect()
        answers = []
        for connection in connections:
            connection.request("GET", "/")
            answers.append(connection.getresponse().read().decode().split())
        assert len({who for who, _ in answers}) == 2
        assert len({maker for _, maker in answers}) == 1
        for connection in connections:
            connection.close()
        for _ in range(2):
            killed = served.kill()
            served.settled(2, {killed})
        connection = http.client.HTTPConnection(host, port, timeout=60)
        connection.request("GET", "/")
        assert connection.getresponse().read().decode().split()[1] == answers[0][1]
        connection.close()
