"""Consumers with real workers, real files, and two runtimes where two processes would be."""

from __future__ import annotations

import asyncio
import re
import time
from typing import TYPE_CHECKING, Any, Self

import pytest
from pyworkerd.chores import Chores
from pyworkerd.errors import StorageFull
from pyworkerd.queues.rules import Draft
from pyworkerd.queues.sqlite import SQLiteQueue
from pyworkerd.runtime import Runtime
from pyworkerd_config.load import load

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CONFIG = """
[[queues]]
name = "jobs"
producers = ["shop"]
consumer = "mailer"
max_batch_timeout = 0
{queue}
[[queues]]
name = "failed"
producers = ["shop"]
[[services]]
name = "shop"
[services.worker]
main = "shop.py"
[services.worker.bindings]
JOBS = {{ queue = "jobs" }}
FAILED = {{ queue = "failed" }}
[[services]]
name = "mailer"
[services.worker]
main = "mailer.py"
limits = {{ background_cpu_ms = {cpu_ms} }}
"""
SHOP = """
from workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def send(self, *bodies):
        await self.env.JOBS.send_batch([{"body": body} for body in bodies])
    async def send_with(self, body, options):
        await self.env.JOBS.send(body, options)
    async def waiting(self):
        return [(await queue.metrics())["backlogCount"] for queue in (self.env.JOBS, self.env.FAILED)]
"""
MAILER = """
import asyncio
import time
from workers import WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def queue(self, batch, env, ctx):
        print("got", batch.queue, [(m.attempts, m.body) for m in batch.messages])
        for m in batch.messages:
            await self.handle(batch, m)
    async def handle(self, batch, m):
"""


def project(tmp_path: Path, handle: str = "pass", queue: str = "", cpu_ms: int = 30_000) -> Path:
    (tmp_path / "config.toml").write_text(CONFIG.format(queue=queue, cpu_ms=cpu_ms))
    (tmp_path / "shop.py").write_text(SHOP)
    body = "\n".join(f"        {line}" for line in handle.splitlines())
    (tmp_path / "mailer.py").write_text(MAILER + body + "\n")
    return tmp_path / "config.toml"


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


class Serving:
    """A runtime that does its chores."""

    def __init__(self, config: Path) -> None:
        self.runtime = Runtime(load(config))
        self.chores = Chores(self.runtime)

    async def __aenter__(self) -> Self:
        await self.runtime.open()
        self.chores.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.chores.aclose()
        await self.runtime.aclose()

    async def send(self, *bodies: Any) -> None:
        await self.runtime.worker("shop").call("send", *bodies)

    async def waiting(self) -> list[int]:
        found: list[int] = await self.runtime.worker("shop").call("waiting")
        return found

    def got(self) -> list[str]:
        logs = self.runtime.worker("mailer").logs
        return [entry.message for entry in logs if entry.message.startswith("got")]

    async def settled(self, jobs: int = 0, failed: int = 0) -> None:
        async with asyncio.timeout(20):
            while await self.waiting() != [jobs, failed]:
                await asyncio.sleep(0.01)


def serving(config: Path, test: Callable[[Serving], Any]) -> None:
    async def main() -> None:
        async with Serving(config) as served:
            await test(served)

    asyncio.run(main())


def test_messages_of_every_kind_arrive_and_are_done(tmp_path: Path) -> None:
    async def test(served: Serving) -> None:
        await served.send({"a": [1, None, "ä"]}, "text", 5)
        await served.settled()
        await served.runtime.worker("shop").call("send_with", b"\x00\xff", {"contentType": "bytes"})
        await served.settled()
        await served.runtime.worker("shop").call("send_with", {1, 2}, {"content_type": "v8"})
        await served.settled()
        assert served.got() == [
            "got jobs [(1, {'a': [1, None, 'ä']}), (1, 'text'), (1, 5)]",
            "got jobs [(1, b'\\x00\\xff')]",
            "got jobs [(1, {1, 2})]",
        ]

    serving(project(tmp_path), test)


def test_a_handler_that_raises_gets_its_batch_again_but_for_what_it_acknowledged(tmp_path: Path) -> None:
    handle = "if m.body == 'good': m.ack()\nelif m.attempts < 3: raise ValueError('not yet')"

    async def test(served: Serving) -> None:
        await served.send("good", "bad")
        await served.settled()
        assert served.got() == [
            "got jobs [(1, 'good'), (1, 'bad')]", "got jobs [(2, 'bad')]", "got jobs [(3, 'bad')]",
        ]  # fmt: skip
        told = [
            e.message for e in served.runtime.worker("mailer").logs if e.message.startswith("queue() failed")
        ]
        assert len(told) == 2
        assert "not yet" in told[0]
        assert "_pyworkerd" not in told[0]

    serving(project(tmp_path, handle), test)


def test_what_fails_too_often_goes_to_the_dead_letter_queue(tmp_path: Path) -> None:
    queue = 'max_retries = 1\ndead_letter_queue = "failed"'

    async def test(served: Serving) -> None:
        await served.send("bad")
        await served.settled(failed=1)
        assert len(served.got()) == 2

    serving(project(tmp_path, "m.retry()", queue), test)


def test_without_one_it_is_dropped_and_the_operator_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(served: Serving) -> None:
        await served.send("bad")
        await served.settled()
        assert "1 messages of the queue 'jobs' failed 1 times and are dropped: 1" in caplog.text

    serving(project(tmp_path, "m.retry()", "max_retries = 0"), test)


def test_a_queue_that_drops_much_is_a_line_a_second_in_the_operators_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from pyworkerd.queues import consumer  # noqa: PLC0415 - to be patched

    monkeypatch.setattr(consumer, "TELL_S", 60.0)

    async def test(served: Serving) -> None:
        await served.send(*range(30))
        await served.settled()
        assert caplog.text.count("are dropped") == 1
        served.chores._consumers._each["jobs"]._tell()
        assert caplog.text.count("are dropped") == 2
        some = r"29 messages of the queue 'jobs' failed 1 times and are dropped: (\d+, ){10}\.\.\."
        assert re.search(some, caplog.text), "in whatever order: they are handled side by side"

    serving(project(tmp_path, "m.retry()", "max_retries = 0\nmax_batch_size = 1"), test)


def test_a_handler_whose_isolate_dies_gets_its_batch_again(tmp_path: Path) -> None:
    async def test(served: Serving) -> None:
        await served.send("x")
        await served.settled()
        assert served.got()[-1] == "got jobs [(2, 'x')]"

    serving(project(tmp_path, "while m.attempts == 1: pass", cpu_ms=100), test)


def test_a_word_about_all_and_delays(tmp_path: Path) -> None:
    handle = "if m.attempts == 1: batch.retryAll({'delaySeconds': 0}); m.retry(delay_seconds=0)"

    async def test(served: Serving) -> None:
        await served.runtime.worker("shop").call("send_with", "later", {"delaySeconds": 3600})
        await served.send("a", "b")
        await served.settled(jobs=1)
        assert served.got() == ["got jobs [(1, 'a'), (1, 'b')]", "got jobs [(2, 'a'), (2, 'b')]"]

    serving(project(tmp_path, handle), test)


def test_messages_wait_for_others_of_their_batch(tmp_path: Path) -> None:
    config = project(tmp_path)
    config.write_text(
        config.read_text().replace("max_batch_timeout = 0", "max_batch_timeout = 60\nmax_batch_size = 3")
    )

    async def test(served: Serving) -> None:
        await served.send("a")
        await served.send("b")
        await asyncio.sleep(0.2)
        assert served.got() == []
        await served.send("c")
        await served.settled()
        assert served.got() == ["got jobs [(1, 'a'), (1, 'b'), (1, 'c')]"]

    serving(config, test)


def test_no_more_batches_run_at_once_than_may(tmp_path: Path) -> None:
    handle = "await asyncio.sleep(0.1)"
    queue = "max_batch_size = 1\nmax_concurrency = 2"

    async def test(served: Serving) -> None:
        most = 0
        worker = served.runtime.worker("mailer").service
        await served.send(*range(6))
        while (await served.waiting())[0]:
            most = max(most, sum(len(live.invocations) for live in worker._members.values()))
            await asyncio.sleep(0.01)
        assert most == 2

    serving(project(tmp_path, handle, queue), test)


def test_two_that_consume_get_each_message_once(tmp_path: Path) -> None:
    config = project(tmp_path, queue="max_batch_size = 2")

    async def main() -> None:
        async with Serving(config) as one, Serving(config) as other:
            for start in range(0, 40, 10):
                await (one if start % 20 else other).send(*range(start, start + 10))
            await one.settled()
            got = [*one.got(), *other.got()]
            numbers = sorted(
                int(part.split(",")[1].strip(" )]")) for line in got for part in line.split("(")[1:]
            )
            assert numbers == list(range(40))

    asyncio.run(main())


def test_what_was_in_hand_at_the_end_comes_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pyworkerd.queues import consumer  # noqa: PLC0415 - to be patched

    monkeypatch.setattr(consumer, "LEASE_S", 0.3)
    config = project(tmp_path, "if m.attempts == 1: await asyncio.sleep(60)")

    async def main() -> None:
        async with Serving(config) as one:
            await one.send("x")
            await until(one.got)
        async with Serving(config) as other:
            await other.settled()
            assert other.got() == ["got jobs [(2, 'x')]"]

    asyncio.run(main())


def test_a_handler_that_runs_for_long_keeps_its_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyworkerd.queues import consumer  # noqa: PLC0415 - to be patched

    monkeypatch.setattr(consumer, "LEASE_S", 1.0)
    monkeypatch.setattr(consumer, "RENEW_S", 0.1)

    async def test(served: Serving) -> None:
        await served.send("x")
        await until(served.got)
        await served.settled()
        assert served.got() == ["got jobs [(1, 'x')]"]

    serving(project(tmp_path, "await asyncio.sleep(2.5)"), test)


def test_a_reload_changes_who_consumes(tmp_path: Path) -> None:
    config = project(tmp_path)

    async def test(served: Serving) -> None:
        await served.send("a")
        await served.settled()
        config.write_text(config.read_text().replace('consumer = "mailer"\n', ""))
        await served.runtime.reload(load(config))
        served.chores.changed()
        await served.send("b")
        await asyncio.sleep(0.2)
        assert await served.waiting() == [1, 0]
        project(tmp_path)
        await served.runtime.reload(load(config))
        served.chores.changed()
        await served.settled()

    serving(config, test)


def limited(config: Path, limits: str) -> Path:
    text = config.read_text()
    config.write_text(text.replace("limits = { background_cpu_ms = 30000 }", f"limits = {{ {limits} }}"))
    return config


def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyworkerd.queues import consumer  # noqa: PLC0415 - to be patched

    monkeypatch.setattr(consumer, "AGAIN_S", 0.05)


def test_a_worker_without_room_costs_no_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    patient(monkeypatch)
    config = limited(project(tmp_path, queue="max_retries = 0"), "isolates = 1, concurrency = 1, queue = 0")
    (tmp_path / "mailer.py").write_text(
        MAILER + "        pass\n    async def hold(self): await asyncio.sleep(0.5)\n"
    )

    async def test(served: Serving) -> None:
        mailer = served.runtime.worker("mailer")
        holding = asyncio.create_task(mailer.call("hold"))
        await until(lambda: mailer.service.busy)
        await served.send("x")
        await until(lambda: any("waits" in entry.message for entry in mailer.logs))
        assert await served.waiting() == [1, 0]
        await holding
        await served.settled()
        assert served.got() == ["got jobs [(1, 'x')]"], "it was delivered once"

    serving(config, test)


@pytest.mark.parametrize("broken", ["raise ValueError('not today')", "class Default: pass"])
def test_a_worker_that_does_not_deploy_or_has_no_handler_costs_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, caplog: pytest.LogCaptureFixture
) -> None:
    patient(monkeypatch)
    config = project(tmp_path, queue="max_retries = 0")
    config.write_text('deploy = "lazy"\n' + config.read_text())
    handler = (tmp_path / "mailer.py").read_text()
    (tmp_path / "mailer.py").write_text(broken + "\n")

    async def test(served: Serving) -> None:
        await served.runtime.deploy("shop")
        await served.send("x")
        await until(lambda: caplog.text.count("waits") > 1)
        assert await served.waiting() == [1, 0]
        (tmp_path / "mailer.py").write_text(handler)
        await served.runtime.reload(load(config))
        served.chores.changed()
        await served.runtime.deploy("shop")
        await served.settled()
        assert served.got() == ["got jobs [(1, 'x')]"]

    serving(config, test)


def test_a_dead_letter_queue_that_is_full_holds_up_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pyworkerd.queues import consumer  # noqa: PLC0415 - to be patched

    monkeypatch.setattr(consumer, "LEASE_S", 0.5)
    config = project(
        tmp_path, "if m.body == 'bad': m.retry()", 'max_retries = 0\ndead_letter_queue = "failed"'
    )
    text = config.read_text()
    config.write_text(text.replace('name = "failed"\n', 'name = "failed"\nsize_mb = 1\n'))

    async def test(served: Serving) -> None:
        store = served.chores._consumers._each["jobs"]._dead._store
        with pytest.raises(StorageFull):
            while True:
                await store.send([Draft(b"x" * 100_000, "bytes", 0)], time.time())
        full = (await served.waiting())[1]
        await served.send("good", "bad")
        await until(lambda: len(served.got()) == 2)
        assert served.got() == ["got jobs [(1, 'good'), (1, 'bad')]", "got jobs [(2, 'bad')]"]
        assert await store.purge() == full
        await served.settled(failed=1)

    serving(config, test)


def test_what_is_being_taken_at_the_end_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, go_on, take = asyncio.Event(), asyncio.Event(), SQLiteQueue.take

    async def slowly(*arguments: Any) -> Any:
        began.set()
        await go_on.wait()
        return await take(*arguments)

    monkeypatch.setattr(SQLiteQueue, "take", slowly)

    async def test(served: Serving) -> None:
        await served.send("x")
        await began.wait()
        await served.chores.stop()
        quiet = asyncio.create_task(served.chores.quiet())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert not quiet.done()
        go_on.set()
        await quiet
        assert served.got() == ["got jobs [(1, 'x')]"]
        assert await served.waiting() == [0, 0]

    serving(project(tmp_path), test)


def test_a_fault_of_the_runtime_stops_no_queue_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from pyworkerd.queues import consumer  # noqa: PLC0415 - to be patched

    monkeypatch.setattr(consumer, "LOOK_S", 0.05)
    outlook, faults = SQLiteQueue.outlook, iter([ZeroDivisionError("a bug")])

    async def faulty(*arguments: Any) -> Any:
        if (fault := next(faults, None)) is not None:
            raise fault
        return await outlook(*arguments)

    monkeypatch.setattr(SQLiteQueue, "outlook", faulty)

    async def test(served: Serving) -> None:
        await served.send("x")
        await served.settled()
        assert "a bug" in caplog.text

    serving(project(tmp_path), test)


def test_a_reload_changes_where_a_queue_is(tmp_path: Path) -> None:
    config = project(tmp_path)

    async def test(served: Serving) -> None:
        await served.send("a")
        await served.settled()
        config.write_text('state_dir = "elsewhere"\n' + config.read_text())
        await served.runtime.reload(load(config))
        served.chores.changed()
        await served.send("b")
        await served.settled()

    serving(config, test)
