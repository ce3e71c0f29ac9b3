"""Every metric there is: a table. Numbers are whole, so that sums do not depend on their order.

A worker is named by the label `worker`; what `counters.Meters` has no label for is together under `OTHERS`.
"""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram", "summary"]

BOUNDS_MS: Final = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)
"""Upper bounds of the histogram's buckets. Prometheus' own defaults (5 ms to 10 s), with finer ones below."""
CANCELLED: Final = "cancelled"
"""Beside the codes of errors: whoever asked had gone."""
CLASSES: Final = ("", "1xx", "2xx", "3xx", "4xx", "5xx")
"""Of status, by hundreds; none where nobody was answered."""
OTHERS: Final = "(others)"
"""Label of the workers that have none of their own."""


class Family(NamedTuple):
    """One metric: `pyworkerd_` and its key. A counter's name gets `_total`.

    The value of a histogram is the count of each bucket, of what is beyond the last, and the sum; that of a summary is
    count and sum. `scale` is how many of the whole numbers make one of the unit.
    """

    kind: Kind
    labels: tuple[str, ...]
    scale: int
    help: str

    @property
    def length(self) -> int:
        """How many numbers a value has."""
        return {"histogram": len(BOUNDS_MS) + 2, "summary": 2}.get(self.kind, 1)


_NS: Final = 1_000_000_000
_WORKER: Final = ("worker",)
_SOCKET: Final = ("socket",)

FAMILIES: Final[dict[str, Family]] = {
    "requests": Family(
        "counter", ("worker", "status", "code"), 1,
        "Requests to a worker, by class of status; code is that of the error where the runtime answered",
    ),
    "request_duration_seconds": Family(
        "histogram", _WORKER, _NS, "Time from a request's arrival at its worker to the beginning of the answer"
    ),
    "rpc_calls": Family(
        "counter", ("worker", "code"), 1, "Method calls to a worker; code is that of the error where one failed"
    ),
    "version_requests": Family(
        "counter", ("worker", "version", "status"), 1,
        "Requests to a worker of which two versions answer, by the one that was asked and class of status",
    ),
    "version_duration_seconds": Family(
        "histogram", ("worker", "version"), _NS, "Time that it took a version to begin its answer, while two answer"
    ),
    "cold_starts": Family("counter", _WORKER, 1, "Isolates that were started"),
    "steps": Family("counter", _WORKER, 1, "Steps, which are calls into an isolate"),
    "cpu_seconds": Family("counter", _WORKER, _NS, "CPU time of all steps"),
    "query_cpu_seconds": Family("counter", _WORKER, _NS, "CPU time of queries of its D1 databases"),
    "isolates": Family("gauge", ("worker", "state"), 1, "Live isolates by state"),
    "isolate_memory_bytes": Family(
        "gauge", _WORKER, 1,
        "Linear memory of live isolates, most of it shared; what waiting components have written to comes on top",
    ),
    "evictions": Family("counter", _WORKER, 1, "Idle isolates that were ended, for room or after idle time"),
    "hibernations": Family("counter", _WORKER, 1, "Durable Objects whose memory was put away"),
    "wakes": Family("counter", _WORKER, 1, "Durable Objects that have it back"),
    "isolate_failures": Family("counter", _WORKER, 1, "Isolates that a trap or a breach of the protocol ended"),
    "limits_hit": Family("counter", ("worker", "limit"), 1, "How often a limit was reached"),
    "queue_depth": Family("gauge", _WORKER, 1, "Requests and calls that wait for an isolate"),
    "queue_wait_seconds": Family("summary", _WORKER, _NS, "Time that requests and calls waited for an isolate"),
    "requests_limited": Family(
        "counter", ("service",), 1, "Requests that a rate limit of their service refused before it was asked"
    ),
    "log_entries": Family("counter", _WORKER, 1, "Log entries of a worker, and about it"),
    "log_lines_dropped": Family("counter", (), 1, "Lines that came faster than they could be written"),
    "reckoned_memory_bytes": Family("gauge", (), 1, "Private memory that isolates are reckoned at"),
    "hibernated_bytes": Family("gauge", (), 1, "On disk, for what Durable Objects that hibernate had in memory"),
    "memory_budget_bytes": Family("gauge", (), 1, "What isolates may take together"),
    "serving_processes": Family("gauge", (), 1, "Processes that these figures are the sum of"),
    "connections": Family("gauge", _SOCKET, 1, "Open connections"),
    "web_sockets": Family("gauge", _SOCKET, 1, "Those among the connections that have become WebSockets"),
    "connections_accepted": Family("counter", _SOCKET, 1, "Connections accepted"),
    "connections_refused": Family("counter", _SOCKET, 1, "Connections turned away at max_connections"),
    "arrivals_failed": Family("counter", _SOCKET, 1, "Connections without the TLS handshake or PROXY header they need"),
    "http_requests_active": Family("gauge", _SOCKET, 1, "Requests between their head and the end of the answer"),
    "http_responses": Family("counter", ("socket", "status"), 1, "Answers by class of status, refusals included"),
    "client_errors": Family("counter", _SOCKET, 1, "Requests refused before a service saw them; broken bodies"),
    "client_disconnects": Family("counter", _SOCKET, 1, "Clients that left before their answer was complete"),
    "client_timeouts": Family("counter", _SOCKET, 1, "Clients that were too slow"),
    "received_bytes": Family("counter", _SOCKET, 1, "Bytes read from connections"),
    "sent_bytes": Family("counter", _SOCKET, 1, "Bytes written to connections"),
}  # fmt: skip
