"""What a guest logs in the step that it does not survive is found in its memory, and believed in nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates.errors import CpuExhausted
from pyworkerd_isolates.last_words import MARK, ROOM, find, read
from pyworkerd_isolates.limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.engine import Engine
    from pyworkerd_isolates.testing import Driver

PYTHON = """
from workers import WorkerEntrypoint

print("top level")

class Default(WorkerEntrypoint):
    async def spin(self, *lines):
        for line in lines:
            print(line)
        while True:
            pass

    async def fill(self, line, count, size):
        for number in range(count):
            print(f"{line} {number} " + "x" * size)
        while True:
            pass

    async def say(self, line):
        print(line)
"""
JAVASCRIPT = {
    "worker.js": """
import { WorkerEntrypoint } from "cloudflare:workers";

console.log("top level");

export default class extends WorkerEntrypoint {
  spin(...lines) {
    for (const line of lines) console.log(line);
    for (;;);
  }
  fill(line, count, size) {
    for (let number = 0; number < count; number++) console.log(`${line} ${number} ${"x".repeat(size)}`);
    for (;;);
  }
  say(line) { console.log(line); }
}
"""
}


@pytest.fixture(params=[PYTHON, JAVASCRIPT], ids=["python", "javascript"])
def driver(start: Callable[..., Driver], request: pytest.FixtureRequest) -> Driver:
    return start(request.param, cpu_ms=300)


def lost(driver: Driver, method: str, *arguments: Any) -> list[str]:
    with pytest.raises(CpuExhausted) as caught:
        driver.call(method, *arguments)
    return [each.message for each in caught.value.said]


def test_they_are_what_the_last_step_has_logged(driver: Driver) -> None:
    driver.call("say", "before")
    assert lost(driver, "spin", "one", "zwölf \U0001f40d", "a\x00b") == ["one", "zwölf \U0001f40d", "a\x00b"]


def test_a_step_that_logged_nothing_has_none(driver: Driver) -> None:
    driver.call("say", "before")
    assert lost(driver, "spin") == []


def test_where_there_is_no_room_for_all_they_are_the_last(driver: Driver) -> None:
    found = lost(driver, "fill", "line", 50, 2000)
    numbers = [int(each.split()[1]) for each in found]
    assert numbers == list(range(numbers[0], 50))
    assert 0 < len(numbers) <= ROOM // 2000


class Memory:
    """An instance that is nothing but a box."""

    def __init__(self, content: bytes, size: int | None = None, mark: bytes = MARK) -> None:
        length = len(content) if size is None else size
        self.data = mark + length.to_bytes(4, "little") + content.ljust(ROOM, b"\0")

    def views(self, runs: list[tuple[int, int]]) -> list[memoryview]:
        ((start, end),) = runs
        return [memoryview(self.data)[start - 8 : end - 8]]


LINE = json.dumps(["log", 1, "info", "stdout", "x"]).encode()


@pytest.mark.parametrize(
    ("memory", "count"),
    [
        (Memory(LINE), 1),
        (Memory(LINE + b"," + LINE), 2),
        (Memory(LINE + b',["done",1],' + LINE), 2),
        (Memory(b""), 0),
        (Memory(LINE, size=ROOM + 1), 0),
        (Memory(LINE, size=0xFFFFFFFF), 0),
        (Memory(LINE, size=len(LINE) - 1), 0),
        (Memory(LINE, mark=MARK[::-1]), 0),
        (Memory(b"[" * ROOM), 0),
        (Memory(b"]]]]"), 0),
        (Memory(b"\xff\xfe"), 0),
        (Memory(b'["log",1,"info","stdout",7]'), 0),
        (Memory(b'["log",-1,"info","stdout",""]'), 0),
        (Memory((LINE + b",") * 100 + b"1"), 0),
    ],
)
def test_nothing_in_a_box_is_believed(memory: Any, count: int) -> None:
    assert len(read(memory, 8, Limits())) == count
    assert read(memory, 0, Limits()) == ()


def test_a_box_is_found_where_it_is_empty() -> None:
    box = MARK + bytes(4 + ROOM)
    assert find(b"x" * 100 + MARK + b"other" + box) == 100 + len(MARK) + 5
    assert find(MARK + b"x" * ROOM) == 0


def test_every_engine_of_guests_has_one(engine: Engine) -> None:
    assert engine.words > 0
