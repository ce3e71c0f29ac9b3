"""Claims in a store below `state_dir`, for all processes that serve from it and for those that come after them."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from pyworkerd.storage import layout
from pyworkerd.storage.connection import Design
from pyworkerd.storage.schema import Schema

from .plan import PUT_BACK

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pyworkerd.storage.database import Database
    from pyworkerd.storage.stores import Stores

    from .plan import Job, Tick

DESIGN: Final = Design(
    Schema(
        0x70774352,  # "pwCR"
        (
            (
                """CREATE TABLE ticks (
                    worker TEXT NOT NULL, cron TEXT NOT NULL, moment INTEGER NOT NULL,
                    PRIMARY KEY (worker, cron)) STRICT, WITHOUT ROWID""",
            ),
        ),
    ),
    default_mb=64,
)
FORGOTTEN: Final = timedelta(days=800)
"""Without a tick for so long, an expression is no longer there: the rarest that are (29th of February, say) begin anew
then."""


class StoredClaims:
    """Implements `claims.Claims`. The file is made by the first expression that begins."""

    def __init__(self, stores: Stores, state_dir: Callable[[], Path]) -> None:
        """`state_dir` is asked once, when there is something to keep."""
        self._stores, self._state_dir = stores, state_dir
        self._database: Database | None = None

    def _open(self) -> Database:
        if self._database is None:
            self._database = self._stores.use(layout.shared(self._state_dir(), "cron", "ticks"), DESIGN)
        return self._database

    async def begin(self, jobs: Iterable[Job], now: datetime) -> None:
        """See `claims.Claims`."""
        rows = [(job.worker, job.cron.expression, _seconds(now)) for job in jobs]
        if not rows:
            return

        def begin(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM ticks WHERE moment < ?", (_seconds(now - FORGOTTEN),))
            connection.execute(
                "UPDATE ticks SET moment = ? WHERE moment > ?", (_seconds(now), _seconds(now + PUT_BACK))
            )
            connection.executemany("INSERT OR IGNORE INTO ticks VALUES (?, ?, ?)", rows)

        await self._open().write(begin)

    async def claim(self, tick: Tick) -> bool:
        """See `claims.Claims`."""
        key = (_seconds(tick.moment), tick.job.worker, tick.job.cron.expression)

        def claim(connection: sqlite3.Connection) -> bool:
            sql = "UPDATE ticks SET moment = ?1 WHERE worker = ?2 AND cron = ?3 AND moment < ?1"
            return connection.execute(sql, key).rowcount == 1

        return await self._open().write(claim)

    async def aclose(self) -> None:
        """Let go of the file."""
        database, self._database = self._database, None
        if database is not None:
            await self._stores.let_go(database)


def _seconds(moment: datetime) -> int:
    return int(moment.timestamp())
