"""kill -9 at any moment: no acknowledged object is lost, no half object is seen, nothing is left lying about."""

from __future__ import annotations

import asyncio
import hashlib
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from pyworkerd.bindings.r2.model import R2ObjectBody

from tests.contracts.r2_providers import Clock, embedded, files
from tests.runtime.bindings.r2 import writer
from tests.runtime.bindings.r2.settled import settled

if TYPE_CHECKING:
    from pathlib import Path

    from pyworkerd.bindings.r2.embedded import EmbeddedBucket

    Numbers = tuple[dict[str, int], dict[str, int]]


def kill_soon(folder: Path, first: int, chance: random.Random) -> Numbers:
    """Let a writer run for a moment. What it has begun last, and what was acknowledged last, of each key."""
    command = [sys.executable, writer.__file__, str(folder), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        wanted = chance.randrange(1, 40)
        lines = [process.stdout.readline() for _ in range(wanted)]
        time.sleep(chance.random() * 0.02)  # somewhere in the middle of what it does
        process.kill()
        lines += process.stdout.read().split("\n")
    return read(lines, first)


def read(lines: list[str], first: int, prefix: str = "") -> Numbers:
    """What a writer has begun, and what was acknowledged, by its lines."""
    begun = {prefix + key: first for key in writer.KEYS}
    done = dict(begun)
    for line in lines:
        if line.count(" ") == 2:
            what, key, number = line.split()
            {"begin": begun, "done": done}[what][key] = int(number)
    return begun, done


async def number_of(bucket: EmbeddedBucket, key: str, begun: int, done: int) -> int:
    """The number of what is there; it has to be whole, not older than what was acknowledged."""
    found = await bucket.get(key)
    data = None
    if found is not None:
        assert isinstance(found, R2ObjectBody)
        data = await found.read()
        assert len(data) == found.size
        if not key.endswith("parts"):
            assert hashlib.md5(data).hexdigest() == found.etag
    for number in range(done, begun + 1):
        if data == expected(key, number):
            return number
    raise AssertionError(f"{key}: neither {done} nor {begun}")


def expected(key: str, number: int) -> bytes | None:
    if number % 5 == 0:
        return None
    if key.endswith("parts"):
        return bytes([number % 251]) * sum(writer.part_sizes(number))
    return writer.content(key, number)


def rounds(folder: Path, number: int, seed: int) -> None:
    chance = random.Random(seed)

    async def look(begun: dict[str, int], done: dict[str, int]) -> int:
        async with embedded(folder, Clock(time.time())) as bucket:
            there = [await number_of(bucket, key, begun[key], done[key]) for key in writer.KEYS]
            await settled(bucket)
            return max(there)

    async def end() -> None:
        clock = Clock(time.time() + 8 * 24 * 3600)  # uploads that nobody completed have ended by then
        async with embedded(folder, clock) as bucket:
            await bucket.delete(writer.KEYS)
            await settled(bucket)
            assert bucket.meter.used == 0
        assert files(folder) == []

    first = 0
    for _ in range(number):
        begun, done = kill_soon(folder, first, chance)
        asyncio.run(look(begun, done))
        first = max(begun.values())
        first += 5 - first % 5  # nothing is there for certain: the next round begins with a number of its own

        async def clear() -> None:
            async with embedded(folder, Clock(time.time())) as bucket:
                await bucket.delete(writer.KEYS)

        asyncio.run(clear())
    asyncio.run(end())


def test_a_few_times(tmp_path: Path) -> None:
    rounds(tmp_path, 8, seed=1)


def test_one_of_two_processes(tmp_path: Path) -> None:
    """The other one writes on, and loses nothing."""
    chance = random.Random(3)
    command = [sys.executable, writer.__file__, str(tmp_path), "0", "other."]
    for _ in range(2):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            lines = [other.stdout.readline()]
            begun, done = kill_soon(tmp_path, 0, chance)
            lines += [other.stdout.readline() for _ in range(8)]
            other.kill()
            lines += other.stdout.read().split("\n")
        theirs = read(lines, 0, "other.")

        async def look(ours: Numbers, theirs: Numbers) -> None:
            async with embedded(tmp_path, Clock(time.time())) as bucket:
                for begun, done in (ours, theirs):
                    for key in begun:
                        await number_of(bucket, key, begun[key], done[key])
                await bucket.delete([*ours[0], *theirs[0]])

        asyncio.run(look((begun, done), theirs))


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_hundreds_of_times(tmp_path: Path) -> None:
    rounds(tmp_path, 300, seed=2)
