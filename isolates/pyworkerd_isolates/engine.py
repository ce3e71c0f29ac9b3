"""Engines: the compiled, code-only module of a language, and the base image that every worker of it starts from.

    machine = Machine()
    engine = load_engine(machine, Cache(), progress=print)

An engine is built once per machine (about 10 s) and loaded from the cache afterwards (milliseconds). Its key is a hash
of everything that its native code depends on; a change of any of it makes another engine, and the old one is unused.
"""

from __future__ import annotations

import hashlib
import platform
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from . import last_words
from .capi import WASMTIME_VERSION
from .errors import EngineError
from .limits import Limits
from .native import Instance, Machine, Module
from .pages import Hot
from .protocol import PRIME, decode_effects
from .snapshot import take

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .bundle import Bundle
    from .cache import Cache, Entry

Progress = Callable[[str], None]
NOTES_FORMAT: Final = "notes 3"
"""Changes with what is noted beside an engine, so that an older one is built again."""
_PRIMING_KEY: Final = bytes(32)
"""Random numbers while an engine is warmed: not secret, and nothing of them stays."""
PRIME_MS: Final = 60_000
PRIME_OUTPUT_BYTES: Final = 65_536


class Compiler(Protocol):
    """Makes of a worker's files others, on the host."""

    def takes(self, bundle: Bundle) -> bool:
        """Whether it has anything to do."""

    def compiled(self, bundle: Bundle, budget_ms: float = ...) -> Bundle:
        """The worker with files that its engine takes, made in so much CPU time. Raises `ImageError`; may take long."""

    def close(self) -> None:
        """Let go of what it has loaded."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where an engine comes from: a language's own build, described so that it need not be run to be keyed."""

    language: str
    fingerprint: str
    """A hash of whatever the build reads."""
    build: Callable[[Progress], Built]
    compiler: Callable[[Machine, Cache], Compiler] | None = None
    """What makes of a worker's files those that the engine takes, where they are not the same."""


@dataclass(frozen=True, slots=True)
class Built:
    """What a language's build gives: WebAssembly, not native code yet."""

    engine: bytes
    image: bytes
    refusals: tuple[str, ...]
    boot: bytes = b""
    """What the engine's `boot` is handed first, where the image alone is no guest yet."""
    is_guest: bool = True
    """Whether it takes steps, and so is to be warmed."""


@dataclass(slots=True)
class Engine:
    """A loaded engine. `base()` is the image that deploys begin with.

    `key` names its content: a heap fits exactly the code that it was made by, and two builds from the same sources
    need not be equal to the byte.
    """

    language: str
    key: str
    machine: Machine
    code: Module
    refusals: tuple[str, ...]
    base_memory: int
    """Size in bytes of the memory that every worker begins with: what an image has beyond it is its worker's own."""
    words: int
    """Where its guests write what they log, for one that does not survive its step (`last_words`); 0 is nowhere."""
    load_ms: float
    _cache: Cache = field(repr=False)
    _compiler: Compiler | None = field(repr=False)
    hot: Hot = field(default_factory=Hot, repr=False)
    """For images of which no isolate has run yet."""

    _base: Module | None = field(default=None, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def base(self) -> Module:
        """The base image, mapped at the first call. Raises `EngineError` if it has gone since the engine was loaded."""
        with self._lock:
            if self._base is None:
                entry = self._cache.get(_base_name(self.language, self.key))
                if entry is None:
                    # Its name stands for the check that `load_engine` makes: what is damaged has to go.
                    (self._cache.folder / _base_name(self.language, self.key)).unlink(missing_ok=True)
                    raise EngineError(
                        "the engine's base image is damaged or has gone from the cache; start again to build it"
                    )
                self._base = self.machine.load(entry.path)
            return self._base

    def prepares(self, bundle: Bundle) -> bool:
        """Whether these files have to be `prepared`."""
        return self._compiler is not None and self._compiler.takes(bundle)

    def prepared(self, bundle: Bundle, budget_ms: float | None = None) -> Bundle:
        """A worker's files as this engine takes them, by default within a deploy's time. Raises `ImageError`."""
        if self._compiler is None:
            return bundle
        return (
            self._compiler.compiled(bundle)
            if budget_ms is None
            else self._compiler.compiled(bundle, budget_ms)
        )

    def close(self) -> None:
        """Let go of the code and the base image. Live isolates keep what they need."""
        self.code.close()
        if self._base is not None:
            self._base.close()
        if self._compiler is not None:
            self._compiler.close()


def cpu_features() -> str:
    """What native code may rely on here: the processor's own list of features, where the system shows one."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return platform.machine()
    line = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    return f"{platform.machine()} {' '.join(sorted(line.partition(':')[2].split()))}"


def engine_key(source: Source) -> str:
    """A hash of everything that matters: language, sources, wasmtime, settings, processor."""
    parts = (
        NOTES_FORMAT,
        source.language,
        source.fingerprint,
        WASMTIME_VERSION,
        Machine.settings,
        cpu_features(),
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def load_engine(
    machine: Machine, cache: Cache, source: Source, progress: Progress = lambda _: None
) -> Engine:
    """The engine of a language: from the cache if it is there and sound, else built first."""
    started = time.perf_counter()
    name = f"engine-{source.language}-{engine_key(source)[:32]}.cwasm"

    def build() -> tuple[bytes, dict[str, Any]]:
        result = source.build(progress)
        progress("compiling to native code")
        compiled = machine.compile(result.engine)
        progress("warming the base image")
        from .wasm.image import image_of, memory_of  # noqa: PLC0415 (every start would pay for it)

        memory = _prime(machine, compiled, result) if result.is_guest else memory_of(result.image)
        key = _content_key(name, result.engine, memory)
        notes = {"language": source.language, "memory": len(memory), "words": last_words.find(memory)}
        cache.put(_base_name(source.language, key), machine.compile(image_of(memory)), notes)
        progress(f"built in {time.perf_counter() - started:.1f} s")
        return compiled, {"refusals": list(result.refusals), "key": key, **notes}

    def complete(entry: Entry) -> bool:
        return (cache.folder / _base_name(source.language, entry.notes["key"])).exists()

    entry = cache.get_or_build(name, build, complete)
    notes = entry.notes
    code = machine.load(entry.path)
    load_ms = (time.perf_counter() - started) * 1000
    refusals = tuple(notes["refusals"])
    return Engine(
        source.language,
        notes["key"],
        machine,
        code,
        refusals,
        notes["memory"],
        notes["words"],
        load_ms,
        cache,
        None if source.compiler is None else source.compiler(machine, cache),
    )


def _content_key(name: str, engine: bytes, memory: bytes | bytearray) -> str:
    """What images are keyed by: which engine, and what it was when it was built."""
    digest = hashlib.sha256(f"{name}\0{len(engine)}\0".encode())
    digest.update(engine)
    digest.update(memory)
    return digest.hexdigest()


def _prime(machine: Machine, compiled: bytes, built: Built) -> bytearray:
    """Settle the heap as built, run some requests on it, and read it back.

    First the marks, then the requests: bytecode specialises itself for what it finds, and for objects whose references
    nobody counts it becomes one that counts none.
    """
    from .wasm.image import image_of  # noqa: PLC0415 (every start would pay for it)

    with machine.mapped(compiled) as code:

        def after(image: bytes | bytearray, calls: Mapping[str, bytes]) -> bytearray:
            return _after(machine, code, bytes(image), built.refusals, calls)

        boot = {"boot": built.boot, "step": PRIME} if built.boot else {}
        return after(image_of(after(built.image, boot)), {"step": PRIME})


def _after(
    machine: Machine, code: Module, image: bytes, refusals: tuple[str, ...], calls: Mapping[str, bytes]
) -> bytearray:
    """The heap of an instance that was handed these, by the export that takes each."""
    with machine.mapped(machine.compile(image)) as mapped:
        instance = Instance(code, mapped, 1 << 32, refusals)
        try:
            instance.seed(_PRIMING_KEY)
            for name, data in calls.items():
                raw = instance.step(name, time.time_ns(), data, PRIME_MS, PRIME_OUTPUT_BYTES)
                if raw and (effects := decode_effects(raw, Limits()).effects):
                    raise EngineError(f"the guest's own machinery does not work: {effects[0]}")
            return take(instance, PRIME_MS)
        finally:
            instance.close()


def _base_name(language: str, key: str) -> str:
    return f"base-{language}-{key[:32]}.cwasm"
