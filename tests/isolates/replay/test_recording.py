"""The file of a recording: what is written is read again, and nothing else is."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import RecordingError
from pyworkerd_isolates.replay.recording import MAGIC, Recording, Step, decode, encode

IMAGE = f"image-{'0' * 16}-{'a' * 32}-128.cwasm"
STEPS = (Step(1, b"in", b"out"), Step(2, b"", None, ("Trap", "unreachable")), Step(3, b"broken off", None))
RECORDING = Recording(
    "shop", "python", False, IMAGE, "ab", 50, 128, 1_763_991_234_567, "00f067aa0ba902b7", "ab" * 16, bytes(32), STEPS,
    complete=False, hidden=("the binding TOKEN",), differs=2, files={"shop.py": "cd"}, version="1",
)  # fmt: skip


def test_what_is_written_is_read() -> None:
    assert decode(encode(RECORDING)) == RECORDING
    assert RECORDING.code == "a" * 32
    assert RECORDING.limits.memory_mb == 128
    assert RECORDING.steps[0].size == 5


def changed(**fields: Any) -> bytes:
    """A recording whose header says something else."""
    frame = encode(RECORDING).split(b"\n", 1)[1]
    header, blobs = wire.decode(frame)
    for name, value in fields.items():
        if value is None:
            del header[name]
        else:
            header[name] = value
    return MAGIC + b"1\n" + wire.encode(header, blobs)


BAD: dict[str, bytes] = {
    "nothing": b"",
    "something else": b"PK\3\4" + bytes(100),
    "no line": MAGIC + b"1" * 100,
    "another version": encode(RECORDING).replace(b"recording 1\n", b"recording 2\n"),
    "a huge version": MAGIC + b"9" * 5000 + b"\n",
    "cut off": encode(RECORDING)[:-1],
    "more than it says": encode(RECORDING) + b"x",
    "a field less": changed(worker=None),
    "a field more": changed(command="rm -rf /"),
    "text for a number": changed(cpu_ms="50"),
    "a number below zero": changed(memory_mb=-1),
    "a number beyond all": changed(memory_mb=1 << 40),
    "a time after all calendars": changed(began_ms=1 << 53),
    "true for a number": changed(cpu_ms=True),
    "another file for an image": changed(image="../../../etc/passwd"),
    "another file of the cache": changed(image="engine-python-0.cwasm"),
    "a digest that is none": changed(image_digest="../x"),
    "text beyond all": changed(worker="x" * 5000),
    "files that are none": changed(files=[["a", "b"]]),
    "hidden that is none": changed(hidden="x"),
    "no steps": changed(steps=[]),
    "steps without bytes": changed(steps=[[1, True, None]] * 9),
    "a step that is none": changed(steps=[[1, True, None], [2, False, ["Trap", ""]], [-3, False, None]]),
    "a failure that is none": changed(steps=[[1, True, None], [2, False, "Trap"], [3, False, None]]),
}


@pytest.mark.parametrize("what", BAD)
def test_everything_else_is_refused(what: str) -> None:
    with pytest.raises(RecordingError) as refused:
        decode(BAD[what])
    assert "\n" not in str(refused.value)


def test_another_version_is_named() -> None:
    with pytest.raises(RecordingError, match=r"format 2, and this version replays format 1"):
        decode(BAD["another version"])


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(RecordingError, match="32 bytes"):
        decode(encode(replace(RECORDING, key=bytes(31))))


@given(st.data())
def test_no_damage_raises_anything_else(data: st.DataObject) -> None:
    whole = bytearray(encode(RECORDING))
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    with suppress(RecordingError):
        decode(bytes(whole))
