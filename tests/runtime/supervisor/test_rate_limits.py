"""A rate limit under several serving processes: as many uses as it says, whoever of them is asked."""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING

import pytest

from tests.runtime.cli.command import CONFIG, project
from tests.runtime.supervisor.supervised import supervised

if TYPE_CHECKING:
    from pathlib import Path

LIMITED = "bindings = { LIMITER = { rate_limit = { limit = 25, period = 100000000 } } }\n"
WORKER = """\
import random
from workers import Response, WorkerEntrypoint

who = [None]

class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        who[0] = who[0] or f"{random.getrandbits(64):x}"
        found = await env.LIMITER.limit({"key": request.url})
        return Response(f"{who[0]} {found['success']}")
"""


@pytest.mark.parametrize("processes", [2, 3])
def test_exact_together(tmp_path: Path, processes: int) -> None:
    with supervised(project(tmp_path, CONFIG + LIMITED, w=WORKER), processes=processes) as served:
        host, port = served.complete()
        connections = [http.client.HTTPConnection(host, port, timeout=60) for _ in range(4 * processes)]
        for connection in connections:
            connection.connect()
        answers = []
        for _ in range(10):
            for connection in connections:
                connection.request("GET", "/key")
                answers.append(connection.getresponse().read().decode().split())
        for connection in connections:
            connection.close()
        assert len({who for who, _ in answers}) > 1, "one process has answered everything"
        assert sum(success == "True" for _, success in answers) == 25
        assert [success for _, success in answers[:25]] == ["True"] * 25

        killed = served.kill()
        served.settled(processes, {killed})
        connection = http.client.HTTPConnection(host, port, timeout=60)
        connection.request("GET", "/key")
        assert connection.getresponse().read().decode().endswith("False")
        connection.close()
