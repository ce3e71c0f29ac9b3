"""`/api/v1/status`: how the server and its workers are, summed over all processes. For the dashboard and programs."""

from __future__ import annotations

import asyncio
from time import monotonic, time
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

import msgspec
from pyworkerd_config.model import Worker

from pyworkerd.observe.snapshot import label
from pyworkerd.observe.summary import Figures, Lately, Window, figures_of, percentile, total
from pyworkerd.versions.model import CONFIGURED

from .api import Route
from .metrics import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pyworkerd_config import Config

    from .api import Call
    from .routes import Server

FRESH_S: Final = 1.0
"""As old a sum may be that is answered again: many readers cost as much as one."""
MOST: Final = 200
"""Workers of one answer."""
NAME: Final = 256


class Latency(msgspec.Struct):
    """Milliseconds from a request's arrival at its worker to the beginning of the answer; null: there was none."""

    p50: float | None
    p95: float | None
    p99: float | None


class Recent(msgspec.Struct):
    """What happened in the last seconds."""

    seconds: float
    requests: float
    """For each second, as are the others."""
    errors: float
    calls: float
    call_errors: float
    cold_starts: float
    cpu: float
    """Cores used."""
    latency: Latency


class Summary(msgspec.Struct):
    """Of one worker or of all. Counts are since the start."""

    requests: int
    errors: int
    """Answered with a status of 500 and above."""
    canceled: int
    """The client had gone."""
    calls: int
    """Method calls and handlers that no client waits for."""
    call_errors: int
    cold_starts: int
    cpu_s: float
    memory_bytes: int
    """Linear memory of live isolates, most of it shared."""
    isolates: dict[str, int]
    """By state."""
    queue: int
    """Requests and calls that wait for an isolate."""
    queue_wait_ms: float | None
    """Mean of all that have waited or not."""
    evictions: int
    failures: int
    """Isolates that a trap or a breach of the protocol ended."""
    limits: dict[str, int]
    """How often each was reached."""
    log_entries: int
    latency: Latency
    lately: Recent | None
    """Null as long as nobody has asked before."""


class WorkerSummary(Summary):
    """Of one worker."""

    name: str = ""
    """`(others)`: those that have no label of their own in the metrics."""
    configured: bool = True
    """Whether the configuration names it; others were loaded, or were there before a reload."""
    versions: dict[str, float] = {}
    """What answers, and how many percent of the requests each: `configured`, or what was deployed."""


class Status(msgspec.Struct):
    """How things stand."""

    time: float
    server: dict[str, Any]
    """As on `/processes`."""
    serving: int
    """Processes that take new requests."""
    wanted: int
    total: Summary
    workers: list[WorkerSummary]
    found: int
    """Workers that the query matches, on this page of the answer or not."""
    known: int
    """Workers."""


Sort = Literal["name", "requests", "errors", "latency", "cpu", "memory"]


class StatusQuery(msgspec.Struct, forbid_unknown_fields=True):
    """Which workers, in which order."""

    worker: Annotated[str, msgspec.Meta(max_length=NAME)] = ""
    """Part of the name."""
    name: Annotated[str, msgspec.Meta(max_length=NAME)] = ""
    """All of the name."""
    sort: Sort = "requests"
    offset: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=MOST)] = 50


class Standing:
    """What is known of one server, no older than `FRESH_S`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._window = Window()
        self._figures: dict[str, Figures] = {}
        self._at = float("-inf")
        self._asking = asyncio.Lock()

    async def now(self) -> tuple[dict[str, Figures], float, Mapping[str, Sequence[int]]]:
        """By worker; and what it was so many seconds ago."""
        async with self._asking:
            if monotonic() - self._at > FRESH_S:
                snapshot = await counted(self._server)
                self._figures, self._at = figures_of(snapshot), monotonic()
                for name in versions_of(self._server.config):
                    self._figures.setdefault(name, Figures())
                self._window.add(self._at, self._figures)
        return self._figures, *self._window.before(self._at)


def versions_of(config: Config) -> dict[str, dict[str, float]]:
    """What answers for the workers of a configuration, by their labels in the metrics."""
    found: dict[str, dict[str, float]] = {}
    for service in config.services:
        if not isinstance(service.kind, Worker):
            continue
        second = service.rollout
        first = 100.0 if second is None else 100.0 - second.percent
        found[label(service.name)] = {service.version or CONFIGURED: first}
        if second is not None:
            found[label(service.name)][second.version] = second.percent
    return found


async def _status(call: Call) -> Status:
    query: StatusQuery = call.query
    figures, seconds, before = await call.server.live.standing.now()
    versions = versions_of(call.server.config)
    wanted = query.worker.casefold()
    names = [name for name in figures if wanted in name.casefold() and (not query.name or name == query.name)]
    then = before if seconds else None
    key = _SORTS[query.sort]
    lately = {name: _difference(figures[name], then, name) for name in names}
    names.sort(key=lambda name: (*key(figures[name], lately[name]), name))
    shown = names[query.offset : query.offset + query.limit]
    everything = total(figures)
    sums = None if then is None else [sum(column) for column in zip(*then.values(), strict=True)] or None
    serving, processes = call.server.readiness()
    return Status(
        time(), dict(call.server.describe()), serving, processes,
        Summary(**_fields(everything, Lately(everything, sums) if sums else None, seconds)),
        [
            WorkerSummary(
                **_fields(figures[name], lately[name], seconds), name=name, configured=name in versions,
                versions=versions.get(name, {}),
            )
            for name in shown
        ],
        len(names), len(figures),
    )  # fmt: skip


def _difference(now: Figures, before: Mapping[str, Sequence[int]] | None, name: str) -> Lately | None:
    return None if before is None else Lately(now, before.get(name))


def _fields(each: Figures, lately: Lately | None, seconds: float) -> dict[str, Any]:
    return {
        "requests": each.requests, "errors": each.errors, "canceled": each.canceled, "calls": each.calls,
        "call_errors": each.call_errors, "cold_starts": each.cold_starts, "cpu_s": round(each.cpu_ns / 1e9, 6),
        "memory_bytes": each.memory, "isolates": each.isolates, "queue": each.queue,
        "queue_wait_ms": round(each.waited_ns / each.waits / 1e6, 3) if each.waits else None,
        "evictions": each.evictions, "failures": each.failures, "limits": each.limits,
        "log_entries": each.logged, "latency": _latency(each.buckets),
        "lately": None if lately is None else _recent(lately, seconds),
    }  # fmt: skip


def _recent(lately: Lately, seconds: float) -> Recent:
    def rate(count: float) -> float:
        return round(count / seconds, 4)

    return Recent(
        round(seconds, 3), rate(lately.requests), rate(lately.errors), rate(lately.calls),
        rate(lately.call_errors), rate(lately.cold_starts), rate(lately.cpu_ns / 1e9), _latency(lately.buckets),
    )  # fmt: skip


def _latency(buckets: Sequence[int]) -> Latency:
    return Latency(percentile(buckets, 0.5), percentile(buckets, 0.95), percentile(buckets, 0.99))


_SORTS: Final[Mapping[str, Any]] = {
    "name": lambda _, __: (),
    "requests": lambda each, lately: (-(lately.requests if lately else 0), -each.requests),
    "errors": lambda each, lately: (-(lately.errors + lately.call_errors if lately else 0), -each.errors),
    "latency": lambda each, lately: (-(percentile(lately.buckets if lately else each.buckets, 0.95) or 0),),
    "cpu": lambda each, lately: (-(lately.cpu_ns if lately else 0), -each.cpu_ns),
    "memory": lambda each, _: (-each.memory,),
}
"""Keys by which what matters most comes first."""

ROUTES: Final = (
    Route("GET", "/status", _status, "How the server and its workers are", Status, query=StatusQuery),
)
