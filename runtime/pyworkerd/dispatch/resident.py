"""A Durable Object in memory: a worker's pool of exactly one isolate, which is the object.

An object has an isolate to itself. Sharing one with others of its class would save a quarter of a megabyte each; but
then a trap, a loop or a leak of one would be that of all, memory could not be accounted to one, and an idle one could
not be put away by itself. A worker knows already how to queue, to step fairly, to limit, to run again what a trap has
spoiled, and to evict; so a resident is a worker with a policy of its own, which shares what is the tenant's: turns,
counters, logs.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Final

from pyworkerd.errors import (
    InternalError,
    NoSuchEntrypoint,
    Overloaded,
    PyworkerdError,
    StorageError,
)
from pyworkerd.objects.peers import Errand, Gone
from pyworkerd.objects.storage import MOST_PAGES, Contents
from pyworkerd.services.stubs import release

from .invocation import CallWork, HandlerWork
from .worker import Worker

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from pyworkerd_isolates.protocol import Commit, Events

    from pyworkerd.services.base import Target

    from .invocation import Invocation
    from .live import Live
    from .objects import Objects

FOREVER_S: Final = 1e9
LOOK_AGAIN_S: Final = 0.02
"""How long to wait for a process that has an object and does not listen: it has just ended, or is about to."""
LEAVE_S: Final = 3.0
"""How long an object of an old version may go on when the new one wants it. Requests to it wait so long."""


class Resident(Worker):
    """One object. It is there from the first request for it until it is evicted, or leaves."""

    def __init__(self, home: Worker, objects: Objects, class_name: str, object_id: str) -> None:
        super().__init__(
            home.name, home.fleet, home.source, home.options, home.environment, home.channels, kin=home
        )
        self.class_name, self.object_id = class_name, object_id
        self.object_name: str | None = None
        """The name that its id was made of, once somebody has asked for it by that."""
        self._home, self._parent = objects, home
        options = objects.options(class_name)
        self._key = (options.unique_key, object_id)
        self.hibernates = options.hibernate and home.fleet.hibernation.limit > 0
        self._stays, self._idle_s = options.stays, options.idle_s
        self.clearing = home.clearing
        self.places, self.logs, self.sinks = home.places, home.logs, home.sinks
        self._image, self.cost = home._image, home.cost  # noqa: SLF001 - they are one worker
        self.policy = replace(
            home.policy,
            isolates=1,
            concurrency=home.options.limits.concurrency,
            fresh=False,
            idle_s=FOREVER_S if self._stays or self.hibernates else self._idle_s,
            cost=self.cost,
        )
        self._waiting.fit(self.policy)
        self._stores = stores = objects.storage
        self._locked = False
        """No other process has it."""
        self._storage = stores.open(*self._key, options.most) if stores is not None else None
        self._contents: Contents | None = None
        """What its next isolate begins with, as soon as the object is ours."""
        self._handed_over = Contents()
        self._alarm: int | None = None
        """As it was kept last."""
        self._keeping: asyncio.Task[None] | None = None
        """Something is being written."""
        self._opening: asyncio.Task[None] | None = None
        self._still_since = 0.0
        """Loop time at which its last step was over."""
        self._dozing: asyncio.TimerHandle | None = None
        """When to look whether it has been still for long."""
        self._leaving: asyncio.TimerHandle | None = None
        self._left = False

    def __repr__(self) -> str:
        return f"<Resident {self.class_name} {self.object_id[:8]} of {self.name}>"

    def check(self, target: Target) -> None:
        """See `Worker.check`."""
        if target.entrypoint not in (self._image or self.image).objects:
            raise NoSuchEntrypoint(
                f"worker {self.name!r} exports no Durable Object class {target.entrypoint!r}"
            )
        if self._closed:
            raise Overloaded(f"worker {self.name!r} is closed")

    def introduce(self, events: Events) -> None:
        """See `Worker.introduce`."""
        super().introduce(events)
        contents, self._handed_over = self._handed_over, Contents()
        pages, alarm = contents
        events.become(self.class_name, self.object_id, pages, alarm, MOST_PAGES, self.object_name)

    def arrive(self, invocation: Invocation) -> None:
        """See `Worker.arrive`."""
        super().arrive(invocation)
        if not self._members:
            self._go_if_empty()  # it was refused, perhaps

    # coming ----------------------------------------------------------------------------------------------------------

    def _start(self, invocation: Invocation, now: float) -> None:
        if self._contents is not None:
            self._handed_over, self._contents = self._contents, None
            self._alarm = self._handed_over.alarm
            super()._start(invocation, now)
        elif self._opening is None:
            self._opening = self.loop.create_task(self._open())

    async def _open(self) -> None:
        try:
            await self.fleet.owners.claim(self._key, self)
            if (pid := await self._lock()) is not None:
                self._send_to(pid)
                self._go_if_empty()
                return
            if self._keeping is not None:
                await asyncio.wait((self._keeping,))
            self._contents = await self._storage.load() if self._storage is not None else Contents()
        except PyworkerdError as error:
            for invocation in tuple(self._waiting):
                self._drop(invocation, error)
        finally:
            self._opening = None
        self.plan_soon()

    async def _lock(self) -> int | None:
        """Have the object among all processes, or hear which one has it."""
        stores = self._stores
        if stores is None or self._locked:
            return None
        await stores.peers.listen()
        pid = stores.locks.take(self._key)
        self._locked = pid is None
        return pid

    def _send_to(self, pid: int) -> None:
        """Another process has it: all that waits here goes there, in this order."""
        for invocation in tuple(self._waiting):
            self._waiting.leave(invocation)
            sending = self._parent.spawn(self._send(invocation, pid), invocation.context)
            invocation.forsake = sending.cancel

    async def _send(self, invocation: Invocation, pid: int) -> None:
        assert self._stores is not None
        peers, work = self._stores.peers, invocation.work
        errand = Errand(pid, self.name, work.target, invocation.scope)
        try:
            async with asyncio.timeout(invocation.budget.wall_ms / 1000):
                if isinstance(work, CallWork):
                    kind = "ring" if isinstance(work, HandlerWork) else "call"
                    value = await peers.call(errand, work.method, work.arguments, kind)
                    if invocation.answered():
                        release(value)
                    invocation.succeed(value)
                else:
                    invocation.succeed(await peers.fetch(errand, work.request))
        except Gone:
            await self._look_again(invocation)
            return
        except TimeoutError:
            invocation.fail(invocation.budget.too_much_time())
        except PyworkerdError as error:
            invocation.fail(error)
        except asyncio.CancelledError:
            invocation.finish()
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, somebody waits
            self.report(error)
            invocation.fail(InternalError("the runtime failed to ask the process that has the object"))
        invocation.finish()

    async def _look_again(self, invocation: Invocation) -> None:
        """The process that had the object has ended, or is about to."""
        invocation.asked_since = invocation.asked_since or invocation.since
        if self.loop.time() - invocation.asked_since >= self.policy.queue_s:
            invocation.fail(Overloaded("the process that has the object does not answer"))
            invocation.finish()
            return
        await asyncio.sleep(LOOK_AGAIN_S)
        try:
            self._parent.objects.find(invocation.work.target).take_over(invocation)
        except PyworkerdError as error:
            invocation.fail(error)
            invocation.finish()

    def take_over(self, invocation: Invocation) -> None:
        """One that was asked for elsewhere."""
        invocation.forsake = None
        invocation.since = self.loop.time()
        self.arrive(invocation)
        self.fleet.turns.hurry(self.loop_account)

    def forsaken(self, invocation: Invocation) -> None:
        """See `Worker.forsaken`."""
        if invocation.forsake is not None:
            invocation.forsake()
        else:
            super().forsaken(invocation)

    # staying ---------------------------------------------------------------------------------------------------------

    def keep(self, commit: Commit, kept: Callable[[Exception | None], None]) -> None:
        """See `Worker.keep`."""
        self._keeping = self._parent.spawn(self._keep(commit, kept))

    async def _keep(self, commit: Commit, kept: Callable[[Exception | None], None]) -> None:
        storage = self._storage
        if storage is None:
            kept(StorageError("there is no storage here"))
            return
        try:
            await storage.keep(commit, self._noting(commit.alarm))
            self._alarm = commit.alarm
        except Exception as error:  # noqa: BLE001 - the object ends, whatever it was
            kept(error)
        else:
            kept(None)

    def _noting(self, alarm: int | None) -> Callable[[], Awaitable[None]] | None:
        if alarm is None or alarm == self._alarm or self._stores is None:
            return None
        about = self.name, self.class_name, self.object_name
        return partial(self._stores.alarms.note, self._key, about, alarm)

    # hibernating -----------------------------------------------------------------------------------------------------

    def paused(self, live: Live) -> None:
        """See `Worker.paused`."""
        self.fleet.hibernation.paused(live)
        self._still_since = self.loop.time()
        if self._dozing is None and not self._stays:
            self._dozing = self.loop.call_later(self._idle_s, self._doze)

    def _doze(self) -> None:
        """Have it hibernate if it has been still for long, and will be. If not, look again."""
        self._dozing = None
        now = self.loop.time()
        for live in tuple(self._members.values()):
            if live.asleep:
                continue
            left = self._still_since + self._idle_s - now
            still = left <= 0 and live.still_until() > now + self._idle_s
            if not (still and self.spares(live)):
                self._dozing = self.loop.call_later(left if left > 0 else self._idle_s, self._doze)

    def spares(self, live: Live) -> bool:
        """See `Worker.spares`."""
        if not self.hibernates or self._leaving is not None:
            return False
        return self.fleet.hibernation.put_away(live, self._stores.run if self._stores is not None else None)

    # going -----------------------------------------------------------------------------------------------------------

    def ended(self, live: Live, again: Sequence[Invocation]) -> None:
        """See `Worker.ended`."""
        super().ended(live, again)
        self._go_if_empty()

    def _tell_quiet(self) -> None:
        super()._tell_quiet()
        self._go_if_empty()

    def rested(self, live: Live) -> None:
        """See `Worker.rested`."""
        super().rested(live)
        if self._leaving is not None:
            self.loop.call_soon(self._evict)

    def leave(self) -> None:
        """See `owners.Owner`: what was begun, and what waits here already, is finished if it does not take long."""
        if self._leaving is None and not self._left:
            self._leaving = self.loop.call_later(LEAVE_S, self._expel)
            self._evict()
            self._go_if_empty()

    def dismiss(self) -> None:
        """End it, if nothing is under way."""
        if not self._waiting:
            self._evict()

    def _evict(self) -> None:
        for live in tuple(self._members.values()):
            if not live.invocations:
                live.evict()

    def _expel(self) -> None:
        for invocation in tuple(self._waiting):
            self._drop(invocation, Overloaded("the object goes over to another version of its worker"))
        for live in tuple(self._members.values()):
            live.end()
        self._go_if_empty()

    def _go_if_empty(self) -> None:
        """Nobody has anything to do with it: forget it."""
        if not (self._members or self._waiting or self._left):
            self._left = True
            self._closed = True
            self._home.gone(self)
            self._parent.spawn(self._go())

    async def _go(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
        if self._leaving is not None:
            self._leaving.cancel()
        if self._dozing is not None:
            self._dozing.cancel()
        self._reaper.close()
        self._expiries.close()
        self.fleet.hungers(self, False)
        if self._keeping is not None:
            await asyncio.wait((self._keeping,))
        storage, self._storage = self._storage, None
        if storage is not None:
            await storage.aclose()
        if self._locked and self._stores is not None:
            self._locked = False
            self._stores.locks.release(self._key)
        self.fleet.owners.release(self._key, self)
        self.fleet.dismiss(self)

    def _release(self) -> None:
        """The image is the worker's."""

    async def aclose(self) -> None:
        """See `Worker.aclose`."""
        self._left = True
        if self._opening is not None:
            self._opening.cancel()
        await super().aclose()
        await self._go()
        self._home.gone(self)
