"""A program's instance: an engine that asks, on top of its memory.

    instance.start(now_ns, request, answer)
    while (state := instance.run(slice_ms, ask, until)) != "over":
        if state == "waits":
            ...
            instance.answer_with(42)

`run` comes back when the call is over, when the slice is, or when the program has asked something that has no answer
yet.
"""

from __future__ import annotations

import ctypes
import struct
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Literal

from wasmtime import _bindings as c

from pyworkerd_isolates.capi import (
    wasmtime_call_future_poll,
    wasmtime_memory_data_size,
)
from pyworkerd_isolates.errors import ClosedIsolate, Trap
from pyworkerd_isolates.native import Instance, copy
from pyworkerd_isolates.wasm.assembly import ASK_TYPE
from pyworkerd_isolates.wasm.program import ENTRY

from .waiting import AT, VALUE, Waiting, define

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyworkerd_isolates.native import Machine

_NUMBER, _WIDE = f"{AT}x i {VALUE - AT - 4}x", f"{AT}x Q {VALUE - AT - 8}x"
_ARGUMENTS: Final = struct.Struct("<" + _NUMBER + _WIDE * (len(ASK_TYPE.params) - 1))
MAX_GROWTH: Final = 16 << 20
"""Bytes by which a memory may have grown and be used again."""
_I64: Final = 1
"""WASMTIME_I64 of wasmtime/val.h."""


class ProgramInstance(Instance):
    """Also the program's memory, for who answers (`abi.Memory`)."""

    __slots__ = ("_waiting",)

    def __init__(self, *arguments: Any) -> None:
        self._waiting = Waiting()
        super().__init__(*arguments)

    def _imports(self, machine: Machine, ask_at: int) -> int:
        define(machine, self._context, self._waiting, ask_at)
        return 2

    def start(self, now_ns: int, request: int, answer: int) -> None:
        """Call the program; it runs when `go_on` is called."""
        self._begin(self._functions.get(ENTRY) or self._function(ENTRY), now_ns, request, answer)

    def run(
        self, slice_ms: float, ask: Callable[[Sequence[int]], int | None], until: float
    ) -> Literal["over", "waits", "paused"]:
        """Run for about so long on the wall, answering questions with `ask`, which returns None if it has to wait;
        at `until`, a monotonic time, no more of them. Raises `Trap`, and what `ask` raises.

        Of `go_on` only what a question needs is done for each.
        """
        call, waiting, me = self._call, self._waiting, id(self)
        if call is None:
            raise ClosedIsolate("no call has begun")
        ticker = self._ticker
        self._pause_after(slice_ms)
        ticker.running[me] = ticker.steps
        try:
            while not wasmtime_call_future_poll(call):
                at = waiting.arguments
                if at is None:
                    return "paused"
                answer = ask(_ARGUMENTS.unpack(ctypes.string_at(at, _ARGUMENTS.size)))
                if answer is None:
                    return "waits"
                self.answer_with(answer)
                if monotonic() > until:
                    return "paused"
        finally:
            ticker.running.pop(me, None)
        waiting.arguments = waiting.results = None
        self._finished()
        return "over"

    def answer_with(self, value: int) -> None:
        """Let the program go on, with the next `go_on`."""
        waiting = self._waiting
        if waiting.results is None:
            raise ClosedIsolate("no question waits for an answer")
        result: Any = c.wasmtime_val_t.from_address(waiting.results)
        result.kind, result.of.i64 = _I64, value
        waiting.arguments = None
        waiting.ready = 1

    def abandon(self) -> None:
        """See `Instance.abandon`. What wasmtime kept for the call is not there any more."""
        super().abandon()
        self._waiting.arguments = self._waiting.results = None

    def reset(self, untouched: Instance, most: int) -> bool:
        """See `Instance.reset`. A memory that has grown is put back as well: what has come is zero again, and the
        program does not know of it (`wasm.program`).
        """
        runs = self.written()
        base, size = self._window()
        clean, clean_size = untouched._window()  # noqa: SLF001 - one of us
        if runs is None or size - clean_size > MAX_GROWTH or sum(end - start for start, end in runs) > most:
            return False
        for start, end in runs:
            middle = min(max(start, clean_size), end)
            copy(base + start, clean + start, middle - start)
            if end > middle:
                ctypes.memset(base + middle, 0, end - middle)
        self._own("reset")
        return True

    def read(self, at: int, size: int) -> bytes:
        """So many bytes of its memory. Raises `Trap` for what is not its memory."""
        if at + size > wasmtime_memory_data_size(self._context, self._memory):
            raise Trap("the program named an address outside of its memory")
        return ctypes.string_at(self._base + at, size)

    def write(self, at: int, data: bytes) -> None:
        """Write to its memory. Raises `Trap` for what is not its memory."""
        size = len(data)
        if at + size > wasmtime_memory_data_size(self._context, self._memory):
            raise Trap("the program named an address outside of its memory")
        copy(
            self._base + at, data, size
        )  # never much: who gave the lock up for it would wait to have it back
