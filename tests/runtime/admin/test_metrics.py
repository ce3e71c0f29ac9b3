"""The page that Prometheus reads."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text
from pyworkerd.admin.metrics import metrics
from pyworkerd.messages import Request
from pyworkerd.observe.snapshot import Snapshot, pack

from tests.runtime.admin.test_routes import Fixed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client import Metric


OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def said(steps: int) -> bytes:
    snapshot: Snapshot = {"steps": {("shop",): (steps,)}, "isolates": {("shop", "idle"): (1,)}}
    return pack(snapshot)


def read(server: Fixed, accept: str = "") -> tuple[str, str]:
    request = Request("GET", "http://localhost/metrics", (("accept", accept),) if accept else ())
    answer = asyncio.run(metrics(server, request))
    assert answer.status == 200
    assert answer.body.data is not None
    return answer.body.data.decode(), answer.header("content-type") or ""


@pytest.mark.parametrize(
    ("accept", "kind", "reader"),
    [
        ("", "text/plain; version=0.0.4", read_text),
        ("*/*", "text/plain; version=0.0.4", read_text),
        (
            OPENMETRICS,
            OPENMETRICS,
            read_openmetrics,
        ),
    ],
)
def test_the_sum_of_all_processes_in_either_format(
    accept: str, kind: str, reader: Callable[[str], Iterable[Metric]]
) -> None:
    server = Fixed(2)
    server.answers = {1: said(3), 2: said(4)}
    text, content_type = read(server, accept)
    assert content_type.startswith(kind)
    values = {sample.name: sample.value for family in reader(text) for sample in family.samples}
    assert values == {"pyworkerd_steps_total": 7, "pyworkerd_isolates": 2}
    assert text.count("# EOF") == (reader is read_openmetrics)


def test_counters_do_not_fall_with_the_process_that_counted() -> None:
    server = Fixed(2)
    server.answers = {1: said(3), 2: said(4)}
    read(server)
    server.answers = {2: said(5)}
    text, _ = read(server)
    assert 'pyworkerd_steps_total{worker="shop"} 8.0' in text
    assert 'pyworkerd_isolates{state="idle",worker="shop"} 1.0' in text


def test_a_process_that_talks_nonsense_is_left_out_and_told(caplog: pytest.LogCaptureFixture) -> None:
    server = Fixed(2)
    server.answers = {1: said(3), 2: b"\xc1 nonsense"}
    with caplog.at_level(logging.ERROR):
        text, _ = read(server)
    assert 'pyworkerd_steps_total{worker="shop"} 3.0' in text
    assert "serving process 2" in caplog.text
    assert "nonsense" not in caplog.text


def test_nothing_was_counted() -> None:
    assert read(Fixed(0))[0] == ""
    assert read(Fixed(0), OPENMETRICS)[0] == "# EOF\n"
