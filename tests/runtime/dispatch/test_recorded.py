"""Workers of whose invocations some are recorded: each in an isolate of its own, and others never notice."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.bindings.secret import Secret
from pyworkerd.dispatch.worker import Worker
from pyworkerd.errors import PyworkerdError
from pyworkerd.replay.options import RecordOptions
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config.model import Limits
from pyworkerd_isolates.replay.again import replay
from pyworkerd_isolates.replay.recording import decode
from pyworkerd_isolates.replay.telling import event_fields, read_events

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.replay.recording import Recording

SOURCE = """
import hmac
from workers import Response, WorkerEntrypoint

seen = 0

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        global seen
        seen += 1
        path = request.url.split("worker", 1)[1]
        if path == "/wait":
            await self.env.GATE()
        if path == "/raise":
            raise ValueError("no")
        if path == "/sign":
            return Response(hmac.new(self.env.TOKEN.encode(), b"x", "sha256").hexdigest())
        if path == "/upload":
            return Response(str(len(await request.bytes())))
        return Response(f"{seen} {self.env.TOKEN}")

    async def add(self, a, b):
        return a + b
"""
JAVASCRIPT = """
export default { fetch: (request, env) => new Response(`${Math.random()} ${env.TOKEN}`) };
"""
TOKEN = "sk-live-4711"


def recorded(
    folder: Path,
    work: Callable[[Runtime, Any], Awaitable[None]],
    source: dict[str, str] | None = None,
    bindings: dict[str, Any] | None = None,
    **options: Any,
) -> list[Recording]:
    """What is recorded of a worker while something is done with it. Each is replayed, and is equal."""

    async def main() -> list[Recording]:
        folder.mkdir(mode=0o700, exist_ok=True)
        runtime = Runtime(None, RuntimeOptions(record=RecordOptions(folder, **options)))
        async with runtime:
            worker = await runtime.load(
                source or {"worker.py": SOURCE},
                name="w",
                bindings={"TOKEN": Secret(TOKEN), **(bindings or {})},
                limits=Limits(cpu_ms=5000, startup_ms=10_000),
            )
            await work(runtime, worker)
            await runtime.quiet()
            image: Image = worker.service.image
            recorder = runtime.fleet._recorder
            if recorder is not None:
                await asyncio.to_thread(recorder.close)
            found = [decode(path.read_bytes()) for path in sorted(folder.iterdir())]
            for each in found:
                assert [step.difference for step in replay(each, image)] == [None] * len(each.steps)
            return found

    return asyncio.run(main())


async def text(worker: Any, path: str, **options: Any) -> str:
    return str(await (await worker.fetch(path, **options)).text())


def test_each_has_an_isolate_of_its_own_and_is_equal(tmp_path: Path) -> None:
    async def work(runtime: Runtime, worker: Any) -> None:
        assert [await text(worker, "/") for _ in range(2)] == [f"1 {TOKEN}"] * 2
        assert await worker.call("add", 1, 2) == 3
        assert await text(worker, "/upload", method="POST", body=b"x" * 300_000) == "300000"
        await runtime.quiet()
        assert worker.service.statistics()["isolates"] == 0

    first, second, call, upload = recorded(tmp_path / "r", work)
    assert first.key != second.key
    assert first.worker == "w"
    assert len(first.request_id) == 16
    assert first.files
    assert first.complete
    assert first.hidden == ("the binding TOKEN",)
    assert (first.differs, call.differs, upload.differs) == (None, None, None)
    events, blobs = read_events(first.steps[0].events)
    assert event_fields(events[0], blobs)["bindings"] == {"TOKEN": "xx-xxxx-0000"}
    assert sum(step.size for step in upload.steps) > 300_000


def test_what_depends_on_a_secret_is_said_to(tmp_path: Path) -> None:
    async def work(_: Runtime, worker: Any) -> None:
        assert len(await text(worker, "/sign")) == 64

    (recording,) = recorded(tmp_path / "r", work)
    assert recording.differs == 0


def test_javascript_is_recorded_as_well(tmp_path: Path) -> None:
    async def work(_: Runtime, worker: Any) -> None:
        assert (await text(worker, "/")).endswith(TOKEN)

    (recording,) = recorded(tmp_path / "r", work, {"worker.js": JAVASCRIPT})
    assert (recording.language, recording.has_storage, recording.differs) == ("javascript", False, None)


@pytest.mark.parametrize(("path", "kept"), [("/", 0), ("/raise", 1)])
def test_only_failures_are_kept_if_that_is_wanted(path: str, kept: int, tmp_path: Path) -> None:
    async def work(_: Runtime, worker: Any) -> None:
        try:
            await text(worker, path)
        except PyworkerdError:
            assert path == "/raise"

    assert len(recorded(tmp_path / "r", work, only_failures=True)) == kept


def test_so_many_at_once_and_the_others_are_answered_all_the_same(tmp_path: Path) -> None:
    gate: list[asyncio.Event] = []
    waiting = 0

    async def pass_gate() -> None:
        nonlocal waiting
        waiting += 1
        await gate[0].wait()

    async def work(_: Runtime, worker: Any) -> None:
        gate.append(asyncio.Event())
        asked = [asyncio.ensure_future(text(worker, "/wait")) for _ in range(6)]
        while waiting < 6:
            await asyncio.sleep(0)
        gate[0].set()
        answers = sorted(await asyncio.gather(*asked))
        assert answers.count(f"1 {TOKEN}") >= 2
        assert all(answer.endswith(TOKEN) for answer in answers)

    assert len(recorded(tmp_path / "r", work, bindings={"GATE": pass_gate})) == 2


def test_who_leaves_before_it_began_leaves_no_tape(tmp_path: Path) -> None:
    async def work(runtime: Runtime, worker: Any) -> None:
        asked = asyncio.ensure_future(text(worker, "/"))
        await asyncio.sleep(0)
        asked.cancel()
        await asyncio.wait([asked])
        await runtime.quiet()
        for _ in range(3):
            await text(worker, "/")
            await runtime.quiet()

    assert len(recorded(tmp_path / "r", work)) >= 3


def test_other_workers_are_what_they_always_are(tmp_path: Path) -> None:
    async def main() -> None:
        record = RecordOptions(tmp_path, workers=("another",))
        async with Runtime(None, RuntimeOptions(record=record)) as runtime:
            worker = await runtime.load({"worker.py": SOURCE}, name="w", bindings={"TOKEN": "x"})
            assert type(worker.service) is Worker
            assert [await text(worker, "/") for _ in range(2)] == ["1 x", "2 x"]

    asyncio.run(main())
    assert list(tmp_path.iterdir()) == []
