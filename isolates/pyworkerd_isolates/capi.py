"""wasmtime's C API: prototypes of what `native` calls, each under its own name.

wasmtime-py's own calls look up types and convert values each time, 20 to 30 us a call. Called through these with
prepared arguments, a function takes about 1 us. Those that run guest code, or take long, release the GIL (CFUNCTYPE);
those that only look or copy little (PYFUNCTYPE) do not.

Source: wasmtime.h and its wasmtime/*.h, wasmtime 50 C API.
"""

from __future__ import annotations

from ctypes import (
    CFUNCTYPE,
    POINTER,
    PYFUNCTYPE,
    byref,
    c_bool,
    c_char_p,
    c_int64,
    c_size_t,
    c_uint8,
    c_uint64,
    c_void_p,
    string_at,
)
from typing import TYPE_CHECKING, Any, Final

from wasmtime import _bindings as bindings
from wasmtime import wat2wasm
from wasmtime._ffi import dll

from .versions import installed_version

if TYPE_CHECKING:
    from collections.abc import Callable

WASMTIME_VERSION: Final = installed_version("wasmtime", "wasmtime")


def _prototype(name: str, result: Any, *arguments: Any, runs_guest: bool = False) -> Callable[..., Any]:
    make = CFUNCTYPE if runs_guest else PYFUNCTYPE
    return make(result, *arguments)((name, dll))


def _prepared(name: str, result: Any, *, runs_guest: bool = False) -> Callable[..., Any]:
    """What every step calls. Its arguments are objects of ctypes already, of the right size and made once, never
    numbers of Python: without types to convert to, a call takes half as long.
    """
    make = CFUNCTYPE if runs_guest else PYFUNCTYPE
    return make(result)((name, dll))


class CallFuture(c_void_p):
    """A call that was begun. A type of its own, so that it is no number of Python."""


wasmtime_store_new = _prototype("wasmtime_store_new", c_void_p, c_void_p, c_void_p, c_void_p)
wasmtime_store_context = _prototype("wasmtime_store_context", c_void_p, c_void_p)
wasmtime_store_limiter = _prototype("wasmtime_store_limiter", None, c_void_p, *[c_int64] * 5)
wasmtime_store_delete = _prototype("wasmtime_store_delete", None, c_void_p, runs_guest=True)
wasmtime_context_set_epoch_deadline = _prepared("wasmtime_context_set_epoch_deadline", None)
wasmtime_instance_new = _prototype(
    "wasmtime_instance_new",
    c_void_p,
    c_void_p,
    c_void_p,
    c_void_p,
    c_size_t,
    c_void_p,
    c_void_p,
    runs_guest=True,
)
wasmtime_instance_export_get = _prototype(
    "wasmtime_instance_export_get", c_bool, c_void_p, c_void_p, c_char_p, c_size_t, c_void_p
)
wasmtime_func_call_unchecked = _prepared("wasmtime_func_call_unchecked", c_void_p, runs_guest=True)
wasmtime_context_epoch_deadline_async_yield_and_update = _prototype(
    "wasmtime_context_epoch_deadline_async_yield_and_update", c_void_p, c_void_p, c_uint64
)
wasmtime_func_call_async = _prepared("wasmtime_func_call_async", CallFuture)
wasmtime_call_future_poll = _prepared("wasmtime_call_future_poll", c_bool, runs_guest=True)
wasmtime_call_future_delete = _prepared("wasmtime_call_future_delete", None, runs_guest=True)
wasmtime_call_future_delete_ended = _prepared("wasmtime_call_future_delete", None)
"""The same for a call that has come to its end, which has no stack to unwind."""
wasmtime_memory_data = _prototype("wasmtime_memory_data", c_void_p, c_void_p, c_void_p)
wasmtime_memory_data_size = _prototype("wasmtime_memory_data_size", c_size_t, c_void_p, c_void_p)
wasmtime_memory_grow = _prototype(
    "wasmtime_memory_grow", c_void_p, c_void_p, c_void_p, c_uint64, POINTER(c_uint64)
)
wasmtime_trap_code = _prototype("wasmtime_trap_code", c_bool, c_void_p, POINTER(c_uint8))
wasm_trap_delete = _prototype("wasm_trap_delete", None, c_void_p)
wasmtime_error_delete = _prototype("wasmtime_error_delete", None, c_void_p)
wasmtime_error_message = _prototype(
    "wasmtime_error_message", None, c_void_p, POINTER(bindings.wasm_byte_vec_t)
)
wasm_byte_vec_delete = _prototype("wasm_byte_vec_delete", None, POINTER(bindings.wasm_byte_vec_t))
wasmtime_module_delete = _prototype("wasmtime_module_delete", None, c_void_p)
wasmtime_module_new = _prototype(
    "wasmtime_module_new", c_void_p, c_void_p, c_char_p, c_size_t, POINTER(c_void_p), runs_guest=True
)
wasmtime_module_serialize = _prototype(
    "wasmtime_module_serialize", c_void_p, c_void_p, POINTER(bindings.wasm_byte_vec_t), runs_guest=True
)
wasmtime_module_deserialize_file = _prototype(
    "wasmtime_module_deserialize_file", c_void_p, c_void_p, c_char_p, POINTER(c_void_p), runs_guest=True
)
wasmtime_engine_increment_epoch = _prototype("wasmtime_engine_increment_epoch", None, c_void_p)


wasmtime_linker_new = _prototype("wasmtime_linker_new", c_void_p, c_void_p)
wasmtime_linker_delete = _prototype("wasmtime_linker_delete", None, c_void_p)
wasmtime_linker_define_async_func = _prototype(
    "wasmtime_linker_define_async_func",
    c_void_p,
    c_void_p,
    c_char_p,
    c_size_t,
    c_char_p,
    c_size_t,
    c_void_p,
    c_void_p,
    c_void_p,
    c_void_p,
)
wasmtime_linker_get = _prototype(
    "wasmtime_linker_get", c_bool, c_void_p, c_void_p, c_char_p, c_size_t, c_char_p, c_size_t, c_void_p
)


def take_error(error: int) -> str:
    """The text of a native error, which is freed."""
    message = bindings.wasm_byte_vec_t()
    wasmtime_error_message(error, byref(message))
    text = string_at(message.data, message.size).decode("utf-8", "replace")
    wasm_byte_vec_delete(byref(message))
    wasmtime_error_delete(error)
    return text


def assemble(wat: str) -> bytes:
    """WebAssembly text to binary."""
    return bytes(wat2wasm(wat))


STACK_OVERFLOW, INTERRUPT, UNREACHABLE = 0, 10, 9
TRAP_NAMES: Final = {
    1: "memory access out of bounds",
    3: "table access out of bounds",
    4: "indirect call to null",
    5: "indirect call of the wrong type",
    6: "integer overflow",
    7: "integer division by zero",
    8: "invalid conversion to integer",
    9: "unreachable code reached",
}
"""Codes of wasmtime/trap.h: those that mean something here, and what is said of others."""
