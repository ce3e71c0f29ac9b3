"""The engines of one process: each language's, loaded when the first worker needs it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from .engine import load_engine

if TYPE_CHECKING:
    from .cache import Cache
    from .engine import Engine, Progress
    from .languages import Language
    from .native import Machine


class Engines:
    """Safe for threads. `of` builds an engine that this machine does not have yet, which takes seconds."""

    def __init__(self, machine: Machine, cache: Cache, progress: Progress = lambda _: None) -> None:
        self.machine: Final = machine
        self._cache, self._progress = cache, progress
        self._loaded: dict[str, Engine] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def of(self, language: Language, *, has_storage: bool = False) -> Engine:
        """The engine of a language; with storage, that of workers that export Durable Objects. Whoever asks meanwhile
        waits for it. Raises `EngineError`.
        """
        name = f"{language.name} storage" if has_storage and language.has_storage_engine else language.name
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            engine = self._loaded.get(name)
            if engine is None:
                source = language.source(has_storage=has_storage)
                engine = load_engine(self.machine, self._cache, source, self._progress)
                self._loaded[name] = engine
            return engine

    def close(self) -> None:
        """Let go of all of them. Live isolates keep what they need."""
        for engine in self._loaded.values():
            engine.close()
        self._loaded.clear()
