"""Loading a worker in the turns of another: what comes of it, and who has gone meanwhile."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from pyworkerd.dispatch.loading import LoadingJob, PreparingJob
from pyworkerd_isolates.bundle import Bundle
from pyworkerd_isolates.errors import TopLevelRaised
from pyworkerd_isolates.image import load_frame
from pyworkerd_isolates.languages import JAVASCRIPT
from pyworkerd_isolates.limits import Limits
from pyworkerd_isolates.unfrozen import Loading

if TYPE_CHECKING:
    from pyworkerd_isolates.testing import Sandbox

SOURCE = "from workers import WorkerEntrypoint\nclass Default(WorkerEntrypoint): pass\n"


def job(sandbox: Sandbox, source: str = SOURCE) -> LoadingJob:
    frame = load_frame(Bundle.of({"w.py": source}))
    return LoadingJob(Loading(sandbox.engine, frame, Limits(startup_ms=10_000)))


def run(loading: LoadingJob) -> None:
    while not loading.go_on(4.0):
        pass
    loading.over()


def test_an_image_or_an_error_comes_of_it(sandbox: Sandbox) -> None:
    async def main() -> None:
        good, bad = job(sandbox), job(sandbox, "1 / 0")
        run(good)
        image = await good.image
        assert image.sources is not None
        image.sources.keep(None)
        run(bad)
        with pytest.raises(TopLevelRaised):
            await bad.image

    asyncio.run(main())


def test_who_has_gone_stops_it(sandbox: Sandbox) -> None:
    async def main() -> None:
        endless = job(sandbox, "while True: pass")
        assert not endless.go_on(1.0)
        endless.image.cancel()
        assert endless.go_on(1.0)
        endless.over()

    asyncio.run(main())


def test_what_comes_too_late_is_closed(sandbox: Sandbox) -> None:
    async def main() -> None:
        late = job(sandbox)
        while not late.go_on(4.0):
            pass
        image = late._result
        late.image.cancel()
        late.over()
        assert not isinstance(image, Exception)
        assert image is not None
        assert image.sources is not None
        assert image.sources.take(image) is None

    asyncio.run(main())


TYPED = {"w.ts": "export default { fetch(): Response { return new Response('typed'); } };"}


def test_files_are_compiled_within_a_time_unless_who_wants_them_has_gone(sandbox: Sandbox) -> None:
    async def main() -> None:
        engine = sandbox.engines.of(JAVASCRIPT)
        good, slow, late = (PreparingJob(engine, Bundle.of(TYPED), budget) for budget in (10_000, 0, 10_000))
        for each in (good, slow):
            assert each.go_on(4.0)
            each.over()
        assert b"Response {" not in (await good.bundle).files["w.ts"]
        with pytest.raises(TopLevelRaised, match="more than 0 ms to compile"):
            await slow.bundle
        late.bundle.cancel()
        assert late.go_on(4.0)
        late.over()

    asyncio.run(main())


def test_what_needs_no_compiler_waits_for_none(sandbox: Sandbox) -> None:
    engine = sandbox.engines.of(JAVASCRIPT)
    assert engine.prepares(Bundle.of(TYPED))
    assert not engine.prepares(Bundle.of({"w.js": "export default {};"}))
    assert not sandbox.engine.prepares(Bundle.of({"w.py": SOURCE}))
