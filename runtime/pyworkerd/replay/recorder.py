"""Which invocations are recorded, and the thread that writes them down. One for each runtime that records.

Nothing here holds up a request: an isolate's steps go onto a tape in memory, bounded, and when the isolate has ended a
thread hides what must not be written, and writes. What there is no room for is not recorded, and the log says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import queue
import threading
from collections import OrderedDict
from functools import lru_cache
from importlib.metadata import version
from random import random
from time import time
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_isolates import wire
from pyworkerd_isolates.bundle import Bundle, Folder
from pyworkerd_isolates.errors import BundleError, IsolateError
from pyworkerd_isolates.protocol import Fail, Respond
from pyworkerd_isolates.replay.isolates import Tape
from pyworkerd_isolates.replay.recording import MAX_FILES, Recording, encode
from pyworkerd_isolates.replay.telling import read_effects

from .ring import Ring
from .twin import censored

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.limits import Limits

    from pyworkerd.dispatch.invocation import Invocation
    from pyworkerd.dispatch.worker import Worker

    from .options import RecordOptions

logger = logging.getLogger("pyworkerd.replay")

AT_ONCE: Final = 2
"""Invocations of one worker that are recorded at once: each has an isolate of its own, and a tape."""
TAPES: Final = 8
"""The same of all workers: 8 MiB each at most."""
WAITING_BYTES: Final = 64 * 1024 * 1024
WAITING: Final = 1000
"""Of tapes that wait to be written; what comes then is not."""
KNOWN: Final = 64
"""Images whose digest is remembered, and those of their files."""
STORAGE: Final = "_storage"
"""What the name of a language's engine ends in, if it is that of workers with Durable Objects."""
CLOSE_S: Final = 5.0
"""How long the end waits for what is to be written."""


class _Ended(NamedTuple):
    """An isolate that was recorded, and has ended."""

    tape: Tape
    worker: str
    image: Image
    limits: Limits
    source: Folder | Bundle | None
    bindings: Mapping[str, str]
    began_ms: int
    request_id: str
    trace_id: str
    failed: bool


class _Known(NamedTuple):
    digest: str
    files: dict[str, str]


class Recorder:
    """Called on the event loop's thread, but for `close`, which blocks."""

    def __init__(self, options: RecordOptions, cache: Path) -> None:
        self.options = options
        self._cache = cache
        """Where images are."""
        self._ring = Ring(options.folder, options.keep)
        self._waiting: queue.SimpleQueue[_Ended | None] = queue.SimpleQueue()
        self._tapes = self._held = self._queued = 0
        """Isolates that are recorded now; bytes and number of what waits to be written."""
        self._lock = threading.Lock()
        self._known: OrderedDict[str, _Known] = OrderedDict()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._told = self._late = False
        self.dropped = 0
        """Chosen, and not recorded for want of room."""

    def begin(self) -> Tape | None:
        """A tape, if chance chooses this invocation and there is room."""
        if self._closed or random() >= self.options.rate:  # noqa: S311 - a choice, no secret
            return None
        if self._tapes >= TAPES:
            self.dropped += 1
            return None
        self._tapes += 1
        return Tape()

    def end(
        self, tape: Tape, worker: Worker, image: Image, invocation: Invocation, bindings: Mapping[str, str]
    ) -> None:
        """Its isolate has ended: write it down."""
        self._tapes -= 1
        if not tape.steps or self._closed:
            return
        with self._lock:
            fits = self._queued < WAITING and self._held + tape.size <= WAITING_BYTES
            if fits:
                self._queued, self._held = self._queued + 1, self._held + tape.size
        if not fits:
            self.dropped += 1
            return
        waited_s = worker.loop.time() - invocation.since
        ended = _Ended(
            tape, worker.name, image, worker.limits, worker.source, bindings, int((time() - waited_s) * 1000),
            invocation.scope.request_id, invocation.scope.trace_id, invocation.failed,
        )  # fmt: skip
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="pyworkerd-record", daemon=True)
            self._thread.start()
        self._waiting.put(ended)

    def close(self) -> None:
        """Write what waits, for `CLOSE_S` at most."""
        self._closed = True
        if self._thread is not None:
            self._waiting.put(None)
            self._thread.join(CLOSE_S)
            self._late = True
        if self.dropped:
            logger.warning("%d invocations were not recorded: too many at once", self.dropped)

    # on the thread ---------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        from pyworkerd.dispatch.threads import give_way  # noqa: PLC0415 (in a circle)

        give_way()
        while (ended := self._waiting.get()) is not None:
            try:
                if not self._late:
                    self._write(ended)
            except (OSError, IsolateError) as error:
                if not self._told:
                    logger.warning("an invocation of %s could not be recorded: %s", ended.worker, error)
                self._told = True
            except Exception:
                logger.exception("an invocation of %s could not be recorded", ended.worker)
            finally:
                with self._lock:
                    self._queued, self._held = self._queued - 1, self._held - ended.tape.size

    def _write(self, ended: _Ended) -> None:
        if self.options.only_failures and not _failed(ended):
            return
        known = self._look(ended)
        language, storage, _ = ended.image.engine.language.partition(STORAGE)
        tape, limits = ended.tape, ended.limits
        recording = Recording(
            ended.worker, language, bool(storage), ended.image.name, known.digest, limits.cpu_ms, limits.memory_mb,
            ended.began_ms, ended.request_id, ended.trace_id, tape.key, tuple(tape.steps), tape.complete,
            files=known.files, version=_version(),
        )  # fmt: skip
        recording = censored(recording, ended.bindings, ended.image, ended.limits)
        self._ring.put(ended.worker, ended.request_id, ended.began_ms, encode(recording))

    def _look(self, ended: _Ended) -> _Known:
        """The digest of an image, and of the files that it was made from as far as they are still there."""
        name = ended.image.name
        if name not in self._known:
            self._known[name] = _Known(_digest_of(self._cache / name), _files_of(ended.source, name))
            while len(self._known) > KNOWN:
                self._known.popitem(last=False)
        return self._known[name]


@lru_cache(1)
def _version() -> str:
    return version("pyworkerd")


def values_of(worker: Worker, names: frozenset[str]) -> dict[str, str]:
    """The values of these bindings of a worker, those that are text."""
    found = {}
    for entry in worker.environment:
        if entry[0] in names and isinstance(entry[2], bytes):
            value = wire.load_value(entry[2])
            if isinstance(value, str):
                found[entry[0]] = value
    return found


def _failed(ended: _Ended) -> bool:
    if ended.failed or any(step.failure for step in ended.tape.steps):
        return True
    for step in ended.tape.steps:
        if step.answer is not None:
            for effect in read_effects(step.answer, ended.limits).effects:
                if isinstance(effect, Fail) or (isinstance(effect, Respond) and effect.status >= 500):
                    return True
    return False


def _digest_of(image: Path) -> str:
    with contextlib.suppress(OSError), image.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


def _files_of(source: Folder | Bundle | None, image: str) -> dict[str, str]:
    try:
        bundle = source.read() if isinstance(source, Folder) else source
    except BundleError:
        return {}
    if bundle is None or bundle.digest()[:32] != image.split("-")[2] or len(bundle.files) > MAX_FILES:
        return {}  # they are others by now
    return {name: hashlib.sha256(data).hexdigest() for name, data in bundle.files.items()}
