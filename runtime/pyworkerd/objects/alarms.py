"""Alarms of Durable Objects: when each is due, and who rings it.

The truth is in the object's own storage, where it is kept together with everything else that a step writes. Beside it
is one table for all objects, so that nobody has to look into each: what it says may be too much, and never too little,
since an alarm is noted there before the object keeps it. One process rings them all, whoever has the lock; the object
itself knows whether it is due, and goes on having the alarm until its handler has ended.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from contextvars import Context
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd_isolates import wire

from pyworkerd.errors import ConfigurationError, IsolateLost, Overloaded, PyworkerdError, StorageError
from pyworkerd.services.base import Target
from pyworkerd.storage import layout
from pyworkerd.storage.connection import Design
from pyworkerd.storage.schema import Schema

from .locks import Locks

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pyworkerd.storage.database import Database
    from pyworkerd.storage.stores import Stores

    from .owners import Key

logger = logging.getLogger("pyworkerd.objects")

LOOK_S: Final = 0.5
"""How often whoever rings looks for alarms that other processes have set, and the others whether it is still there."""
FIRST_S: Final = 2.0
LONGEST_S: Final = 1024.0
JITTER: Final = 0.25
TRIES: Final = 6
"""Retries: 2 s, twice as much each time, a quarter more or less, six that count (workerd, alarm-scheduler)."""
UNKNOWN_S: Final = 5.0
"""When an alarm of a worker that is not there is looked at again."""
AT_ONCE: Final = 100
RINGER: Final = ("", "alarms")
DESIGN: Final = Design(
    Schema(
        0x5077416C,  # "PwAl"
        (
            (
                """CREATE TABLE alarms (
                    version INTEGER PRIMARY KEY AUTOINCREMENT, unique_key TEXT NOT NULL, id TEXT NOT NULL,
                    service TEXT NOT NULL, class TEXT NOT NULL, scheduled INTEGER NOT NULL, due INTEGER NOT NULL,
                    tries INTEGER NOT NULL, UNIQUE (unique_key, id)) STRICT""",
                "CREATE INDEX alarms_due ON alarms (due)",
            ),
            ("ALTER TABLE alarms ADD COLUMN name TEXT",),
        ),
    ),
    default_mb=1024,
)


class Alarm(NamedTuple):
    """One that is noted."""

    version: int
    service: str
    class_name: str
    object_id: str
    scheduled: int
    """Milliseconds since 1970, as the object set it."""
    due: int
    tries: int
    name: str | None
    """That of the object, where it was known when it set the alarm."""


def backoff(tries: int, draw: float) -> float:
    """Seconds until the next try after so many failed ones; `draw` is a random number from 0 to 1."""
    return min(FIRST_S * 2.0**tries, LONGEST_S) * (1 + JITTER * (2 * draw - 1))


class Alarms:
    """One for each runtime (`bindings.shared.Shared`). `ring` hands an alarm to its object, wherever that is."""

    def __init__(
        self, stores: Stores, root: Path, ring: Callable[[str, Target, bytes], Awaitable[object]]
    ) -> None:
        self._location = layout.durable_object_alarms(root)
        self._stores, self._locks, self._ring = stores, Locks(root), ring
        self._database: Database | None = None
        self._looking: asyncio.Task[None] | None = None
        self._ringing: dict[int, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._leads = False

    def _open(self) -> Database:
        if self._database is None:
            self._database = self._stores.use(self._location, DESIGN)
        return self._database

    def start(self) -> None:
        """Some worker has a handler of alarms: look from now on. Harmless when called again."""
        if self._looking is None:
            # Not in the context of the request that woke the worker: alarms would count as what that one causes.
            self._looking = asyncio.get_running_loop().create_task(
                self._look(), name="alarms", context=Context()
            )

    # what objects say ------------------------------------------------------------------------------------------------

    async def note(self, key: Key, about: tuple[str, str, str | None], scheduled: int) -> None:
        """An object is about to have this alarm, and no other; `about` are its service, its class and its name. Durable
        when it returns. Raises `StorageError`."""
        row = (*key, *about, scheduled, scheduled)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("DELETE FROM alarms WHERE unique_key = ? AND id = ?", key)
            connection.execute(
                "INSERT INTO alarms (unique_key, id, service, class, name, scheduled, due, tries) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                row,
            )

        await self._open().write(work)
        self._changed.set()

    # ringing ---------------------------------------------------------------------------------------------------------

    async def _look(self) -> None:
        while True:
            delay = LOOK_S
            try:
                self._leads = self._leads or self._locks.take(RINGER) is None
                if self._leads:
                    delay = await self._ring_all()
            except StorageError as error:
                logger.error("alarms of Durable Objects wait: %s", error)  # noqa: TRY400 - a store's state
            self._changed.clear()
            if delay > 0:
                try:
                    async with asyncio.timeout(
                        delay
                    ):  # before 3.12, `wait_for` may forget that it was cancelled
                        await self._changed.wait()
                except TimeoutError:
                    continue

    async def _ring_all(self) -> float:
        """Begin what is due. Returns seconds until something else may be."""
        if self._database is None and not self._location.path.exists():
            return LOOK_S
        now = int(time.time() * 1000)
        rows = await self._open().read(
            lambda connection: connection.execute(
                "SELECT version, service, class, id, scheduled, due, tries, name FROM alarms ORDER BY due LIMIT ?",
                (AT_ONCE + len(self._ringing),),
            ).fetchall()
        )
        waiting = [alarm for row in rows if (alarm := Alarm(*row)).version not in self._ringing]
        for alarm in waiting:
            if alarm.due > now:
                return min((alarm.due - now) / 1000, LOOK_S)
            if len(self._ringing) >= AT_ONCE:
                break
            task = asyncio.get_running_loop().create_task(self._run(alarm))
            self._ringing[alarm.version] = task
            task.add_done_callback(partial(self._rung, alarm.version))
        return LOOK_S

    def _rung(self, version: int, _task: asyncio.Task[None]) -> None:
        del self._ringing[version]
        self._changed.set()

    async def _run(self, alarm: Alarm) -> None:
        event = {
            "scheduledTime": alarm.scheduled,
            "retryCount": alarm.tries,
            "isRetry": alarm.tries > 0,
            "givenUp": alarm.tries > TRIES,
        }
        target = Target(alarm.class_name, {}, alarm.object_id, alarm.name)
        later: tuple[float, int] | None = None
        try:
            await self._ring(alarm.service, target, wire.dump_value(event))
        except (Overloaded, IsolateLost):
            later = FIRST_S, alarm.tries  # not the handler's doing
        except ConfigurationError as error:
            logger.warning("an alarm of %s.%s waits: %s", alarm.service, alarm.class_name, error)
            later = UNKNOWN_S, alarm.tries
        except PyworkerdError as error:
            logger.warning(
                "the alarm of a %s.%s failed, try %d: %s",
                alarm.service,
                alarm.class_name,
                alarm.tries + 1,
                error,
            )
            later = (backoff(alarm.tries, random.random()), alarm.tries + 1)  # noqa: S311 - no secret
        except Exception:
            logger.exception("an alarm could not be rung")
            later = UNKNOWN_S, alarm.tries
        try:
            await self._open().write(lambda connection: _settle(connection, alarm, later))
        except StorageError as error:
            logger.error("an alarm will be rung again: %s", error)  # noqa: TRY400 - a store's state

    # the end ---------------------------------------------------------------------------------------------------------

    async def aclose(self) -> None:
        """Ring no more. What rings just now is rung again by whoever comes next."""
        tasks = [task for task in (self._looking, *self._ringing.values()) if task is not None]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if self._leads:
            self._locks.release(RINGER)
        if self._database is not None:
            await self._stores.let_go(self._database)


def _settle(connection: sqlite3.Connection, alarm: Alarm, later: tuple[float, int] | None) -> Any:
    """It has rung: forget it, or note when it is tried again; unless the object has set another one meanwhile."""
    if later is None:
        return connection.execute("DELETE FROM alarms WHERE version = ?", (alarm.version,))
    seconds, tries = later
    due = int((time.time() + seconds) * 1000)
    return connection.execute(
        "UPDATE alarms SET due = ?, tries = ? WHERE version = ?", (due, tries, alarm.version)
    )
