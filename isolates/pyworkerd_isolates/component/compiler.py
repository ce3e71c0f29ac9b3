"""Compile a program in a process of its own, with limits: what a tenant hands over is hostile to a compiler as well.

The child reads the program from its standard input, merges it (`wasm.program`), compiles engine and memory, and writes
both with what is to be known of them to its standard output. A program that makes it run for too long, or take too much
memory, costs that process and nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates import wire
from pyworkerd_isolates.capi import assemble
from pyworkerd_isolates.errors import EngineError, ImageError
from pyworkerd_isolates.native import Machine
from pyworkerd_isolates.wasm.errors import WasmFormatError
from pyworkerd_isolates.wasm.program import make_program

if TYPE_CHECKING:
    from .children import Children

COMPILE_S: Final = 300
"""Seconds of CPU time on all cores, and on the wall: CPython as a component takes ten, SpiderMonkey twenty."""
COMPILE_BYTES: Final = 8 << 30
"""Address space; wasmtime reserves much and touches little of it."""
COMPILE_DATA: Final = 3 << 30
"""Bytes that may be written to: CPython as a component takes a third of a gigabyte, and a memory may begin with one."""
NICE: Final = 10
"""It uses all cores, and others are being served meanwhile."""
MAX_OUTPUT: Final = 512 << 20
"""Bytes of native code and memory."""
MAX_NOTES: Final = 1 << 20
"""Bytes of what is to be known of them: names of what the program imports, for the most part."""
_RUN: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from pyworkerd_isolates.component.compiler import main; main()"
)


def compiled(binary: bytes, name: str, children: Children) -> tuple[bytes, bytes, dict[str, Any]]:
    """Native code of a program's engine and of its memory, and notes for the cache. Raises `ImageError`.

    Takes seconds; call it on a thread.
    """
    command = [sys.executable, "-c", _RUN, json.dumps(sys.path)]
    try:
        with children.started(command) as child:
            output, said = child.communicate(binary, timeout=COMPILE_S)
    except OSError as error:
        raise ImageError(f"the compiler cannot be started: {error}", file=name) from None
    except subprocess.TimeoutExpired:
        raise ImageError(f"it takes longer than {COMPILE_S} s to compile", file=name) from None
    if child.returncode:
        why = "ran out of memory or time" if child.returncode < 0 or not said else _last_line(said)
        raise ImageError(f"the program cannot be compiled: the compiler {why}", file=name)
    notes, blobs = wire.decode(output, max_header=MAX_NOTES, max_blobs=2)
    if "error" in notes:
        raise ImageError(notes["error"], file=name)
    return bytes(blobs[0]), bytes(blobs[1]), notes


def _last_line(text: bytes) -> str:
    lines = text.decode("utf-8", "replace").strip().splitlines()
    return f"failed: {lines[-1][:500]}" if lines else "failed"


def main() -> None:
    """The child."""
    os.nice(NICE)
    with contextlib.suppress(OSError):  # a system without it
        Path("/proc/self/oom_score_adj").write_text("1000")  # whoever is served is more important
    for limit, most in (
        (resource.RLIMIT_CPU, COMPILE_S),
        (resource.RLIMIT_AS, COMPILE_BYTES),
        (resource.RLIMIT_DATA, COMPILE_DATA),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    sys.stdout.buffer.write(compile_program(sys.stdin.buffer.read()))


def compile_program(binary: bytes) -> bytes:
    """What the child answers: a frame of notes, code and memory, or of an error."""
    machine = Machine()
    try:
        program = make_program(binary, assemble)
        code, memory = machine.compile(program.engine), machine.compile(program.image)
    except (WasmFormatError, EngineError) as error:
        return _error(str(error))
    finally:
        machine.close()
    notes = {
        "questions": program.questions,
        "refusals": program.refusals,
        "memory": program.memory_size,
        "component": program.is_component,
    }
    size = len(code) + len(memory)
    if size > MAX_OUTPUT:
        return _error(f"the program has {size} bytes when it is compiled; at most {MAX_OUTPUT} are supported")
    if len(json.dumps(notes)) > MAX_NOTES:
        return _error("the program imports too much that is not there")
    return wire.encode(notes, [code, memory])


def _error(message: str) -> bytes:
    return wire.encode({"error": message[:4000]})
