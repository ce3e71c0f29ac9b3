"""Programs, ready to start isolates from: native code of the engine, and a memory, both from the sealed cache.

    image = build_program(machine, cache, bundle)

The first deploy on a machine compiles, in a process of its own (`compiler`), which takes seconds for a large component;
after that it takes milliseconds.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates import capi, wasm
from pyworkerd_isolates.engine import Engine, cpu_features
from pyworkerd_isolates.errors import EngineError
from pyworkerd_isolates.image import Image
from pyworkerd_isolates.native import Machine

from .answers import answering
from .children import Children
from .host import Host
from .instance import ProgramInstance
from .preview1 import CgiHost

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pyworkerd_isolates.bundle import Bundle
    from pyworkerd_isolates.cache import Cache, Entry
    from pyworkerd_isolates.isolate import Isolate
    from pyworkerd_isolates.limits import Limits
    from pyworkerd_isolates.slots import Slots

    from .abi import Answering, Memory

LANGUAGE: Final = "wasm"
CACHED_BYTES: Final = 1 << 30
"""Of all programs, on disk: a component with CPython in it takes 32 MB."""
_HANDLERS: Final = {"": ("fetch",)}


@dataclass(frozen=True, slots=True)
class ProgramImage(Image):
    """An image that belongs to an engine of its own."""

    answers: Sequence[tuple[Answering, int]] = ()
    """What answers its questions, by their numbers."""
    is_component: bool = True
    """Or else a CGI program."""

    def instance(self, memory_bytes: int) -> ProgramInstance:
        """See `Image.instance`."""
        return ProgramInstance(self.engine.code, self.module, memory_bytes, self.engine.refusals)

    def isolate(self, limits: Limits, slots: Slots | None = None) -> Isolate:
        """See `Image.isolate`."""
        from .isolate import ProgramIsolate  # noqa: PLC0415 - each makes the other

        return ProgramIsolate(self, limits, slots)

    def host(self, memory: Memory, limits: Limits) -> Host:
        """What stands beside one of its instances."""
        make = Host if self.is_component else CgiHost
        return make(memory, self.answers, limits.effects)

    def close(self) -> None:
        """Let go of memory and code. Live isolates keep both."""
        self.module.close()
        self.engine.close()


def program_name(bundle: Bundle) -> str:
    """The cache's name for a program: what it depends on, and nothing else."""
    digest = hashlib.sha256(bundle.files[bundle.main]).hexdigest()
    return f"program-{fingerprint()}-{digest[:32]}.cwasm"


def _memory_name(name: str) -> str:
    return name.replace(".cwasm", "-memory.cwasm")


def is_cached(cache: Cache, name: str) -> bool:
    """Whether a program of this name needs no compiler, as far as can be seen without reading it."""
    return all((cache.folder / file).exists() for file in (name, _memory_name(name)))


@lru_cache(1)
def fingerprint() -> str:
    """A hash of all that a compiled program depends on, besides itself: what the names of those that are of use here
    begin with.
    """
    digest = hashlib.sha256(f"{capi.WASMTIME_VERSION}\0{Machine.settings}\0{cpu_features()}".encode())
    for path in (*sorted(Path(wasm.__file__).parent.glob("*.py")), Path(__file__).with_name("compiler.py")):
        digest.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def build_program(
    machine: Machine, cache: Cache, bundle: Bundle, children: Children | None = None
) -> ProgramImage:
    """The image of a worker whose main file is a program: found, or compiled first. May take long: call it on a thread.

    Raises `ImageError` for what is no program, or cannot be compiled within the limits.
    """
    started = time.perf_counter()
    name = program_name(bundle)
    memory_name = _memory_name(name)
    built = False

    def build() -> tuple[bytes, dict[str, Any]]:
        nonlocal built
        built = True
        from .compiler import compiled  # noqa: PLC0415 (every start would pay for it)

        code, memory, notes = compiled(bundle.files[bundle.main], bundle.main, children or Children())
        cache.put(memory_name, memory, {})
        return code, notes

    def complete(_entry: Entry) -> bool:
        return is_cached(cache, name)

    entry = cache.get_or_build(name, build, complete)
    memory_entry = cache.get(memory_name)
    if memory_entry is None:  # it is damaged: both belong together
        entry = cache.put(name, *build())
        memory_entry = cache.get(memory_name)
        if memory_entry is None:
            raise EngineError("a program that was compiled cannot be read back from the cache")
    if built:
        cache.trim("program-", CACHED_BYTES)
    image = _open(machine, cache, entry, memory_entry)
    return replace(image, built=built, deploy_ms=(time.perf_counter() - started) * 1000)


def _open(machine: Machine, cache: Cache, entry: Entry, memory: Entry) -> ProgramImage:
    started = time.perf_counter()
    notes = entry.notes
    code = machine.load(entry.path)
    try:
        module = machine.load(memory.path)
    except BaseException:
        code.close()
        raise
    milliseconds = (time.perf_counter() - started) * 1000
    refusals = tuple(notes["refusals"])
    engine = Engine(
        LANGUAGE, entry.name, machine, code, refusals, notes["memory"], 0, milliseconds, cache, None
    )  # fmt: skip
    return ProgramImage(
        entry.name, engine, module, notes["memory"], _HANDLERS, (), {}, milliseconds, built=False,
        answers=answering(notes["questions"]), is_component=notes["component"],
    )  # fmt: skip
