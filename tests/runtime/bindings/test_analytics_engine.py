"""The binding from its configuration to what a guest asks of it, without a guest, and what is asked of the dataset."""

from __future__ import annotations

import asyncio
import shutil
from typing import Any

import pytest
from pyworkerd.bindings.analytics_engine.capability import point_of
from pyworkerd.bindings.analytics_engine.dataset import DESIGN, RETENTION_S, Dataset, Point
from pyworkerd.bindings.registry import configure
from pyworkerd.errors import BadCall, ConfigurationError, NoSuchMethod, WorkerException
from pyworkerd.messages import Body, Request
from pyworkerd.storage.stores import Stores
from pyworkerd_config import Binding

from tests.runtime.bindings.hosts import StaticHost, ask, built


@pytest.mark.parametrize("wrong", ["", None, 3])
def test_a_dataset_has_to_be_named(wrong: Any) -> None:
    with pytest.raises(ConfigurationError, match=r'write { analytics_engine = "requests" }'):
        configure(Binding("NAME", "analytics_engine", wrong))


def test_points_are_written_and_asked_for() -> None:
    async def main() -> None:
        host = StaticHost()
        async with built([configure(Binding("NAME", "analytics_engine", "requests"))], host) as environment:
            assert not environment.table.find(1).external
            await ask(environment, "writeDataPoint", ["a"], ["GET", "/x"], [1, 2.5])
            host.clock += 1
            await ask(environment, "writeDataPoint", None, None, None)
            stores = host.shared.get(Stores, Stores)
            dataset = Dataset(stores.use(host.store("analytics_engine", "requests"), DESIGN), stores)
            found = await dataset.query("SELECT * FROM points ORDER BY timestamp")
            assert found.columns[:4] == ("timestamp", "index1", "blob1", "blob2")
            assert found.columns[-2:] == ("double20", "_sample_interval")
            assert [row[:5] for row in found.rows] == [
                (1000.0, "a", "GET", "/x", ""),
                (1001.0, "", "", "", ""),
            ]
            assert found.rows[0][22:25] == (1.0, 2.5, 0.0)
            for wrong in (
                "SELEC",
                "SELECT other FROM points",
                "DELETE FROM points",
                "SELECT 1; SELECT 2",
                "ATTACH 'x' AS y",
            ):
                with pytest.raises(BadCall):
                    await dataset.query(wrong)
            assert (await dataset.query("SELECT count(*) FROM points")).rows == [(2,)]
            await dataset.aclose()
            for method, arguments in (("read", [None] * 3), ("writeDataPoint", [None])):
                with pytest.raises(NoSuchMethod):
                    await ask(environment, method, *arguments)
            with pytest.raises(NoSuchMethod):
                await environment.table.find(1).fetch(Request("GET", "http://x/", (), Body()), "manual")
        await host.shared.aclose()
        assert host.state is not None
        shutil.rmtree(host.state)

    asyncio.run(main())


def test_a_query_that_never_ends_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyworkerd.bindings.analytics_engine import dataset as module  # noqa: PLC0415 - to be patched

    monkeypatch.setattr(module, "QUERY_MS", 50.0)

    async def main() -> None:
        host, stores = StaticHost(), Stores()
        dataset = Dataset(stores.use(host.store("analytics_engine", "x"), DESIGN), stores)
        await dataset.write([Point("", (), ())], 0.0)
        endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c"
        with pytest.raises(BadCall, match="interrupted"):
            await dataset.query(endless)
        await dataset.aclose()
        await stores.aclose()
        assert host.state is not None
        shutil.rmtree(host.state)

    asyncio.run(main())


def test_points_that_are_too_old_go() -> None:
    async def main() -> None:
        host, stores = StaticHost(), Stores()
        dataset = Dataset(stores.use(host.store("analytics_engine", "x"), DESIGN), stores)
        await dataset.write([Point("old", (), ())], 1000.0)
        await dataset.write([Point("new", (), ())], 1001.0 + RETENTION_S)
        assert (await dataset.query("SELECT index1 FROM points")).rows == [("new",)]
        await dataset.aclose()
        await stores.aclose()
        assert host.state is not None
        shutil.rmtree(host.state)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("point", "message"),
    [
        ((["a", "b"], None, None), "Maximum of 1 indexes supported"),
        ((None, ["x"] * 21, None), "Maximum of 20 blobs supported"),
        ((None, None, [1] * 21), "Maximum of 20 doubles supported"),
        ((["x" * 97], None, None), "Size of indexes exceeds 96 bytes"),
        ((None, ["x" * 10_000, "x" * 10_000], None), "Total size of blobs exceeds 16384 bytes"),
        (("a", None, None), "indexes must be a list"),
        (([1], None, None), "an index must be a text"),
        ((None, [{}], None), "a blob must be a text"),
        ((None, None, ["1"]), "a double must be a number"),
        ((None, None, [True]), "a double must be a number"),
        ((None, None, [float("inf")]), "a double must be finite"),
        ((None, None, [10**400]), "a double must be finite"),
    ],
)
def test_what_is_no_point(point: Any, message: str) -> None:
    with pytest.raises(WorkerException) as raised:
        point_of(*point)
    assert raised.value.type_name == "TypeError"
    assert message in str(raised.value)


def test_what_is_one() -> None:
    assert point_of([b"\xff"], [None, "\ud800"], [1, 0.5]) == Point("\ufffd", ("", "?"), (1.0, 0.5))
