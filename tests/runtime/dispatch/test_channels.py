"""The one door: without it a worker reaches nobody but its caller, whatever it tries."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, get_args

import pytest
from pyworkerd.dispatch.channels import NoChannels, Table
from pyworkerd.errors import AccessDenied, BadEffect, WorkerError
from pyworkerd.messages import Request, Response
from pyworkerd_isolates import protocol
from pyworkerd_isolates.protocol import Part

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd.runtime import Runtime

SOURCE = {
    "worker.py": """
import asyncio
from _pyworkerd import outbox
from _pyworkerd.invocation import current
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request, env):
        what = request.url.rsplit("/", 1)[1]
        number = current().number
        if what == "Call":
            return Response(await refused(env.BINDING()))
        if what == "Fetch":
            return Response(await refused(env.SERVICE.fetch("http://elsewhere/")))
        forged = {
            "Log": ["log", number, "info", "test", "logged"],
            "Abandon": ["abandon", 77],
            "Stop": ["stop", 77],
            "Pull": ["pull", 77, 1],
            "Data": ["data", 77, None, True],
            "Broken": ["error", 77, "broken"],
            "Done": ["done", 77],
            "Return": ["return", 77, outbox.blob(b"x")],
            "Result": ["result", 77, outbox.blob(b"x")],
            "Respond": ["respond", 77, 200, [], None],
            "Replied": ["replied", 77, 200, [], ["b", outbox.blob(b"")]],
            "Fail": ["fail", 77, "exception", "x", "y", "z"],
            "Crash": ["crash", "x"],
            "Abort": ["abort", "x"],
            "Drop": ["drop", 77],
            "Commit": ["commit", 0, [], outbox.blob(b""), None],
            "Upgrade": ["upgrade", 77, [], 1],
            "SocketSend": ["ws_send", 77, None, True, True],
            "SocketClose": ["ws_close", 77, 1000, ""],
            "SocketCredit": ["ws_credit", 78, 65536],
        }
        outbox.effects.append(forged[what])
        return Response("answered")

async def refused(call):
    try:
        return str(await call)
    except Exception as error:
        return error.code
"""
}
EFFECTS = sorted(kind.__name__ for kind in get_args(protocol.Effect))
ENDS_THE_ISOLATE = {
    "Return", "Result", "Respond", "Replied", "Fail", "Crash", "Upgrade", "Abort", "Commit", "Drop",
}  # fmt: skip
"""These answer what was never asked, let go of what was never given, or give up."""


class Recorder:
    """A binding that must not be reached."""

    name = "recorder"

    def __init__(self) -> None:
        self.reached: list[str] = []

    async def fetch(self, request: Request, target: Any) -> Response:
        self.reached.append(request.url)
        return Response()

    async def call(self, *_: Any) -> bytes:
        self.reached.append("call")
        return b""


@pytest.mark.parametrize("effect", EFFECTS)
def test_without_channels_a_worker_reaches_only_its_caller(
    effect: str, with_runtime: Callable[..., None]
) -> None:
    async def main(runtime: Runtime) -> None:
        recorder = Recorder()
        bindings = {"SERVICE": recorder, "BINDING": lambda: recorder.reached.append("function")}
        worker = await runtime.load(SOURCE, bindings=bindings)
        worker.service.channels = NoChannels()
        tasks = asyncio.all_tasks()
        if effect in ENDS_THE_ISOLATE:
            with pytest.raises(WorkerError):
                await worker.fetch(f"/{effect}")
        else:
            answer = await (await worker.fetch(f"/{effect}")).text()
            assert answer == ("access_denied" if effect in ("Call", "Fetch") else "answered")
        assert recorder.reached == []
        for _ in range(3):
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == tasks

    with_runtime(main)


def test_with_channels_the_same_worker_does_reach_them(with_runtime: Callable[..., None]) -> None:
    async def main(runtime: Runtime) -> None:
        recorder = Recorder()
        bindings = {"SERVICE": recorder, "BINDING": lambda: recorder.reached.append("function")}
        worker = await runtime.load(SOURCE, bindings=bindings)
        await worker.fetch("/Call")
        await worker.fetch("/Fetch")
        assert recorder.reached == ["function", "http://elsewhere/"]

    with_runtime(main)


class Given:
    """A capability."""

    external = True

    async def call(self, method: str, arguments: bytes) -> bytes:
        return method.encode() + arguments

    async def fetch(self, request: Request, redirect: str) -> tuple[Response, str]:
        return Response(204), request.url + redirect

    async def aclose(self) -> None:
        """Nothing."""


def test_a_table_finds_what_it_was_given() -> None:
    async def main() -> None:
        table = Table([None, Given()])
        assert table.find(1).external is True
        assert await table.find(1).call("x", b"y") == b"xy"
        assert (await table.find(1).fetch(Request("GET", "u"), "follow"))[1] == "ufollow"

    asyncio.run(main())


class Namespace(Given):
    """One with parts."""

    def part(self, id_: str, name: str | None) -> Given:
        if id_ != "0a" * 32 or name not in (None, "lobby"):
            raise AccessDenied("none of mine")
        return Given()


def test_a_table_finds_parts_of_what_has_some() -> None:
    async def main() -> None:
        table = Table([None, Namespace(), Given()])
        for name in (None, "lobby"):
            assert await table.find(Part(1, "0a" * 32, name)).call("x", b"y") == b"xy"
        with pytest.raises(AccessDenied, match="none of mine"):
            await table.find(Part(1, "0b" * 32)).call("x", b"y")
        for named in (Part(2, "0a" * 32), Part(3, "0a" * 32)):
            with pytest.raises(BadEffect):
                table.find(named)

    asyncio.run(main())


@pytest.mark.parametrize(
    ("index", "error"), [(0, AccessDenied), (2, BadEffect), (2**52, BadEffect), (-1, BadEffect)]
)
def test_a_table_knows_nothing_else(index: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        Table([None, Given()]).find(index)
