"""What is counted while workers run: additions to whole numbers, and nothing else, on the way of every request.

Rule 1: a name has one record, also across versions of its worker and while it sleeps, so that counters only go up.
Rule 2: only so many names have a record of their own. All others share one: a record that is shared is never split
        again, so its counters only go up as well.
Rule 3: the record of a worker that is gone stays until another one needs its label; the one that rests longest goes
        first.
"""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from .families import BOUNDS_MS, CLASSES, OTHERS
from .snapshot import add, label

if TYPE_CHECKING:
    from collections.abc import Callable

    from .snapshot import Snapshot

_Name = TypeVar("_Name")
_Record = TypeVar("_Record")

LABELLED: Final = 1000
"""Workers with a label of their own; each makes up to some forty lines of a scrape."""
VERSIONS: Final = 100
"""Versions with a label of their own, two of each worker whose requests they share: some twenty lines of a scrape."""
_BOUNDS_NS: Final = tuple(bound * 1_000_000 for bound in BOUNDS_MS)
LIMITS: Final = {
    "exceeded_cpu": "cpu_ms",
    "exceeded_memory": "memory_mb",
    "exceeded_wall_time": "wall_ms",
    "exceeded_subrequests": "subrequests",
    "exceeded_output": "output",
    "exceeded_depth": "depth",
    "exceeded_websockets": "websockets",
    "exceeded_stubs": "stubs",
    "overloaded": "queue",
    "body_too_large": "request_body_mb",
}
"""Error codes that say that a limit was reached, and its name."""

_of_threads: Final = threading.Lock()


class WorkerCounters:
    """The record of one worker. Times are in nanoseconds."""

    __slots__ = (
        "answers",
        "buckets",
        "calls",
        "cold_starts",
        "cpu_ns",
        "d1_interrupted",
        "d1_ns",
        "evictions",
        "failed_calls",
        "failures",
        "hibernations",
        "limits",
        "log_entries",
        "lost",
        "steps",
        "total_ns",
        "waited_ns",
        "waits",
        "wakes",
    )  # fmt: skip

    def __init__(self) -> None:
        self.answers = [0] * len(CLASSES)
        self.failures: dict[tuple[str, str], int] = {}
        """By class of status and code."""
        self.buckets = [0] * (len(_BOUNDS_NS) + 1)
        self.total_ns = 0
        self.calls = 0
        self.failed_calls: dict[str, int] = {}
        self.cold_starts = 0
        self.steps = 0
        """That ended, well or not."""
        self.cpu_ns = 0
        self.d1_ns = 0
        """CPU time of queries, and those of them that were interrupted because they had used up theirs. Written by
        threads of the storage alone, and by one at a time."""
        self.d1_interrupted = 0
        self.evictions = 0
        self.hibernations = 0
        self.wakes = 0
        self.lost = 0
        """Isolates that a failure ended."""
        self.limits: dict[str, int] = {}
        self.waits = 0
        """Requests and calls that got their isolates."""
        self.waited_ns = 0
        self.log_entries = 0

    def answered(self, status: int, took_ns: int) -> None:
        """A worker answered a request."""
        self.answers[status // 100] += 1
        self.buckets[bisect_left(_BOUNDS_NS, took_ns)] += 1
        self.total_ns += took_ns

    def failed(self, status: int, code: str, took_ns: int) -> None:
        """The runtime answered in its place, or nobody did (status 0)."""
        key = (CLASSES[status // 100], code)
        self.failures[key] = self.failures.get(key, 0) + 1
        self.buckets[bisect_left(_BOUNDS_NS, took_ns)] += 1
        self.total_ns += took_ns

    def call_failed(self, code: str) -> None:
        """A method call failed."""
        self.failed_calls[code] = self.failed_calls.get(code, 0) + 1

    def limit(self, code: str) -> None:
        """A limit was reached: by the code of its error, or by its own name."""
        name = LIMITS.get(code, code)
        self.limits[name] = self.limits.get(name, 0) + 1

    def queried(self, used_ns: int, *, interrupted: bool) -> None:
        """A query of its D1 is over. On any thread."""
        with _of_threads:
            self.d1_ns += used_ns
            self.d1_interrupted += interrupted

    def write(self, snapshot: Snapshot, worker: str) -> None:
        """Add it to a snapshot."""
        for status, count in zip(CLASSES, self.answers, strict=True):
            add(snapshot, "requests", (worker, status, ""), count)
        for (status, code), count in self.failures.items():
            add(snapshot, "requests", (worker, status, code), count)
        add(snapshot, "request_duration_seconds", (worker,), *self.buckets, self.total_ns)
        add(snapshot, "rpc_calls", (worker, ""), self.calls)
        for code, count in self.failed_calls.items():
            add(snapshot, "rpc_calls", (worker, code), count)
        for limit, count in self.limits.items():
            add(snapshot, "limits_hit", (worker, limit), count)
        add(snapshot, "limits_hit", (worker, "query_ms"), self.d1_interrupted)
        add(snapshot, "queue_wait_seconds", (worker,), self.waits, self.waited_ns)
        for family, count in (
            ("cold_starts", self.cold_starts),
            ("steps", self.steps),
            ("cpu_seconds", self.cpu_ns),
            ("query_cpu_seconds", self.d1_ns),
            ("evictions", self.evictions),
            ("hibernations", self.hibernations),
            ("wakes", self.wakes),
            ("isolate_failures", self.lost),
            ("log_entries", self.log_entries),
        ):
            add(snapshot, family, (worker,), count)


class VersionCounters:
    """The record of one version, as long as another one of its worker answers as well."""

    __slots__ = ("answers", "buckets", "total_ns")

    def __init__(self) -> None:
        self.answers = [0] * len(CLASSES)
        self.buckets = [0] * (len(_BOUNDS_NS) + 1)
        self.total_ns = 0

    def answered(self, status: int, took_ns: int) -> None:
        """It answered a request, or the runtime did in its place; status 0: nobody was there any more."""
        self.answers[status // 100] += 1
        self.buckets[bisect_left(_BOUNDS_NS, took_ns)] += 1
        self.total_ns += took_ns

    def write(self, snapshot: Snapshot, version: tuple[str, str]) -> None:
        """Add it to a snapshot, by its worker's label and its own id."""
        for status, count in zip(CLASSES, self.answers, strict=True):
            add(snapshot, "version_requests", (*version, status), count)
        add(snapshot, "version_duration_seconds", version, *self.buckets, self.total_ns)


class _Records(Generic[_Name, _Record]):
    """Records by name; only so many names have one of their own."""

    def __init__(self, labelled: int, make: Callable[[], _Record]) -> None:
        self._labelled, self._make = labelled, make
        self._named: dict[_Name, _Record] = {}
        self._users: dict[_Name, int] = {}
        self._resting: dict[_Name, None] = {}
        """Names that nobody uses, in the order in which that began."""
        self._others = make()

    def take(self, name: _Name) -> _Record:
        """The record of a worker that has been loaded, again or for the first time. Give it back in the end."""
        if name not in self._named and len(self._named) >= self._labelled:
            if not self._resting:
                return self._others
            longest = next(iter(self._resting))
            del self._resting[longest], self._named[longest]
        self._resting.pop(name, None)
        self._users[name] = self._users.get(name, 0) + 1
        return self._named.setdefault(name, self._make())

    def give_back(self, name: _Name, record: _Record) -> None:
        """A version of the worker is gone, or sleeps. With the last one the record of its name begins to rest."""
        if self._named.get(name) is not record or name not in self._users:
            return
        self._users[name] -= 1
        if not self._users[name]:
            del self._users[name]
            self._resting[name] = None


class Meters(_Records[str, WorkerCounters]):
    """The records of all workers of a process. Whether a worker has one of its own is decided as it is loaded."""

    def __init__(self, labelled: int = LABELLED) -> None:
        super().__init__(labelled, WorkerCounters)
        self.versions = VersionMeters()

    def label(self, name: str) -> str:
        """The worker's label."""
        return label(name) if name in self._named else OTHERS

    def write(self, snapshot: Snapshot) -> None:
        """Add all records to a snapshot."""
        for name, record in self._named.items():
            record.write(snapshot, label(name))
        self._others.write(snapshot, OTHERS)
        self.versions.write(snapshot)


class VersionMeters(_Records[tuple[str, str], VersionCounters]):
    """The records of versions that share the requests of a worker, by its name and theirs."""

    def __init__(self, labelled: int = VERSIONS) -> None:
        super().__init__(labelled, VersionCounters)

    def write(self, snapshot: Snapshot) -> None:
        """Add all records to a snapshot."""
        for (name, version), record in self._named.items():
            record.write(snapshot, (label(name), version))
        self._others.write(snapshot, (OTHERS, OTHERS))
