"""The one instance of an isolate that is an object written in JavaScript, and the gate before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from .conftest import ID

if TYPE_CHECKING:
    from pyworkerd_isolates.testing import Driver, Run

    from .conftest import Room

LOAD = """
  async load() {
    await this.env.ELSE();
    this.seen.push("loaded");
  }
"""
BLOCK = """
  async block(what) {
    return this.ctx.blockConcurrencyWhile(async () => {
      this.seen.push("closed");
      await this.env.ELSE();
      await scheduler.wait(1000);
      this.seen.push("open");
      return what;
    });
  }

  later(what) {
    setTimeout(() => this.seen.push(what), 1);
    this.ctx.waitUntil(scheduler.wait(2));
  }
"""


def begin(driver: Driver, method: str, *arguments: Any) -> Run:
    return driver.begin_call(method, *arguments, entrypoint="Room")


def test_there_is_one_instance_and_it_knows_who_it_is(room: Room) -> None:
    one = room()
    for _ in range(2):
        assert one.driver.fetch(entrypoint="Room").text == f"{ID} 1"
    assert one.run("return self.note(1)") == [1]
    assert one.run("return self.note(2)") == [1, 2]
    assert one.run(
        "const { id } = self.ctx; return [id.toString(), id.name === undefined, id.equals(id)]"
    ) == [
        ID,
        True,
        True,
    ]


@pytest.mark.parametrize(
    "method", ["fetch", "alarm", "webSocketMessage", "_hidden", "missing", "ctx", "constructor"]
)
def test_what_is_no_method_is_not_called(room: Room, method: str) -> None:
    failure = begin(driver := room().driver, method)
    driver.settle()
    assert failure.failure is not None
    assert failure.failure.reason == "no_method"


def test_nobody_enters_before_the_constructor_has_opened_the_gate(room: Room) -> None:
    driver = room("ctx.blockConcurrencyWhile(() => this.load());", LOAD).driver
    runs = [begin(driver, "note", 1), begin(driver, "note", 2)]
    driver.step()
    runs.append(begin(driver, "note", 3))
    driver.step()
    assert [run.done for run in runs] == [False] * 3
    driver.resolve(1, None)
    runs.append(begin(driver, "note", 4))
    driver.settle()
    assert driver.aborted is None
    assert [run.value for run in runs] == [
        ["loaded", 1],
        ["loaded", 1, 2],
        ["loaded", 1, 2, 3],
        ["loaded", 1, 2, 3, 4],
    ]


def test_a_load_that_never_waits_delays_nobody(room: Room) -> None:
    one = room("ctx.blockConcurrencyWhile(async () => this.seen.push('loaded'));")
    assert one.run("return self.note(1)") == ["loaded", 1]


def test_while_it_is_closed_nothing_runs_for_others(room: Room) -> None:
    driver = room(methods=BLOCK).driver
    asking = begin(driver, "askFirst", "answered")
    begin(driver, "later", "timer")
    driver.step()
    blocking = begin(driver, "block", "result")
    driver.step()
    driver.isolate.ahead_ns += 10_000_000
    driver.resolve(1, None)  # the answer to the first one's question
    waiting = begin(driver, "note", "entered")
    driver.step()
    assert not asking.done
    assert not waiting.done
    driver.resolve(2, None)
    driver.settle()
    assert driver.aborted is None
    assert blocking.value == "result"
    assert asking.done
    assert waiting.done
    last = begin(driver, "note", "x")
    driver.settle()
    *first, _ = last.value
    assert first[:3] == ["asks", "closed", "open"]
    assert sorted(first[3:]) == ["answered", "entered", "timer"]


def test_events_that_had_to_wait_keep_their_order(room: Room) -> None:
    one = room(methods=BLOCK)
    driver = one.driver
    reading = driver.begin_call("run", "return 0", entrypoint="Room")
    driver.settle()
    assert reading.value == 0
    first, second = begin(driver, "askFirst", "one"), begin(driver, "askFirst", "two")
    driver.step()
    begin(driver, "block", "result")
    driver.step()
    driver.resolve(1, None)
    driver.step()
    driver.resolve(2, None)
    driver.step()
    driver.resolve(3, None)
    driver.settle()
    assert first.done
    assert second.done
    assert one.run("return self.seen") == ["asks", "asks", "closed", "open", "one", "two"]


def test_an_event_for_others_does_not_keep_the_host_busy(room: Room) -> None:
    driver = room(methods=BLOCK).driver
    begin(driver, "askFirst", "answered")
    driver.step()
    begin(driver, "block", "result")
    driver.step()
    driver.resolve(1, None)
    driver.step()
    assert driver.wake is not None
    assert driver.wake > driver.isolate.now_ns() / 1e9 + 10  # the gate's own timer, nothing of the other's


def test_a_gate_that_stays_closed_resets_the_object(room: Room) -> None:
    driver = room("ctx.blockConcurrencyWhile(() => scheduler.wait(1e6));").driver
    begin(driver, "note", 1)
    driver.settle(3)
    assert driver.aborted == "blockConcurrencyWhile() took longer than 30 s"


def test_a_gate_without_a_timer_is_not_closed(room: Room) -> None:
    """Nothing would open it again."""
    one = room()
    code = (
        "for (let n = 0; n < 10000; n++) setTimeout(() => {}, 1e6); self.ctx.blockConcurrencyWhile(() => 1)"
    )
    assert "more than 10000 timers" in one.fails(code)
    run = begin(one.driver, "note", 1)
    one.driver.step()
    assert run.value == [1]


@pytest.mark.parametrize(
    ("constructor", "why"),
    [
        ("throw new Error('no');", "the object's constructor failed"),
        ("ctx.blockConcurrencyWhile(async () => { throw new Error('no'); });", "failed: Error: no"),
        (
            "ctx.blockConcurrencyWhile(async () => { await scheduler.wait(1); throw new Error('no'); });",
            "failed: Error: no",
        ),
        ("ctx.blockConcurrencyWhile(async () => { throw { toString() { throw 1; } }; });", "cannot be shown"),
    ],
)
def test_an_object_that_cannot_be_made_gives_up(room: Room, constructor: str, why: str) -> None:
    driver = room(constructor).driver
    begin(driver, "note", 1)
    driver.settle()
    assert why in str(driver.aborted)


def test_a_failed_constructor_runs_once_for_all_that_wait(room: Room) -> None:
    driver = room("console.log('made'); throw new Error('no');").driver
    runs = [begin(driver, "note", number) for number in range(3)]
    driver.settle()
    failed = "the object's constructor failed: Error: no"
    assert [run.failure and run.failure.message for run in runs] == [failed] * 3
    assert [log.message for log in driver.logs].count("made") == 1


def test_abort_ends_the_code_that_calls_it(room: Room) -> None:
    one = room()
    assert "enough" in one.fails("self.note('never'); self.ctx.abort('enough'); self.note('nor this')")
    assert one.driver.aborted == "enough"


def test_what_was_promised_is_kept(room: Room) -> None:
    one = room()
    one.run("self.ctx.waitUntil(scheduler.wait(5).then(() => self.note('later')))")
    assert one.run("return self.note(1)") == ["later", 1]


def test_the_state_is_made_by_nobody_else(room: Room) -> None:
    one = room()
    for each in ("self.ctx", "storage", "kv", "sql"):
        assert "Illegal constructor" in one.fails(f"new ({each}.constructor)()")
    assert one.fails("'use strict'; self.ctx.storage = 1").startswith("TypeError")


def test_a_worker_may_export_nothing_but_objects(room: Room) -> None:
    assert room().driver.isolate.image.handlers == {}
    assert room().driver.isolate.image.objects == {"Room": ("alarm", "fetch")}


def test_a_cancelled_call_that_waited_is_not_begun(room: Room) -> None:
    driver = room("ctx.blockConcurrencyWhile(() => this.load());", LOAD).driver
    first, second = begin(driver, "note", 1), begin(driver, "note", 2)
    driver.step()
    driver.events.cancel(second.number)
    driver.step()
    assert second.done
    driver.resolve(1, None)
    driver.settle()
    assert first.value == ["loaded", 1]
    third = begin(driver, "note", 3)
    driver.settle()
    assert third.value == ["loaded", 1, 3]
