"""Gives the messages of queues to `queue` handlers, in batches.

Whoever takes a batch has it for `LEASE_S`, and says again and again that it still has it while the handler runs. So the
messages of a process that was killed come again after that time, and a handler may run for as long as it likes.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from contextvars import Context
from time import time
from typing import TYPE_CHECKING, Any, Final, Protocol

from pyworkerd_isolates import wire

from pyworkerd.errors import NoHandler, Overloaded, PyworkerdError, StorageError
from pyworkerd.storage.stores import Stores

from .broker import Broker
from .plan import LOOK_S, exhume, judge, pause
from .rules import Draft
from .sqlite import DESIGN, SQLiteQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from pyworkerd_config.model import Queue

    from pyworkerd.bindings.shared import Shared
    from pyworkerd.dispatch.worker import Worker
    from pyworkerd.storage.layout import Location

    from .plan import Verdict
    from .store import Message

logger = logging.getLogger("pyworkerd.queues")

LEASE_S: Final = 30.0
RENEW_S: Final = 10.0
AGAIN_S: Final = 2.0
"""How long a consumer waits whose worker could not be given a batch."""
TELL_S: Final = 1.0
"""A queue that gives messages up is a line in the operator's log at most this often."""
TOLD: Final = 10
"""Numbers of messages that such a line names."""
MAX_OUTCOME: Final = 65_536
"""Bytes of what a guest answers: at most a number and a delay for each of a hundred messages, and an error."""


class _Undelivered(Exception):
    """No handler has seen the batch: nothing failed."""


class Workers(Protocol):
    """What consumers need of a runtime."""

    def queues(self) -> Iterable[Queue]:
        """Those of the configuration that new requests are answered by."""

    def location(self, name: str) -> Location:
        """Where a queue is."""

    async def worker(self, name: str) -> Worker:
        """A worker, deployed if it is not. Raises `PyworkerdError`."""


class Consumers:
    """All queues that have a consumer. `start` it inside the event loop; `aclose` begins nothing any more."""

    def __init__(self, workers: Workers, shared: Shared, now: Callable[[], float] = time) -> None:
        self._workers, self._shared, self._now = workers, shared, now
        self._each: dict[str, Consumer] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._started = False

    def start(self) -> None:
        """Consume from now on."""
        self._started = True
        self.changed()

    def changed(self) -> None:
        """There are other queues or workers now."""
        if not self._started:
            return
        wanted = {queue.name: queue for queue in self._workers.queues() if queue.consumer is not None}
        for name, consumer in list(self._each.items()):
            if wanted.get(name) != consumer.queue or consumer.moved():
                self._end(self._each.pop(name))
        for name, queue in wanted.items():
            if name not in self._each:
                self._each[name] = Consumer(queue, self._workers, self._shared, self._now)

    def _end(self, consumer: Consumer) -> None:
        task = asyncio.create_task(consumer.aclose())
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def stop(self) -> None:
        """Take no batch any more; those in hand go on."""
        self._started = False
        await asyncio.gather(*(consumer.stop() for consumer in self._each.values()))

    async def quiet(self) -> None:
        """Wait for the batches in hand."""
        await asyncio.gather(*(consumer.quiet() for consumer in self._each.values()))
        if self._ending:
            await asyncio.wait(tuple(self._ending))

    async def aclose(self) -> None:
        """Cancel what is in hand, and let go of the queues."""
        self._started = False
        for task in self._ending:
            task.cancel()
        for consumer in self._each.values():
            consumer.cancel()
        while self._each:
            self._end(self._each.popitem()[1])
        if self._ending:
            await asyncio.wait(tuple(self._ending))


class Consumer:
    """One queue. Made and run inside the event loop."""

    def __init__(self, queue: Queue, workers: Workers, shared: Shared, now: Callable[[], float]) -> None:
        assert queue.consumer is not None
        self.queue = queue
        self._worker = queue.consumer
        self._workers, self._now = workers, now
        self._location = workers.location(queue.name)
        self._stores = shared.get(Stores, Stores)
        self._store = SQLiteQueue(self._stores.use(self._location, DESIGN), self._stores)
        self._sent = shared.get(Broker, Broker).sent(self._location)
        self._dead = queue.dead_letter_queue and _Dead(
            workers.location(queue.dead_letter_queue), self._stores, shared, now
        )
        self._running: set[asyncio.Task[None]] = set()
        self._rests_until = 0.0
        """Loop time."""
        self._given_up: list[int] = []
        self._telling: asyncio.TimerHandle | None = None
        self._taking: asyncio.Task[None] | None = asyncio.create_task(
            self._consume(), name=f"queue {queue.name}", context=Context()
        )

    def moved(self) -> bool:
        """Whether its queue is somewhere else now."""
        return self._workers.location(self.queue.name) != self._location

    async def stop(self) -> None:
        """Take no batch any more. Harmless when called again."""
        taking, self._taking = self._taking, None
        if taking is not None:
            taking.cancel()
            await asyncio.wait((taking,))

    async def quiet(self) -> None:
        """Wait for the batches in hand."""
        while self._running:
            await asyncio.wait(tuple(self._running))

    def cancel(self) -> None:
        """Give up the batches in hand: their messages come again."""
        for task in self._running:
            task.cancel()

    async def aclose(self) -> None:
        """Wait for the batches in hand, and let go of the queue."""
        try:
            await self.stop()
            await self.quiet()
        except asyncio.CancelledError:
            self.cancel()
            await self.quiet()
        self._tell()
        if self._telling is not None:
            self._telling.cancel()
        await self._store.aclose()
        if self._dead:
            await self._dead.aclose()

    async def _consume(self) -> None:
        while True:
            try:
                seconds = await self._look()
            except PyworkerdError as error:
                logger.error("the queue %r waits: %s", self.queue.name, error)  # noqa: TRY400 - a store's state
                self._rest(LOOK_S)
                seconds = LOOK_S
            except Exception:
                logger.exception("queue %s: internal error", self.queue.name)
                self._rest(LOOK_S)
                seconds = LOOK_S
            if seconds > 0:
                await self._wait(seconds)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._sent.wait()
        except TimeoutError:
            pass

    async def _look(self) -> float:
        """Take a batch if it is time. Returns how long to wait then."""
        self._sent.clear()
        resting = self._rests_until - asyncio.get_running_loop().time()
        if resting > 0:
            return resting
        queue, now = self.queue, self._now()
        outlook = await self._store.outlook(queue.max_batch_size, now)
        seconds = pause(queue, outlook, now)
        if seconds > 0:
            return seconds
        batch = secrets.token_hex(8)
        # What is taken must be handed on: whoever ends this task must not cancel it in between, and waits for it.
        taking = asyncio.create_task(self._take(batch, now))
        self._running.add(taking)
        taking.add_done_callback(self._running.discard)
        await asyncio.shield(taking)
        return 0.0

    def _rest(self, seconds: float) -> None:
        self._rests_until = asyncio.get_running_loop().time() + seconds

    async def _take(self, batch: str, now: float) -> None:
        queue = self.queue
        messages = await self._store.take(
            queue.max_batch_size, now, now + LEASE_S, batch, queue.max_concurrency
        )
        if messages:
            task = asyncio.create_task(self._handle(batch, messages), name=f"queue {queue.name} {batch}")
            self._running.add(task)
            task.add_done_callback(self._handled)

    def _handled(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._sent.set()  # there is room for another batch
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("queue %s: internal error", self.queue.name, exc_info=error)

    async def _handle(self, batch: str, messages: Sequence[Message]) -> None:
        renewing = asyncio.create_task(self._renew(batch))
        outcome: dict[str, Any] | None = None
        delivered = True
        try:
            outcome = await self._run(messages)
        except _Undelivered:
            delivered = False
            self._rest(AGAIN_S)
        finally:
            renewing.cancel()
            await asyncio.wait((renewing,))
        try:
            if delivered:
                await self._settle(judge(self.queue, messages, outcome))
            else:
                await self._store.give_back(messages)
        except PyworkerdError as error:
            # They come again when the lease has ended: at least once.
            logger.error("the queue %r cannot settle a batch: %s", self.queue.name, error)  # noqa: TRY400 - as above

    async def _renew(self, batch: str) -> None:
        while True:
            await asyncio.sleep(RENEW_S)
            try:
                await self._store.hold(batch, self._now() + LEASE_S)
            except PyworkerdError as error:
                logger.warning("the queue %r cannot keep a batch: %s", self.queue.name, error)

    async def _run(self, messages: Sequence[Message]) -> dict[str, Any] | None:
        event = {
            "queue": self.queue.name,
            "messages": [[m.number, m.sent * 1000, m.attempts, m.format, m.body] for m in messages],
        }
        name = self.queue.name
        try:
            worker = await self._workers.worker(self._worker)
        except PyworkerdError as error:
            logger.error("the queue %r waits for the worker %r: %s", name, self._worker, error)  # noqa: TRY400 - told
            raise _Undelivered from None
        try:
            about = {"queue": name, "batchSize": len(messages)}
            answer = await worker.handle("queue", wire.dump_value(event), about=about)
            outcome = wire.load_value(answer, max_size=MAX_OUTCOME)
        except (Overloaded, NoHandler) as error:
            worker.log(0, "error", "pyworkerd", f"the queue {name!r} waits: {error}")
            raise _Undelivered from None
        except (PyworkerdError, wire.WireError) as error:
            worker.log(0, "error", "pyworkerd", f"a batch of the queue {name!r} failed: {error}")
            return None
        except Exception as error:  # noqa: BLE001 - a fault of the runtime must not lose the batch
            worker.report(error)
            return None
        return outcome if isinstance(outcome, dict) else None

    async def _settle(self, verdict: Verdict) -> None:
        if verdict.dead and not await self._bury(verdict.dead):
            verdict = exhume(verdict, LEASE_S)
        await self._store.settle([*verdict.done, *verdict.dead], verdict.retries, self._now())

    async def _bury(self, dead: Sequence[Message]) -> bool:
        self._given_up += [message.number for message in dead]
        if self._telling is None:
            self._tell()
        if self._dead:
            try:
                await self._dead.send(dead)  # before they are forgotten here: twice is better than never
            except StorageError as error:
                logger.error("they stay in the queue %r: %s", self.queue.name, error)  # noqa: TRY400 - told
                return False
        return True

    def _tell(self) -> None:
        """Of what was given up since the last time."""
        if self._telling is not None:
            self._telling.cancel()
        self._telling = None
        if not self._given_up:
            return
        numbers, self._given_up = self._given_up, []
        where = f"go to {self.queue.dead_letter_queue!r}" if self._dead else "are dropped"
        named = [*map(str, numbers[:TOLD]), *(["..."] if len(numbers) > TOLD else [])]
        logger.warning(
            "%d messages of the queue %r failed %d times and %s: %s",
            len(numbers), self.queue.name, self.queue.max_retries + 1, where, ", ".join(named),
        )  # fmt: skip
        self._telling = asyncio.get_running_loop().call_later(TELL_S, self._tell)


class _Dead:
    """The queue that gets what has failed too often."""

    def __init__(self, location: Location, stores: Stores, shared: Shared, now: Callable[[], float]) -> None:
        self._store = SQLiteQueue(stores.use(location, DESIGN), stores)
        self._sent = shared.get(Broker, Broker).sent(location)
        self._now = now

    async def send(self, messages: Sequence[Message]) -> None:
        await self._store.send([Draft(m.body, m.format, 0.0) for m in messages], self._now())
        self._sent.set()

    async def aclose(self) -> None:
        await self._store.aclose()
