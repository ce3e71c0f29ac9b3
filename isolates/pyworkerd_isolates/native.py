"""The lean way in and out of an instance, and its owner. With `capi` and `machine` all that touches wasmtime.

Rules that keep this safe:

1.  Every native handle has one owner object. `close()` is final; use after it raises `ClosedIsolate`.
2.  No host function is Python (see `component.waiting`): guest code runs without the GIL and cannot re-enter.
3.  An `Instance` is used by one thread at a time; different instances may run on different threads at once. A call
    that was begun may go on in another thread each time: it has a native stack of its own.
4.  Whatever address or size the guest names is checked against the memory as it is *now* before it is read.
5.  Calls that run guest code release the GIL (CFUNCTYPE); calls that only look or copy little (PYFUNCTYPE) do not.

Source: wasmtime.h and its wasmtime/*.h, wasmtime 50 C API.
"""

from __future__ import annotations

import ctypes
from ctypes import (
    CFUNCTYPE,
    PYFUNCTYPE,
    byref,
    c_char,
    c_size_t,
    c_ssize_t,
    c_uint8,
    c_uint64,
    c_void_p,
    py_object,
)
from struct import Struct
from typing import TYPE_CHECKING, Any, Final

from wasmtime import _bindings as c

from .capi import (
    INTERRUPT,
    STACK_OVERFLOW,
    TRAP_NAMES,
    UNREACHABLE,
    take_error,
    wasm_trap_delete,
    wasmtime_call_future_delete,
    wasmtime_call_future_delete_ended,
    wasmtime_call_future_poll,
    wasmtime_context_epoch_deadline_async_yield_and_update,
    wasmtime_context_set_epoch_deadline,
    wasmtime_error_delete,
    wasmtime_func_call_async,
    wasmtime_func_call_unchecked,
    wasmtime_instance_export_get,
    wasmtime_instance_new,
    wasmtime_memory_data,
    wasmtime_memory_data_size,
    wasmtime_memory_grow,
    wasmtime_store_context,
    wasmtime_store_delete,
    wasmtime_store_limiter,
    wasmtime_store_new,
    wasmtime_trap_code,
)
from .cpu_clock import charged_s
from .errors import (
    ClosedIsolate,
    CpuExhausted,
    EngineError,
    MemoryExhausted,
    OutputTooLarge,
    ProtocolError,
    Refused,
    StackExhausted,
    Trap,
)
from .machine import Machine as Machine  # noqa: PLC0414, TC001 - told on, with what runs on it
from .machine import Module as Module  # noqa: PLC0414, TC001
from .pages import PAGE, PAGES, compare, equal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .capi import CallFuture
    from .pages import Run

PREPARE_TICKS: Final = c_uint64(500)
"""Epochs for the short calls before and after a step, which allocate and free one block. They are time on the wall, and
a thread that has let go of the interpreter's lock to make such a call waits for a processor where others want it: with
100, guests lost their isolates to a busy machine, and were told that they had used their CPU time."""
SLOW_NS: Final = 20_000_000
WARY_NS: Final = 3_600_000_000_000
"""Where such a call took so long on the wall (it takes less than a microsecond), a hostile guest has taken its
allocator apart, or the machine is busy. For so long after that, these calls of all guests can pause as steps do: then
they hold up nobody and are paid for, but cost a microsecond more."""
OWN_CALL_TICKS: Final = c_uint64(1000)
"""Epochs for a call of the engine's own functions, which take no time worth counting."""

_TOO_LONG: Final = "UpdateDeadline"
"""In the error of a call that cannot pause and reached its deadline (wasmtime 50; a test holds it to that)."""

copy = PYFUNCTYPE(c_void_p, c_void_p, c_void_p, c_size_t)(("memmove", ctypes.PyDLL(None)))
_view_of = PYFUNCTYPE(py_object, c_void_p, c_ssize_t, ctypes.c_int)(
    ("PyMemoryView_FromMemory", ctypes.pythonapi)
)
_WRITABLE: Final = 0x200
"""PyBUF_WRITE of object.h."""
_compare_long = CFUNCTYPE(ctypes.c_int, c_void_p, c_void_p, c_size_t)(("memcmp", ctypes.CDLL(None)))
WASM_PAGE: Final = 1 << 16
"""Bytes by which memories grow."""
SMALL: Final = 1 << 18
"""Bytes: what is copied in less time than another thread may take to give the GIL back."""
KEPT_ANSWER: Final = 1 << 16
"""Bytes of an answer that the guest may keep until its next step, which frees it without a call of its own."""


class _Exports(ctypes.Structure):
    """The native records of one instance, allocated at once because an isolate starts in a third of a millisecond."""

    _fields_ = (
        ("image", c.wasmtime_instance_t),
        ("engine", c.wasmtime_instance_t),
        ("memory", c.wasmtime_extern_t),
        ("ask", c.wasmtime_extern_t),  # behind the memory: together what a program's engine imports
        ("function", c.wasmtime_extern_t),
        ("values", c.wasmtime_val_raw * 4),
        ("trap", c_void_p),
        ("arguments", c.wasmtime_val_t * 3),
        ("result", c.wasmtime_val_t),
        ("error", c_void_p),
        ("wanted", c.wasmtime_val_t * 2),
    )


_FUNC_SIZE: Final = ctypes.sizeof(c.wasmtime_func_t)
_I32, _I64 = 0, 1
"""WASMTIME_I32 and WASMTIME_I64 of wasmtime/val.h."""
_VALUE: Final = ctypes.sizeof(c.wasmtime_val_t) // 8
_VALUES, _TRAP, _ARGUMENTS, _RESULT, _ERROR, _WANTED = (
    getattr(_Exports, name).offset // 8
    for name in ("values", "trap", "arguments", "result", "error", "wanted")
)
"""Where these records begin, in words of 64 bits. Of an argument and the result the first word is the kind."""
_RESULT_NUMBER: Final = _RESULT + 1
_VALUES_SECOND: Final = _VALUES + 2
_NOW, _FIRST, _SECOND = (_ARGUMENTS + place * _VALUE + 1 for place in range(3))
_PREVIOUS, _SIZE = _WANTED + 1, _WANTED + _VALUE + 1
"""What an export of a step takes: time, address, size. And the call before it: the address of the last answer, size."""
_KINDS: Final = ((_NOW, _I64), (_FIRST, _I32), (_SECOND, _I32), (_PREVIOUS, _I32), (_SIZE, _I32))
_Bytes: Final = c_char * ctypes.sizeof(_Exports)
_record: Final = Struct("<II").unpack_from
"""An answer's record: its address and size."""
_ONE, _TWO, _THREE, _FOUR = c_size_t(1), c_size_t(2), c_size_t(3), c_size_t(4)
_NOTHING: Final = memoryview(b"")


class Instance:
    """An engine on top of a memory: the live half of an isolate.

    `memory_limit` is in bytes. The guest sees a failed allocation at the limit, which Python turns into MemoryError.
    """

    __slots__ = (
        "_base",
        "_call",
        "_call_with",
        "_context",
        "_functions",
        "_handed",
        "_machine",
        "_memory",
        "_native",
        "_prepare_with",
        "_previous",
        "_refusals",
        "_seen",
        "_store",
        "_ticker",
        "_ticks",
        "_trap",
        "_values",
        "_words",
        "size",
    )

    def __init__(
        self,
        engine: Module,
        image: Module,
        memory_limit: int,
        refusals: tuple[str, ...] = (),
        start_ms: float = 1000,
    ) -> None:
        machine = self._machine = engine.machine
        self._ticker = machine.ticker
        self._refusals = refusals
        self._functions: dict[str, Any] = {}
        """Exports that were called, each with the record of a function."""
        self._call: CallFuture | None = None
        """A call that was begun and has not ended."""
        self._handed: tuple[str, int, bytes] | None = None
        """What the call that was begun makes room for: the export that is called next, the time, the data."""
        self._previous = 0
        """Address of the last answer, if the guest has not freed it."""
        self.size = 0
        """Bytes of its memory when somebody last looked: after each slice of a step, at least."""
        self._seen = _NOTHING
        """So much of its memory, in place. What is taken of it is copied at once: it is gone when this is closed."""
        self._store: int | None = wasmtime_store_new(machine.pointer, None, None)
        self._context = c_void_p(wasmtime_store_context(self._store))
        self._ticks = c_uint64()
        wasmtime_store_limiter(self._store, memory_limit, -1, 2, -1, 1)
        self._pause_after(start_ms)
        native = self._native = _Exports()
        at = ctypes.addressof(native)
        self._values = byref(native, _Exports.values.offset)
        words = self._words = memoryview(_Bytes.from_buffer(native)).cast("B").cast("q")
        trap = self._trap = byref(native, _Exports.trap.offset)
        image_at, engine_at = at + _Exports.image.offset, at + _Exports.engine.offset
        memory_at = at + _Exports.memory.offset
        for place, kind in _KINDS:
            words[place - 1] = kind
        outcome = byref(native, _Exports.result.offset), _ONE, trap, byref(native, _Exports.error.offset)
        self._call_with = (byref(native, _Exports.arguments.offset), _THREE, *outcome)
        self._prepare_with = (byref(native, _Exports.wanted.offset), _TWO, *outcome)
        try:
            self._check(wasmtime_instance_new(self._context, image.pointer, None, 0, image_at, trap))
            if not wasmtime_instance_export_get(self._context, image_at, b"memory", 6, memory_at):
                raise EngineError("the image exports no memory")  # noqa: TRY301 (what began must be undone)
            given = memory_at, self._imports(machine, at + _Exports.ask.offset)
            self._check(wasmtime_instance_new(self._context, engine.pointer, *given, engine_at, trap))
        except BaseException:
            self.close()
            raise
        wasmtime_context_epoch_deadline_async_yield_and_update(self._context, 1)
        self._memory = ctypes.addressof(native.memory.of.memory)
        self._base: int = wasmtime_memory_data(self._context, self._memory)
        """Where its memory begins: it may grow and never moves (`Machine`)."""

    def _imports(self, machine: Machine, ask_at: int) -> int:  # noqa: ARG002 - for programs
        """How many things the engine imports: a memory."""
        return 1

    def _function(self, name: str) -> Any:
        """The export of this name, looked up once."""
        native = self._native
        raw = name.encode()
        found = wasmtime_instance_export_get(
            self._live(), byref(native.engine), raw, len(raw), byref(native.function)
        )
        if not found:
            raise EngineError(f"the engine exports no {name!r}")
        function = self._functions[name] = ctypes.create_string_buffer(_FUNC_SIZE)
        ctypes.memmove(function, byref(native.function.of.func), _FUNC_SIZE)
        return function

    def _live(self) -> c_void_p:
        if self._store is None:
            raise ClosedIsolate("this isolate has ended")
        return self._context

    def _look(self) -> int:
        """How large its memory is now: from here on all of it is seen."""
        if self._store is None:
            raise ClosedIsolate("this isolate has ended")
        size: int = wasmtime_memory_data_size(self._context, self._memory)
        if size != self.size:
            self.size = size
            self._seen = _view_of(self._base, size, _WRITABLE)
        return size

    def invoke(self, name: str, *arguments: int) -> int:
        """Call an export with whole numbers; the result is read as an unsigned 32-bit number. Traps raise `Trap`."""
        self._live()
        for place, argument in enumerate(arguments):
            self._words[_VALUES + 2 * place] = argument
        return self._invoke(self._functions.get(name) or self._function(name))

    def _invoke(self, function: Any) -> int:
        words, running, me = self._words, self._ticker.running, id(self)
        running[me] = self._ticker.steps
        try:
            error = wasmtime_func_call_unchecked(self._context, function, self._values, _FOUR, self._trap)
        finally:
            del running[me]
        if error or words[_TRAP]:
            self._check(error)
        result: int = words[_VALUES]
        return result & 0xFFFFFFFF

    def _own(self, name: str, *arguments: int) -> int:
        """Call a function that is the engine's own, no matter how long ago the last step was."""
        wasmtime_context_set_epoch_deadline(self._live(), OWN_CALL_TICKS)
        return self.invoke(name, *arguments)

    def seed(self, key: bytes) -> None:
        """Give the generator of random numbers its key, 32 bytes. Before that the guest gets none."""
        words = [int.from_bytes(key[at : at + 8], "little", signed=True) for at in range(0, 32, 8)]
        self._own("seed", *words)

    def step(self, name: str, now_ns: int, data: bytes, budget_ms: float, output_limit: int) -> bytes:
        """Hand `data` to an export of the shape bytes -> bytes, and copy out what it answers.

        `now_ns` is the time that the guest sees throughout, `budget_ms` the CPU time that it has. Whatever is raised,
        the instance must not be stepped again (except `ClosedIsolate`, which says so already).
        """
        self.begin(name, now_ns, data)
        end = charged_s() + budget_ms / 1e3
        while not self.go_on(budget_ms):
            budget_ms = (end - charged_s()) * 1e3
            if budget_ms <= 0:
                raise CpuExhausted("the step used up its CPU time")
        output = self.answer(name, output_limit)
        self.finish(name)
        return output

    def begin(self, name: str, now_ns: int, data: bytes) -> None:
        """The first part of `step`: hand in the data; where no guest's allocator is trusted to be quick, it is `go_on`
        that has it make room, and hands them in. The step runs when that is called."""
        if self._store is None:
            raise ClosedIsolate("this isolate has ended")
        size, room = len(data), f"prepare_{name}"
        if not size:
            self.finish(name)
        if self._ticker.wall >= self._machine.wary_until:
            self._hand_in(name, now_ns, data, self._prepare(room, size))
            return
        self._words[_PREVIOUS], self._words[_SIZE] = self._previous, size
        self._previous, self._handed = 0, (name, now_ns, data)
        function = self._functions.get(room) or self._function(room)
        self._call = wasmtime_func_call_async(self._context, function, *self._prepare_with)

    def _hand_in(self, name: str, now_ns: int, data: bytes, pointer: int) -> None:
        """There is room: begin the call itself."""
        entry, size = f"{name}_at", len(data)
        if size and not pointer:
            # What is written there would be another's, who may have sent it, on top of what the guest has.
            raise MemoryExhausted("the guest has no memory left for what it is to be told")
        end = pointer + size
        if end > self.size and end > self._look():
            raise ProtocolError("the guest's allocator named an address outside its memory")
        if size < SMALL:
            self._seen[pointer:end] = data
        else:
            ctypes.memmove(self._base + pointer, data, size)
        self._begin(self._functions.get(entry) or self._function(entry), now_ns, pointer, size)

    def _prepare(self, name: str, size: int) -> int:
        """Have the guest free its last answer and make room for so much, in one go. Its allocator is guest code like
        any other: the ticker counts, however long nothing has run, and where it took long, none is trusted any more."""
        ticker = self._ticker
        ticker.steps += 1
        if ticker.parked:
            ticker.unpark()
        wasmtime_context_set_epoch_deadline(self._context, PREPARE_TICKS)
        words, began = self._words, ticker.wall
        words[_VALUES], words[_VALUES_SECOND] = self._previous, size
        self._previous = 0
        try:
            return self._invoke(self._functions.get(name) or self._function(name))
        finally:
            if ticker.wall - began > SLOW_NS:
                self._machine.wary_until = ticker.wall + WARY_NS

    def _begin(self, function: Any, now_ns: int, first: int, second: int) -> None:
        words = self._words
        words[_NOW], words[_FIRST], words[_SECOND] = now_ns, first, second
        self._call = wasmtime_func_call_async(self._context, function, *self._call_with)

    def _pause_after(self, slice_ms: float) -> None:
        self._ticks.value = self._ticker.ticks_for(slice_ms)
        wasmtime_context_set_epoch_deadline(self._context, self._ticks)

    def go_on(self, slice_ms: float) -> bool:
        """The middle part: run for about so long on the wall, on whatever thread. Returns whether it has come to its
        end. Raises `Trap`.
        """
        call = self._call
        if call is None:
            raise ClosedIsolate("no step has begun")
        ticker, ticks, me = self._ticker, self._ticks, id(self)
        running = ticker.running
        ticks.value = ticker.ticks_for(slice_ms)
        wasmtime_context_set_epoch_deadline(self._context, ticks)
        running[me] = ticker.steps
        try:
            over: bool = wasmtime_call_future_poll(call)
            if over and (handed := self._handed) is not None:
                self._handed = None
                self._finished()
                self._hand_in(*handed, self._words[_RESULT_NUMBER] & 0xFFFFFFFF)
                over = wasmtime_call_future_poll(self._call)
        finally:
            del running[me]
        if over:
            self._finished()
        else:
            self._look()  # it may have grown, and need not end soon
        return over

    def _finished(self) -> None:
        """The call has come to its end: forget it. Raises `Trap` if that is how it did."""
        call, self._call = self._call, None
        wasmtime_call_future_delete_ended(call)
        words = self._words
        error, words[_ERROR] = words[_ERROR], 0
        if error or words[_TRAP]:
            self._check(error)

    def answer(self, name: str, output_limit: int) -> bytes:
        """The last part: copy out the answer. The guest frees it at the beginning of its next step, or at once if it
        is long.
        """
        limit, area = self._look(), self._words[_RESULT_NUMBER] & 0xFFFFFFFF
        if area + 8 > limit:
            raise ProtocolError("the step's result lies outside the memory")
        start, length = _record(self._seen, area)
        end = start + length
        if end > limit:
            raise ProtocolError("the step's output lies outside the memory")
        if length > output_limit:
            raise OutputTooLarge(f"the step's output has {length} bytes; the limit is {output_limit}")
        output = bytes(self._seen[start:end])
        self._previous = area
        if length > KEPT_ANSWER and self._ticker.wall >= self._machine.wary_until:
            self.finish(name)
        return output

    def finish(self, name: str) -> None:
        """Have the guest free its last answer. Harmless when there is none. Only after that a memory is whole."""
        if self._previous:
            self._live()
            self._prepare(f"prepare_{name}", 0)

    def abandon(self) -> None:
        """Drop the step that was begun, wherever it is. Harmless without one."""
        call, self._call, self._handed = self._call, None, None
        if call is not None:
            wasmtime_call_future_delete(call)

    def _window(self) -> tuple[int, int]:
        return self._base, wasmtime_memory_data_size(self._context, self._memory)

    @property
    def memory_size(self) -> int:
        """Size of the linear memory in bytes; it only grows."""
        return self._look()

    def memory(self) -> bytes:
        """A copy of the whole linear memory: everything that the isolate is, while no step runs."""
        self._live()
        base, size = self._window()
        return ctypes.string_at(base, size)

    def heap(self) -> bytearray:
        """The same, to be changed."""
        self._live()
        base, size = self._window()
        return bytearray((ctypes.c_char * size).from_address(base))

    def written(self) -> list[Run] | None:
        """What of its memory it has written to, and so no longer shares with its image; None if nobody can tell."""
        self._live()
        return PAGES.written(*self._window()) if PAGES is not None else None

    def own(self, untouched: Instance | None) -> list[Run]:
        """All of its memory that is not as the image says. Where the kernel does not tell, by comparison with an
        instance of the same engine and image that has never run anything, which takes milliseconds.
        """
        self._live()
        base, size = self._window()
        if PAGES is not None:
            return PAGES.all_written(base, size)
        assert untouched is not None
        clean, clean_size = untouched._window()  # noqa: SLF001 - one of us
        zeros = ctypes.create_string_buffer(WASM_PAGE)
        runs: list[Run] = []
        for part in range(0, size, WASM_PAGE):
            like = clean + part if part < clean_size else ctypes.addressof(zeros)
            if _compare_long(base + part, like, WASM_PAGE):
                for at in range(0, WASM_PAGE, PAGE):
                    if compare(base + part + at, like + at, PAGE):
                        start = runs.pop()[0] if runs and runs[-1][1] == part + at else part + at
                        runs.append((start, part + at + PAGE))
        return runs

    def views(self, runs: Iterable[Run]) -> list[memoryview]:
        """These parts of its memory, to be read and written in place: before it is stepped again, or closed."""
        self._live()
        return [
            memoryview((ctypes.c_char * (end - start)).from_address(self._base + start)).cast("B")
            for start, end in runs
        ]

    def grow(self, size: int) -> None:
        """Have a memory of so many bytes, as it had that it is to become again. Raises `Trap` beyond its limit."""
        delta = size - self.memory_size
        if delta > 0:
            self._check(
                wasmtime_memory_grow(self._context, self._memory, delta // WASM_PAGE, byref(c_uint64()))
            )
            self._look()

    def at_rest(self) -> bool:
        """Whether its memory is all that there is of it; only after `finish`."""
        return bool(self._own("at_rest"))

    def prefault(self, runs: tuple[Run, ...]) -> None:
        """Have these pages copied now, all at once, because they will be written to. A new instance only."""
        self._live()
        if PAGES is not None:
            PAGES.populate(self._window()[0], runs)

    def trim(self, untouched: Instance, most: int) -> tuple[Run, ...]:
        """Give back the pages that are again as they were when it was new; between two steps. Returns them.

        `untouched` is an instance of the same image that has never run anything. None are given back if `most` bytes
        were not enough for what was written to, or if memories of this image are filled and not mapped.
        """
        runs = self.written()
        if (
            PAGES is None
            or runs is None
            or sum(end - start for start, end in runs) > most
            or untouched.written()
        ):
            return ()
        base, _ = self._window()
        clean, clean_size = untouched._window()
        back = equal(
            base, clean, ((start, min(end, clean_size)) for start, end in runs if start < clean_size)
        )
        PAGES.give_back(base, back)
        return back

    def reset(self, untouched: Instance, most: int) -> bool:
        """Become again what it was when it was new: an instance of the same engine and image as `untouched`, which has
        never run anything. Then it has to be seeded, like a new one.

        Returns whether it worked: it does not if the memory has grown, or `most` bytes were not enough for what was
        written to. Raises `Trap`.
        """
        runs = self.written()
        base, size = self._window()
        clean, clean_size = untouched._window()
        if runs is None or size != clean_size or sum(end - start for start, end in runs) > most:
            return False
        for start, end in runs:
            copy(base + start, clean + start, end - start)
        self._previous = 0
        self._own("reset")
        return True

    def _check(self, error: int | None) -> None:
        """Turn a native error or trap into an exception; both are freed here."""
        trap, self._words[_TRAP] = self._words[_TRAP], 0
        if trap:
            code = c_uint8(255)
            known = wasmtime_trap_code(trap, byref(code))
            wasm_trap_delete(trap)
            if error:
                wasmtime_error_delete(error)
            raise self._trap_error(code.value if known else 255)
        if error:
            message = take_error(error)
            if _TOO_LONG in message:
                raise CpuExhausted("a call that cannot pause ran past its deadline")
            raise Trap(message)

    def _trap_error(self, code: int) -> Trap:
        if code == INTERRUPT:
            return CpuExhausted("the step ran past its deadline")
        if code == STACK_OVERFLOW:
            return StackExhausted("the guest used up its native stack")
        if code == UNREACHABLE:
            refused = self._refusal()
            if refused is not None:
                return Refused(refused)
        return Trap(TRAP_NAMES.get(code, "the guest trapped"))

    def _refusal(self) -> str | None:
        """Which system call the guest reached for, if that is why it trapped (recorded by the engine's own code)."""
        try:
            kind = self._own("refused")
            if not kind:
                return None
            name = self._own("refused_call")
        except (Trap, EngineError):
            return None
        return self._refusals[name] if name < len(self._refusals) else "an unknown system call"

    def close(self) -> None:
        """Free everything. Harmless when called again."""
        self.abandon()
        store, self._store = self._store, None
        if store is not None:
            self._seen = _NOTHING
            wasmtime_store_delete(store)

    def __del__(self) -> None:
        if getattr(self, "_store", None) is not None:
            self.close()
