"""Guests that write their own effects, reach for what they were not given, and look for what others left."""

from __future__ import annotations

import os

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import ProtocolError, Refused, Trap
from pyworkerd_isolates.lifecycle import State
from pyworkerd_isolates.protocol import Call, Fetch
from pyworkerd_isolates.testing import LATER

HEAD = """
import asyncio, gc, os, sys
import _wire
from _pyworkerd import calls, environment, handlers, invocation, outbox, streams
from workers import env

MODULES = list(sys.modules.values())
ENTRY = next(module for module in MODULES if hasattr(module, "PRELOADED"))
STEP = next(module for module in MODULES if hasattr(module, "EVENTS"))

def effect(*parts, blobs=()):
    outbox.blobs.extend(blobs)
    outbox.effects.append(list(parts))
"""


FORGED = {
    "an answer to somebody else's request": "effect('respond', 99, 200, [], None)",
    "an answer to a request of another kind, twice": "effect('return', 1, 0, blobs=[b'x'])\neffect('return', 1, 0)",
    "an end of somebody else's invocation": "effect('done', 99)",
    "a failure of somebody else's invocation": "effect('fail', 99, 'exception', 'X', '', '')",
    "a reply to somebody else": "outbox.effects.append((99, b'200,[]', b''))",
    "a reply twice": "outbox.effects.append((1, b'200,[]', b''))\noutbox.effects.append((1, b'200,[]', b''))",
    "a reply without headers": "outbox.effects.append((1, b'200', b''))",
    "a reply that is two": "outbox.effects.append((1, b'200,[]],[', b''))",
    "a call for somebody else": "effect('call', 1, 99, 1, 'call', 0, blobs=[b'x'])",
    "a call twice": "effect('call', 7, 1, 1, 'call', 0, blobs=[b'x'])\neffect('call', 7, 1, 1, 'call', 0)",
    "an unknown effect": "effect('exec', 'rm -rf /')",
    "an effect that is no list": "outbox.effects.append('\"done\"')",
    "an effect that is no JSON": "outbox.effects.append('done')",
    "two effects in one": 'outbox.effects.append(\'["done",1],["done",1]\')',
    "an effect with a hole": "effect('done')",
    "a status line": "effect('respond', 1, 200, [['x', 'a\\r\\n\\r\\nHTTP/1.1 200 OK']], None)",
    "a header with NUL": "effect('respond', 1, 200, [['x', 'a\\0b']], None)",
    "a header name with CR LF": "effect('respond', 1, 200, [['x: y\\r\\nz', 'a']], None)",
    "a request line": "effect('fetch', 1, 1, 0, 'GET / HTTP/1.1\\r\\nx: y', 'http://a/', [], None, 'follow')",
    "a URL with a request in it": "effect('fetch', 1, 1, 0, 'GET', 'http://a/ HTTP/1.1\\r\\nx: y', [], None, 'follow')",
    "a status of the runtime": "effect('respond', 1, 101, [], None)",
    "credit for a stream before the first": "effect('pull', -1, 1)",
    "a body that is not there": "effect('respond', 1, 200, [], ['b', 99])",
    "a stream that was handed on already": "effect('respond', 1, 200, [], ['p', 99])",
    "a crash": "effect('crash', 'x' * 100)",
    "bytes that are no text": "outbox.take = lambda wake: b'\\xff' * 100",
    "no bytes": "outbox.take = lambda wake: b''",
    "an enormous length": "outbox.take = lambda wake: b'\\xff\\xff\\xff\\x7f{}'",
    "a deep nest": "outbox.take = lambda wake: (lambda h: len(h).to_bytes(4, 'little') + h)(b'[' * 100_000)",
    "not bytes at all": "outbox.take = lambda wake: 'text'",
    "a time that is none": "outbox.take = lambda wake: _wire.encode(['soon', []], ())",
    "a huge number": (
        "h = b'[[],[null,[[\"done\",' + b'9' * 5000 + b']]]]'\n"
        "outbox.take = lambda wake: len(h).to_bytes(4, 'little') + h"
    ),
    "another step function": "ENTRY.WitWorld.step = lambda self, data: b'forged'",
    "a step function that raises": "ENTRY.WitWorld.step = lambda self, data: 1 / 0",
    "a broken encoder": "outbox.frames.encode = lambda *arguments: 7",
    "a broken loop": "handlers.loop._later.append(None)\nhandlers.loop.due = lambda _: float('nan')",
}


@pytest.mark.parametrize("case", FORGED)
def test_forged_output_ends_the_isolate_and_nothing_else(start, image, neighbour, case):
    driver = start(image, bindings=[("CALL", "callable", 1)], answer=lambda _: LATER)
    with pytest.raises((ProtocolError, Trap)):
        driver.call("run", FORGED[case])
        driver.fetch()
    assert driver.isolate.state is State.DEAD


BROKEN_MACHINERY = {
    "no events": "STEP.EVENTS.clear()",
    "no modules": "sys.modules.clear()",
    "no builtins": "import builtins\nfor name in list(vars(builtins)): delattr(builtins, name)",
    "no running loop": "asyncio.events._set_running_loop(None)",
    "another running loop": "asyncio.events._set_running_loop(object())",
    "no finders": "sys.meta_path.clear()",
    "no invocations": "invocation.running.clear()",
    "a trace function": "sys.settrace(lambda *arguments: 1 / 0)",
    "a profile function": "sys.setprofile(lambda *arguments: 1 / 0)",
    "frozen effects": "outbox.effects = ()",
    "frames that are cleared": "sys._getframe(1).f_globals.clear()",
    "a collector that calls back": "gc.callbacks.append(lambda *arguments: 1 / 0)\ngc.collect()",
    "an unraisable hook": "sys.unraisablehook = lambda *arguments: sys.exit(1)\ngc.collect()",
    "monkeypatched json": "import json.encoder\njson.encoder.c_make_encoder = None\njson.decoder.c_scanstring = None",
}


@pytest.mark.parametrize("case", BROKEN_MACHINERY)
def test_a_guest_that_breaks_its_own_machinery_breaks_only_itself(start, image, neighbour, case):
    driver = start(image)
    try:
        driver.call("run", BROKEN_MACHINERY[case])
        driver.fetch()
    except (ProtocolError, Trap):
        pass


def test_code_that_is_not_python_code(start, image, neighbour):
    """Bytecode is not checked by CPython: what it breaks is inside the sandbox."""
    code = (
        "def f(): pass\nf.__code__ = f.__code__.replace(co_code=bytes(range(256)) * 4, co_stacksize=0)\n"
        "try:\n    f()\nexcept Exception: pass"
    )
    driver = start(image, cpu_ms=200)
    try:
        driver.call("run", code)
    except (ProtocolError, Trap):
        assert driver.isolate.state is State.DEAD


@pytest.mark.parametrize("index", [0, 2, 99, 2**40])
def test_an_index_that_was_never_given_is_asked_of_the_host_as_it_is(start, image, neighbour, index):
    """The guest may name what it likes: the host looks it up in this worker's own table, and nowhere else."""
    asked = []

    def answer(effect):
        asked.append(effect.capability)
        if effect.capability != 1:
            raise PermissionError("this worker has no such capability")
        return "granted"

    driver = start(image, bindings=[("CALL", "callable", 1)], answer=answer)
    run = driver.call("run", f"from workers.bindings import Callable\nreturn await Callable({index})()")
    assert run.failure.type_name == "PermissionError"
    assert asked == [index]
    assert driver.call("run", "return await env.CALL()").value == "granted"


@pytest.mark.parametrize("index", ["-1", "'0'", "None", "2**60", "True", "[0]"])
def test_an_index_that_is_no_number_ends_the_isolate(start, image, neighbour, index):
    driver = start(image)
    with pytest.raises(ProtocolError):
        driver.call("run", f"from workers.bindings import Callable\nreturn await Callable({index})()")


def test_if_the_door_refuses_everything_a_guest_reaches_only_its_caller(start, image):
    """Every effect is a message to the caller, an entry of the log, or a question that can be refused."""
    driver = start(image)
    code = (
        "from workers import fetch\n"
        "results = await asyncio.gather(fetch('http://a.example/'), return_exceptions=True)\n"
    )
    run = driver.call("run", code + "return [type(each).__name__ for each in results]")
    assert run.value == ["PermissionError"]
    assert all(isinstance(each, Call | Fetch) for each in driver.seen)


def test_another_isolates_heap_is_not_found_in_reused_memory(sandbox, start, image, source):
    marker = f"MARKER-{os.urandom(12).hex()}"
    for _ in range(30):
        driver = sandbox.start(image, bindings=[("SECRET", "value", wire.dump_value(marker))], cpu_ms=5000)
        driver.call("run", "global KEPT\nKEPT = [env.SECRET + str(n) for n in range(50_000)]")
        assert marker.encode() in driver.isolate.memory()
        driver.end()
    search = "x = bytearray(48 << 20)\nreturn [x.count(0) == len(x)]"
    for other in (source, f"# another tenant {marker[:6]}\n{source}"):
        driver = start(other)
        assert driver.call("run", search).value == [True]
        assert marker.encode() not in driver.isolate.memory()


WASI = {
    "files by number": "import _io\n_io.FileIO(0).read(1)",
    "files by name": "import _io\n_io.FileIO('/etc/passwd')",
    "code by name": "import _io\n_io.open_code('/etc/passwd')",
    "sqlite files": "import sqlite3\nsqlite3.connect('/tmp/x.db').execute('create table t (x)')",
    "attached files": "import sqlite3\nsqlite3.connect(':memory:').execute(\"attach '/etc/passwd' as p\")",
    "raw sockets": "import _socket\n_socket.socket(2, 1, 0)",
    "raw connections": "import _socket\n_socket.socket(2, 1, 0).connect(('127.0.0.1', 80))",
    "raw names": "import _socket\n_socket.getaddrinfo('localhost', 80)",
    "select": "import select\nselect.select([], [], [], 10)",
    "poll": "import select\nselect.poll().poll(10)",
}


@pytest.mark.parametrize("case", WASI)
def test_system_calls_beneath_the_shims_are_refused(start, image, neighbour, case):
    driver = start(image)
    refusal, failure = "", None
    try:
        failure = driver.call("run", WASI[case]).failure
    except Refused as refused:
        refusal = str(refused)
    if refusal:
        assert refusal.startswith("wasi:")
        assert driver.isolate.state is State.DEAD
    else:
        assert failure is not None
        assert failure.type_name in ("OSError", "FileNotFoundError", "PermissionError", "OperationalError")


def test_environment_and_arguments_are_empty_beneath_the_shims_too(start, image):
    driver = start(image)
    assert (
        driver.call("run", "import posix\nreturn [list(posix.environ), sys.argv, sys.orig_argv]").value[0]
        == []
    )
    os.environ["PYWORKERD_TEST_MARKER"] = marker = os.urandom(8).hex()
    try:
        assert marker.encode() not in driver.isolate.memory()
    finally:
        del os.environ["PYWORKERD_TEST_MARKER"]
