"""A real `pyworkerd serve`, scraped over its admin address as Prometheus does, and read by the official parser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.runtime.cli.command import ask
from tests.runtime.supervisor.supervised import Supervised, supervised, write

if TYPE_CHECKING:
    from pathlib import Path

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
REQUESTS = 20


def scrape(admin: tuple[str, int], accept: str = "") -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Samples by name and labels."""
    answer = ask(admin, "/metrics", accept=accept or "*/*")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith(accept or "text/plain")
    found: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in (read_openmetrics if accept else read_text)(answer.body):
        for sample in family.samples:
            found.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return found


def scrape_all(
    served: Supervised, admin: tuple[str, int], accept: str = ""
) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """A scrape that both processes answered in time, which one of a busy machine may not."""
    for _ in range(50):
        seen = scrape(admin, accept)
        if seen.get("pyworkerd_serving_processes") == {(): 2}:
            return seen
    raise AssertionError(f"never two processes: {served.children()}")


def admin_of(served: Supervised) -> tuple[str, int]:
    host, _, port = served.errors.until("admin: ").removeprefix("admin: http://").rpartition(":")
    return host, int(port)


def test_what_two_processes_count_is_summed_and_outlives_them(tmp_path: Path) -> None:
    ok = (("code", ""), ("status", "2xx"), ("worker", "w"))
    with supervised(write(tmp_path), "--admin=127.0.0.1:0") as served:
        admin = admin_of(served)
        address = served.complete()
        for _ in range(REQUESTS):
            assert ask(address).status == 200
        assert ask(address, method="TRACE ME").status == 400
        for accept in ("", OPENMETRICS):
            seen = scrape_all(served, admin, accept)
            assert seen["pyworkerd_requests_total"] == {ok: REQUESTS}
            assert seen["pyworkerd_request_duration_seconds_count"] == {(("worker", "w"),): REQUESTS}
            assert (
                seen["pyworkerd_request_duration_seconds_bucket"][("le", "+Inf"), ("worker", "w")] == REQUESTS
            )
            assert seen["pyworkerd_http_responses_total"] == {
                (("socket", "http"), ("status", "2xx")): REQUESTS,
                (("socket", "http"), ("status", "4xx")): 1,
            }
            assert seen["pyworkerd_connections_accepted_total"] == {(("socket", "http"),): REQUESTS + 1}
            assert seen["pyworkerd_cpu_seconds_total"][(("worker", "w"),)] > 0
            assert 1 <= sum(seen["pyworkerd_isolates"].values()) <= 2
        killed = served.kill()
        served.settled(2, {killed})
        after = scrape(admin)
        assert after["pyworkerd_requests_total"] == {ok: REQUESTS}
        assert after["pyworkerd_cold_starts_total"] == seen["pyworkerd_cold_starts_total"]
