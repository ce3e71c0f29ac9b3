"""Guests that take more than they may: time, memory, stack, effects, output. Only they suffer."""

from __future__ import annotations

import pytest
from pyworkerd_isolates.errors import (
    CpuExhausted,
    OutputTooLarge,
    ProtocolError,
    TopLevelTooSlow,
    Trap,
)
from pyworkerd_isolates.lifecycle import State
from pyworkerd_isolates.testing import LATER

from tests.memory import in_use

HEAD = """
import ast, asyncio, gc, json, re, sys
from _pyworkerd import outbox

class Loop:
    def __del__(self):
        while True: pass

class Deep:
    pass

def recurse(n=0):
    return recurse(n + 1)

def nested(n):
    x = []
    for _ in range(n):
        x = [x]
    return x
"""


LOOPS = {
    "a loop": "while True: pass",
    "a loop that catches all": "while True:\n    try:\n        while True: pass\n    except BaseException: pass",
    "in a destructor": "x = Loop()\ndel x",
    "in a destructor that the collector calls": "x = Loop()\nx.self = x\ndel x\ngc.collect()",
    "in a finally": "try:\n    pass\nfinally:\n    while True: pass",
    "in C: a sum": "sum(iter(int, 1))",
    "in C: a power": "pow(3, 10**9)",
    "in C: a search": "any(iter(int, 1))",
    "in C: a sort that calls back": "sorted(range(10**7), key=lambda n: -n)",
    "a regular expression": "re.match(r'(a+)+$', 'a' * 40 + 'b')",
    "a regular expression of alternatives": "re.match(r'^(([a-z])+.)+[A-Z]([a-z])+$', 'a' * 60)",
    "a task that never waits": "async def spin():\n    while True: pass\nawait asyncio.gather(spin(), spin())",
    "an integer in digits": "sys.set_int_max_str_digits(0)\nstr(1 << 10_000_000)",
    "a comprehension": "[n for n in iter(int, 1) if n]",
}


@pytest.mark.parametrize("loop", LOOPS)
def test_an_endless_step_is_stopped(start, image, neighbour, loop):
    driver = start(image, cpu_ms=60)
    with pytest.raises(CpuExhausted):
        driver.call("run", LOOPS[loop])
    assert driver.isolate.state is State.DEAD


def test_a_loop_in_a_finally_after_cancellation_is_stopped(start, image, neighbour):
    driver = start(image, cpu_ms=60)
    run = driver.begin_call("run", "try:\n    await asyncio.sleep(1000)\nfinally:\n    while True: pass")
    driver.step()
    with pytest.raises(CpuExhausted):
        driver.cancel(run)


@pytest.mark.parametrize("code", ["while True: pass", "x = Loop()\ndel x", "x = Loop()\nx.self = x\ndel x"])
def test_a_loop_at_top_level_is_stopped(sandbox, source, neighbour, code):
    with pytest.raises(TopLevelTooSlow):
        sandbox.image(f"{source}\n{code}\n", startup_ms=100)


BOMBS = {
    "a list": "x = []\nwhile True: x.append([0] * 10_000)",
    "a list that doubles": "x = [0]\nwhile True: x += x",
    "bytes": "x = b'x'\nwhile True: x += x",
    "a string": "x = 'x'\nwhile True: x += x",
    # What is left when the last of them fails differs, and so does what there is room for to say so.
    **{
        f"a dictionary of {size} bytes each": f"x = {{}}\nwhile True: x[len(x)] = bytes({size})"
        for size in (8, 200, 600, 900, 1000, 1500, 2000, 3000, 8000, 65_000)
    },
    "one allocation": "bytearray(1 << 30)",
    "one repetition": "'x' * (1 << 31)",
    "a set": "set(range(10**9))",
    "zeros unpacked": "import zlib\nzlib.decompress(zlib.compress(bytes(100 << 20)))",
    "an integer": "1 << (1 << 33)",
    "a format": "'%1000000000d' % 1",
    "bytes kept for good": "global KEPT\nKEPT = []\nwhile True: KEPT.append(bytes(1 << 20))",
    "tasks": "x = []\nwhile True: x.append(asyncio.sleep(0))",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_memory_bomb(start, image, neighbour, bomb):
    """A MemoryError that the guest may survive, or the end of its isolate; never more memory than its limit."""
    driver = start(image, memory_mb=64, cpu_ms=30_000)
    try:
        run = driver.call("run", BOMBS[bomb])
    except Trap:
        assert driver.isolate.state is State.DEAD
        return
    assert run.failure is not None
    assert run.failure.type_name in ("MemoryError", "OverflowError", "ExceptionGroup"), run.failure
    assert driver.isolate.memory_size <= 64 << 20


DEPTHS = {
    "functions": "recurse()",
    "a repr": "repr(nested(100_000))",
    "a comparison": "nested(100_000) == nested(100_000)",
    "json written": "json.dumps(nested(100_000))",
    "json read": "json.loads('[' * 100_000)",
    "an expression": "eval('(' * 100_000)",
    "an expression of operators": "eval('-' * 100_000 + '1')",
    "a syntax tree": "ast.parse('(' * 5000 + ')' * 5000)",
    "a literal": "ast.literal_eval('[' * 5000 + ']' * 5000)",
    "a pattern": "re.compile('(' * 10_000 + ')' * 10_000)",
    "a destructor chain": "x = nested(1_000_000)\ndel x",
    "objects in a chain": "x = None\nfor _ in range(200_000):\n    y = Deep()\n    y.next = x\n    x = y\ndel x, y",
    "generators": "def g(n):\n    yield from g(n + 1)\nlist(g(0))",
    "a raised limit": "sys.setrecursionlimit(10**9)\nrecurse()",
    "operators": "class A:\n    def __add__(self, other): return other + self\nA() + A()",
    "attributes": "class A:\n    def __getattr__(self, name): return getattr(self, name + 'x')\nA().x",
    "hashes": "x = ()\nfor _ in range(100_000): x = (x,)\nhash(x)",
    "a pickle": "import pickle\npickle.dumps(nested(100_000))",
    "a copy": "import copy\ncopy.deepcopy(nested(100_000))",
    "isinstance": "x = int\nfor _ in range(100_000): x = (x,)\nisinstance('', x)",
    "a marshal": "import marshal\nmarshal.dumps(nested(100_000))",
    "xml": "import xml.etree.ElementTree as E\nE.fromstring('<a>' * 100_000)",
    "await": "async def f(): await f()\nawait f()",
    "exceptions": "def f():\n    try: 1 / 0\n    except Exception: f()\nf()",
    "str.format": "'{:{:{}}}'.format(1, 2, 3)",
    "partial functions": "import functools\nf = int\nfor _ in range(100_000): f = functools.partial(f)\nf()",
    "wrapped functions": "f = int\nfor _ in range(100_000): f = (lambda f: lambda: f())(f)\nf()",
}


@pytest.mark.parametrize("depth", DEPTHS)
def test_a_deep_recursion(start, image, neighbour, depth):
    """An exception that the guest may survive, or the end of its isolate, never of the process."""
    driver = start(image, cpu_ms=30_000)
    try:
        driver.call("run", DEPTHS[depth])
    except Trap:
        assert driver.isolate.state is State.DEAD
    else:
        assert driver.fetch().text == "still here"


EFFECTS = {
    "a million calls": "await asyncio.gather(*[self.env.CALL(n) for n in range(1_000_000)], return_exceptions=True)",
    "calls that are given up at once": (
        "for n in range(20_000):\n    task = asyncio.ensure_future(self.env.CALL(n))\n"
        "    await asyncio.sleep(0)\n    task.cancel()\n    await asyncio.sleep(0)"
    ),
    "raw calls": "for n in range(1_000_000): outbox.effects.append(['call', n, 1, 1, 'call', 0])",
    "raw logs": "for n in range(100_000): outbox.effects.append(['log', 1, 'info', 'x', 'y'])",
    "raw ends": "for n in range(20_000): outbox.effects.append(['stop', n])",
    "raw bytes": "outbox.blobs.append(bytes(20 << 20))",
    "raw text": "outbox.effects.append(['log', 1, 'info', 'x', 'y' * (2 << 20)])",
}


@pytest.mark.parametrize("flood", EFFECTS)
def test_a_flood_of_effects(start, image, neighbour, flood):
    driver = start(image, bindings=[("CALL", "callable", 1)], answer=lambda _: LATER, cpu_ms=20_000)
    try:
        driver.call("run", EFFECTS[flood])
    except (ProtocolError, Trap):
        assert driver.isolate.state is State.DEAD
    assert len(driver.calls) <= 1000


@pytest.mark.parametrize("flood", ["raw logs", "raw ends", "raw text"])
def test_too_much_output_is_told_from_broken_output(start, image, neighbour, flood):
    driver = start(image)
    with pytest.raises(OutputTooLarge):
        driver.call("run", EFFECTS[flood])


def test_a_response_of_a_gigabyte_is_as_large_as_its_window(start, source, neighbour):
    driver = start(
        source.replace(
            'return Response("still here"',
            "async def endless():\n            while True: yield bytes(1 << 20)\n        return Response(endless()",
        )
    )
    driver.autopull = False
    run = driver.fetch()
    for _ in range(100):
        driver.pull(*driver.streams)
        driver.settle()
        run.body.clear()
    assert driver.isolate.memory_size <= driver.isolate.image.memory_size + (16 << 20)


def test_memory_returns_whatever_became_of_the_guests(sandbox, image, neighbour):
    """Rounds of isolates that grow, spin, overflow and trap leave nothing behind."""

    def a_round():
        for code in (
            "x = bytearray(20 << 20)",
            "while True: pass",
            "x = nested(1_000_000)\ndel x",
            "recurse()",
            "sys.exit(1)",
        ):
            driver = sandbox.start(image, cpu_ms=40)
            try:
                driver.call("run", code)
            except Trap:
                pass
            finally:
                driver.end()

    for _ in range(3):
        a_round()
    before = in_use()
    for _ in range(20):
        a_round()
    assert in_use() - before < 16 << 20, "less than one of them has used, or a quarter of a megabyte for each"
