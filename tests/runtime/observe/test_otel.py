"""Spans and metrics as a collector gets them: one trace through workers, stores, objects and the network."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from pyworkerd.errors import ConfigurationError
from pyworkerd.observe import spans
from pyworkerd.observe.otel import Telemetry, readable, resource
from pyworkerd.observe.trace import RANDOM, SAMPLED, parse_state
from pyworkerd.runtime import Runtime

from tests.runtime.cli.command import ask, project, run, serve
from tests.runtime.observe.collector import Collector, collecting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
CONFIG = """
[[sockets]]
name = "http"
address = "127.0.0.1:0"
service = "shop"

[[sockets]]
name = "upstream"
address = "127.0.0.1:0"
service = "upstream"

[[services]]
name = "shop"
[services.worker]
main = "shop/shop.py"
global_outbound = "internet"
[services.worker.bindings]
STOCK = { kv = "stock" }
JOBS = { queue = "jobs" }
AUTH = { service = "auth" }
ROOM = { durable_object = "Room" }
TOKEN = { secret = "TOKEN" }

[[services]]
name = "auth"
[services.worker]
main = "auth/auth.py"

[[services]]
name = "upstream"
[services.worker]
main = "upstream/upstream.py"

[[services]]
name = "internet"
network = { allow = ["private"] }

[[queues]]
name = "jobs"
producers = ["shop"]
consumer = "auth"
max_batch_timeout = 0
"""
SHOP = """
from workers import DurableObject, Response, WorkerEntrypoint, fetch

class Room(DurableObject):
    async def enter(self, who):
        return f"{who} is in"

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = request.url.split("?")[0].rsplit("/", 1)[1]
        if path == "fail":
            raise ValueError(self.env.TOKEN)
        await self.env.STOCK.put("secret-key", "1")
        await self.env.JOBS.send({"a": 1})
        checked = await self.env.AUTH.check("tok")
        room = self.env.ROOM.getByName("lobby")
        entered = await room.enter("ann")
        response = await fetch(f"http://{request.headers['x-upstream']}/up?token=querysecret")
        return Response(f"{checked} {entered} {await response.text()}")
"""
AUTH = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def check(self, token):
        return "ok"
    async def queue(self, batch):
        pass
"""
UPSTREAM = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(request.headers["traceparent"])
"""


def shop(folder: Path) -> Path:
    for name, text in (("shop", SHOP), ("auth", AUTH), ("upstream", UPSTREAM)):
        (folder / name).mkdir()
        (folder / name / f"{name}.py").write_text(text)
    (folder / "config.toml").write_text(CONFIG)
    return folder / "config.toml"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as opened:
        yield opened


def environment(collector: Collector) -> dict[str, str]:
    return {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "20", "TOKEN": "sk-live-4711",
        "OTEL_METRIC_EXPORT_INTERVAL": "100", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }  # fmt: skip


def test_one_trace_goes_through_everything_that_a_request_causes(
    tmp_path: Path, collector: Collector
) -> None:
    wanted = {
        "GET", "shop fetch", "STOCK put", "JOBS send", "auth check", "shop enter", "auth queue", "upstream fetch",
    }  # fmt: skip
    with serve(shop(tmp_path), "--otel", processes=2, **environment(collector)) as served:
        address, upstream = served.address(), served.address("upstream")
        answer = ask(
            address, "/buy?token=querysecret",
            **{"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "a=b", "x-upstream": "{}:{}".format(*upstream)},
        )  # fmt: skip
        assert answer.status == 200, answer.body
        checked, room, parent = (
            answer.body.split(" ", 1)[0],
            "ann is in" in answer.body,
            answer.body.split(" ")[-1],
        )
        assert (checked, room) == ("ok", True)
        assert ask(address, "/fail").status == 500
        collector.until(lambda c: wanted <= {span["name"] for span in c.spans} and len(c.metrics) > 20)
        assert served.stop(signal.SIGTERM) == 0
        assert [line for line in served.errors.rest() if "otel" in line or "internal error" in line] == []

    of_trace = {span["name"]: span for span in collector.spans if span["trace"] == TRACE}
    request = next(s for s in collector.spans if s["trace"] == TRACE and s["parent"] == PARENT)
    assert request["kind"] == Span.SPAN_KIND_SERVER
    assert request["span"] == answer.headers["x-request-id"]
    assert (request["http.request.method"], request["url.path"], request["http.response.status_code"]) == (
        "GET",
        "/buy",
        200,
    )
    assert request["state"] == "a=b"
    assert request["resource"]["service.name"] == "pyworkerd"
    assert request["resource"]["deployment.environment.name"] == "test"
    for name in ("shop fetch", "STOCK put", "JOBS send", "auth check", "shop enter"):
        assert of_trace[name]["parent"] == request["span"], name
        assert of_trace[name]["took"] >= 0
    assert of_trace["JOBS send"]["kind"] == Span.SPAN_KIND_PRODUCER
    assert of_trace["shop enter"]["pyworkerd.durable_object"] is True
    assert of_trace["auth check"]["pyworkerd.caller"] == "shop"
    outside = next(s for s in collector.spans if s["kind"] == Span.SPAN_KIND_CLIENT and s["name"] == "GET")
    assert (outside["parent"], outside["url.path"]) == (request["span"], "/up")
    received = next(s for s in collector.spans if s["parent"] == outside["span"])
    assert parent == f"00-{TRACE}-{received['span']}-01", "what the other server saw and told on"
    assert (received["kind"], received["pyworkerd.service"]) == (Span.SPAN_KIND_SERVER, "upstream")
    assert of_trace["upstream fetch"]["parent"] == received["span"]

    failed = next(s for s in collector.spans if s["name"] == "shop fetch" and s["trace"] != TRACE)
    assert (failed["status"], failed["error.type"], failed["exception.type"]) == (
        2,
        "worker_exception",
        "ValueError",
    )
    assert collector.named("auth queue")["faas.trigger"] == "pubsub"
    for secret in (b"querysecret", b"sk-live-4711", b"secret-key"):
        assert secret not in collector.raw

    requests = [m for m in collector.metrics if m["name"] == "pyworkerd.requests"]
    assert requests[0]["kind"] == "sum"
    assert {"worker", "status", "code"} == set(requests[0]["labels"])
    took = next(m for m in collector.metrics if m["name"] == "pyworkerd.request_duration")
    assert (took["kind"], took["unit"], len(took["point"].bucket_counts)) == ("histogram", "s", 14)
    assert len({m["resource"]["service.instance.id"] for m in collector.metrics}) == 2, "of both processes"


def test_a_collector_that_is_not_there_holds_nothing_up(tmp_path: Path) -> None:
    nobody = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_BSP_SCHEDULE_DELAY": "10"}
    with serve(project(tmp_path), "--otel", **nobody) as served:
        address = served.address()
        assert [ask(address).body for _ in range(5)] == ["hello"] * 5
        assert served.stop(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("sampler", "argument", "parent", "sampled"),
    [
        ("", "", None, True),
        ("parentbased_always_off", "", None, False),
        ("parentbased_always_off", "", SAMPLED, True),
        ("", "", RANDOM, False),
        ("always_on", "", RANDOM, True),
        ("traceidratio", "0", SAMPLED, False),
    ],
)
def test_the_sampler_of_the_environment_decides(
    sampler: str, argument: str, parent: int | None, sampled: bool,
    collector: Collector, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    for name, value in (("OTEL_TRACES_SAMPLER", sampler), ("OTEL_TRACES_SAMPLER_ARG", argument)):
        if value:
            monkeypatch.setenv(name, value)

    async def main() -> None:
        async with Runtime() as runtime:
            telemetry = Telemetry(runtime.metrics)
            telemetry.start()
            try:
                worker = await runtime.load({"worker.py": UPSTREAM}, name="w")
                headers = {} if parent is None else {"traceparent": f"00-{TRACE}-{PARENT}-{parent:02x}"}
                seen = await (await worker.fetch("/", headers=headers)).text()
                assert (int(seen[-2:], 16) & SAMPLED == SAMPLED) is sampled
                await runtime.quiet()
            finally:
                await telemetry.aclose()

    asyncio.run(main())
    assert [span["name"] for span in collector.spans] == ["w fetch"] * sampled
    assert collector.metrics == []


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        ({"OTEL_SDK_DISABLED": "True"}, False),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "None"}, False),
    ],
)
def test_the_environment_can_switch_it_off(
    variables: dict[str, str], told: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    async def main() -> None:
        telemetry = Telemetry(dict)
        telemetry.start()
        assert (spans.told.listener is not None) is told
        await telemetry.aclose()

    asyncio.run(main())


def test_members_of_a_trace_that_the_sdk_does_not_take_are_left_out_in_silence(
    caplog: pytest.LogCaptureFixture,
) -> None:
    span = spans.Span(
        "n", "server", TRACE, PARENT, "", SAMPLED, parse_state(["0a=1,a=b,a@0b=2,t@v=c d"]), 1, 2, {}
    )
    found = readable(span, resource()).context
    assert found is not None
    assert dict(found.trace_state) == {"a": "b", "t@v": "c d"}
    assert caplog.records == []


def test_the_environment_names_what_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert resource().attributes["service.name"] == "pyworkerd"
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "service.name=mine,service.instance.id=one")
    assert (resource().attributes["service.name"], resource().attributes["service.instance.id"]) == (
        "mine",
        "one",
    )
    monkeypatch.setenv("OTEL_SERVICE_NAME", "other")
    assert resource().attributes["service.name"] == "other"


def test_what_the_sdk_does_not_take_is_a_mistake_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_BSP_MAX_QUEUE_SIZE", "1")

    async def main() -> None:
        with pytest.raises(ConfigurationError, match=r"OpenTelemetry cannot be used as OTEL_\.\.\. says"):
            Telemetry(dict).start()

    asyncio.run(main())


def test_what_cannot_work_is_refused(tmp_path: Path) -> None:
    refused = run("serve", project(tmp_path), "--otel", "--json", OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    assert refused.returncode == 2
    problem: Any = json.loads(refused.stdout)["problems"][0]
    assert "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc', and --otel speaks http/protobuf alone" in problem["text"]
