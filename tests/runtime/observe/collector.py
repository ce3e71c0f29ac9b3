"""A collector of OpenTelemetry: a real HTTP server that reads what OTLP is, with the official types."""

from __future__ import annotations

import gzip
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE_S = 60.0
"""Only what never comes takes so long."""


def value_of(value: Any) -> Any:
    """A value of an attribute."""
    kind = value.WhichOneof("value")
    return None if kind is None else getattr(value, kind)


def attributes_of(pairs: Any) -> dict[str, Any]:
    """Attributes by name."""
    return {pair.key: value_of(pair.value) for pair in pairs}


class Collector:
    """What was received: spans and metrics, each with the attributes of its resource under `resource`."""

    def __init__(self) -> None:
        self.spans: list[dict[str, Any]] = []
        self.metrics: list[dict[str, Any]] = []
        self.raw = b""
        self._changed = threading.Condition()
        self.url = ""

    def received(self, path: str, body: bytes) -> None:
        with self._changed:
            self.raw += body
            if path == "/v1/traces":
                self._spans(ExportTraceServiceRequest.FromString(body))
            elif path == "/v1/metrics":
                self._metrics(ExportMetricsServiceRequest.FromString(body))
            self._changed.notify_all()

    def _spans(self, request: Any) -> None:
        for each in request.resource_spans:
            for scope in each.scope_spans:
                for span in scope.spans:
                    self.spans.append(
                        {
                            "name": span.name, "trace": span.trace_id.hex(), "span": span.span_id.hex(),
                            "parent": span.parent_span_id.hex(), "kind": span.kind, "state": span.trace_state,
                            "status": span.status.code, "took": span.end_time_unix_nano - span.start_time_unix_nano,
                            "resource": attributes_of(each.resource.attributes), **attributes_of(span.attributes),
                        }
                    )  # fmt: skip

    def _metrics(self, request: Any) -> None:
        for each in request.resource_metrics:
            for scope in each.scope_metrics:
                for metric in scope.metrics:
                    kind = metric.WhichOneof("data")
                    data = getattr(metric, kind)
                    for point in data.data_points:
                        self.metrics.append(
                            {
                                "name": metric.name, "unit": metric.unit, "kind": kind, "point": point,
                                "labels": attributes_of(point.attributes),
                                "resource": attributes_of(each.resource.attributes),
                            }
                        )  # fmt: skip

    def until(self, ready: Callable[[Collector], bool]) -> Collector:
        """Wait until it has received what is waited for."""
        with self._changed:
            assert self._changed.wait_for(lambda: ready(self), PATIENCE_S), [s["name"] for s in self.spans]
        return self

    def named(self, name: str) -> dict[str, Any]:
        """The one span of this name."""
        (span,) = [span for span in self.spans if span["name"] == name]
        return span


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that runs, on a port of its own."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            collector.received(self.path, body)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
