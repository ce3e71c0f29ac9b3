"""From what was counted to what a person wants to see of each worker: sums, rates and percentiles. Pure.

Figures since the start are sums. What is *lately* is the difference of two sums, some seconds apart.
"""

from __future__ import annotations

from collections import deque
from itertools import accumulate
from typing import TYPE_CHECKING, Final

from .families import BOUNDS_MS, CANCELLED, FAMILIES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .snapshot import Labels, Snapshot, Value

LATELY_S: Final = 10.0
"""What `lately` goes back at most."""
APART_S: Final = 1.9
"""Between two sums that are kept for it."""
RATE_LIMITS: Final = "rate_limits"
"""Among the limits that were reached: requests that never came to the worker."""
_BUCKETS: Final = len(BOUNDS_MS) + 1


class Figures:
    """Of one worker, or of several together. What is not in `isolates`, `memory` and `queue` only grows."""

    __slots__ = (
        "buckets", "call_errors", "calls", "canceled", "cold_starts", "cpu_ns", "errors", "evictions", "failures",
        "isolates", "limits", "logged", "memory", "queue", "requests", "waited_ns", "waits",
    )  # fmt: skip

    def __init__(self) -> None:
        self.requests = self.errors = self.canceled = self.calls = self.call_errors = 0
        self.buckets = [0] * _BUCKETS
        self.cpu_ns = self.cold_starts = self.evictions = self.failures = self.logged = 0
        self.waits = self.waited_ns = 0
        self.limits: dict[str, int] = {}
        self.isolates: dict[str, int] = {}
        self.memory = self.queue = 0

    def counters(self) -> tuple[int, ...]:
        """What rates and percentiles are made of."""
        return (
            self.requests, self.errors, self.calls, self.call_errors, self.cold_starts, self.cpu_ns, *self.buckets,
        )  # fmt: skip

    def add(self, other: Figures) -> None:
        """Add those of another worker."""
        for name in self.__slots__:
            mine, theirs = getattr(self, name), getattr(other, name)
            if isinstance(mine, int):
                setattr(self, name, mine + theirs)
            elif isinstance(mine, list):
                self.buckets = [a + b for a, b in zip(mine, theirs, strict=True)]
            else:
                for key, count in theirs.items():
                    mine[key] = mine.get(key, 0) + count


class Lately:
    """What happened between two sums: by the names of `Figures`."""

    __slots__ = ("buckets", "call_errors", "calls", "cold_starts", "cpu_ns", "errors", "requests")

    def __init__(self, now: Figures, before: Sequence[int] | None) -> None:
        # A sum can only fall where a process was forgotten, or a record was given to another worker.
        then = before or [0] * (6 + _BUCKETS)
        changed = [max(a - b, 0) for a, b in zip(now.counters(), then, strict=True)]
        self.requests, self.errors, self.calls, self.call_errors, self.cold_starts, self.cpu_ns = changed[:6]
        self.buckets = changed[6:]


class Window:
    """The sums of the last seconds."""

    def __init__(self) -> None:
        self._kept: deque[tuple[float, dict[str, tuple[int, ...]]]] = deque()

    def add(self, now: float, figures: Mapping[str, Figures]) -> None:
        """Keep these sums, if the ones before are old enough."""
        while len(self._kept) > 1 and now - self._kept[1][0] >= LATELY_S:
            self._kept.popleft()
        if not self._kept or now - self._kept[-1][0] >= APART_S:
            self._kept.append((now, {name: each.counters() for name, each in figures.items()}))

    def before(self, now: float) -> tuple[float, Mapping[str, Sequence[int]]]:
        """How many seconds ago the oldest sums are, and they; 0 and nothing where there are none."""
        while self._kept and now - self._kept[0][0] > 2 * LATELY_S:
            self._kept.popleft()  # nobody has looked for a while
        if not self._kept:
            return 0.0, {}
        return now - self._kept[0][0], self._kept[0][1]


def percentile(buckets: Sequence[int], share: float) -> float | None:
    """Milliseconds below which this share of the requests was answered, None of none.

    Within a bucket they are taken as spread evenly, and what is beyond the last one as at its bound: as Prometheus'
    `histogram_quantile` does.
    """
    total = sum(buckets)
    if not total:
        return None
    wanted = share * total
    for index, reached in enumerate(accumulate(buckets)):
        if reached >= wanted and buckets[index]:
            if index == len(BOUNDS_MS):
                break
            lower = BOUNDS_MS[index - 1] if index else 0
            inside = (wanted - (reached - buckets[index])) / buckets[index]
            return round(lower + (BOUNDS_MS[index] - lower) * inside, 3)
    return float(BOUNDS_MS[-1])


def figures_of(snapshot: Snapshot) -> dict[str, Figures]:
    """By worker; those that have no label of their own are together under `families.OTHERS`."""
    found: dict[str, Figures] = {}
    for family, read in _READ.items():
        names = FAMILIES[family].labels
        of_worker = names.index("worker" if "worker" in names else "service")
        for labels, value in snapshot.get(family, {}).items():
            name = labels[of_worker]
            read(found.setdefault(name, Figures()), labels, value)
    return found


def total(figures: Mapping[str, Figures]) -> Figures:
    """All together."""
    everything = Figures()
    for each in figures.values():
        everything.add(each)
    return everything


def _requests(to: Figures, labels: Labels, value: Value) -> None:
    _, status, code = labels
    to.requests += value[0]
    if code == CANCELLED:
        to.canceled += value[0]
    elif status == "5xx" or not status:
        to.errors += value[0]


def _calls(to: Figures, labels: Labels, value: Value) -> None:
    to.calls += value[0]
    if labels[1] and labels[1] != CANCELLED:
        to.call_errors += value[0]


def _durations(to: Figures, _: Labels, value: Value) -> None:
    to.buckets = [a + b for a, b in zip(to.buckets, value, strict=False)]


def _waits(to: Figures, _: Labels, value: Value) -> None:
    to.waits += value[0]
    to.waited_ns += value[1]


def _by(field: str) -> Callable[[Figures, Labels, Value], None]:
    def read(to: Figures, labels: Labels, value: Value) -> None:
        counts = getattr(to, field)
        counts[labels[1]] = counts.get(labels[1], 0) + value[0]

    return read


def _sum(field: str) -> Callable[[Figures, Labels, Value], None]:
    return lambda to, _, value: setattr(to, field, getattr(to, field) + value[0])


def _refused(to: Figures, _: Labels, value: Value) -> None:
    to.limits[RATE_LIMITS] = to.limits.get(RATE_LIMITS, 0) + value[0]


_READ: Final[Mapping[str, Callable[[Figures, Labels, Value], None]]] = {
    "requests": _requests,
    "request_duration_seconds": _durations,
    "rpc_calls": _calls,
    "queue_wait_seconds": _waits,
    "isolates": _by("isolates"),
    "limits_hit": _by("limits"),
    "requests_limited": _refused,
    "cpu_seconds": _sum("cpu_ns"),
    "cold_starts": _sum("cold_starts"),
    "evictions": _sum("evictions"),
    "isolate_failures": _sum("failures"),
    "log_entries": _sum("logged"),
    "isolate_memory_bytes": _sum("memory"),
    "queue_depth": _sum("queue"),
}
"""What is read of which family."""
