"""The instructions by which a call waits, for both processors."""

import ctypes
import platform
from pathlib import Path

import pytest
from pyworkerd_isolates.component import waiting
from pyworkerd_isolates.component.waiting import AARCH64, CODE, X86_64, Waiting, instructions
from pyworkerd_isolates.errors import EngineError


def test_they_are_small_and_end():
    assert X86_64[-1:] == b"\xc3"
    assert AARCH64[-4:] == (0xD65F03C0).to_bytes(4, "little")
    assert len(AARCH64) == 32
    assert [getattr(Waiting, name).offset for name, _ in Waiting._fields_] == [0, 8, 16, 24]


def test_what_they_do():
    """Called as wasmtime calls them: they say where to ask, note where the values are, and touch nothing else."""
    record = Waiting(is_ready=0x1234, ready=1)
    continuation = (ctypes.c_uint64 * 3)(1, 2, 3)
    call = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 8)(instructions())
    call(ctypes.addressof(record), 0, 0x5000, 9, 0x6000, 1, 0, ctypes.addressof(continuation))
    at = ctypes.addressof(record) + Waiting.ready.offset
    assert list(continuation) == [0x1234, at, 3]
    assert (record.is_ready, record.ready, record.arguments, record.results) == (0x1234, 0, 0x5000, 0x6000)


def test_their_page_cannot_be_written_to():
    address = f"{instructions():x}-"
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    (line,) = [line for line in maps.splitlines() if line.startswith(address)]
    assert line.split()[1].startswith("r-x")


def test_other_processors(monkeypatch):
    assert platform.machine().lower() in CODE
    with pytest.raises(EngineError, match=r"this processor \(z80\)"):
        waiting._written("z80")
