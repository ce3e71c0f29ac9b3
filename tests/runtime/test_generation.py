"""From one configuration to the next: what goes over, what is new, and what finishes on the old one."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd import generation
from pyworkerd.dispatch import worker as dispatch_worker
from pyworkerd.dispatch.fleet import FleetLimits
from pyworkerd.errors import ConfigurationError, IsolateLost, NoRoute, Overloaded
from pyworkerd.messages import Body, Request
from pyworkerd.runtime import RuntimeOptions
from pyworkerd_config.model import (
    Binding,
    Config,
    External,
    Limits,
    Network,
    Queue,
    Service,
    Store,
    Worker,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from pyworkerd.runtime import Runtime

COUNTER = """
from workers import Response, WorkerEntrypoint

count = 0

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        global count
        count += 1
        return Response(f"VERSION {count}")
"""
CALLER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await request.text()
        return await self.env.OTHER.fetch("http://x/")
"""

READER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        await request.text()
        return Response("one")
"""


def worker(folder: Path, name: str, source: str, *bindings: Binding, **options: Any) -> Service:
    root = folder / name
    root.mkdir(exist_ok=True)
    (root / f"{name}.py").write_text(source)
    routes = options.pop("routes", (f"/{name}/*",))
    return Service(
        name,
        Worker(root / f"{name}.py", root, bindings=bindings, global_outbound=None, **options),
        routes=routes,
    )


def configured(*services: Service, **options: Any) -> Config:
    return Config(services=services, **options)


async def ask(runtime: Runtime, name: str, path: str = "/") -> str:
    return await (await runtime.fetch(Request("GET", f"http://x{path}"), name)).text()


def other(name: str) -> Binding:
    return Binding("OTHER", "service", name)


def test_what_is_unchanged_goes_over_with_its_warm_isolates(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    def version(changed: str) -> Config:
        return configured(
            worker(tmp_path, "same", COUNTER),
            worker(tmp_path, "changed", COUNTER.replace("VERSION", changed)),
            worker(tmp_path, "caller", CALLER, other("changed")),
        )

    async def main(runtime: Runtime) -> None:
        assert [await ask(runtime, name) for name in ("same", "changed", "caller")] == [
            "VERSION 1",
            "one 1",
            "one 2",
        ]
        caller = runtime.services["caller"]
        await runtime.reload(version("two"))
        assert runtime.services["caller"] is caller
        # The unchanged caller sees the new version of the one that it calls.
        assert [await ask(runtime, name) for name in ("same", "caller", "changed")] == [
            "VERSION 2",
            "two 1",
            "two 2",
        ]
        assert runtime.statistics().isolates == 3

    with_runtime(main, version("one"))


def test_routes_change_without_a_deploy(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        assert await ask(runtime, "w") == "VERSION 1"
        await runtime.reload(configured(worker(tmp_path, "w", COUNTER, routes=("/new/*",))))
        assert await (await runtime.fetch(Request("GET", "http://x/new/y"))).text() == "VERSION 2"
        with pytest.raises(NoRoute):
            await runtime.fetch(Request("GET", "http://x/old/y"))

    with_runtime(main, configured(worker(tmp_path, "w", COUNTER, routes=("/old/*",))))


@pytest.mark.parametrize(
    "change",
    [
        lambda kind: replace(kind, limits=Limits(cpu_ms=51)),
        lambda kind: replace(kind, reuse="request"),
        lambda kind: replace(kind, bindings=(Binding("A", "text", "b"),)),
        lambda kind: replace(kind, global_outbound="internet"),
    ],
)
def test_whatever_is_configured_makes_another_worker(
    with_runtime: Callable[..., None], tmp_path: Path, change: Callable[[Any], Any]
) -> None:
    service = worker(tmp_path, "w", COUNTER, Binding("A", "text", "a"))

    async def main(runtime: Runtime) -> None:
        before = runtime.services["w"]
        await runtime.reload(configured(service))
        assert runtime.services["w"] is before
        await runtime.reload(configured(replace(service, kind=change(service.kind))))
        assert runtime.services["w"] is not before
        assert await ask(runtime, "w") == "VERSION 1"

    with_runtime(main, configured(service))


def test_another_secret_makes_another_worker(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    source = COUNTER.replace('f"VERSION {count}"', "self.env.TOKEN")
    service = worker(tmp_path, "w", source, Binding("TOKEN", "secret", "TOKEN"))

    async def main(runtime: Runtime) -> None:
        assert await ask(runtime, "w") == "old"
        await runtime.reload(configured(service, secrets={"TOKEN": "new"}))
        assert await ask(runtime, "w") == "new"

    config = configured(service, secrets={"TOKEN": "old"})
    with_runtime(main, config, RuntimeOptions(environment={}))


STORING = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/put"):
            await self.env.KV.put("key", "shared")
        return Response(await self.env.KV.get("key") or "nothing")
"""


def test_who_shares_a_store_no_longer_loses_it_with_the_reload(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    services = [worker(tmp_path, name, STORING, Binding("KV", "kv", "s")) for name in ("a", "b")]
    shared = configured(*services, stores=(Store("kv", "s", ("a", "b")),))

    async def main(runtime: Runtime) -> None:
        assert await ask(runtime, "a", "/put") == await ask(runtime, "b") == "shared"
        await runtime.reload(configured(*services))
        assert await ask(runtime, "b") == "nothing"
        await runtime.reload(shared)
        assert await ask(runtime, "b") == "shared"

    with_runtime(main, shared)


def test_what_a_worker_had_in_its_own_store_is_there_when_it_is_declared(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    services = [worker(tmp_path, name, STORING, Binding("KV", "kv", "s")) for name in ("a", "b")]
    own = configured(*services, state_dir=tmp_path / "state")

    async def first(runtime: Runtime) -> None:
        assert await ask(runtime, "a", "/put") == "shared"

    async def then(runtime: Runtime) -> None:
        assert await ask(runtime, "b") == await ask(runtime, "a") == "shared"

    with_runtime(first, own)
    with_runtime(then, replace(own, stores=(Store("kv", "s", ("a", "b")),)))


WAITING = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.method == "POST":
            await self.env.KV.put("key", request.body)
            return Response("VERSION")
        return Response(await self.env.KV.get("key", type="stream"))
"""


def test_a_store_is_not_closed_under_a_request_of_the_old_generation(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    def version(text: str) -> Config:
        source = WAITING.replace("VERSION", text)
        return configured(worker(tmp_path, "w", source, Binding("KV", "kv", "s"), limits=Limits(cpu_ms=2000)))

    async def main(runtime: Runtime) -> None:
        began, more = asyncio.Event(), asyncio.Event()

        async def chunks() -> AsyncIterator[bytes]:
            yield b"a" * 400_000
            began.set()
            await more.wait()
            yield b"b" * 400_000

        async def put(body: Body) -> str:
            return await (await runtime.fetch(Request("POST", "http://x/", (), body), "w")).text()

        await put(Body(b"x" * 1_000_000))
        reading = aiter((await runtime.fetch(Request("GET", "http://x/"), "w")).body)
        read = await anext(reading)
        writing = asyncio.ensure_future(put(Body(chunks=chunks())))
        await began.wait()
        reloading = asyncio.ensure_future(runtime.reload(version("two")))
        while (got := await put(Body(b"new"))) != "two":
            assert got == "one"
        more.set()
        assert await writing == "one"
        async for chunk in reading:
            read += chunk
        assert read == b"x" * 1_000_000
        await reloading
        assert len(await (await runtime.fetch(Request("GET", "http://x/"), "w")).read()) == 800_000

    with_runtime(main, version("one"))


def without_caches(service: Service) -> Service:
    """A worker that has nothing on disk."""
    assert isinstance(service.kind, Worker)
    return replace(service, kind=replace(service.kind, limits=replace(service.kind.limits, cache_mb=0)))


def test_another_folder_or_another_delay_makes_another_worker(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    storing = worker(tmp_path, "a", STORING, Binding("KV", "kv", "s"))
    sending = worker(tmp_path, "b", COUNTER, Binding("JOBS", "queue", "jobs"))
    neither = without_caches(worker(tmp_path, "c", COUNTER))
    queue = Queue("jobs", producers=("b",))
    config = configured(storing, sending, neither, queues=(queue,), state_dir=tmp_path / "one")

    async def main(runtime: Runtime) -> None:
        async def changed(config: Config) -> list[str]:
            before = dict(runtime.services)
            await runtime.reload(config)
            return [name for name in "abc" if runtime.services[name] is not before[name]]

        assert await changed(replace(config, queues=(replace(queue, delivery_delay=5),))) == ["b"]
        assert await changed(replace(config, queues=(replace(queue, max_retries=5),))) == ["b"]
        assert await ask(runtime, "a", "/put") == "shared"
        assert await changed(replace(config, state_dir=tmp_path / "other")) == ["a", "b"]
        assert await ask(runtime, "a") == "nothing"

    with_runtime(main, config)


def test_services_outside_go_over_too(with_runtime: Callable[..., None]) -> None:
    first = configured(
        Service("net", Network()), Service("same", External("127.0.0.1:9")), Service("out", External("a:1"))
    )
    second = configured(
        Service("net", Network(("private",))),
        Service("same", External("127.0.0.1:9")),
        Service("in", Network()),
    )

    async def main(runtime: Runtime) -> None:
        before = dict(runtime.services)
        await runtime.reload(second)
        assert set(runtime.services) == {"net", "same", "in", "internet"}
        kept = {name for name, service in runtime.services.items() if before.get(name) is service}
        assert kept == {"same", "internet"}

    with_runtime(main, first)


def test_counters_outlive_a_configuration(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    source = COUNTER.replace('f"VERSION {count}"', 'str((await self.env.L.limit({"key": "k"}))["success"])')
    limiter = Binding("L", "rate_limit", {"limit": 1, "period": 1_000_000_000})

    async def main(runtime: Runtime) -> None:
        assert await ask(runtime, "w") == "True"
        await runtime.reload(configured(worker(tmp_path, "w", f"{source}\n", limiter)))
        assert await ask(runtime, "w") == "False"

    with_runtime(main, configured(worker(tmp_path, "w", source, limiter)))


def test_a_broken_configuration_changes_nothing(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    good = configured(worker(tmp_path, "w", COUNTER))
    broken = [
        (
            configured(worker(tmp_path, "w2", COUNTER), worker(tmp_path, "bad", "1 / 0\n")),
            "bad.py:1: ZeroDivision",
        ),
        (configured(worker(tmp_path, "w", COUNTER, other("nobody"))), "unknown service"),
        (configured(Service("w", Worker(tmp_path / "gone.py", tmp_path))), "gone.py"),
    ]

    async def main(runtime: Runtime) -> None:
        assert await ask(runtime, "w") == "VERSION 1"
        for config, sentence in broken:
            with pytest.raises(ConfigurationError, match=sentence):
                await runtime.reload(config)
        assert set(runtime.services) == {"w", "internet"}
        assert await ask(runtime, "w") == "VERSION 2"
        await runtime.reload(good)

    with_runtime(main, good)


def slow_body(entered: asyncio.Event, gate: asyncio.Event) -> Body:
    async def chunks() -> AsyncIterator[bytes]:
        entered.set()
        await gate.wait()
        yield b"x"

    return Body(chunks=chunks())


def test_each_worker_that_does_not_deploy_is_told(
    with_runtime: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = [worker(tmp_path, name, f"raise ValueError('{name}')") for name in "abc"]
    good = worker(tmp_path, "good", COUNTER)

    async def main(runtime: Runtime) -> None:
        with pytest.raises(ConfigurationError) as failed:
            await runtime.reload(configured(bad[0], good, *bad[1:]))
        assert [sentence.rpartition(": ")[2] for sentence in failed.value.sentences] == ["a", "b", "c"]
        assert str(failed.value).count("\n") == 2
        assert await ask(runtime, "good") == "VERSION 1"
        assert set(runtime.services) == {"good", "internet"}
        monkeypatch.setattr(generation, "MAX_PROBLEMS", 2)
        with pytest.raises(ConfigurationError) as failed:
            await runtime.reload(configured(*bad, good))
        # Besides the two, and the implicit network.
        assert failed.value.sentences[2:] == ("3 more services have not been tried",)

    with_runtime(main, configured(good))


def test_old_requests_finish_on_what_they_began_with(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    """Also where they call another service that is new by then; nothing old is closed before that."""

    def version(name: str) -> Config:
        callee = worker(tmp_path, "callee", COUNTER.replace("VERSION", name))
        return configured(callee, worker(tmp_path, "caller", f"{CALLER}\n# {name}", other("callee")))

    async def main(runtime: Runtime) -> None:
        entered, gate = asyncio.Event(), asyncio.Event()
        request = Request("POST", "http://x/", (), slow_body(entered, gate))
        asking = asyncio.create_task(runtime.fetch(request, "caller"))
        await entered.wait()
        old = runtime.switch(await runtime.prepare(version("two")))
        retiring = asyncio.create_task(runtime.retire(old))
        assert await ask(runtime, "caller") == "two 1"
        assert not retiring.done()
        gate.set()
        assert await (await asking).text() == "one 1"
        await retiring
        assert runtime.statistics().isolates == 2

    with_runtime(main, version("one"))


def test_what_was_promised_is_kept_by_the_old_generation(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    source = """
import asyncio
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        self.ctx.waitUntil(self.later())
        return Response("VERSION")

    async def later(self):
        await asyncio.sleep(0.01)
        print("VERSION kept its promise")
"""
    seen: list[str] = []

    async def main(runtime: Runtime) -> None:
        assert await ask(runtime, "w") == "one"
        await runtime.reload(configured(worker(tmp_path, "w", source.replace("VERSION", "two"))))
        assert seen == ["one kept its promise"]
        assert await ask(runtime, "w") == "two"
        await runtime.quiet()
        assert seen[1:] == ["two kept its promise"]

    config = configured(worker(tmp_path, "w", source.replace("VERSION", "one")))
    with_runtime(main, config, RuntimeOptions(sinks=(lambda entry: seen.append(entry.message),)))


def test_an_old_generation_can_be_ended_at_once(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        entered, gate = asyncio.Event(), asyncio.Event()
        request = Request("POST", "http://x/", (), slow_body(entered, gate))
        asking = asyncio.create_task(runtime.fetch(request, "w"))
        await entered.wait()
        old = runtime.switch(
            await runtime.prepare(configured(worker(tmp_path, "w", READER.replace("one", "two"))))
        )
        await runtime.end(old)
        with pytest.raises(IsolateLost):
            await asking
        await runtime.end(old)
        assert await ask(runtime, "w") == "two"

    with_runtime(main, configured(worker(tmp_path, "w", READER)))


def test_what_programs_loaded_goes_over(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        loaded = await runtime.load({"w.py": COUNTER}, name="mine")
        assert await (await loaded.fetch("/")).text() == "VERSION 1"
        with pytest.raises(ConfigurationError, match="already is a service named 'mine'"):
            await runtime.reload(configured(worker(tmp_path, "mine", COUNTER)))
        prepared = await runtime.prepare(configured(worker(tmp_path, "later", COUNTER)))
        with pytest.raises(ConfigurationError, match="another configuration is being loaded"):
            await runtime.prepare(configured())
        with pytest.raises(ConfigurationError, match="already is a service named 'later'"):
            await runtime.load({"w.py": COUNTER}, name="later")
        await runtime.retire(runtime.switch(prepared))
        assert await (await loaded.fetch("/")).text() == "VERSION 2"
        await loaded.aclose()
        assert set(runtime.services) == {"later", "internet"}

    with_runtime(main)


def test_what_was_prepared_can_be_discarded(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        assert await ask(runtime, "w") == "VERSION 1"
        more = configured(worker(tmp_path, "w", COUNTER), worker(tmp_path, "more", COUNTER))
        await runtime.discard(await runtime.prepare(more))
        assert set(runtime.services) == {"w", "internet"}
        assert await ask(runtime, "w") == "VERSION 2"
        await runtime.reload(more)
        assert await ask(runtime, "more") == "VERSION 1"

    with_runtime(main, configured(worker(tmp_path, "w", COUNTER)))


# deployed at the first request -------------------------------------------------------------------------------------


def lazy(*services: Service) -> Config:
    return configured(*services, deploy="lazy")


def deployed(runtime: Runtime) -> list[str]:
    return sorted(
        name for name, service in runtime.services.items() if isinstance(service, dispatch_worker.Worker)
    )


def test_lazy_workers_are_deployed_by_their_first_request_or_call(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    config = lazy(
        worker(tmp_path, "one", COUNTER, limits=Limits(isolates=1)),
        worker(tmp_path, "two", COUNTER),
        worker(tmp_path, "caller", CALLER, other("two")),
    )

    async def main(runtime: Runtime) -> None:
        assert deployed(runtime) == []
        assert runtime.statistics().isolates == 0
        assert await asyncio.gather(*(ask(runtime, "one") for _ in range(3))) == [
            "VERSION 1",
            "VERSION 2",
            "VERSION 3",
        ]
        assert deployed(runtime) == ["one"]
        assert await ask(runtime, "caller") == "VERSION 1"
        assert deployed(runtime) == ["caller", "one", "two"]

    with_runtime(main, config)


def test_a_lazy_worker_that_does_not_deploy_harms_nobody_else(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    config = lazy(worker(tmp_path, "broken", "x = = 1\n"), worker(tmp_path, "sound", COUNTER))

    async def main(runtime: Runtime) -> None:
        with pytest.raises(ConfigurationError, match=r"broken\.py:1: SyntaxError"):
            await ask(runtime, "broken")
        assert await ask(runtime, "sound") == "VERSION 1"

    with_runtime(main, config)


def test_workers_without_an_isolate_go_back_to_sleep_and_wake_again(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    names = ["a", "b", "c"]
    config = lazy(*(worker(tmp_path, name, COUNTER) for name in names))

    async def main(runtime: Runtime) -> None:
        for name in names:
            assert await ask(runtime, name) == "VERSION 1"
        # One isolate may live, so the others have ended. When it began there were three without one: the first sleeps.
        assert deployed(runtime) == ["b", "c"]
        assert runtime.fleet.images is not None
        assert await ask(runtime, "a") == "VERSION 1"
        assert deployed(runtime) == ["a", "c"]

    with_runtime(main, config, RuntimeOptions(FleetLimits(isolates=1, empty=2)))


def test_a_worker_that_a_program_asked_for_stays_awake(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    names = ["a", "b", "c"]
    config = lazy(*(worker(tmp_path, name, COUNTER) for name in names))

    async def main(runtime: Runtime) -> None:
        with pytest.raises(ConfigurationError, match=r"await runtime\.deploy\('a'\)"):
            runtime.worker("a")
        with pytest.raises(ConfigurationError, match="there are: a, b, c"):
            await runtime.deploy("d")
        mine = await runtime.deploy("a")
        assert await (await mine.fetch("/")).text() == "VERSION 1"
        assert (await runtime.deploy("a")).service is mine.service
        for name in ("b", "c", "b"):
            await ask(runtime, name)
        assert "a" in deployed(runtime)
        assert await (await mine.fetch("/")).text() == "VERSION 1"

    with_runtime(main, config, RuntimeOptions(FleetLimits(isolates=1, empty=2)))


def test_over_a_reload_lazy_workers_stay_as_they_were_or_sleep(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    def version(changed: str) -> Config:
        return lazy(
            worker(tmp_path, "same", COUNTER),
            worker(tmp_path, "changed", COUNTER.replace("VERSION", changed)),
            worker(tmp_path, "unused", COUNTER),
            worker(tmp_path, "other", COUNTER, limits=Limits(cpu_ms=50 + len(changed))),
        )

    async def main(runtime: Runtime) -> None:
        for name in ("same", "changed", "other"):
            await ask(runtime, name)
        await runtime.reload(version("two"))
        assert deployed(runtime) == ["same"]
        assert await ask(runtime, "same") == "VERSION 2"
        assert await ask(runtime, "changed") == "two 1"
        assert await ask(runtime, "other") == "VERSION 1"
        # A version that does not deploy is found out by who asks for it: other tenants have nothing to do with it.
        broken = version("two")
        (tmp_path / "changed/changed.py").write_text("x = = 1\n")
        await runtime.reload(broken)
        assert deployed(runtime) == ["other", "same"]
        with pytest.raises(ConfigurationError, match="SyntaxError"):
            await ask(runtime, "changed")
        assert await ask(runtime, "same") == "VERSION 3"

    with_runtime(main, version("1"))


def test_from_lazy_to_eager_and_back(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    services = [worker(tmp_path, "a", COUNTER), worker(tmp_path, "b", COUNTER)]

    async def main(runtime: Runtime) -> None:
        await ask(runtime, "a")
        await runtime.reload(configured(*services))
        assert deployed(runtime) == ["a", "b"]
        assert [await ask(runtime, name) for name in "ab"] == ["VERSION 2", "VERSION 1"]
        await runtime.reload(lazy(*services))
        assert deployed(runtime) == ["a", "b"]
        assert [await ask(runtime, name) for name in "ab"] == ["VERSION 3", "VERSION 2"]

    with_runtime(main, lazy(*services))


def test_a_worker_that_falls_asleep_while_a_configuration_is_prepared(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    names = ["a", "b", "c"]
    config = lazy(*(worker(tmp_path, name, COUNTER) for name in names))

    async def main(runtime: Runtime) -> None:
        await ask(runtime, "a")
        await ask(runtime, "b")
        prepared = await runtime.prepare(config)
        await ask(runtime, "c")
        assert deployed(runtime) == ["b", "c"]
        await runtime.retire(runtime.switch(prepared))
        assert await ask(runtime, "a") == "VERSION 1"

    with_runtime(main, config, RuntimeOptions(FleetLimits(isolates=1, empty=2)))


def test_a_deploy_under_way_is_finished_in_the_old_generation(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    config = lazy(worker(tmp_path, "a", COUNTER))

    async def main(runtime: Runtime) -> None:
        asking = asyncio.create_task(ask(runtime, "a"))
        await asyncio.sleep(0)
        await runtime.reload(config)
        assert await asking == "VERSION 1"
        assert await ask(runtime, "a") == "VERSION 1"

    with_runtime(main, config)


def test_closing_tells_those_who_wait_for_a_deploy(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    config = lazy(worker(tmp_path, "a", COUNTER))

    async def main(runtime: Runtime) -> None:
        asking = asyncio.create_task(ask(runtime, "a"))
        await asyncio.sleep(0)
        await runtime.aclose()
        with pytest.raises(Overloaded):
            await asking

    with_runtime(main, config)
