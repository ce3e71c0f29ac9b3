"""A process that writes to a bucket until it is killed, and says what it has begun and what was acknowledged.

`python writer.py FOLDER FIRST [PREFIX]`: each line on stdout is `begin KEY NUMBER` or `done KEY NUMBER`. Number n of a
key is `content(key, n)`, or nothing where n is a multiple of 5.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from pyworkerd.bindings.r2.embedded import EmbeddedBucket
from pyworkerd.bindings.r2.model import PutOptions
from pyworkerd.messages import Body
from pyworkerd.storage import layout
from pyworkerd.storage.stores import Stores

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

KEYS = ("a", "b", "c", "parts")
PART = 5 << 20


def content(key: str, number: int) -> bytes:
    """What an object is."""
    chance = random.Random(f"{key} {number}")
    return hashlib.sha256(f"{key} {number}".encode()).digest() * chance.choice((1, 3, 3_000, 20_000))


def part_sizes(number: int) -> tuple[int, int]:
    """The sizes of the two parts of an object in parts."""
    return PART, number


async def _pieces(data: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(data), 50_000):
        await asyncio.sleep(0)
        yield data[start : start + 50_000]


async def _write(bucket: EmbeddedBucket, key: str, number: int) -> None:
    if number % 5 == 0:
        await bucket.delete([key])
    elif key.endswith("parts"):
        upload = await bucket.create_multipart_upload(key, PutOptions())
        filled = bytes([number % 251])
        parts = [
            await bucket.upload_part(key, upload, place + 1, Body(filled * size))
            for place, size in enumerate(part_sizes(number))
        ]
        await bucket.complete_multipart_upload(key, upload, parts)
    else:
        await bucket.put(key, Body(chunks=_pieces(content(key, number))), PutOptions())


async def main(folder: Path, first: int, prefix: str = "") -> None:
    bucket = EmbeddedBucket(layout.own(folder / "state", "r2", "shop", "files"), Stores(), time.time)

    async def forever(key: str) -> None:
        number = first
        while True:
            number += 1
            print("begin", key, number, flush=True)
            await _write(bucket, key, number)
            print("done", key, number, flush=True)

    await asyncio.gather(*(forever(prefix + key) for key in KEYS))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), *sys.argv[3:]))
