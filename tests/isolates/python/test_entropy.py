"""Entropy: refused before the snapshot (see test_image), fresh after it, and never the same twice."""

from __future__ import annotations

import statistics

import pytest
from pyworkerd_isolates.errors import TopLevelRaised

WORKER = """
import os, random, secrets, sqlite3, uuid
from workers import WorkerEntrypoint

MINE = random.Random(7)
DATABASE = sqlite3.connect(":memory:")
SYSTEM = random.SystemRandom()
draw = random.random
shuffle = random.shuffle

class Default(WorkerEntrypoint):
    async def look(self, code):
        return eval(code)
"""
DRAWS = [
    "os.urandom(16)",
    "random.random()",
    "random.getrandbits(128)",
    "random.randbytes(16)",
    "random.Random().random()",
    "draw()",
    "SYSTEM.random()",
    "secrets.token_bytes(16)",
    "secrets.token_urlsafe()",
    "uuid.uuid4().bytes",
    "uuid.uuid1().bytes",
    "uuid.uuid7().bytes",
    "[os.urandom(0), os.urandom(1), os.urandom(1000)][2]",
    "str(random.sample(range(10_000), 20))",
    "str(random.gauss())",
    "hash(random.getstate())",
    "os.urandom(100_000)[-16:]",
    "sqlite3.connect(':memory:').execute('select random()').fetchone()[0]",
    "sqlite3.connect(':memory:').execute('select randomblob(16)').fetchone()[0]",
    "sqlite3.Connection(':memory:').execute('select random()').fetchone()[0]",
    "DATABASE.execute('select random()').fetchone()[0]",
    "__import__('_random').Random().getrandbits(64)",
    "__import__('tempfile')._RandomNameSequence().__next__()",
]


@pytest.mark.parametrize("code", DRAWS)
def test_no_two_isolates_draw_alike_in_their_first_step_or_later(start, code):
    drivers = [start(WORKER) for _ in range(5)]
    seen = [str(driver.call("look", code).value) for driver in drivers for _ in range(2)]
    assert len(set(seen)) == (len(drivers) if "getstate" in code else len(seen))


def test_what_was_seeded_on_purpose_stays_as_it_was_seeded(start):
    first, second = (
        start(WORKER).call("look", "MINE.random()").value,
        start(WORKER).call("look", "MINE.random()").value,
    )
    assert first == second


def test_after_the_snapshot_seeding_works_as_everywhere(start):
    driver = start(WORKER)
    assert (
        driver.call("look", "[random.seed(5), random.random()][1]").value
        == driver.call("look", "random.Random(5).random()").value
    )


def test_random_bytes_look_random(start):
    data = start(WORKER).call("look", "os.urandom(65536)").value
    assert len(data) == 65536
    assert 126 < statistics.fmean(data) < 129  # five standard deviations on either side
    assert len({data[n : n + 4] for n in range(0, len(data), 4)}) > 16_370


@pytest.mark.parametrize(
    ("code", "kind"), [("os.urandom(-1)", "ValueError"), ("os.urandom('x')", "TypeError")]
)
def test_wrong_sizes(start, code, kind):
    assert start(WORKER).call("look", code).failure.type_name == kind


def test_sqlites_own_numbers_at_top_level_are_refused(sandbox):
    with pytest.raises(TopLevelRaised, match="user-defined function"):
        sandbox.image("import sqlite3\nsqlite3.connect(':memory:').execute('select random()').fetchone()\n")


def test_sqlite_works_as_everywhere(start):
    code = """[
        isinstance(DATABASE, sqlite3.Connection),
        DATABASE.execute("select count(*) from (select random() as n union select random())").fetchone(),
        sqlite3.connect(":memory:", factory=type("Mine", (sqlite3.Connection,), {})).execute("select 1").fetchone(),
        len(DATABASE.execute("select randomblob(0)").fetchone()[0]),
    ]"""
    found = start(WORKER).call("look", f"str({code})").value
    assert found == "[True, (2,), (1,), 1]"
