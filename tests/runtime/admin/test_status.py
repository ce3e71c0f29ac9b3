"""How the server and its workers are."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pyworkerd.admin.api import Api
from pyworkerd.admin.auth import Gate
from pyworkerd.admin.table import ROUTES
from pyworkerd.messages import Request
from pyworkerd.observe.families import BOUNDS_MS
from pyworkerd.observe.snapshot import Snapshot, add, pack
from pyworkerd_config.model import Config, Network, Rollout, Service, Worker

from tests.runtime.admin.test_routes import Fixed
from tests.runtime.server.client import run


@pytest.fixture(autouse=True)
def _never_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyworkerd.admin.status.FRESH_S", -1.0)


def counted(**requests: int) -> bytes:
    snapshot: Snapshot = {}
    for name, count in requests.items():
        add(snapshot, "requests", (name, "2xx", ""), count)
        add(snapshot, "requests", (name, "5xx", "exception"), 1)
        buckets = [0] * (len(BOUNDS_MS) + 2)
        buckets[1] = count + 1
        add(snapshot, "request_duration_seconds", (name,), *buckets)
        add(snapshot, "isolates", (name, "idle"), 1)
        add(snapshot, "isolate_memory_bytes", (name,), 1000 * count)
    return pack(snapshot)


def service(name: str) -> Service:
    return Service(name, Worker(Path("w.py"), Path()))


async def status(server: Fixed, query: str = "", expected: int = 200) -> Any:
    api = Api(server, Gate(lambda: (), wanted=False), ROUTES)
    answer = await api.answer(Request("GET", f"http://localhost/api/v1/status{query}"), None)
    assert answer.status == expected
    assert answer.body.data is not None
    return json.loads(answer.body.data)


def test_the_sum_of_all_processes_and_workers_that_were_never_asked() -> None:
    async def main() -> None:
        server = Fixed(2)
        server.config = Config(services=tuple(map(service, ("shop", "resting", "odd\u202ename"))))
        server.answers = {1: counted(shop=3), 2: counted(shop=4, loaded=1)}
        found = await status(server)
        assert (found["serving"], found["wanted"], found["found"], found["known"]) == (2, 2, 4, 4)
        workers = {each["name"]: each for each in found["workers"]}
        assert next(iter(workers)) == "shop"
        assert workers.keys() == {"shop", "resting", "loaded", "odd\\u202ename"}
        shop = workers["shop"]
        assert (shop["requests"], shop["errors"], shop["isolates"]) == (9, 2, {"idle": 2})
        assert shop["latency"] == {"p50": 1.5, "p95": 1.95, "p99": 1.99}
        assert [workers[name]["configured"] for name in ("shop", "resting", "loaded")] == [True, True, False]
        assert workers["resting"]["latency"] == {"p50": None, "p95": None, "p99": None}
        assert (found["total"]["requests"], found["total"]["errors"]) == (11, 3)
        assert found["total"]["lately"] is None

    run(main)


def test_which_versions_answer() -> None:
    async def main() -> None:
        server = Fixed(1)
        deployed = replace(service("shop"), version="a" * 16)
        both = Rollout(Worker(Path("w.py"), Path()), "b" * 16, 10.0)
        new = replace(service("new"), rollout=both)
        network = Service("internet", Network())
        server.config = Config(services=(deployed, new, service("plain"), network))
        server.answers = {1: counted(loaded=1)}
        versions = {each["name"]: each["versions"] for each in (await status(server))["workers"]}
        assert versions == {
            "shop": {"a" * 16: 100.0},
            "new": {"configured": 90.0, "b" * 16: 10.0},
            "plain": {"configured": 100.0},
            "loaded": {},
        }

    run(main)


def test_what_happened_lately(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("pyworkerd.admin.status.monotonic", lambda: now)

    async def main() -> None:
        nonlocal now
        server = Fixed(1)
        server.answers = {1: counted(shop=10)}
        await status(server)
        now = 104.0
        server.answers = {1: counted(shop=30, new=4)}
        found = await status(server)
        assert found["total"]["lately"]["seconds"] == 4
        lately = {each["name"]: each["lately"] for each in found["workers"]}
        assert (lately["shop"]["requests"], lately["shop"]["errors"]) == (5.0, 0.0)
        assert (lately["new"]["requests"], lately["new"]["errors"]) == (1.25, 0.25)
        assert found["total"]["lately"]["requests"] == 6.25

    run(main)


def test_pages_orders_and_names() -> None:
    async def main() -> None:
        server = Fixed(1)
        server.answers = {1: counted(**{f"w{number:04}": number for number in range(1000)})}
        found = await status(server, "?sort=name&offset=990&limit=50")
        assert [each["name"] for each in found["workers"]] == [f"w{number:04}" for number in range(990, 1000)]
        assert (found["found"], found["known"]) == (1000, 1000)
        assert len((await status(server))["workers"]) == 50
        found = await status(server, "?worker=W000&sort=memory")
        assert [each["name"] for each in found["workers"]][:2] == ["w0009", "w0008"]
        assert (found["found"], len(found["workers"])) == (10, 10)
        assert [each["name"] for each in (await status(server, "?name=w0001"))["workers"]] == ["w0001"]
        assert (await status(server, "?name=w00"))["workers"] == []
        for order in ("requests", "errors", "latency", "cpu"):
            assert len((await status(server, f"?sort={order}&limit=3"))["workers"]) == 3

    run(main)


@pytest.mark.parametrize(
    "query", ["?sort=size", "?limit=0", "?limit=201", "?offset=-1", "?more=1", "?limit=x"]
)
def test_what_cannot_be_asked(query: str) -> None:
    async def main() -> None:
        assert "the query" in (await status(Fixed(1), query, 400))["detail"]

    run(main)


def test_many_readers_cost_as_much_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pyworkerd.admin.status.FRESH_S", 60.0)

    async def main() -> None:
        server = Fixed(1)
        server.answers = {1: counted(shop=1)}
        await status(server)
        server.answers = {1: counted(shop=9)}
        assert (await status(server))["total"]["requests"] == 2

    run(main)
