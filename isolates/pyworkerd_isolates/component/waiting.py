"""How a call of `host.ask` waits: the one function of the host that a program can call, and it is not Python.

A step must be able to end in the middle of a program's call, with its native stack kept, and to go on when there is an
answer. wasmtime has that for functions that are defined as asynchronous: what they return says whether they are
ready, and as long as they are not, the call that runs the program comes back (`wasmtime_call_future_poll`).

Such a function is called on the program's own stack, without the interpreter's lock. Python must not run there: it
would take the lock in the middle of a step, run signal handlers and finalizers inside of a tenant's call, and Python
3.14 ends the process when it finds itself on a stack that it does not know. So the function is the ten instructions
below, the same for every program. It keeps no state and looks at nothing of the guest's; it notes down in this
isolate's own `Waiting` where the arguments and the results are, and says "not ready". wasmtime keeps both where they
are until the call goes on (wasmtime/async.h).

Whether an answer is there is asked of a function of the C library: `strlen` of `ready`, which is one byte, 0 or 1, and
a zero behind it.
"""

from __future__ import annotations

import ctypes
import mmap
import platform
import threading
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from wasmtime import FuncType, ValType
from wasmtime import _bindings as c

from pyworkerd_isolates.capi import (
    take_error,
    wasmtime_linker_define_async_func,
    wasmtime_linker_delete,
    wasmtime_linker_get,
    wasmtime_linker_new,
)
from pyworkerd_isolates.errors import EngineError
from pyworkerd_isolates.wasm.assembly import ASK, ASK_TYPE
from pyworkerd_isolates.wasm.core import I32

if TYPE_CHECKING:
    from pyworkerd_isolates.native import Machine


class Waiting(ctypes.Structure):
    """What one isolate's question is about. The instructions know these places."""

    _fields_ = (
        ("is_ready", ctypes.c_void_p),
        ("ready", ctypes.c_uint64),
        ("arguments", ctypes.c_void_p),
        ("results", ctypes.c_void_p),
    )


X86_64: Final = bytes.fromhex(
    "f30f1efa"  # endbr64
    "488b442410"  # mov rax, [rsp+16]   where the continuation goes, the eighth argument
    "488b0f"  # mov rcx, [rdi]          the first argument is the address of the Waiting
    "488908"  # mov [rax], rcx          continuation.callback = is_ready
    "48895710"  # mov [rdi+16], rdx     arguments
    "4c894718"  # mov [rdi+24], r8      results
    "4883c708"  # add rdi, 8
    "48897808"  # mov [rax+8], rdi      continuation.env = address of ready
    "c60700"  # mov byte [rdi], 0
    "c3"  # ret
)
"""System V AMD64 ABI, for `wasmtime_func_async_callback_t`."""
AARCH64: Final = b"".join(
    word.to_bytes(4, "little")
    for word in (
        0xF9400009,  # ldr x9, [x0]
        0xF90000E9,  # str x9, [x7]       continuation.callback = is_ready
        0xF9000802,  # str x2, [x0, #16]  arguments
        0xF9000C04,  # str x4, [x0, #24]  results
        0x91002000,  # add x0, x0, #8
        0xF90004E0,  # str x0, [x7, #8]   continuation.env = address of ready
        0x3900001F,  # strb wzr, [x0]
        0xD65F03C0,  # ret
    )
)
"""The same for the procedure call standard of 64-bit ARM."""
CODE: Final = {"x86_64": X86_64, "amd64": X86_64, "aarch64": AARCH64, "arm64": AARCH64}
_EXECUTE: Final = 4
"""PROT_EXEC of mprotect(2)."""

_lock = threading.Lock()
_page: list[mmap.mmap] = []
"""Where the instructions are, once they are: never written to again."""


def instructions() -> int:
    """The address of the function. Raises `EngineError` on a processor that it is not written for."""
    with _lock:
        if not _page:
            _page.append(_written(platform.machine().lower()))
        return ctypes.addressof(ctypes.c_char.from_buffer(_page[0]))


def _written(machine: str) -> mmap.mmap:
    if machine not in CODE:
        raise EngineError(f"components and CGI modules do not run on this processor ({machine})")
    page = mmap.mmap(-1, mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    page.write(CODE[machine])
    libc = ctypes.CDLL(None, use_errno=True)
    address = ctypes.c_void_p(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    if libc.mprotect(address, ctypes.c_size_t(mmap.PAGESIZE), mmap.PROT_READ | _EXECUTE):
        raise EngineError("the system lets no program make executable memory, which components need")
    return page


_is_ready: Final = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p).value
_types: Final[WeakKeyDictionary[Machine, FuncType]] = WeakKeyDictionary()
"""The type of `host.ask` for each machine: wasmtime binds it to the engine that it is first used with."""
VALUE: Final = ctypes.sizeof(c.wasmtime_val_t)
"""Bytes of one argument or result."""
AT: Final = c.wasmtime_val_t.of.offset
"""Where in it the number is."""
_MODULE, _NAME = ASK.module.encode(), ASK.name.encode()


def _type_for(machine: Machine) -> int | None:
    """Its address."""
    found = _types.get(machine)
    if found is None:
        kinds = [[ValType.i32() if kind == I32 else ValType.i64() for kind in part] for part in ASK_TYPE]
        found = _types.setdefault(machine, FuncType(*kinds))
    return ctypes.cast(found.ptr(), ctypes.c_void_p).value


def define(machine: Machine, context: Any, waiting: Waiting, extern: int) -> None:
    """Make `host.ask` for the store of one isolate, and write what it is to the address `extern`.

    `waiting` has to be there as long as the store is.
    """
    waiting.is_ready = _is_ready
    linker = wasmtime_linker_new(machine.pointer)
    try:
        error = wasmtime_linker_define_async_func(
            linker, _MODULE, len(_MODULE), _NAME, len(_NAME), _type_for(machine), instructions(),
            ctypes.addressof(waiting), None,
        )  # fmt: skip
        if error:
            raise EngineError(f"host.ask cannot be defined: {take_error(error)}")
        if not wasmtime_linker_get(linker, context, _MODULE, len(_MODULE), _NAME, len(_NAME), extern):
            raise EngineError("host.ask cannot be had")
    finally:
        wasmtime_linker_delete(linker)
