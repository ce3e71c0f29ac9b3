"""A runtime: what it deploys, what it refuses, where it sends requests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.dispatch.fleet import FleetLimits
from pyworkerd.errors import ConfigurationError, NoRoute, Overloaded
from pyworkerd.messages import Request
from pyworkerd.runtime import Runtime, RuntimeOptions
from pyworkerd_config.model import Binding as Configured
from pyworkerd_config.model import Config, Limits, Service
from pyworkerd_config.model import Worker as WorkerModel
from pyworkerd_isolates.cache import Cache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SOURCE = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        print("served")
        return Response(getattr(env, "NAME", "nobody"))
"""


def config(folder: Path, *services: tuple[str, tuple[str, ...]], source: str = SOURCE) -> Config:
    (folder / "worker.py").write_text(source)
    return Config(
        services=tuple(
            Service(
                name,
                WorkerModel(
                    folder / "worker.py",
                    folder,
                    bindings=(Configured("NAME", "text", name),),
                    global_outbound=None,
                ),
                routes=routes,
            )
            for name, routes in services
        )
    )


def test_requests_go_by_routes_or_by_name(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        async def ask(url: str, service: str | None = None) -> str:
            return await (await runtime.fetch(Request("GET", url), service)).text()

        assert await ask("http://x/a/1") == "a"
        assert await ask("http://x/b/1") == "b"
        assert await ask("http://x/b/1", "a") == "a"
        assert runtime.route(Request("GET", "http://x/a/1")) == "a"
        with pytest.raises(NoRoute):
            await ask("http://x/c")

    with_runtime(main, config(tmp_path, ("a", ("/a/*",)), ("b", ("/b/*",))))


def test_workers_of_the_configuration_are_found_by_name(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    async def main(runtime: Runtime) -> None:
        assert await (await runtime.worker("a").fetch("/")).text() == "a"
        with pytest.raises(ConfigurationError, match=r"'c'.*there are: a, b"):
            runtime.worker("c")
        with pytest.raises(ConfigurationError):
            runtime.worker("internet")

    with_runtime(main, config(tmp_path, ("a", ()), ("b", ())))


@pytest.mark.parametrize(
    ("source", "place"),
    [("x = = 1", r"worker\.py:1"), ("\nraise ValueError('early')", r"worker\.py:2: .*early")],
)
def test_a_worker_that_does_not_deploy_names_its_place(source: str, place: str, tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError, match=place):
            async with Runtime(config(tmp_path, ("a", ()), source=source)):
                pass
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_a_configuration_that_cannot_work_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(ConfigurationError):
            async with Runtime(config(tmp_path, ("same", ()), ("same", ()))):
                pass

    asyncio.run(main())


def test_a_worker_is_loaded_from_a_path(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        (tmp_path / "main.py").write_text(SOURCE)
        (tmp_path / "broken.py").write_text("1 +")
        worker = await runtime.load(tmp_path / "main.py")
        assert await (await worker.fetch("/")).text() == "nobody"
        with pytest.raises(ConfigurationError, match="no such file"):
            await runtime.load(tmp_path / "missing.py")
        with pytest.raises(ConfigurationError, match=r"broken\.py:1"):
            await runtime.load(str(tmp_path / "broken.py"))

    with_runtime(main)


@pytest.mark.parametrize("bindings", [{"not a name": 1}, {"NAME": object()}, {"__NAME": 1}])
def test_bindings_that_cannot_be_given(bindings: dict[str, Any], with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        with pytest.raises(ConfigurationError):
            await runtime.load({"worker.py": SOURCE}, bindings=bindings)
        assert set(runtime.services) == {"internet"}

    with_runtime(main)


def test_logs_of_all_workers_go_to_the_sinks(with_runtime: Callable[..., None]) -> None:
    entries: list[Any] = []

    async def main(runtime: Runtime) -> None:
        for name in ("a", "b"):
            await (await runtime.load({"worker.py": SOURCE}, name=name)).fetch("/")
        assert [(entry.worker, entry.message) for entry in entries] == [("a", "served"), ("b", "served")]

    with_runtime(main, options=RuntimeOptions(sinks=(entries.append,)))


def test_statistics_count_isolates_and_memory(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        worker = await runtime.load({"worker.py": SOURCE})
        assert runtime.statistics().isolates == 0
        await worker.fetch("/")
        statistics = runtime.statistics()
        assert (statistics.isolates, statistics.idle, statistics.started) == (1, 1, 1)
        assert statistics.memory > 0

    with_runtime(main, options=RuntimeOptions(fleet=FleetLimits(isolates=5)))


def test_a_closed_runtime_loads_nothing() -> None:
    async def main() -> None:
        runtime = Runtime()
        await runtime.open()
        await runtime.aclose()
        await runtime.aclose()
        with pytest.raises(Overloaded):
            await runtime.load({"worker.py": SOURCE})

    asyncio.run(main())


def test_of_two_loads_of_one_name_one_is_refused(with_runtime: Callable[..., None]) -> None:
    async def both(runtime: Runtime) -> None:
        loads = [runtime.load({"w.py": SOURCE}, name="same") for _ in range(2)]
        loaded, refused = await asyncio.gather(*loads, return_exceptions=True)
        assert isinstance(refused, ConfigurationError)
        assert not isinstance(loaded, BaseException)
        assert await (await loaded.fetch("/")).text() == "nobody"

    with_runtime(both)


def test_a_load_that_a_close_overtakes_leaves_nothing(sandbox: object) -> None:
    async def main() -> None:
        runtime = Runtime()
        await runtime.open()
        loading = asyncio.create_task(runtime.load({"w.py": SOURCE}))
        await asyncio.sleep(0)
        await runtime.aclose()
        with pytest.raises((Overloaded, ConfigurationError, RuntimeError)):
            await loading
        assert runtime.services == {}
        assert runtime.statistics().isolates == 0

    asyncio.run(main())


def test_a_request_to_a_service_that_does_not_run(with_runtime: Callable[..., None]) -> None:
    async def ask(runtime: Runtime) -> None:
        with pytest.raises(ConfigurationError, match="nope"):
            await runtime.fetch(Request("GET", "http://x/"), "nope")

    with_runtime(ask)


def test_a_worker_cannot_speak_for_the_runtime(with_runtime: Callable[..., None]) -> None:
    source = SOURCE.replace(
        '"nobody"))', '"nobody"), headers={"X-Pyworkerd-Error": "no_route", "x-other": "1"})'
    )

    async def ask(runtime: Runtime) -> None:
        worker = await runtime.load({"w.py": source})
        response = await worker.fetch("/")
        assert response.header("x-pyworkerd-error") is None
        assert response.header("x-other") == "1"

    with_runtime(ask)


def test_a_worker_that_is_not_frozen_leaves_no_image(
    with_runtime: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = (
        "from workers import WorkerEntrypoint as W\nclass Default(W):\n    async def two(self): return 2\n"
    )
    written: list[str] = []
    monkeypatch.setattr(Cache, "put", lambda _, name, *__: written.append(name))

    async def main(runtime: Runtime) -> None:
        await runtime.fleet.open()
        assert runtime.fleet.images is not None
        worker = await runtime.load({"w.py": f"{source}# only here"}, frozen=False, limits=Limits(isolates=2))
        assert [await worker.call("two") for _ in range(3)] == [2, 2, 2]
        assert written == []
        assert len(runtime.fleet.images) == 0
        with pytest.raises(ConfigurationError, match=r"w\.py:1: ZeroDivisionError"):
            await runtime.load({"w.py": "1 / 0"}, frozen=False)

    with_runtime(main)
