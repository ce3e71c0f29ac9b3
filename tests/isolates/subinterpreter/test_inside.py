"""What code finds in a subinterpreter: the SDK as in the sandbox, and the system that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyworkerd_isolates.protocol import Events, Respond

from .conftest import PATIENCE_MS, step

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.protocol import Effect
    from pyworkerd_isolates.subinterpreter.isolate import TrustedIsolate

    Start = Callable[..., TrustedIsolate]
    Fetch = Callable[..., list[Effect]]

HANDLER = "class Default(WorkerEntrypoint):\n  async def fetch(self, request):\n    "


def answer(effects: list[Effect]) -> bytes:
    (respond,) = (each for each in effects if isinstance(each, Respond))
    assert isinstance(respond.body, bytes)
    return respond.body


def test_native_modules_files_and_what_a_library_keeps_for_each_thread(start: Start, fetch: Fetch) -> None:
    isolate = start(f"""
import ctypes, sqlite3, ssl, threading
kept = threading.local()
kept.name = "kept"
connection = sqlite3.connect(__file__ + ".db")  # it may only be used on this thread
connection.execute("create table if not exists t (x)")
{HANDLER}connection.execute("insert into t values (1)"); connection.commit()
    count, = connection.execute("select count(*) from t").fetchone()
    return Response(f"{{count}} {{kept.name}} {{ssl.OPENSSL_VERSION[:7]}} {{ctypes.sizeof(ctypes.c_int)}}")
""")
    assert answer(fetch(isolate)) == b"1 kept OpenSSL 4"
    assert answer(fetch(isolate, number=2)) == b"2 kept OpenSSL 4"


def test_packages_of_the_host_are_found_and_the_machinery_is_not_on_the_path(
    start: Start, fetch: Fetch
) -> None:
    isolate = start(f"""
import importlib.util, sys
{HANDLER}found = [importlib.util.find_spec(name) is not None for name in ("h11", "wit_world")]
    return Response(repr((found, [each for each in sys.path if each.endswith("guest")])))
""")
    assert answer(fetch(isolate)) == b"([True, False], [])"


def test_isolates_share_no_module(start: Start, fetch: Fetch) -> None:
    source = (
        f"import json\n{HANDLER}json.count = getattr(json, 'count', 0) + 1; return Response(str(json.count))"
    )
    one, two = start(source), start(source)
    assert answer(fetch(one)) == answer(fetch(two)) == b"1"
    assert answer(fetch(one, number=2)) == b"2"


def test_what_a_thread_has_done_is_known_to_the_host(start: Start, fetch: Fetch) -> None:
    isolate = start(f"""
import asyncio, os
{HANDLER}async def fails():
        return await asyncio.to_thread(int, "x")
    read, write = os.pipe()
    waiting = asyncio.create_task(asyncio.to_thread(os.read, read, 1))
    await asyncio.sleep(0)
    os.write(write, b"!")
    try:
        await fails()
    except ValueError:
        return Response(await waiting)
""")
    effects = fetch(isolate)
    while not any(isinstance(each, Respond) for each in effects):
        while not isolate.knocked:
            isolate._running.link.wait(PATIENCE_MS / 1e3)
            isolate.hears()
        isolate.knocked = False
        effects = step(isolate, Events())
    assert answer(effects) == b"!"


def test_a_loop_of_its_own_in_a_thread_has_sockets(start: Start, fetch: Fetch) -> None:
    isolate = start(f"""
import asyncio, threading

async def talk():
    async def served(reader, writer):
        writer.write(await reader.read(4)); await writer.drain(); writer.close(); await writer.wait_closed()
    async with await asyncio.start_server(served, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        writer.write(b"ping")
        heard = await reader.read()
        writer.close()
        await writer.wait_closed()
        return heard

{HANDLER}found = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(talk())))
    thread.start(); thread.join()
    return Response(found[0])
""")
    assert answer(fetch(isolate)) == b"ping"
