"""What every provider of queues promises. A new provider is a new row of PROVIDERS."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pyworkerd.errors import StorageFull
from pyworkerd.queues.rules import MAX_BATCH_BYTES, RETENTION_S, Draft
from pyworkerd.queues.store import Backlog, Outlook, Retry

from tests.contracts import queue_providers

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from contextlib import AbstractAsyncContextManager

    from pyworkerd.queues.store import QueueStore

PROVIDERS: dict[str, Callable[[Path], AbstractAsyncContextManager[QueueStore]]] = {
    "sqlite": queue_providers.sqlite
}
provider = pytest.mark.parametrize("make", PROVIDERS.values(), ids=PROVIDERS)
Make = Any
NOW = 1_000_000.0


def run(make: Make, test: Callable[[QueueStore], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        with tempfile.TemporaryDirectory() as folder:
            async with make(Path(folder)) as store:
                await test(store)

    asyncio.run(main())


def draft(text: str, delay: float = 0.0) -> Draft:
    return Draft(text.encode(), "text", delay)


async def bodies(store: QueueStore, now: float = NOW, batch: str = "b", most: int = 10) -> list[str]:
    return [m.body.decode() for m in await store.take(most, now, now + 30, batch, 99)]


@provider
def test_messages_come_in_order_and_one_at_a_time(make: Make) -> None:
    async def test(store: QueueStore) -> None:
        await store.send([draft("a"), draft("b")], NOW)
        await store.send([draft("c")], NOW + 1)
        first = await store.take(2, NOW + 1, NOW + 31, "one", 99)
        assert [(m.body, m.sent, m.attempts, m.format) for m in first] == [
            (b"a", NOW, 1, "text"), (b"b", NOW, 1, "text"),
        ]  # fmt: skip
        assert await bodies(store, NOW + 1) == ["c"]
        assert await bodies(store, NOW + 2) == [], "all are in somebody's hands"
        await store.settle(first, [], NOW + 3)
        assert await bodies(store, NOW + 40) == ["c"]

    run(make, test)


@provider
def test_what_is_not_settled_comes_again_and_who_was_late_settles_nothing(make: Make) -> None:
    async def test(store: QueueStore) -> None:
        await store.send([draft("a")], NOW)
        (lost,) = await store.take(1, NOW, NOW + 30, "one", 99)
        assert await bodies(store, NOW + 29.9) == []
        (again,) = await store.take(1, NOW + 30, NOW + 60, "two", 99)
        assert (again.number, again.attempts) == (lost.number, 2)
        await store.settle([lost], [], NOW + 31)
        assert (await store.backlog()).messages == 1, "it was another delivery that is in hand now"
        await store.settle([again], [], NOW + 31)
        assert await store.backlog() == Backlog(0, 0, None)

    run(make, test)


@provider
def test_a_batch_can_be_kept_for_longer(make: Make) -> None:
    async def test(store: QueueStore) -> None:
        await store.send([draft("a"), draft("b")], NOW)
        taken = await store.take(2, NOW, NOW + 30, "one", 99)
        await store.settle(taken[:1], [], NOW)
        await store.hold("one", NOW + 100)
        assert await bodies(store, NOW + 99) == []
        assert await bodies(store, NOW + 100) == ["b"]

    run(make, test)


@provider
def test_delays_and_retries(make: Make) -> None:
    async def test(store: QueueStore) -> None:
        await store.send([draft("later", 10), draft("now")], NOW)
        (now,) = await store.take(9, NOW, NOW + 30, "one", 99)
        assert now.body == b"now"
        await store.settle([], [Retry(now, 20.0)], NOW)
        assert await store.outlook(9, NOW) == Outlook(0, None, NOW + 10, 0)
        assert await bodies(store, NOW + 10, "two") == ["later"]
        assert await store.outlook(9, NOW + 20) == Outlook(1, NOW + 20, NOW + 40, 1, 3)
        assert [m.attempts for m in await store.take(9, NOW + 20, NOW + 50, "three", 99)] == [2]

    run(make, test)


@provider
def test_no_more_batches_are_in_hand_than_may_be(make: Make) -> None:
    async def test(store: QueueStore) -> None:
        await store.send([draft(str(n)) for n in range(5)], NOW)
        for batch in "ab":
            assert len(await store.take(2, NOW, NOW + 30, batch, 2)) == 2
        assert await store.take(2, NOW, NOW + 30, "c", 2) == []
        assert (await store.outlook(9, NOW)).batches == 2
        assert len(await store.take(9, NOW + 30, NOW + 60, "c", 2)) == 5, "both were given up"

    run(make, test)


@provider
def test_a_batch_has_no_more_bytes_than_one_that_is_sent_but_one_message_always(make: Make) -> None:
    sizes = [100_000, 100_000, 100_000, MAX_BATCH_BYTES + 1, 1]

    async def test(store: QueueStore) -> None:
        for size in sizes:
            await store.send([Draft(bytes(size), "bytes", 0.0)], NOW)
        taken = [[len(m.body) for m in await store.take(9, NOW, NOW + 30, batch, 99)] for batch in "abcd"]
        assert taken == [sizes[:2], sizes[2:3], sizes[3:4], sizes[4:]]

    run(make, test)


@provider
def test_a_message_does_not_wait_for_ever(make: Make) -> None:
    async def test(store: QueueStore) -> None:
        await store.send([draft("old")], NOW)
        await store.send([draft("new")], NOW + RETENTION_S)
        assert await bodies(store, NOW + RETENTION_S + 1) == ["new"]
        assert (await store.backlog()).messages == 1

    run(make, test)


@provider
def test_what_is_sent_makes_what_is_too_old_go(make: Make) -> None:
    async def test(store: QueueStore) -> None:
        await store.send([draft("old")], NOW)
        await store.send([draft("new")], NOW + RETENTION_S + 1)
        assert [m.body for m in await store.peek(9)] == [b"new"], "also where nobody consumes"

    run(make, test)


@provider
def test_a_clock_that_was_wrong_holds_no_message_up_for_years(make: Make) -> None:
    years = 20 * 365 * 86_400

    async def test(store: QueueStore) -> None:
        await store.send([draft("taken")], NOW + years)
        assert await bodies(store, NOW + years) == ["taken"]
        await store.send([draft("sent")], NOW + years)
        await store.send([draft("delayed", 86_400)], NOW)
        outlook = await store.outlook(9, NOW)
        assert (outlook.ready, outlook.batches) == (2, 0)
        assert await bodies(store, NOW) == ["taken", "sent"]
        assert await store.outlook(9, NOW) == Outlook(0, None, NOW + 30, 1)

    run(make, test)


@provider
def test_what_was_not_delivered_is_where_it_was(make: Make) -> None:
    async def test(store: QueueStore) -> None:
        await store.send([draft("a")], NOW)
        await store.send([draft("b")], NOW + 1)
        (first,) = await store.take(1, NOW + 5, NOW + 35, "one", 1)
        await store.give_back([first])
        assert (await store.outlook(9, NOW + 5)).batches == 0
        again = await store.take(2, NOW + 5, NOW + 35, "two", 1)
        assert [(m.body, m.attempts) for m in again] == [(b"a", 1), (b"b", 1)]
        await store.give_back([first._replace(attempts=7)])
        assert (await store.outlook(9, NOW + 5)).batches == 1, "that was another delivery"

    run(make, test)


@provider
def test_who_looks_takes_nothing(make: Make) -> None:
    async def test(store: QueueStore) -> None:
        await store.send([draft("a"), draft("b", 60), draft("c")], NOW)
        assert [(m.body, m.attempts) for m in await store.peek(2)] == [(b"a", 0), (b"b", 0)]
        assert await bodies(store) == ["a", "c"]
        assert [m.attempts for m in await store.peek(9)] == [1, 0, 1]

    run(make, test)


@provider
def test_how_much_waits(make: Make) -> None:
    async def test(store: QueueStore) -> None:
        assert await store.backlog() == Backlog(0, 0, None)
        assert await store.outlook(9, NOW) == Outlook(0, None, None, 0)
        await store.send([draft("abc"), draft("d", 60)], NOW)
        assert await store.backlog() == Backlog(2, 4, NOW)
        assert await store.outlook(1, NOW) == Outlook(1, NOW, NOW + 60, 0, 3)
        assert await store.purge() == 2
        assert await store.backlog() == Backlog(0, 0, None)

    run(make, test)


def test_a_queue_that_is_full_keeps_what_it_has(tmp_path: Path) -> None:
    async def main() -> None:
        async with queue_providers.sqlite(tmp_path, size_mb=1) as store:
            with pytest.raises(StorageFull):
                for _ in range(100):
                    await store.send([draft("x" * 100_000)], NOW)
            kept = (await store.backlog()).messages
            assert kept > 5
        async with queue_providers.sqlite(tmp_path, size_mb=1) as store:
            assert (await store.backlog()).messages == kept
            taken = await store.take(100, NOW, NOW + 30, "one", 99)
            await store.settle(taken, [], NOW)
            await store.send([draft("x" * 100_000)], NOW)

    asyncio.run(main())


@settings(max_examples=20, stateful_step_count=30, deadline=None)
class AtLeastOnce(RuleBasedStateMachine):
    """However messages are sent, taken, settled, forgotten and found again: none is lost, none is in two hands."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.opened = queue_providers.sqlite(Path(self.folder.name))
        self.store = self.loop.run_until_complete(self.opened.__aenter__())
        self.now, self.sent, self.done, self.hands = NOW, 0, 0, {}
        self.batches = 0

    def teardown(self) -> None:
        self.loop.run_until_complete(self.opened.__aexit__(None, None, None))
        self.loop.close()
        self.folder.cleanup()

    def run(self, work: Any) -> Any:
        return self.loop.run_until_complete(work)

    @rule(count=st.integers(1, 5), delay=st.sampled_from([0.0, 5.0]))
    def send(self, count: int, delay: float) -> None:
        self.run(self.store.send([draft("x", delay)] * count, self.now))
        self.sent += count

    @rule(most=st.integers(1, 4))
    def take(self, most: int) -> None:
        self.batches += 1
        for message in self.run(self.store.take(most, self.now, self.now + 30, str(self.batches), 99)):
            held = self.hands.get(message.number)
            assert held is None or held[1] <= self.now, "somebody else has it"
            self.hands[message.number] = message, self.now + 30

    @rule(data=st.data(), ack=st.booleans())
    def settle(self, data: st.DataObject, ack: bool) -> None:
        if not self.hands:
            return
        number = data.draw(st.sampled_from(sorted(self.hands)))
        message, _ = self.hands.pop(number)
        if ack:
            self.run(self.store.settle([message], [], self.now))
            self.done += 1
        else:
            self.run(self.store.settle([], [Retry(message, 1.0)], self.now))

    @rule(seconds=st.sampled_from([0.5, 5.0, 31.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def none_is_lost(self) -> None:
        assert self.run(self.store.backlog()).messages == self.sent - self.done


test_at_least_once = AtLeastOnce.TestCase
