"""Workers that bind each other: fetch and methods, entrypoints and props, exceptions, loops."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from pyworkerd.bindings.service import ServiceBinding
from pyworkerd.errors import NoSuchEntrypoint, WorkerException
from pyworkerd.services.base import Target
from pyworkerd_config.model import Binding as Configured
from pyworkerd_config.model import Config, Limits, Service
from pyworkerd_config.model import Worker as WorkerModel

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from pyworkerd.runtime import Runtime

GREETER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(f"{request.method} {request.url} {await request.text()}", status=201, headers={"x-a": "b"})

    async def add(self, a, b=10):
        return a + b

    async def fail(self, kind):
        if kind == "value":
            raise ValueError("not this value")
        class Odd(Exception):
            pass
        raise Odd("strange")

class Admin(WorkerEntrypoint):
    async def who(self):
        return [self.ctx.props["role"], self.env.NAME]
"""


def test_a_worker_calls_another_through_fetch_and_methods(with_runtime: Callable[..., None]) -> None:
    caller = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        answer = await self.env.GREETER.fetch("http://greeter/x?y", method="POST", body="hello")
        return Response.json([answer.status, answer.headers["x-a"], await answer.text(),
                              await self.env.GREETER.add(1), await self.env.GREETER.add(1, b=2)])
"""

    async def main(runtime: Runtime) -> None:
        greeter = await runtime.load({"worker.py": GREETER})
        worker = await runtime.load({"worker.py": caller}, bindings={"GREETER": greeter})
        answer = await (await worker.fetch("/")).json()
        assert answer == [201, "b", "POST http://greeter/x?y hello", 11, 3]

    with_runtime(main)


def test_exceptions_arrive_with_type_and_message(with_runtime: Callable[..., None]) -> None:
    caller = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        found = []
        try:
            await self.env.GREETER.fail("value")
        except ValueError as error:
            found.append(str(error))
        for call in (self.env.GREETER.fail("odd"), self.env.GREETER.missing()):
            try:
                await call
            except Exception as error:
                found.append(str(error))
        return Response.json(found)
"""

    async def main(runtime: Runtime) -> None:
        greeter = await runtime.load({"worker.py": GREETER})
        worker = await runtime.load({"worker.py": caller}, bindings={"GREETER": greeter})
        found = await (await worker.fetch("/")).json()
        assert found[:2] == ["not this value", "Odd: strange"]
        assert "missing" in found[2]
        with pytest.raises(WorkerException, match="ValueError: not this value"):
            await greeter.call("fail", "value")

    with_runtime(main)


def test_an_entrypoint_sees_the_props_of_its_binding(with_runtime: Callable[..., None]) -> None:
    caller = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response.json([await self.env.ADMIN.who(), await self.env.GUEST.who()])
"""

    async def main(runtime: Runtime) -> None:
        greeter = await runtime.load({"worker.py": GREETER}, bindings={"NAME": "greeter"})
        bindings = {
            name: ServiceBinding(name, greeter.service, Target("Admin", {"role": name.lower()}))
            for name in ("ADMIN", "GUEST")
        }
        worker = await runtime.load({"worker.py": caller}, bindings=bindings)
        assert await (await worker.fetch("/")).json() == [["admin", "greeter"], ["guest", "greeter"]]
        assert await greeter.entrypoint("Admin", {"role": "host"}).call("who") == ["host", "greeter"]
        with pytest.raises(NoSuchEntrypoint):
            await greeter.entrypoint("Nobody").call("who")

    with_runtime(main)


PINGPONG = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        left = int(request.url.rsplit("/", 1)[1])
        if not left:
            return Response(self.env.NAME)
        answer = await self.env.OTHER.fetch(f"http://x/{left - 1}")
        return Response(self.env.NAME + await answer.text())

    async def count(self, left):
        return [self.env.NAME, *(await self.env.OTHER.count(left - 1) if left else [])]

    async def forever(self):
        return await self.env.OTHER.forever()
"""


def _mutual(folder: Path) -> Config:
    (folder / "worker.py").write_text(PINGPONG)
    return Config(
        services=tuple(
            Service(
                name,
                WorkerModel(
                    folder / "worker.py",
                    folder,
                    bindings=(Configured("NAME", "text", name), Configured("OTHER", "service", other)),
                    global_outbound=None,
                ),
            )
            for name, other in (("a", "b"), ("b", "a"))
        )
    )


def test_two_workers_bind_each_other(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        assert await (await runtime.worker("a").fetch("/5")).text() == "ababab"
        assert await runtime.worker("b").call("count", 4) == ["b", "a", "b", "a", "b"]

    with_runtime(main, _mutual(tmp_path))


def test_service_recursion_is_bounded(with_runtime: Callable[..., None], tmp_path: Path) -> None:
    async def main(runtime: Runtime) -> None:
        with pytest.raises(WorkerException, match="call each other in a row"):
            await runtime.worker("a").call("forever")
        assert runtime.statistics().isolates <= 2 * Limits().isolates

    with_runtime(main, _mutual(tmp_path))


def test_a_closed_service_is_an_exception_for_who_still_binds_it(with_runtime: Callable[..., None]) -> None:
    caller = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        try:
            return Response(str(await self.env.GREETER.add(1)))
        except Exception as error:
            return Response(f"{error.code}")
"""

    async def main(runtime: Runtime) -> None:
        greeter = await runtime.load({"worker.py": GREETER})
        worker = await runtime.load({"worker.py": caller}, bindings={"GREETER": greeter})
        assert await (await worker.fetch("/")).text() == "11"
        await greeter.aclose()
        assert await (await worker.fetch("/")).text() == "overloaded"

    with_runtime(main)
