"""Frames as the guest reads and writes them are those that the host writes and reads."""

from __future__ import annotations

import importlib.util
from typing import Any

import pytest
from pyworkerd_isolates import wire

from .conftest import GUEST

spec = importlib.util.spec_from_file_location("guest_frames", GUEST / "_pyworkerd" / "frames.py")
assert spec is not None
assert spec.loader is not None
frames = importlib.util.module_from_spec(spec)
spec.loader.exec_module(frames)

MESSAGES: list[list[Any]] = [
    *([None, [["fetch", 1, "x" * length]]] for length in (0, 90, *range(215, 230), 5000)),
    [[0.5, [1, 2]], [["log", 'é\ud800 "\\\n'], ["done", 7]]],
    [None, []],
]
BLOBS = [(), (b"",), (b"\xff\0[",), (b"one", b"", b"x" * 10_000), (b"y" * 4096, b"z")]


@pytest.mark.parametrize("blobs", BLOBS)
@pytest.mark.parametrize("message", MESSAGES)
def test_each_side_reads_what_the_other_writes(message: list[Any], blobs: tuple[bytes, ...]) -> None:
    frame = wire.encode(message, blobs)
    effects = ",".join(map(wire.written, message[1]))
    assert frames.encode(wire.written(message[0]), effects, blobs) == frame
    assert frames.decode(frame) == (message, list(blobs))
