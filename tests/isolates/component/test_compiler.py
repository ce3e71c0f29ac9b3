"""Compiling in a process of its own."""

import os
import sys

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.component import compiler
from pyworkerd_isolates.component.children import Children
from pyworkerd_isolates.component.compiler import compile_program, compiled
from pyworkerd_isolates.errors import ImageError

from tests.isolates.component.programs import HELLO, cgi


def test_a_process_compiles():
    code, memory, notes = compiled(HELLO, "a.wasm", Children())
    assert code[:4] == memory[:4] == b"\x7fELF"
    assert notes["component"]


def test_what_is_wrong_is_told_with_the_file(monkeypatch):
    with pytest.raises(ImageError, match="neither") as caught:
        compiled(b"text", "a.wasm", Children())
    assert caught.value.file == "a.wasm"
    monkeypatch.setattr(compiler, "_RUN", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(ImageError, match="ran out of memory or time"):
        compiled(HELLO, "a.wasm", Children())
    monkeypatch.setattr(compiler, "_RUN", "raise MemoryError")
    with pytest.raises(ImageError, match="MemoryError"):
        compiled(HELLO, "a.wasm", Children())


def test_a_program_without_an_interpreter_of_its_own(monkeypatch):
    monkeypatch.setattr(compiler.sys, "executable", "/nowhere/python")
    with pytest.raises(ImageError, match="cannot be started"):
        compiled(HELLO, "a.wasm", Children())


def test_who_takes_too_long(monkeypatch):
    monkeypatch.setattr(compiler, "COMPILE_S", 0.05)
    monkeypatch.setattr(compiler, "_RUN", "import time; time.sleep(60)")
    with pytest.raises(ImageError, match="takes longer"):
        compiled(HELLO, "a.wasm", Children())


def test_code_that_no_machine_could_run():
    notes, _ = wire.decode(compile_program(HELLO[:8]), max_header=1 << 16, max_blobs=2)
    assert "error" in notes


def test_what_comes_out_has_a_bound(monkeypatch):
    longest = "f" * compiler.MAX_NOTES
    with pytest.raises(ImageError, match="imports too much"):
        compiled(cgi("", imports=f'(import "env" "{longest}" (func))'), "a.wasm", Children())
    monkeypatch.setattr(compiler, "MAX_OUTPUT", 1000)
    notes, _ = wire.decode(compile_program(HELLO), max_header=1 << 16, max_blobs=2)
    assert "at most 1000 are supported" in notes["error"]


def child(monkeypatch, change):
    """Have a compiler's process do something else."""
    begin, _, run = compiler._RUN.rpartition("from ")
    run = f"{begin}from pathlib import Path; from pyworkerd_isolates.component import compiler; {change}; from {run}"
    monkeypatch.setattr(compiler, "_RUN", run)


def test_a_process_makes_way_for_others(monkeypatch):
    child(monkeypatch, "import os; compiler.compile_program = lambda _: sys.exit(str(os.nice(0)))")
    with pytest.raises(ImageError, match=f"failed: {min(os.nice(0) + compiler.NICE, 19)}$"):
        compiled(HELLO, "a.wasm", Children())


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux does when memory runs out")
def test_a_process_is_the_first_to_go(monkeypatch):
    told = "Path('/proc/self/oom_score_adj').read_text()"
    child(monkeypatch, f"compiler.compile_program = lambda _: sys.exit({told})")
    with pytest.raises(ImageError, match="failed: 1000"):
        compiled(HELLO, "a.wasm", Children())


@pytest.mark.skipif(sys.platform != "linux", reason="a limit that counts what is mapped on Linux only")
def test_a_process_has_so_much_memory(monkeypatch):
    child(monkeypatch, "compiler.COMPILE_DATA = 1 << 28; compiler.compile_program = lambda _: bytes(1 << 28)")
    with pytest.raises(ImageError, match="failed: MemoryError"):
        compiled(HELLO, "a.wasm", Children())
