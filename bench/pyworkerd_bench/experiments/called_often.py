"""Which functions steps call through the engine's function table: of a hello worker, of one that raises, of one that is
called and calls another.

    python -m pyworkerd_bench.experiments.called_often

Linux on x86-64 or AArch64 with glibc. Prints the numbers for `pyworkerd_isolates/python/called_often.py`; to be run
again when componentize-py changes.

wasmtime writes a record of 32 bytes (`VMFuncRef`: two entry points, type, instance) for each function that an isolate
calls through the table for the first time. Here the process's own memory is searched for pairs of entry points into
the engine's code, and the symbol table of the compiled engine says which functions they are. Laid together,
340 records take 3 pages; those of 110 that were not on the list took 50 KiB of each isolate.
"""

from __future__ import annotations

import os
import re
import struct
import sys
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

from pyworkerd_isolates.testing import Sandbox

from .private_pages import HELLO

OWN_MAPPINGS: Final = {"MALLOC_MMAP_THRESHOLD_": "65536"}
"""glibc: so that an instance lies in a mapping of its own, without remains of an earlier one."""
RAISES: Final = HELLO.replace("return", "raise")
ASKS: Final = (
    HELLO
    + """
    async def ask(self, number):
        return await self.env.IT.add(number)
"""
)
_SYMBOL: Final = re.compile(rb"wasm\[0\]::function\[(\d+)\]")
_LARGEST: Final = 64 << 20


class Mapping(NamedTuple):
    """A line of /proc/self/maps."""

    start: int
    end: int
    rights: str
    offset: int
    path: str


def mappings() -> list[Mapping]:
    """The process's memory."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        fields = line.split(maxsplit=5)
        start, end = (int(number, 16) for number in fields[0].split("-"))
        found.append(Mapping(start, end, fields[1], int(fields[2], 16), fields[5] if len(fields) > 5 else ""))
    return found


def records(code: Mapping) -> list[tuple[int, int]]:
    """Address and second entry point of each record of the instance that has most of them."""
    found: list[tuple[int, int, int]] = []
    with Path("/proc/self/mem").open("rb", buffering=0) as memory:
        for each in mappings():
            if each.rights != "rw-p" or each.path not in ("", "[heap]") or each.end - each.start > _LARGEST:
                continue
            memory.seek(each.start)
            words = memoryview(memory.read(each.end - each.start)).cast("Q")
            found += [
                (each.start + at * 8, words[at + 1], words[at + 3])
                for at in range(len(words) - 3)
                if code.start <= words[at] < code.end and code.start <= words[at + 1] < code.end
            ]
    owner = Counter(instance for _, _, instance in found).most_common(1)[0][0]
    return sorted((address, entry) for address, entry, instance in found if instance == owner)


def functions(elf: bytes) -> dict[int, int]:
    """Number of the function by the place of its code in the file (ELF-64, System V ABI: sections, symbols)."""
    (at,) = struct.unpack_from("<Q", elf, 0x28)
    (count,) = struct.unpack_from("<H", elf, 0x3C)
    sections = [struct.unpack_from("<IIQQQQIIQQ", elf, at + 64 * index) for index in range(count)]
    symbols = next(section for section in sections if section[1] == 2)
    names = sections[symbols[6]]
    found = {}
    for index in range(symbols[5] // 24):
        name, _, _, home, value, _ = struct.unpack_from("<IBBHQQ", elf, symbols[4] + 24 * index)
        match = _SYMBOL.match(elf, names[4] + name)
        if match:
            found[sections[home][4] + value - sections[home][3]] = int(match[1])
    return found


def main() -> None:
    """Print the numbers."""
    if OWN_MAPPINGS.items() - os.environ.items():
        os.execve(sys.executable, [sys.executable, "-m", __spec__.name], {**os.environ, **OWN_MAPPINGS})
    found: list[int | None] = []
    with Sandbox(progress=print) as sandbox:
        for source in (HELLO, RAISES, ASKS):
            with sandbox.start(source, bindings=[("IT", "fetcher", 1)], answer=lambda _: 1) as worker:
                for _ in range(4):
                    worker.fetch() if source is not ASKS else worker.call("ask", 1)
                code = next(m for m in mappings() if "engine-python" in m.path and "x" in m.rights)
                known = functions(Path(code.path).read_bytes())
                found += [known.get(entry - code.start + code.offset) for _, entry in records(code)]
    print(*dict.fromkeys(number for number in found if number is not None), sep=", ")


if __name__ == "__main__":
    main()
