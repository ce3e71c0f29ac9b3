"""Two versions of a worker at once, in a real runtime: who answers, and what stays."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import Overloaded
from pyworkerd.messages import Request
from pyworkerd.observe.counters import VersionMeters
from pyworkerd.observe.families import OTHERS
from pyworkerd.services.base import DEFAULT, Target
from pyworkerd.versions.choice import COOKIE, HEADER, is_second
from pyworkerd.versions.split import Split
from pyworkerd_config import load
from pyworkerd_config.model import Rollout, Worker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyworkerd.messages import Response
    from pyworkerd.observe.snapshot import Labels, Snapshot, Value
    from pyworkerd.runtime import Runtime
    from pyworkerd_config.model import Config

SAYS = """
from workers import DurableObject, Response, WorkerEntrypoint

served = 0

class Room(DurableObject):
    async def which(self):
        return "VERSION"

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        global served
        served += 1
        if request.url.endswith("/room"):
            room = self.env.ROOM.get(self.env.ROOM.idFromName("x"))
            return Response("VERSION " + await room.which())
        return Response(f"VERSION {served}")

    async def which(self):
        return "VERSION"
"""
ASKS = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/rpc"):
            return Response(await self.env.SHOP.which())
        return await self.env.SHOP.fetch(request)
"""
CONFIG = """
services = [
  { name = "shop", worker = { main = "one/w.py", bindings = { ROOM = { durable_object = "Room" } } } },
  { name = "front", worker = { main = "front/w.py", bindings = { SHOP = { service = "shop" } } } },
]
"""
NEW = next(key for key in map(str, range(100)) if is_second(key, "b", 10))
OLD = next(key for key in map(str, range(100)) if not is_second(key, "b", 50))


def made(folder: Path) -> tuple[Config, Config, Config]:
    """The configuration with the first version alone, with both, and with the second alone."""
    for name in ("one", "two"):
        (folder / name).mkdir()
        (folder / name / "w.py").write_text(SAYS.replace("VERSION", name))
    (folder / "front").mkdir()
    (folder / "front" / "w.py").write_text(ASKS)
    (folder / "config.toml").write_text(CONFIG)
    config = load(folder / "config.toml")
    shop, *rest = config.services
    assert isinstance(shop.kind, Worker)
    second = replace(shop.kind, main=folder / "two" / "w.py", root=folder / "two")
    both = replace(shop, rollout=Rollout(second, "b", 10.0))
    return (
        config,
        replace(config, services=(both, *rest)),
        replace(config, services=(replace(shop, kind=second), *rest)),
    )


async def ask(runtime: Runtime, service: str = "shop", path: str = "/", **headers: str) -> str:
    given = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return await (await runtime.fetch(Request("GET", f"http://x{path}", given), service)).text()


def test_a_rollout_from_its_beginning_to_its_end(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    config, both, promoted = made(tmp_path)
    key = HEADER.replace("-", "_")

    async def main(runtime: Runtime) -> None:
        assert [await ask(runtime), await ask(runtime)] == ["one 1", "one 2"]
        await ask(runtime, "front")
        front = runtime.service("front")
        await runtime.reload(both)
        assert await ask(runtime, **{key: OLD}) == "one 4"  # its isolates are those from before
        for count in range(1, 4):
            assert await ask(runtime, **{key: NEW}) == f"two {count}"
        assert await ask(runtime, "front", **{key: NEW}) == "two 4"  # through another worker as well
        assert runtime.service("front") is front
        said = {(await ask(runtime)).split()[0] for _ in range(200)}
        assert said == {"one", "two"}
        rows = runtime.metrics()["version_requests"]
        assert {labels[:2] for labels in rows} == {("shop", "configured"), ("shop", "b")}
        assert sum(count for (count,) in rows.values()) == 205
        assert rows["shop", "b", "2xx"] >= (4,)
        assert runtime.metrics()["version_duration_seconds"].keys() == {labels[:2] for labels in rows}
        assert {await ask(runtime, "front", "/rpc") for _ in range(200)} == {"one", "two"}
        before = int((await ask(runtime, **{key: NEW})).split()[1])
        await runtime.reload(promoted)
        assert await ask(runtime, **{key: OLD}) == f"two {before + 1}"  # warm since the rollout
        assert runtime.service("front") is front

    with_runtime(main, config)


def test_a_rollout_that_is_taken_back(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    config, both, _ = made(tmp_path)

    async def main(runtime: Runtime) -> None:
        assert await ask(runtime) == "one 1"
        await runtime.reload(both)
        await runtime.reload(config)
        assert await ask(runtime, **{HEADER.replace("-", "_"): NEW}) == "one 2"

    with_runtime(main, config)


def test_an_object_is_the_first_versions_until_the_end(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    config, both, promoted = made(tmp_path)
    key = HEADER.replace("-", "_")

    async def main(runtime: Runtime) -> None:
        assert await ask(runtime, path="/room", **{key: NEW}) == "two one"
        assert await ask(runtime, path="/room", **{key: OLD}) == "one one"
        await runtime.reload(promoted)
        assert await ask(runtime, path="/room", **{key: OLD}) == "two two"
        await runtime.reload(config)
        assert await ask(runtime, path="/room") == "one one"

    with_runtime(main, both)


def test_a_page_has_a_cookie_that_keeps_its_visitor(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    _, both, _ = made(tmp_path)

    async def main(runtime: Runtime) -> None:
        for _ in range(20):
            page = await runtime.fetch(Request("GET", "http://x/", (("accept", "text/html"),)), "shop")
            cookie = (page.header("set-cookie") or "").partition(";")[0]
            assert cookie.startswith(f"{COOKIE}=")
            expected = "two" if is_second(cookie.partition("=")[2], "b", 10) else "one"
            assert (await page.text()).split()[0] == expected
            again = await runtime.fetch(Request("GET", "http://x/", (("cookie", cookie),)), "shop")
            assert again.header("set-cookie") is None
            assert (await again.text()).split()[0] == expected

    with_runtime(main, both)


def test_where_workers_are_deployed_by_their_first_request(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    config, both, promoted = (replace(each, deploy="lazy") for each in made(tmp_path))
    key = HEADER.replace("-", "_")

    async def main(runtime: Runtime) -> None:
        await runtime.reload(both)
        assert await ask(runtime, **{key: NEW}) == "two 1"
        assert await ask(runtime, **{key: OLD}) == "one 1"
        assert await ask(runtime, "front", **{key: NEW}) == "two 2"
        await runtime.reload(promoted)
        assert await ask(runtime, **{key: OLD}) == "two 3"
        await runtime.reload(config)
        assert await ask(runtime, **{key: NEW}) == "one 1"

    with_runtime(main, config)


def test_what_is_deployed_brings_no_other_file_along(
    with_runtime: Callable[..., None], tmp_path: Path
) -> None:
    config, both, _ = made(tmp_path)
    key = HEADER.replace("-", "_")

    async def main(runtime: Runtime) -> None:
        async def change(config: Config, only: str) -> None:
            await runtime.retire(runtime.switch(await runtime.prepare(config, only)))

        front, shop = runtime.service("front"), runtime.service("shop")
        (tmp_path / "front" / "w.py").write_text("1 / 0")
        await change(both, "shop")
        assert await ask(runtime, "front", **{key: NEW}) == "two 1"
        assert runtime.service("front") is front
        (tmp_path / "front" / "w.py").write_text(ASKS + "# new")
        for name in ("one", "two"):
            (tmp_path / name / "w.py").write_text("1 / 0")
        await change(both, "front")
        assert runtime.service("shop") is shop
        assert await ask(runtime, "front", **{key: NEW}) == "two 2"  # both of its versions go on
        assert runtime.service("front") is not front

    with_runtime(main, config)


class Full:
    """A version that takes no more."""

    name = "shop"
    external = False

    async def fetch(self, request: Request, target: Target = DEFAULT) -> Response:
        raise Overloaded("too much waits")

    async def call(self, method: str, arguments: bytes, target: Target = DEFAULT) -> bytes:
        raise Overloaded("too much waits")

    async def aclose(self) -> None:
        """Nothing is left."""


def test_failures_are_those_of_the_version_and_few_versions_have_a_label() -> None:
    meters = VersionMeters(2)

    def counted() -> dict[Labels, Value]:
        snapshot: Snapshot = {}
        meters.write(snapshot)
        return snapshot["version_requests"]

    async def main() -> None:
        splits = [
            Split("shop", Full, Full(), versions, 100.0, meters) for versions in (("a", "b"), ("b", "c"))
        ]
        for split in splits:
            with pytest.raises(Overloaded):
                await split.fetch(Request("GET", "http://x/"))
        assert counted() == {("shop", "b", "5xx"): (1,), (OTHERS, OTHERS, "5xx"): (1,)}
        for split in splits:
            split.close()
        assert counted()["shop", "b", "5xx"] == (1,), "counters go on, until another version needs the label"
        Split("shop", Full, Full(), ("d", "e"), 50.0, meters)
        assert counted() == {(OTHERS, OTHERS, "5xx"): (1,)}

    asyncio.run(main())
