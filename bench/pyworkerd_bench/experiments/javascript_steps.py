"""What a step costs a JavaScript worker: instructions, function by function, pages, and the texts on them.

    python -m pyworkerd_bench.experiments.javascript_steps [--functions] [--texts] [--worker hello]

Counted, not timed: a busy machine changes nothing. An engine of its own is built, seconds once, that counts
instructions of WebAssembly (fuel) and pauses each few of them. In a pause `Guest` reads QuickJS's records: its stack
frames name the functions, and what differs from the image is what the step writes to, though most of it is as before
when the step is over.

What came of it, from 435,000 instructions and 99 pages of hello's first step (quickjs-rs 0.2) to 190,000 and 15, from
338,000 to 122,000 of a later one, and from 216,000 to 100,000 of one for a call: no promise where the handler answers
at once, or is `async` and waits for nothing (76,000 less); objects of the image that nobody counts (50 pages), and no
gaps between them (17); requests and responses that are made when somebody looks at them (80,000); events that the
engine takes apart, header fields that stay text, effects that it joins (55,000); properties of all objects of a class
on its prototype (27,000), header texts looked up (35,000), no look at timers where there are none (14,000), patterns
and `for of` in hot places written with indices; texts that requests count made side by side by `boot.js`; calls taken
apart by the engine as well, the jobs run by it, simple answers and the effects that are many written by it (110,000
of a call, 20,000 of a request); nothing asked at the end of a step in which nothing waits (10,000). What a further
call in the same step takes is 83,000. A method that is `async` takes 17,000 more than one that is not: half of it is
the promise that QuickJS makes, a third asking what became of that (10,000 less: its answer is told at once). A promise
that is awaited costs 13,000, an object of seven properties 11,000, a function that is made 2,700, a template 3,600, a
thrown error 87,000, a call 600.
"""

from __future__ import annotations

import argparse
import ctypes
from array import array
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_isolates import capi, machine, native, wire
from pyworkerd_isolates.machine import Machine
from pyworkerd_isolates.native import WASM_PAGE
from pyworkerd_isolates.pages import PAGE
from pyworkerd_isolates.protocol import Events
from pyworkerd_isolates.testing import Sandbox
from wasmtime import Config
from wasmtime import _bindings as c
from wasmtime._ffi import dll

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pyworkerd_isolates.image import Image
    from pyworkerd_isolates.isolate import Isolate

PLENTY: Final = 1 << 62
OFTEN: Final = 37
"""Instructions between two pauses, or as many more as the engine runs without a place to pause."""
STACK: Final = range(0xF0000, 0x100000)
"""Where native frames lie: the stack of quickjs-rs grows down from 1 MiB, and what is on the heap lies above."""
BUDGET_MS: Final = 10_000
ENTRYPOINT: Final = 'import { WorkerEntrypoint } from "cloudflare:workers";\n'
WORKERS: Final = {
    "hello": 'export default { fetch() { return new Response("hello"); } };',
    "async": 'export default { async fetch(request, env, ctx) { return new Response("hello"); } };',
    "json": "export default { fetch() { return Response.json({ a: 1 }, { headers: { 'x-a': 'b' } }); } };",
    "url": """export default { async fetch(request) {
        const { pathname } = new URL(request.url);
        return new Response(pathname + request.headers.get("host") + await request.text(), { status: 201 });
    } };""",
    "timer": """export default { async fetch(request, env, ctx) {
        ctx.waitUntil(new Promise((done) => setTimeout(done, 1)));
        return new Response("hello");
    } };""",
    "rpc": ENTRYPOINT
    + "export default class extends WorkerEntrypoint { add(number) { return number + 1; } };",
    "async rpc": ENTRYPOINT
    + "export default class extends WorkerEntrypoint { async add(number) { return number + 1; } };",
}

META: Final = {"worker": "bench", "outbound": False, "cache": 0, "crypto": 1, "log_bytes": 262_144}

_fuel = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint64))(
    ("wasmtime_context_get_fuel", dll)
)
_set_fuel = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)(
    ("wasmtime_context_set_fuel", dll)
)
_pause_after = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64)(
    ("wasmtime_context_fuel_async_yield_interval", dll)
)


class _Counting(Config):
    """The settings of engines, and instructions are counted."""

    def __init__(self) -> None:
        super().__init__()
        c.wasmtime_config_consume_fuel_set(self.ptr(), True)


def count_instructions() -> None:
    """Have all engines from now on count; they are cached apart from others."""
    limit = capi.wasmtime_store_limiter

    def fuelled(store: Any, *limits: int) -> None:
        limit(store, *limits)
        assert not _set_fuel(capi.wasmtime_store_context(store), PLENTY)

    vars(machine).update(Config=_Counting)
    vars(native).update(wasmtime_store_limiter=fuelled)
    Machine.settings += " fuel"  # type: ignore[misc]


class Guest:
    """An isolate that is stepped and paused, and looked into."""

    def __init__(self, isolate: Isolate) -> None:
        self.isolate = isolate
        self._instance = isolate._live()  # noqa: SLF001 - an experiment looks inside
        self.base, self.size = self._instance._window()  # noqa: SLF001
        self._words = (ctypes.c_uint32 * (self.size // 4)).from_address(self.base)
        self._frame_at = 0

    def used(self) -> int:
        """Instructions so far."""
        left = ctypes.c_uint64()
        assert not _fuel(self._instance._context, ctypes.byref(left))  # noqa: SLF001
        return PLENTY - left.value

    def step(self, events: Events) -> int:
        """Instructions that a step takes."""
        before = self.used()
        self.isolate.step(events, BUDGET_MS)
        return self.used() - before

    def pauses(self, events: Events, often: int = OFTEN) -> Iterator[int]:
        """Begin a step and pause in it. Gives the instructions since the last pause. The isolate is of no more use."""
        self.isolate.begin(events, BUDGET_MS)
        context, call = self._instance._context, self._instance._call  # noqa: SLF001
        assert not _pause_after(context, often)
        before, over = self.used(), False
        while not over:
            capi.wasmtime_context_set_epoch_deadline(context, ctypes.c_uint64(1 << 40))
            over = capi.wasmtime_call_future_poll(call)
            now = self.used()
            yield now - before
            before = now

    def word(self, address: int) -> int:
        """A number of its memory; 0 outside."""
        return self._words[address >> 2] if 0 <= address < self.size - 3 else 0

    def memory(self) -> array[int]:
        """All of it."""
        return array("I", ctypes.string_at(self.base, self.size))

    def page(self, number: int) -> bytes:
        """One of its pages."""
        return ctypes.string_at(self.base + number * PAGE, PAGE)

    def written(self) -> list[int]:
        """Numbers of the pages that are its own."""
        return [at // PAGE for start, end in self._instance.written() or () for at in range(start, end, PAGE)]

    def functions(self) -> list[str]:
        """Names of the functions that run just now, the innermost first: `JSStackFrame` and `JSObject` of quickjs.c."""
        names: list[str] = []
        frame = self.word(self._frame_at)
        while frame and len(names) < 100:
            function = self.word(frame + 8)
            properties, code = self.word(function + 20), self.word(function + 32)
            name = text_at(self, self.word(properties + 8)) or "(nameless)"
            line = self.word(code + 68)
            names.append(f"{name} at line {line}" if 0 < line < 2000 else name)
            frame = self.word(frame)
        return names or ["(the engine)"]


def text_at(guest: Guest, address: int) -> str | None:
    """A `JSString` of printable characters, if there is one."""
    length = guest.word(address + 4) & 0x7FFFFFFF
    if not (0 < address < guest.size - 128 and 0 < length < 64 and guest.word(address) > 0):
        return None
    raw = ctypes.string_at(guest.base + address + 28, length + 1)
    return raw[:-1].decode() if raw[-1] == 0 and all(32 <= byte < 127 for byte in raw[:-1]) else None


def request(name: str, number: int) -> Events:
    """What a new isolate is handed for its first request, or another one."""
    events = Events()
    if number == 1:
        events.init([], META)
    if name.endswith("rpc"):
        events.rpc(number, None, {}, "add", wire.dump_value([[1], {}]))
    else:
        headers = (("traceparent", f"00-{'a' * 32}-{'b' * 16}-02"), ("host", "bench.test"))
        events.fetch(number, None, {}, "GET", "http://bench.test/", headers, None)
    return events


def frame_pointer(start: Callable[[], Guest], name: str) -> int:
    """Where QuickJS keeps the address of its innermost frame: 0 at rest, and in the stack, elsewhere each time."""
    guest = start()
    guest.step(request(name, 1))
    rest, seen = guest.memory(), defaultdict(set)
    for _ in guest.pauses(request(name, 2), 5000):
        now = guest.memory()
        for at in range(STACK.stop // 4, len(rest)):
            if now[at] in STACK and not rest[at]:
                seen[at].add(now[at])
    return max(seen, key=lambda at: len(seen[at])) * 4


def by_function(start: Callable[[], Guest], name: str) -> None:
    """Print what each function took, with those that it called and without."""
    guest = start()
    guest._frame_at = frame_pointer(start, name)  # noqa: SLF001
    for number in (1, 2):
        guest.step(request(name, number))
    together: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for used in guest.pauses(request(name, 3)):
        running = guest.functions()
        alone[running[0]] += used
        together.update(dict.fromkeys(running, used))
    for function, used in together.most_common(50):
        print(f"{used:9,} {alone[function]:9,} alone  {function}")


def counted_texts(start: Callable[[], Guest], name: str) -> None:
    """Print the texts that a first step counts, page by page."""
    clean, guest = start(), start()
    found: defaultdict[int, list[str]] = defaultdict(list)
    touched: set[int] = set()
    for _ in guest.pauses(request(name, 1), 3 * OFTEN):
        for page in guest.written():
            if page * PAGE < clean.size and guest.page(page) != clean.page(page):
                places = range(page * PAGE, (page + 1) * PAGE, 4)
                touched.update(at for at in places if guest.word(at) != clean.word(at))
    for at in sorted(touched):
        if text := text_at(clean, at):
            found[at // PAGE].append(text)
    for page, texts in found.items():
        print(f"{page:6} {' '.join(map(repr, texts))}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worker", action="append", choices=list(WORKERS))
    parser.add_argument("--functions", action="store_true")
    parser.add_argument("--texts", action="store_true")
    given = parser.parse_args()
    count_instructions()
    with Sandbox(progress=print) as sandbox:
        for name in given.worker or WORKERS:
            image: Image = sandbox.image({"worker.js": WORKERS[name]}, "worker.js")

            def start(image: Image = image) -> Guest:
                return Guest(sandbox.start(image).isolate)

            guest = start()
            first = guest.step(request(name, 1))
            pages, kept = len(guest.written()), guest.isolate.trim() // PAGE
            guest.step(request(name, 2))
            print(
                f"{name:8} first step {first:9,} instructions, {pages} pages of which {kept} can be given back; "
                f"then {guest.step(request(name, 3)):9,}; image {image.memory_size // WASM_PAGE * 64} KiB"
            )
            if given.functions:
                by_function(start, name)
            if given.texts:
                counted_texts(start, name)


if __name__ == "__main__":
    main()
