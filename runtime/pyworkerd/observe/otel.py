"""OpenTelemetry: spans and metrics to a collector, by the official SDK over OTLP. The extra `pyworkerd[otel]`.

    telemetry = Telemetry(serving.metrics)
    telemetry.start()
    ...
    await telemetry.aclose()

What the SDK does is configured by its own environment variables (`OTEL_...`). It sends on threads of its own, from
bounded queues: what finds no room is dropped, and no request waits. So it starts after the last fork of a process.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import threading
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import Decision
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    TraceState,
    set_span_in_context,
)

from pyworkerd.errors import ConfigurationError

from . import spans
from .otel_metrics import Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.sdk.trace.sampling import Sampler

    from .snapshot import Snapshot
    from .spans import Span

logger = logging.getLogger("pyworkerd.otel")

SERVICE: Final = "pyworkerd"
CLOSE_S: Final = 2.0
"""How long the end waits for what is still to be sent."""
SNAPSHOT_S: Final = 10.0
"""How long the thread that sends metrics waits for the event loop's figures."""
_KINDS: Final = {
    "server": SpanKind.SERVER,
    "client": SpanKind.CLIENT,
    "producer": SpanKind.PRODUCER,
    "internal": SpanKind.INTERNAL,
}
_STATE_KEY: Final = re.compile(
    r"[a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13}"
)
"""Of a member of `tracestate`, as level 1 of Trace Context has it. The SDK takes no more, and would write into the log
each time that a client sent what level 2 allows."""
_SCOPE: Final = InstrumentationScope(SERVICE, version("pyworkerd"))
_OK: Final = Status(StatusCode.UNSET)


class Telemetry:
    """One for each process that serves. Made, started and closed on its event loop."""

    def __init__(self, snapshot: Callable[[], Snapshot]) -> None:
        self._snapshot = snapshot
        self._loop = asyncio.get_running_loop()
        self._resource = resource()
        self._spans: BatchSpanProcessor | None = None
        self._metrics: Sender | None = None

    def start(self) -> None:
        """Send from now on. `OTEL_SDK_DISABLED`, and exporters that are `none`, are heeded.

        Raises `ConfigurationError` for what the SDK does not take.
        """
        try:
            self._start()
        except (OSError, ValueError) as error:
            raise ConfigurationError(
                f"the SDK of OpenTelemetry cannot be used as OTEL_... says: {error}"
            ) from error

    def _start(self) -> None:
        if os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
            return
        if _exports("TRACES"):
            # Of the provider only the sampler that the environment names: ids are given out long before a span ends.
            provider = TracerProvider(resource=self._resource, shutdown_on_exit=False)
            self._spans = BatchSpanProcessor(OTLPSpanExporter())
            spans.tell(self._ended, _Decision(provider.sampler))
        if _exports("METRICS"):
            self._metrics = Sender(OTLPMetricExporter(), self._from_the_loop, self._resource, _SCOPE)

    def _ended(self, span: Span) -> None:
        """A span is over. Puts it into the queue, and blocks for nothing."""
        if self._spans is not None:
            self._spans.on_end(readable(span, self._resource))

    def _from_the_loop(self) -> Snapshot:
        """The figures, from another thread. Raises TimeoutError, or RuntimeError where the loop has ended."""

        async def take() -> Snapshot:
            return self._snapshot()

        return asyncio.run_coroutine_threadsafe(take(), self._loop).result(SNAPSHOT_S)

    async def aclose(self) -> None:
        """Send what waits, for `CLOSE_S` at most; nothing is told any more."""
        spans.tell(None)
        ended = asyncio.Event()
        # A collector that does not answer is waited for by a thread that no exit waits for.
        threading.Thread(target=self._shut, args=(ended,), name="pyworkerd-otel", daemon=True).start()
        try:
            async with asyncio.timeout(CLOSE_S):
                await ended.wait()
        except TimeoutError:
            logger.warning("the OpenTelemetry collector does not answer: what was to be sent last is lost")

    def _shut(self, ended: asyncio.Event) -> None:
        try:
            if self._spans is not None:
                self._spans.shutdown()  # type: ignore[no-untyped-call]
            if self._metrics is not None:
                self._metrics.close()
        finally:
            with contextlib.suppress(RuntimeError):  # nobody waited so long
                self._loop.call_soon_threadsafe(ended.set)


class _Decision:
    """The SDK's sampler, asked where a trace comes in. See `spans.Decide`."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def __call__(self, trace_id: str, parent: tuple[str, int] | None) -> bool:
        number = int(trace_id, 16)
        context = Context()
        if parent is not None:
            sender = SpanContext(number, int(parent[0], 16), True, TraceFlags(parent[1]))
            context = set_span_in_context(NonRecordingSpan(sender), context)
        found = self._sampler.should_sample(context, number, "request", SpanKind.SERVER)
        return found.decision is Decision.RECORD_AND_SAMPLE


def readable(span: Span, about: Resource) -> ReadableSpan:
    """A span as the SDK has it. A `Tracer` gives ids by itself; these are known already, to whoever was called."""
    trace_id, flags = int(span.trace_id, 16), TraceFlags(span.flags)
    state = _state(span.state) if span.state else None
    attributes: dict[str, Any] = dict(span.attributes)
    status = _OK
    if span.error:
        attributes["error.type"] = span.error
        status = Status(StatusCode.ERROR)
    return ReadableSpan(
        span.name,
        SpanContext(trace_id, int(span.span_id, 16), False, flags, state),
        SpanContext(trace_id, int(span.parent_id, 16), False, flags, state) if span.parent_id else None,
        about,
        attributes,
        kind=_KINDS[span.kind],
        status=status,
        start_time=span.began_ns,
        end_time=span.ended_ns,
        instrumentation_scope=_SCOPE,
    )


def _state(header: str) -> TraceState:
    """What the SDK takes of a `tracestate`."""
    pairs = (member.partition("=") for member in header.split(","))
    return TraceState([(key, value) for key, _, value in pairs if _STATE_KEY.fullmatch(key)])


def resource() -> Resource:
    """What is sent is about this process. The environment (`OTEL_SERVICE_NAME`, `OTEL_RESOURCE_ATTRIBUTES`) goes
    before."""
    given = Resource.create({}).attributes
    named = os.environ.get("OTEL_SERVICE_NAME") or "service.name=" in os.environ.get(
        "OTEL_RESOURCE_ATTRIBUTES", ""
    )
    own: dict[str, Any] = {} if named else {"service.name": SERVICE}
    own["service.instance.id"] = given.get("service.instance.id") or str(uuid4())
    own["process.pid"] = os.getpid()
    return Resource.create(own)


def _exports(signal: str) -> bool:
    return os.environ.get(f"OTEL_{signal}_EXPORTER", "otlp").strip().lower() != "none"
