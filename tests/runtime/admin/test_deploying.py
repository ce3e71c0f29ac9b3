"""Deploying to a real server: what answers afterwards, in all its processes, and what does not change."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.admin.api import Api, ApiError, Call
from pyworkerd.admin.auth import UNIX, Caller, Gate
from pyworkerd.admin.deploying import ROUTES
from pyworkerd.admin.uploads import Uploads
from pyworkerd.cli.remote import Remote, encode
from pyworkerd.messages import Body, Request
from pyworkerd.problems import Refusal
from pyworkerd.versions.archive import pack
from pyworkerd.versions.choice import HEADER
from pyworkerd.versions.store import Store
from pyworkerd_config.model import Config, Service, Worker
from pyworkerd_isolates.bundle import Bundle

from tests.runtime.admin.test_routes import Fixed
from tests.runtime.cli.command import PATIENCE_S, ask, project
from tests.runtime.supervisor.supervised import Supervised, supervised

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from pyworkerd.versions.receiving import Kept

CONFIG = """
[[sockets]]
name = "http"
address = "127.0.0.1:0"

[[services]]
name = "shop"
routes = ["/shop/*"]
[services.worker]
main = "shop.py"
bindings = { NAME = { text = "configured" } }

[[services]]
name = "other"
routes = ["/*"]
[services.worker]
main = "other.py"
"""
SAYS = """
import secrets
from workers import Response, WorkerEntrypoint

served = 0

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        global served
        if request.url.endswith("/bad"):
            return Response("bad", status=500)
        if not served:
            served = secrets.token_hex(4)  # of this isolate
        return Response(f"{getattr(self.env, 'NAME', 'VERSION')} {getattr(self.env, 'TOKEN', '-')} {served}")

    async def test(self, *_):
        assert "VERSION" != "failing"
"""
UPLOAD = "/services/shop/versions"


def packed(version: str, source: str = SAYS, **variables: object) -> bytes:
    bundle = Bundle.of({"w.py": source.replace("VERSION", version)}, "w.py")
    return pack(bundle, "w.py", variables)


class Server:
    """A running server, its admin address, and what its workers answer."""

    def __init__(self, served: Supervised, folder: Path) -> None:
        self.served = served
        self.remote = Remote(f"unix:{folder / 's'}")
        self.http = served.complete()

    def says(self, path: str = "/shop/", key: str | None = None) -> str:
        return ask(self.http, path, **({HEADER: key} if key else {})).body

    def isolates(self, path: str) -> set[str]:
        """Those that answer: one of each process."""
        found: set[str] = set()
        while len(found) < len(self.served.children()):
            found.add(self.says(path).split()[2])
        return found

    def upload(self, data: bytes, **query: object) -> Any:
        return self.remote.ask("POST", UPLOAD, query=query, body=data, kind="application/gzip")

    def post(self, path: str, **body: object) -> Any:
        return self.remote.ask("POST", f"/services/shop/{path}", body=encode(body))

    def refused(self, data: bytes, **query: object) -> str:
        with pytest.raises(Refusal) as raised:
            self.upload(data, **query)
        return str(raised.value)


def start(folder: Path, *, processes: int = 2) -> Any:
    config = project(folder, CONFIG, shop=SAYS, other=SAYS.replace("VERSION", "other"))
    return supervised(config, f"--admin=unix:{folder / 's'}", processes=processes)


def test_from_the_first_version_to_the_way_back(tmp_path: Path) -> None:
    with start(tmp_path) as served:
        server = Server(served, tmp_path)
        pids = [child.pid for child in served.children()]
        assert server.says("/other").startswith("other - ")
        neighbours = server.isolates("/other")
        # Nor is what the operator has written since and not loaded brought along.
        (tmp_path / "other.py").write_text("1 / 0")
        (tmp_path / "config.toml").write_text("nonsense")
        first = server.upload(packed("one", NAME="one"), message="first")["version"]
        assert {server.says().split()[0] for _ in range(8)} == {"one"}
        second = server.upload(packed("two", NAME="two"), percent=40, message="second")
        assert second["live"] == [
            {"version": first["id"], "percent": 60},
            {"version": second["version"]["id"], "percent": 40},
        ]
        for key in map(str, range(8)):
            assert len({server.says(key=key).split()[0] for _ in range(4)}) == 1
        assert {server.says(key=str(key)).split()[0] for key in range(30)} == {"one", "two"}
        server.post("promote", message="good")
        assert {server.says().split()[0] for _ in range(8)} == {"two"}
        server.remote.ask("PUT", "/services/shop/secrets/TOKEN", body=encode({"value": "hunter2"}))
        assert {server.says().split()[1] for _ in range(8)} == {"hunter2"}
        server.post("rollback", message="no, it was not")
        assert {server.says().split()[:2] == ["one", "hunter2"] for _ in range(8)} == {True}
        view = server.remote.ask("GET", "/services/shop")
        assert [each["message"] for each in view["versions"]] == ["first", "second"]
        assert [each["message"] for each in view["deployments"]] == [
            "first",
            "second",
            "good",
            "no, it was not",
        ]
        assert {each["by"] for each in view["deployments"]} == {"unix"}
        assert (view["secrets"], "hunter2" in json.dumps(view)) == (["TOKEN"], False)
        # Nobody else noticed: the same processes, and the same isolates of the neighbour.
        assert [child.pid for child in served.children()] == pids
        assert server.isolates("/other") == neighbours
        assert served.stop(signal.SIGTERM) == 0
    assert "hunter2" not in "".join(served.errors.seen + served.output.seen)


def test_what_does_not_work_changes_nothing(tmp_path: Path) -> None:
    with start(tmp_path) as served:
        server = Server(served, tmp_path)
        server.upload(packed("one"))
        store = Store(tmp_path / ".pyworkerd")
        before = store.record("shop")
        starts_not = SAYS.replace(
            "    async def fetch", "    def __init__(self, *_):\n        1 / 0\n    async def fetch"
        )
        for told, data, query in (
            ("w.py:1: ZeroDivisionError", packed("two", "1 / 0\n"), {}),
            ("it does not start", packed("two", starts_not), {}),
            ("GET /bad was answered 500", packed("two"), {"smoke": "/bad"}),
            ("its test handler failed", packed("failing"), {"test": "true"}),
            ("no whole archive", packed("two")[:-5], {}),
            ("no whole archive", b"nonsense", {}),
            ("is the one that answers now", packed("one"), {"percent": 5}),
            ('"1X" cannot be the name', packed("two", **{"1X": 1}), {}),
        ):
            said = server.refused(data, **query)
            assert told in said
            assert str(tmp_path) not in said
            assert server.says().startswith("one ")
        assert store.record("shop") == before
        assert (
            server.upload(packed("two"), smoke="/good", test="true")["version"]["id"]
            != before.live[0].version
        )
        assert served.stop(signal.SIGTERM) == 0


def test_an_upload_that_is_cut_off_leaves_nothing(tmp_path: Path) -> None:
    with start(tmp_path, processes=1) as served:
        server = Server(served, tmp_path)
        data = packed("two")
        head = (
            f"POST /api/v1{UPLOAD} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/gzip\r\n"
            f"content-length: {len(data)}\r\n\r\n"
        )
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE_S)
            client.connect(str(tmp_path / "s"))
            client.sendall(head.encode() + data[:100])
            client.shutdown(socket.SHUT_WR)
            while client.recv(65536):
                pass
        incoming = Store(tmp_path / ".pyworkerd").root / ".incoming"
        server.upload(data)  # after it, so the one before has been dealt with
        assert [*incoming.iterdir()] == []
        assert len(server.remote.ask("GET", "/services/shop")["deployments"]) == 1
        # Who has sent all of it and goes away stops nothing: the next one comes after it.
        other = packed("three")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(tmp_path / "s"))
            client.sendall(head.replace(str(len(data)), str(len(other))).encode() + other)
        server.upload(data)
        view = server.remote.ask("GET", "/services/shop")
        assert len(view["deployments"]) in (2, 3)  # it may have gone before its request was looked at
        assert len(view["versions"]) == len(view["deployments"]) - 1
        assert [*incoming.iterdir()] == []
        assert served.stop(signal.SIGTERM) == 0


def test_several_at_once_are_one_after_another(tmp_path: Path) -> None:
    with start(tmp_path) as served:
        server = Server(served, tmp_path)
        found: list[Any] = []
        threads = [
            threading.Thread(target=lambda n=n: found.append(server.upload(packed(f"v{n}", NAME=f"v{n}"))))
            for n in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)
        view = server.remote.ask("GET", "/services/shop")
        assert len(found) == len(view["versions"]) == len(view["deployments"]) == 4
        last = next(v for v in view["versions"] if v["id"] == view["live"][0]["version"])
        assert {server.says().split()[0] for _ in range(8)} == {last["vars"]["NAME"]}
        # Each of them can be gone back to: no upload has taken the files of another one.
        for version in view["versions"]:
            server.post("rollback", version=version["id"])
            assert server.says().split()[0] == version["vars"]["NAME"]
        assert served.stop(signal.SIGTERM) == 0


def test_it_survives_being_killed_and_a_reload(tmp_path: Path) -> None:
    with start(tmp_path) as served:
        server = Server(served, tmp_path)
        server.upload(packed("one", NAME="one"))
        server.remote.ask("PUT", "/services/shop/secrets/TOKEN", body=encode({"value": "kept"}))
        children = served.children()
        for child in children:
            child.kill()
        served.settled(2, {child.pid for child in children})
        assert server.says().split()[:2] == ["one", "kept"]
        # The configuration changes, and the file: what was deployed goes before both.
        (tmp_path / "shop.py").write_text(SAYS.replace("VERSION", "edited"))
        (tmp_path / "config.toml").write_text(CONFIG.replace("/shop/*", "/new/*"))
        served.process.send_signal(signal.SIGHUP)
        served.errors.until("reloaded in")
        assert server.says("/new/").split()[:2] == ["one", "kept"]
        os.kill(served.process.pid, signal.SIGKILL)
        served.process.wait(PATIENCE_S)
    store = Store(tmp_path / ".pyworkerd")
    config = tmp_path / "config.toml"
    with supervised(config, f"--admin=unix:{tmp_path / 's2'}") as served:
        address = served.complete()
        assert ask(address, "/new/").body.split()[:2] == ["one", "kept"]
        remote = Remote(f"unix:{tmp_path / 's2'}")
        remote.ask("POST", "/services/shop/rollback", body=encode({"version": "configured"}))
        assert ask(address, "/new/").body.split()[:2] == ["configured", "kept"]
        remote.ask("DELETE", "/services/shop/secrets/TOKEN")
        assert ask(address, "/new/").body.split()[:2] == ["configured", "-"]
        assert served.stop(signal.SIGTERM) == 0
    record = store.folder("shop") / "record.json"
    record.write_text(record.read_text().replace('"format":1', '"format":2'))
    with supervised(config) as served:
        assert "written by a later version of pyworkerd (2)" in served.errors.until("later version")
        assert served.process.wait(PATIENCE_S) == 2


def test_a_version_that_was_stored_and_never_deployed_is_none(tmp_path: Path) -> None:
    """As when the server is killed between the two."""
    store = Store(tmp_path / ".pyworkerd")
    path, descriptor = store.incoming()
    os.write(descriptor, packed("lost"))
    os.close(descriptor)
    id_ = store.keep_upload("shop", path, ())[0]
    with start(tmp_path, processes=1) as served:
        server = Server(served, tmp_path)
        assert server.says().startswith("configured")
        with pytest.raises(Refusal, match="there is no version"):
            server.post("rollback", version=id_)
        server.upload(packed("one"))
        assert not (store.files("shop") / id_).exists()
        assert served.stop(signal.SIGTERM) == 0


def test_who_may_what(tmp_path: Path) -> None:
    with start(tmp_path, processes=1) as served:
        server = Server(served, tmp_path)
        for path, told in (
            ("gone", "no worker named 'gone'"),
            ("internet", "no worker named"),
            ("a%2Fb", "no worker"),
        ):
            with pytest.raises(Refusal, match=told):
                server.remote.ask("GET", f"/services/{path}")
        with pytest.raises(Refusal, match="has no secret"):
            server.remote.ask("DELETE", "/services/shop/secrets/TOKEN")
        with pytest.raises(Refusal, match="the name of the secret"):
            server.remote.ask("PUT", "/services/shop/secrets/a-b", body=encode({"value": ""}))
        with pytest.raises(Refusal, match="Expected `str` of length"):
            server.remote.ask("PUT", "/services/shop/secrets/A", body=encode({"value": "x" * 70_000}))
        assert served.stop(signal.SIGTERM) == 0


def test_what_runs_without_a_sandbox_is_not_deployed_to(tmp_path: Path) -> None:
    server = Fixed(1)
    worker = Worker(Path("w.py"), Path(), isolation="subinterpreter")
    server.config = Config(services=(Service("native", worker),), state_dir=tmp_path)
    api = Api(server, Gate(tuple, wanted=False), ROUTES)

    def asked(method: str, path: str, kind: str, body: bytes = b"") -> Any:
        request = Request(method, f"http://x/api/v1{path}", (("content-type", kind),), Body(body))
        answer = asyncio.run(api.answer(request, None))
        return answer.status, json.loads(answer.body.data or b"{}")

    for path, kind in (("versions", "application/gzip"), ("rollback", "application/json")):
        status, said = asked("POST", f"/services/native/{path}", kind, b"{}")
        assert (status, "runs without a sandbox" in said["detail"]) == (409, True)
    assert asked("GET", "/services", "")[1]["services"][0]["deployable"] is False


def test_questions_of_one_token_are_few_and_one_after_another(tmp_path: Path) -> None:
    """Each looks at ten thousand files on a thread that others' workers are built on."""

    class Slow(Fixed):
        asked = 0

        async def let_one(self, task: str, argument: bytes, seconds: float) -> bytes | None:
            self.asked += 1
            return await asyncio.get_running_loop().create_future()

    server = Slow(1)
    server.config = Config(state_dir=tmp_path)

    async def main() -> None:
        uploads = Uploads()
        call = Call(
            server, Gate(tuple, wanted=True), uploads, Request("POST", "http://x/", (), Body()), None,
            Caller("ci"), {}, None, None,
        )  # fmt: skip
        begun = [asyncio.create_task(uploads.missing_assets(call, "shop", [])) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(ApiError, match="of this token"):
            await uploads.missing_assets(call, "shop", [])
        assert server.asked == 1
        for task in begun:
            task.cancel()
        await asyncio.wait(begun)

    asyncio.run(main())


def test_one_token_does_not_keep_all_others_from_uploading(tmp_path: Path) -> None:
    server = Fixed(1)
    server.config = Config(state_dir=tmp_path)

    async def never() -> AsyncIterator[bytes]:
        await asyncio.get_running_loop().create_future()
        yield b""

    async def nothing(_: Kept) -> None:
        raise AssertionError("nothing has arrived")

    async def main() -> None:
        uploads = Uploads()
        begun: list[asyncio.Task[None]] = []

        async def begin(caller: Caller) -> None:
            request = Request("POST", "http://x/", (), Body(chunks=never()))
            gate = Gate(tuple, wanted=True)
            call = Call(server, gate, uploads, request, None, caller, {}, None, None)
            begun.append(asyncio.create_task(uploads.deploy(call, "shop", nothing)))
            await asyncio.sleep(0)
            if begun[-1].done():
                await begun.pop()

        for _ in range(2):
            await begin(Caller("ci"))
        with pytest.raises(ApiError, match="of this token"):
            await begin(Caller("ci"))
        for _ in range(2):
            await begin(UNIX)
        with pytest.raises(ApiError, match="4 uploads are under way"):
            await begin(Caller("other"))
        for task in begun:
            task.cancel()
        await asyncio.wait(begun)
        await begin(Caller("ci"))
        begun[-1].cancel()

    asyncio.run(main())
