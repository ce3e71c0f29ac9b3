"""Owners of what all isolates of a process share: wasmtime's engine with its settings, and compiled modules.

Every native handle has one owner object, as in `native`. Source: wasmtime.h and its wasmtime/*.h, wasmtime 50 C API.
"""

from __future__ import annotations

import contextlib
import ctypes
from ctypes import byref, c_void_p
from functools import partial
from typing import TYPE_CHECKING, Final

from wasmtime import Config, Engine
from wasmtime import Module as _WasmtimeModule
from wasmtime import _bindings as c

from .capi import (
    take_error,
    wasm_byte_vec_delete,
    wasmtime_engine_increment_epoch,
    wasmtime_module_delete,
    wasmtime_module_deserialize_file,
    wasmtime_module_new,
    wasmtime_module_serialize,
)
from .errors import ClosedIsolate, EngineError
from .ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MEMORY_RESERVATION: Final = 1 << 32
"""Address space per memory: all of wasm32, so that compiled code needs no bounds checks."""
MAX_WASM_STACK: Final = 4 << 20
"""Native stack for guest code: enough for CPython's own recursion limit to strike first. Threads have 8 MiB."""
CALL_STACK: Final = MAX_WASM_STACK + (256 << 10)
"""Native stack of a call that can pause: guest code, and below it what wasmtime itself does, growing a memory say."""


def _advance(_engine: Engine, pointer: int | None) -> None:
    """Begin the next epoch. The ticker's thread may outlive a machine that nobody closed, so it holds the engine."""
    wasmtime_engine_increment_epoch(pointer)


class Machine:
    """A wasmtime engine with the settings that every isolate shares, and the ticker that keeps deadlines.

    Settings are part of what compiled code depends on: `settings` is a line of text to key caches with.
    """

    settings: Final = f"epoch reservation={MEMORY_RESERVATION} stack={MAX_WASM_STACK} cow"

    def __init__(self) -> None:
        config = Config()
        config.epoch_interruption = True
        c.wasmtime_config_memory_init_cow_set(config.ptr(), True)
        c.wasmtime_config_memory_reservation_set(config.ptr(), MEMORY_RESERVATION)
        c.wasmtime_config_memory_may_move_set(config.ptr(), False)
        c.wasmtime_config_async_stack_size_set(config.ptr(), CALL_STACK)
        c.wasmtime_config_max_wasm_stack_set(config.ptr(), MAX_WASM_STACK)
        self._engine = Engine(config)
        self.pointer = ctypes.cast(self._engine.ptr(), c_void_p).value
        self.ticker = Ticker(partial(_advance, self._engine, self.pointer))
        self.wary_until = 0
        """Time of the ticker up to which calls that make room in a guest can pause, because one of them took long."""

    def compile(self, wasm: bytes) -> bytes:
        """Compile a module to native code, serialised. Takes seconds for an engine, milliseconds for an image."""
        pointer = c_void_p()
        error = wasmtime_module_new(self.pointer, wasm, len(wasm), byref(pointer))
        if error:
            raise EngineError(f"the module does not compile: {take_error(error)}")
        native = c.wasm_byte_vec_t()
        try:
            error = wasmtime_module_serialize(pointer, byref(native))
        finally:
            wasmtime_module_delete(pointer)
        if error:
            raise EngineError(f"the module cannot be serialised: {take_error(error)}")
        try:
            return ctypes.string_at(native.data, native.size)
        finally:
            wasm_byte_vec_delete(byref(native))

    def load(self, path: Path) -> Module:
        """Map native code from a file that `compile` made. The caller has checked where it came from."""
        pointer = c_void_p()
        error = wasmtime_module_deserialize_file(self.pointer, str(path).encode(), byref(pointer))
        if error:
            raise EngineError(f"{path}: {take_error(error)}")
        return Module(self, pointer.value)

    @contextlib.contextmanager
    def mapped(self, native: bytes) -> Iterator[Module]:
        """A module from native code that `compile` has just made, for as long as the block lasts."""
        loaded = _WasmtimeModule.deserialize(self._engine, native)
        module = Module(self, ctypes.cast(loaded._consume(), c_void_p).value)  # noqa: SLF001 - ownership moves here
        try:
            yield module
        finally:
            module.close()

    def close(self) -> None:
        """Stop the ticker. The engine itself goes when the last module and instance have gone."""
        self.ticker.close()


class Module:
    """Owner of one compiled module: an engine's code, or an image."""

    def __init__(self, machine: Machine, pointer: int | None) -> None:
        self.machine = machine
        self._pointer = pointer

    @property
    def pointer(self) -> int:
        """The native handle; raises after `close()`."""
        if self._pointer is None:
            raise ClosedIsolate("this module is closed")
        return self._pointer

    def close(self) -> None:
        """Free the module. Live instances keep what they need."""
        if self._pointer is not None:
            wasmtime_module_delete(self._pointer)
            self._pointer = None

    def __del__(self) -> None:
        self.close()
