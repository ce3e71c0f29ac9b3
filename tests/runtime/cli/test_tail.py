"""`pyworkerd tail` beside a real server, and one that goes away and comes again."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyworkerd.admin.site import Site
from pyworkerd.observe.feed import Feed
from pyworkerd.observe.logs import LogEntry
from pyworkerd.server import bind

from tests.runtime.admin.test_routes import Fixed
from tests.runtime.cli import command
from tests.runtime.cli.command import ask, project, run, running, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CONFIG = f'admin = "unix:{{socket}}"\n{command.CONFIG}'
WORKER = """\
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.url.endswith("/fail"):
            raise ValueError("no \\x1b[31mtea")
        print("served", request.url)
        return Response("tea")
"""


@contextmanager
def busy(address: tuple[str, int]) -> Iterator[None]:
    """Requests, one after another, for as long as somebody looks."""
    enough = threading.Event()

    def work() -> None:
        while not enough.is_set():
            for path in ("/tea", "/fail"):
                ask(address, path)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join()


def test_what_workers_say_and_do_in_all_processes(tmp_path: Path) -> None:
    config = project(tmp_path, CONFIG.format(socket=tmp_path / "admin"), w=WORKER)
    with serve(config, processes=2) as served:
        address = served.address()
        served.errors.until("serving with")
        with (
            running("tail", "w", "-c", str(config), "--json", "--last=10") as following,
            running("tail", "--to", f"unix:{tmp_path / 'admin'}", "--status=error") as failing,
            busy(address),
        ):
            outcome = json.loads(following.output.until('"GET /tea"'))
            assert (outcome["event"], outcome["worker"], outcome["outcome"], outcome["status"]) == (
                "invocation",
                "w",
                "ok",
                200,
            )
            log = json.loads(following.output.until('"served '))
            assert (log["event"], log["level"], log["source"]) == ("log", "info", "stdout")
            failing.output.until("\\x1b[31mtea")
            assert "exception" in failing.output.until("GET /fail, ")
            assert following.stop(signal.SIGINT) == 130
            assert failing.stop(signal.SIGINT) == 130
        assert not any("\x1b" in line or "served" in line for line in failing.output.rest())


@contextmanager
def site(path: Path, server: Fixed) -> Iterator[None]:
    """A real admin address on a thread of its own."""
    loop, ended = asyncio.new_event_loop(), asyncio.Event()
    listener = bind(f"unix:{path}")

    async def main() -> None:
        served = Site(server)
        await served.start(listener)
        await ended.wait()
        await server.live.aclose()
        await served.aclose()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    try:
        yield
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join(10)
        loop.close()


def serving(*messages: str) -> Fixed:
    server = Fixed(1)
    server.feeds = {1: Feed()}
    for message in messages:
        server.feeds[1](LogEntry(time.time(), "w", 1, "info", "stdout", message))
    return server


def test_a_server_that_goes_away_and_comes_again(tmp_path: Path) -> None:
    path = tmp_path / "admin"
    with site(path, serving("one")):
        following = running("tail", "--to", f"unix:{path}", "--last=10")
        client = following.__enter__()
        client.output.until("one")
    client.errors.until("trying again")
    with site(path, serving("two")):
        client.output.until("two")
        assert client.stop(signal.SIGTERM) == -signal.SIGTERM
    following.__exit__(None, None, None)
    assert [line.split()[-1] for line in client.output.seen] == ["one", "two"]


def test_who_cannot_be_followed(tmp_path: Path) -> None:
    nobody = run("tail", "--to", f"unix:{tmp_path / 'nobody'}")
    assert (nobody.returncode, "cannot be asked" in nobody.stderr) == (1, True)
    with site(tmp_path / "admin", serving()):
        wrong = run("tail", "--to", f"unix:{tmp_path / 'admin'}", "--last=5000")
    assert (wrong.returncode, "the query" in wrong.stderr) == (2, True)
