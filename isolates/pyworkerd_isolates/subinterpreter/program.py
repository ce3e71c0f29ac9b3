"""A trusted worker, deployed: there is no image of it, but its top level has run once, and what it exports is known.

    program = programs.get(Folder(main, root), limits)
    isolate = program.start(limits)
    ...
    programs.release(program)

The isolate in which it ran becomes the first one. Every other one runs it again.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, NoReturn
from weakref import WeakSet

from pyworkerd_isolates.bundle import module_name
from pyworkerd_isolates.errors import BundleError, ImageError, TopLevelRaised, TopLevelTooSlow
from pyworkerd_isolates.languages import PYTHON

from .isolate import TrustedIsolate
from .running import Running, end

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pyworkerd_isolates.bundle import Folder
    from pyworkerd_isolates.limits import Limits

STARTUP_S: Final = 60.0
"""How long a top level may take that uses no CPU time: the most that `limits.startup_ms` can be."""
LOOK_MS: Final = 50.0


@dataclass(frozen=True, slots=True)
class Program:
    """Implements `kinds.Deployed`."""

    name: str
    handlers: Mapping[str, tuple[str, ...]]
    logs: tuple[tuple[str, str, str], ...]
    deploy_ms: float
    built: bool
    new: Callable[[Limits], TrustedIsolate] = field(repr=False)
    first: list[TrustedIsolate] = field(repr=False)
    """The isolate in which the top level was tried, until it is needed."""
    objects: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    memory_size: int = 0

    def start(self, limits: Limits) -> TrustedIsolate:
        """A new isolate, or the one in which the top level was tried. Does not wait. Raises `EngineError`."""
        try:
            isolate = self.first.pop()
        except IndexError:
            return self.new(limits)
        isolate.limits = limits
        return isolate

    def close(self) -> None:
        """Live isolates keep what they need."""
        while self.first:
            self.first.pop().end()


@dataclass(slots=True)
class _Held:
    """One program and how many use it. Its lock is held while it is made, so that others wait for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    program: Program | None = None
    users: int = 0


class Programs:
    """Those of one process, each once, however often its worker is deployed. Safe for threads.

    `begin` is called on each thread of an isolate, before anything else.
    """

    def __init__(self, begin: Callable[[], None] = lambda: None) -> None:
        self._begin = begin
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()
        self._running: WeakSet[Running] = WeakSet()

    def get(self, folder: Folder, limits: Limits) -> Program:
        """The program of a worker's files, as they are now; `release` it. Runs the top level unless it has run already.

        Raises `ImageError` or `EngineError`. Takes as long as the top level does.
        """
        began = time.perf_counter()
        name = _name(folder)
        with self._lock:
            held = self._held.setdefault(name, _Held())
            held.users += 1
        try:
            with held.lock:
                built = held.program is None
                program = held.program = held.program or self._make(name, folder, limits)
        except BaseException:
            self._drop(name)
            raise
        return replace(program, built=built, deploy_ms=(time.perf_counter() - began) * 1e3)

    def _make(self, name: str, folder: Folder, limits: Limits) -> Program:
        root = folder.root.resolve()
        module = module_name(folder.main.resolve().relative_to(root).as_posix())

        def new(limits: Limits) -> TrustedIsolate:
            running = Running(root, module, self._begin)
            with self._lock:
                self._running.add(running)
            return TrustedIsolate(running, limits)

        isolate = new(limits)
        try:
            _load(isolate)
        except TopLevelRaised as error:
            _explain(error)
        notes = isolate.notes
        if notes["objects"]:
            isolate.end()
            raise ImageError(
                f'{", ".join(sorted(notes["objects"]))}: a worker with isolation = "subinterpreter" has no Durable '
                'Objects; export them from another worker, with isolation = "wasm"'
            )
        return Program(
            name,
            {key: tuple(names) for key, names in notes["handlers"].items()},
            tuple((level, source, text) for level, source, text in notes["logs"]),
            deploy_ms=0.0,
            built=True,
            new=new,
            first=[isolate],
        )

    def release(self, program: Program) -> None:
        """Its worker needs it no more. Live isolates go on. Harmless after `close`."""
        self._drop(program.name)

    def _drop(self, name: str) -> None:
        with self._lock:
            held = self._held.get(name)
            if held is None:
                return
            held.users -= 1
            if held.users:
                return
            del self._held[name]
        if held.program is not None:
            held.program.close()

    def close(self) -> int:
        """End all isolates, and wait a moment for that; may block. Returns how many have not ended."""
        with self._lock:
            self._held.clear()
            running = list(self._running)
        return end(running)


def _name(folder: Folder) -> str:
    if folder.language is not PYTHON:
        raise BundleError(f"{folder.main} is not a Python file, and only these run in subinterpreters")
    described = f"{folder.main}\0{folder.root.resolve()}\0{folder.signature().digest}"
    return f"trusted-{hashlib.sha256(os.fsencode(described)).hexdigest()[:32]}"


def _load(isolate: TrustedIsolate) -> None:
    deadline = time.monotonic() + STARTUP_S
    while not isolate.load(LOOK_MS):
        if time.monotonic() > deadline:
            isolate.give_up()
            raise TopLevelTooSlow(f"the worker's top level did not end within {STARTUP_S:g} s")


def _explain(error: TopLevelRaised) -> NoReturn:
    if str(error).startswith("ImportError") and "subinterpreter" in str(error):
        raise TopLevelRaised(
            f"{error}. Each isolate of this kind is a subinterpreter: take a version of that package that supports "
            "them, or do without it, or run it in a process of its own, as a service of kind external",
            file=error.file,
            line=error.line,
            detail=error.detail,
        ) from None
    raise error
