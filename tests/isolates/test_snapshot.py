"""Marked heaps: which words are marked, and that a worker on one behaves as it would on any other."""

from __future__ import annotations

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyworkerd_isolates.snapshot import IMMORTAL, MAX_COUNT, immortalise

STATIC_TYPE, HEAP_TYPE, OBJECT = 16, 32, 64
STATIC_COUNT = 7 << 28


def heap(**words):
    """A heap of 32 words with a static type, a type of that type, and what is given as `at_<address>`."""
    memory = array("I", [0] * 32)
    memory[STATIC_TYPE >> 2], memory[(STATIC_TYPE >> 2) + 1] = STATIC_COUNT, STATIC_TYPE
    memory[HEAP_TYPE >> 2], memory[(HEAP_TYPE >> 2) + 1] = 3, STATIC_TYPE
    for name, pair in words.items():
        at = int(name.removeprefix("at_")) >> 2
        memory[at], memory[at + 1] = pair
    return memory.tobytes()


def marked_heap(memory, addresses):
    """The words of a heap after these addresses were given."""
    heap = bytearray(memory)
    immortalise(heap, addresses)
    return array("I", bytes(heap))


def counts(memory, *addresses):
    """The words at these addresses after they were given."""
    marked = marked_heap(memory, array("I", addresses).tobytes())
    return [marked[address >> 2] for address in addresses]


@pytest.mark.parametrize("kind", [STATIC_TYPE, HEAP_TYPE])
@pytest.mark.parametrize("count", [1, 2, MAX_COUNT - 1])
def test_an_object_with_a_count_and_a_type_is_marked(kind, count):
    assert counts(heap(at_64=(count, kind)), OBJECT, HEAP_TYPE) == [IMMORTAL, IMMORTAL]


@pytest.mark.parametrize(
    "words",
    [
        (0, STATIC_TYPE),  # freed
        (MAX_COUNT, STATIC_TYPE),  # freed: an address in a list of the freed
        (STATIC_COUNT, STATIC_TYPE),  # marked already
        (1, STATIC_TYPE + 1),
        (1, 96),  # something that is no type
        (1, 4096),
    ],
)
def test_anything_else_is_left_alone(words):
    assert counts(heap(at_64=words), OBJECT) == [words[0]]


def test_a_type_that_is_not_marked_makes_no_object():
    assert counts(heap(at_64=(1, HEAP_TYPE)), OBJECT) == [1]


@pytest.mark.parametrize("address", [OBJECT + 2, 124, 128, 4096, 0xFFFFFFFC])
def test_addresses_outside_the_heap_are_nothing(address):
    memory = heap(at_64=(1, STATIC_TYPE))
    assert marked_heap(memory, array("I", [address]).tobytes()).tobytes() == memory


@given(st.binary(max_size=64), st.lists(st.integers(0, 2**32 - 1), min_size=8, max_size=8))
def test_hostile_addresses_change_nothing_but_counts(addresses, words):
    memory = array("I", words).tobytes()
    marked = marked_heap(memory, addresses)
    changed = [index for index, word in enumerate(words) if marked[index] != word]
    assert all(marked[index] == IMMORTAL and 0 < words[index] < MAX_COUNT for index in changed)
    assert {index << 2 for index in changed} <= set(array("I", addresses[: len(addresses) & ~3]))


LATE = ("ast", "csv", "configparser", "difflib", "getopt", "ipaddress", "mimetypes", "plistlib", "random")
LATE += ("shlex", "sqlite3", "tomllib", "zipfile", "argparse")
VARIED = """
import asyncio, dataclasses, gc, json, re, weakref
from collections import Counter, OrderedDict, defaultdict
from workers import Response, WorkerEntrypoint

LATE = %s

@dataclasses.dataclass(order=True)
class Point:
    x: int
    y: int = 0
    tags: list = dataclasses.field(default_factory=list)

class Node:
    def __init__(self):
        self.me = self

SHARED = {"counter": Counter("abracadabra"), "points": [Point(i, -i) for i in range(50)], "text": "x" * 1000}
TOP_LEVEL = [object() for _ in range(100)]
GONE = []

class Problem(Exception):
    pass

def fails(depth):
    if not depth:
        raise Problem("deep", depth)
    try:
        fails(depth - 1)
    except Problem as error:
        raise Problem(f"at {depth}") from error

async def part(number):
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        return number * 2

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        number = int(request.url.rpartition("/")[2])
        out = {}
        module = __import__(LATE[number % len(LATE)])
        out["module"] = module.__name__
        try:
            fails(20)
        except Problem as error:
            depth = 0
            while error is not None:
                error, depth = error.__cause__, depth + 1
            out["depth"] = depth
        out["sum"] = sum(await asyncio.gather(*(part(i) for i in range(40))))
        out["json"] = json.loads(json.dumps({"points": [dataclasses.asdict(p) for p in sorted(SHARED["points"])]}))
        out["words"] = re.findall(r"(?P<w>b\\w+|c)", "bar cab baz " * number)[:6]
        SHARED[number] = [Point(number), {number: (number,) * 9}, frozenset(range(number))]
        SHARED.pop(number - 2, None)
        node = Node()
        GONE.append(weakref.ref(node))
        del node
        if TOP_LEVEL:
            TOP_LEVEL.pop()
        collected = [gc.collect(generation) for generation in (0, 1, 2)] and gc.collect()
        out["gone"] = all(ref() is None for ref in GONE)
        out["collected"] = collected
        exec(compile(f"def made(a, b={number}): return [a, b, *range(3)]", "made", "exec"), namespace := {})
        out["made"] = namespace["made"]("a")
        Point.x_times = property(lambda self: self.x * number)
        out["patched"] = Point(2).x_times
        out["shared"] = len(SHARED)
        return Response.json(out)
""".replace("%s", repr(LATE))


def expected(number):
    """What `VARIED` answers to its request of this number."""
    return {
        "module": LATE[number % len(LATE)],
        "depth": 21,
        "sum": 1560,
        "json": {"points": [{"x": i, "y": -i, "tags": []} for i in range(50)]},
        "words": (["bar", "c", "baz"] * number)[:6],
        "gone": True,
        "collected": 0,
        "made": ["a", number, 0, 1, 2],
        "patched": 2 * number,
        "shared": 3 + min(number + 1, 2),
    }


def test_a_varied_worker_behaves_on_a_marked_heap(start):
    isolate = start(VARIED, cpu_ms=10_000)
    for number in range(60):
        assert isolate.fetch(f"http://varied.invalid/{number}").json == expected(number)


def test_isolates_of_one_image_do_not_see_each_other(start):
    first, second = start(VARIED, cpu_ms=10_000), start(VARIED, cpu_ms=10_000)
    for number in range(4):
        first.fetch(f"http://varied.invalid/{number}")
    assert second.fetch("http://varied.invalid/0").json["shared"] == 4


def test_few_pages_of_an_image_become_private(start):
    isolate = start("""
from workers import Response, WorkerEntrypoint

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
""")
    before = isolate.isolate.memory()
    assert isolate.fetch().text == "hello"
    after = isolate.isolate.memory()
    pages = sum(before[at : at + 4096] != after[at : at + 4096] for at in range(0, len(before), 4096))
    assert pages < 70


def test_a_heap_that_cannot_be_settled_makes_an_image_without_marks(start) -> None:
    """What the guest answers then is no list of addresses, and must not be read as one."""
    worker = """
from _pyworkerd import immortal
from workers import Response, WorkerEntrypoint

def settle():
    raise MemoryError("no room for a list of everything")

immortal.settle = settle

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("alive")
"""
    driver = start(worker)
    for _ in range(3):
        assert driver.fetch().body == b"alive"
