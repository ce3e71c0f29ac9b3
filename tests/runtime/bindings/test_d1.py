"""The binding from its configuration to what a guest asks of it, without a guest."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd.bindings.d1 import D1Binding, execute
from pyworkerd.bindings.d1.capability import encoded
from pyworkerd.bindings.d1.store import Meta, Outcome, Result
from pyworkerd.bindings.registry import configure
from pyworkerd.errors import BadCall, ConfigurationError, NoSuchMethod, StorageCorrupt, WorkerException
from pyworkerd.messages import Body, Request
from pyworkerd_config import Binding
from pyworkerd_isolates import wire

from tests.runtime.bindings.hosts import StaticHost, ask, built

if TYPE_CHECKING:
    from pathlib import Path

    from pyworkerd.bindings.environments import Environment


async def query(environment: Environment, *arguments: Any, method: str = "query") -> Any:
    return await ask(environment, method, *arguments)


@pytest.mark.parametrize(
    ("value", "options", "message"),
    [
        ("", {}, r'write { d1 = "shop" }'),
        (3, {}, r'write { d1 = "shop" }'),
        ("x", {"migrations": 5}, "migrations is not a folder"),
        ("x", {"query_ms": 0}, "query_ms"),
        ("x", {"query_ms": 30_001}, "query_ms"),
    ],
)
def test_what_cannot_be_configured(value: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        configure(Binding("NAME", "d1", value, options))


def test_queries(tmp_path: Path) -> None:
    async def main() -> None:
        host = StaticHost(state=tmp_path)
        async with built([D1Binding("NAME", "shop")], host) as environment:
            assert not environment.table.find(1).external
            assert await ask(environment, "exec", "CREATE TABLE t (x)\nINSERT INTO t VALUES (1)") == 2
            results, bookmark = await query(environment, [["SELECT x FROM t WHERE x = ?", [1]]], "")
            assert bookmark.startswith("00000000-00000001-")
            ((columns, rows, pieces, meta),) = results
            assert (columns, rows, pieces) == (["x"], [[1]], [])
            assert meta[5] == 1
            for method in ("one", "rows"):
                (found,), _ = await query(environment, None, "SELECT ? AS a, ?", 1, "x", method=method)
                assert found[:3] == [["a", "?"], [[1, "x"]], []]
                assert (found[3] is not None and found[3][4] > 0) == (method == "one")
            assert (await query(environment, [["SELECT 1", []]], bookmark))[1] == bookmark
            assert (await query(environment, [["SELECT 1", []]], None))[1] is None
            with pytest.raises(
                BadCall,
                match=r"D1_EXEC_ERROR: Error in line 2: SELEC: near \"SELEC\": syntax error: SQLITE_ERROR",
            ):
                await ask(environment, "exec", "SELECT 1\nSELEC\nSELECT 2")
        await host.shared.aclose()

    asyncio.run(main())


VALUES = (
    st.none()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | st.floats(allow_nan=False)
    | st.text(max_size=5)
    | st.sampled_from(["$", "x" * 40_000])
    | st.binary(max_size=3)
)


@given(st.lists(st.lists(VALUES, min_size=2, max_size=2), max_size=4))
def test_results_are_written_as_any_value_is(rows: list[list[Any]]) -> None:
    room, result = execute._Room(), Result(["a", "$"], [], [], Meta(0.0, 0, 0, False, 0, 0, 0))
    for row in rows:
        room.take(result.rows, result.pieces, [row])
    read = wire.load_value(encoded(Outcome([result], "mark")))
    ((columns, first, pieces, meta),), bookmark = read
    assert (columns, list(result.meta), bookmark) == (["a", "$"], meta, "mark")
    assert [*first, *(row for piece in pieces for row in wire.load_value(piece))] == rows


def test_what_a_guest_sends_is_checked(tmp_path: Path) -> None:
    async def main() -> None:
        host = StaticHost(state=tmp_path)
        async with built([D1Binding("NAME", "shop")], host) as environment:
            for statements, session in (
                ("SELECT 1", None),
                ([["SELECT 1"]], None),
                ([[5, []]], None),
                ([["SELECT 1", [{}]]], None),
                ([["SELECT 1", []]] * 1001, None),
                ([["SELECT 1", []]], 5),
                ([["SELECT 1", []]], "x"),
            ):
                with pytest.raises(BadCall):
                    await query(environment, statements, session)
            with pytest.raises(WorkerException, match="exec"):
                await ask(environment, "exec", 5)
            for method, positional in (
                ("query", ()),
                ("one", (None,)),
                ("export", ()),
                ("exec", ()),
                ("aclose", ()),
            ):
                with pytest.raises(NoSuchMethod):
                    await ask(environment, method, *positional)
            with pytest.raises(NoSuchMethod):
                await environment.table.find(1).fetch(Request("GET", "http://d1/", (), Body()), "manual")
        await host.shared.aclose()

    asyncio.run(main())


def test_a_damaged_database_does_not_stop_the_deploy(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "0001.sql").write_text("CREATE TABLE t (x)")
    file = tmp_path / "d1" / "own.shop" / "shop.sqlite3"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"no database " * 1000)

    async def main() -> None:
        host = StaticHost(state=tmp_path)
        async with built(
            [D1Binding("NAME", "shop", tmp_path), D1Binding("OTHER", "other", tmp_path)], host
        ) as environment:
            assert (await query(environment, [["SELECT * FROM t", []]], None))[1] is None
            with pytest.raises(StorageCorrupt, match="D1_ERROR: the d1 store 'shop' is damaged"):
                await environment.table.find(1).call(
                    "query", wire.dump_value([[[["SELECT 1", []]], None], {}])
                )
        await host.shared.aclose()

    with caplog.at_level(logging.ERROR):
        asyncio.run(main())
    assert "migrations were not applied" in caplog.text
