"""Static assets that are deployed to a real server: what answers, what is uploaded, and what is still there later."""

from __future__ import annotations

import signal
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd.cli.remote import Remote, encode
from pyworkerd.problems import Refusal
from pyworkerd.versions.archive import ARCHIVE, pack, packed
from pyworkerd.versions.model import Listed, SiteSettings
from pyworkerd.versions.store import Store
from pyworkerd_isolates.bundle import Bundle

from tests.runtime.admin.test_deploying import CONFIG, SAYS
from tests.runtime.cli.command import ask, project
from tests.runtime.supervisor.supervised import Supervised, supervised

if TYPE_CHECKING:
    from pathlib import Path

WORKER = """
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/own"):
            return await self.env.FILES.fetch("http://x/shop/a.txt")
        return Response("worker")
"""
FIRST = {"/shop/index.html": b"<h1>one</h1>", "/shop/a.txt": b"a", "/_headers": b"/shop/*\n  X-Site: one\n"}
SECOND = {**FIRST, "/shop/index.html": b"<h1>two</h1>"}
SETTINGS = SiteSettings("FILES", run_worker_first=("/shop/api/*",))


class Deploys:
    """A server, and what is deployed to it."""

    def __init__(self, served: Supervised, address: Path) -> None:
        self.remote = Remote(f"unix:{address}")
        self.http = served.complete()

    def missing(self, files: dict[str, bytes]) -> set[bytes]:
        by_digest = {sha256(data).hexdigest(): data for data in files.values()}
        answer = self.remote.ask(
            "POST", "/services/shop/assets/missing", body=encode({"digests": [*by_digest]})
        )
        return {by_digest[each] for each in answer["missing"]}

    def upload(self, *contents: bytes) -> Any:
        named = [(sha256(each).hexdigest(), each) for each in contents]
        return self.remote.ask("POST", "/services/shop/assets", body=packed(named), kind=ARCHIVE)

    def deploy(self, files: dict[str, bytes] | None, source: str = WORKER) -> Any:
        site = files and Listed({p: sha256(d).hexdigest() for p, d in files.items()}, SETTINGS)
        body = pack(Bundle.of({"w.py": source}, "w.py"), "w.py", {"FILES": "taken"}, site or None)
        return self.remote.ask("POST", "/services/shop/versions", body=body, kind=ARCHIVE)

    def says(self, path: str = "/shop/") -> tuple[int, str]:
        answer = ask(self.http, path)
        return answer.status, answer.body


def start(folder: Path, socket: str = "s") -> Any:
    return supervised(folder / "config.toml", f"--admin=unix:{folder / socket}", processes=1)


def test_from_the_first_site_to_the_way_back_and_a_restart(tmp_path: Path) -> None:
    project(tmp_path, CONFIG, shop=SAYS, other=SAYS)
    with start(tmp_path) as served:
        server = Deploys(served, tmp_path / "s")
        with pytest.raises(Refusal, match="is not there: upload it"):
            server.deploy(FIRST)
        assert server.missing(FIRST) == set(FIRST.values())
        assert server.upload(*FIRST.values()) == {"assets": 3}
        first = server.deploy(FIRST)["version"]
        assert (first["files"], first["site"]["files"], first["site"]["settings"]["binding"]) == (
            1,
            3,
            "FILES",
        )
        assert server.says() == (200, "<h1>one</h1>")
        assert ask(server.http, "/shop/").headers["x-site"] == "one"
        assert server.says("/shop/own") == (200, "a")  # the binding is the site's, whatever the vars say
        assert server.says("/shop/api/") == (200, "worker")
        # Of the second version, what is new is all that is asked for.
        assert server.missing(SECOND) == {b"<h1>two</h1>"}
        server.upload(b"<h1>two</h1>")
        second = server.deploy(SECOND)["version"]
        assert second["id"] != first["id"]
        assert server.says() == (200, "<h1>two</h1>")
        tag = ask(server.http, "/shop/").headers["etag"]
        server.remote.ask("POST", "/services/shop/rollback", body=encode({}))
        assert server.says() == (200, "<h1>one</h1>")
        assert ask(server.http, "/shop/").headers["etag"] != tag
        # A version that brings none has those of the configuration, which here are none.
        server.deploy(None, WORKER + "# none\n")
        assert server.says() == (200, "worker")
        server.remote.ask("POST", "/services/shop/rollback", body=encode({"version": second["id"]}))
        assert served.stop(signal.SIGTERM) == 0
    with start(tmp_path, "s2") as served:
        server = Deploys(served, tmp_path / "s2")
        assert server.says() == (200, "<h1>two</h1>")
        assert ask(server.http, "/shop/").headers["etag"] == tag
        for told, contents in (
            ("no whole archive", b"x"),
            ("is no SHA-256", packed([("../../x", b"x")])),
            ("is not the SHA-256 of its content", packed([("0" * 64, b"x")])),
        ):
            with pytest.raises(Refusal, match=told):
                server.remote.ask("POST", "/services/shop/assets", body=contents, kind=ARCHIVE)
        with pytest.raises(Refusal, match="no worker named 'gone'"):
            server.remote.ask("POST", "/services/gone/assets/missing", body=encode({"digests": []}))
        assert served.stop(signal.SIGTERM) == 0
    store = Store(tmp_path / ".pyworkerd")
    assert {path.name for path in store.sites("shop").sites.iterdir()} == {first["id"], second["id"]}
    assert not (store.folder("other")).exists()
