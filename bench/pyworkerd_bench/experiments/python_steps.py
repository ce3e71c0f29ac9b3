"""What a step costs a Python worker: instructions of WebAssembly, Python function by Python function, and pages.

    python -m pyworkerd_bench.experiments.python_steps [--functions] [--worker hello]

Counted, not timed, as in `javascript_steps`: an engine that counts instructions (fuel) is made once, in seconds. In a
pause the frames of CPython are read out of the isolate's memory (`_PyInterpreterFrame` and `PyCodeObject`, CPython
3.14 with 32 bits), so what C code takes counts for the Python function that called it.

Told are a first step, and one when the isolate is warm: of a request alone and of one in sixteen, of a handler that
goes on after a call and makes the next one, of a method that another worker calls, of a Durable Object's method.

What came of it: from 197,000 instructions of hello alone 102,000, from 139,000 of one in sixteen 82,000, from 227,000
of a get of KV 87,000 (a call now, and no request), from 192,000 of a query of D1 139,000, from 276,000 of a service's
call 83,000, from 237,000 of a method 95,000; in first steps a fifth to a third less. Of the last two, JSON of frames
was a third (`short`), a coroutine around each call a tenth, a pass of the loop for each answer a tenth. A call of a
Python function takes 700 to 1,000, an object 500 and more (the allocator has a tenth of all time), a coroutine that is
awaited 3,000, a task 8,000, a number in a text 1,300; to encode a list of five takes 15,000, to read JSON 3,300 and
1,000 or more for each value; `b"$" in data` raises and forgets an exception, 4,500 more than `find`; bytes are
compared one by one, 21 each. Left of hello: task and context 14,000; headers that nobody reads stay JSON.
"""

from __future__ import annotations

import argparse
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_isolates import wire
from pyworkerd_isolates.native import WASM_PAGE
from pyworkerd_isolates.protocol import Call, Events, Fetch
from pyworkerd_isolates.testing import STORED_PAGES, Sandbox

from .javascript_steps import BUDGET_MS, META, Guest, count_instructions

if TYPE_CHECKING:
    from collections.abc import Callable

OFTEN: Final = 23
"""Instructions between two pauses, or as many more as the engine runs without a place to pause."""
WARM: Final = 40
"""Steps before those that are counted: bytecode has specialised by then."""
HEAD: Final = "from workers import DurableObject, Response, WorkerEntrypoint\n"
HANDLER: Final = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        it = self.env.IT
        {before}
        while True:
            {call}
"""
METHODS: Final = """
    async def add(self, number):
        return number + 1

    async def keep(self, number):
        self.ctx.storage.kv.put("value", number)
        return number
"""
HELLO: Final = """
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response("hello")
"""
OBJECT: Final = f"\nclass Counter(DurableObject):{METHODS}"
ID: Final = "ab" * 32


class Kind(NamedTuple):
    """A worker, and which events its steps are handed."""

    source: str
    events: Callable[[Events, int], None]
    together: int = 1
    """So many of those events in a step."""
    binding: tuple[str, str, bytes | int] | tuple[str, str, int, bytes] | None = None
    """What it has as IT. It makes calls, and after the first step is handed what they are answered."""
    answer: Callable[[Events, int], None] | None = None
    is_object: bool = False


def request(events: Events, number: int) -> None:
    """A request begins."""
    headers = (("traceparent", f"00-{'a' * 32}-{'b' * 16}-02"), ("host", "bench.test"))
    events.fetch(number, None, {}, "GET", "http://bench.test/", headers, None)


def method(events: Events, number: int, name: str = "add") -> None:
    """A method is called."""
    events.rpc(number, None, {}, name, wire.dump_value([[number], {}]))


def value(events: Events, call: int) -> None:
    """A call is answered with a number."""
    events.resolve_value(call, wire.dump_value(call))


def found(events: Events, call: int) -> None:
    """A key of KV is there."""
    events.resolve_value(call, wire.dump_value(b"value"))


def row(events: Events, call: int) -> None:
    """A query of D1 has one row."""
    result = [["id", "name", "price"], [[5, "item 5", 2.5]], [], None]
    events.resolve_value(call, wire.encode([[result], None], []))


def caller(call: str, before: str = "pass") -> str:
    """A handler that makes one call after the other."""
    return HANDLER.format(before=before, call=call)


KINDS: Final = {
    "hello": Kind(HELLO, request),
    "hello_16": Kind(HELLO, request, 16),
    "kv": Kind(caller('await it.get("key")'), request, binding=("IT", "kv", 1), answer=found),
    "d1": Kind(
        caller("await it.bind(5).first()", 'it = it.prepare("SELECT * FROM items WHERE id = ?")'),
        request,
        binding=("IT", "d1", 1),
        answer=row,
    ),
    "service": Kind(caller("await it.add(1)"), request, binding=("IT", "fetcher", 1), answer=value),
    "service_of_env": Kind(
        caller("total = await self.env.IT.add(total, total)", "total = 0"),
        request,
        binding=("IT", "fetcher", 1),
        answer=value,
    ),
    "object": Kind(
        caller("await it.add(1)", 'it = it.get_by_name("one")'),
        request,
        binding=("IT", "durable_object", 1, b"k" * 32),
        answer=value,
    ),
    "method": Kind(f"\nclass Default(WorkerEntrypoint):{METHODS}", method),
    "method_16": Kind(f"\nclass Default(WorkerEntrypoint):{METHODS}", method, 16),
    "object_method": Kind(OBJECT, method, is_object=True),
    "object_keep": Kind(OBJECT, lambda events, number: method(events, number, "keep"), is_object=True),
}


class PythonGuest(Guest):
    """An isolate whose Python frames are read."""

    frame_at = 0
    """Where the thread's state says which frame runs."""
    code_type = 0
    """Address of the type of code objects."""

    def functions(self) -> list[str]:
        """Names of the functions that run just now, the innermost first."""
        names: list[str] = []
        frame = self.word(self.frame_at)
        while frame and len(names) < 100:
            code = self.word(frame) & ~3
            if self.word(code + 4) == self.code_type:
                names.append(f"{self.text(self.word(code + 88))} ({self.text(self.word(code + 80))[-28:]})")
            frame = self.word(frame + 4)
        return names or ["(outside of Python)"]

    def text(self, address: int) -> str:
        """A `PyASCIIObject` with its characters behind it."""
        length = self.word(address + 8)
        return bytes(self.byte(address + OF_TEXT + at) for at in range(min(length, 80))).decode("latin-1")

    def byte(self, address: int) -> int:
        """One byte of its memory."""
        return self.word(address) >> 8 * (address & 3) & 0xFF


OF_TEXT: Final = 20
"""Where characters begin: behind count, type, length, hash and state."""
STATIC: Final = range(1 << 16, 6 << 20, 4)
"""Where the state of CPython's only thread lies: among what is no heap."""
LOOK: Final = 10
"""At which pause all of that is looked through."""
TELLS: Final = (
    HEAD
    + "class Default(WorkerEntrypoint):\n    async def add(self):\n        return id(type((lambda: 0).__code__))"
)


class Steps:
    """An isolate, and the events of its next step."""

    def __init__(self, sandbox: Sandbox, name: str) -> None:
        self.kind = KINDS[name]
        image = sandbox.image(HEAD + self.kind.source)
        self.image_kib = image.memory_size // WASM_PAGE * 64
        self.guest = PythonGuest(sandbox.start(image).isolate)
        self._begun = 0
        self._call: int | None = None

    def next_events(self) -> Events:
        """What comes next."""
        events, kind = Events(), self.kind
        if not self._begun:
            events.init(() if kind.binding is None else (kind.binding,), META)
            if kind.is_object:
                events.become("Counter", ID, b"", None, STORED_PAGES)
        if self._call is not None and kind.answer is not None:
            kind.answer(events, self._call)
            return events
        for _ in range(kind.together):
            self._begun += 1
            kind.events(events, self._begun)
        return events

    def step(self) -> int:
        """Instructions of the next step, for each of its events."""
        before = self.guest.used()
        output = self.guest.isolate.step(self.next_events(), BUDGET_MS)
        used = self.guest.used() - before
        for effect in output.effects:
            if isinstance(effect, Call | Fetch):
                self._call = effect.call
            elif type(effect).__name__ == "Fail":
                raise SystemExit(str(effect))
        return used // self.kind.together


def frame_pointer(start: Callable[[], Steps]) -> int:
    """Where CPython keeps the address of its innermost frame: what names another one in most pauses."""
    steps = start()
    steps.step()
    guest, seen = steps.guest, defaultdict[int, set[int]](set)
    for number, _ in enumerate(guest.pauses(steps.next_events(), 4000)):
        # At first no Python code runs: what looks like a frame then is none.
        for at in list(seen) if number > LOOK else STATIC if number == LOOK else ():
            frame = guest.word(at)
            if guest.word((guest.word(frame) & ~3) + 4) == guest.code_type:
                seen[at].add(frame)
    return max(seen, key=lambda at: len(seen[at]))


def by_function(start: Callable[[], Steps], most: int) -> None:
    """Print what each function took when the isolate is warm, with those that it called and without."""
    PythonGuest.frame_at = PythonGuest.frame_at or frame_pointer(start)
    steps = start()
    for _ in range(WARM):
        steps.step()
    together: Counter[str] = Counter()
    alone: Counter[str] = Counter()
    for used in steps.guest.pauses(steps.next_events(), OFTEN):
        running = steps.guest.functions()
        alone[running[0]] += used
        together.update(dict.fromkeys(running, used))
    for function, used in together.most_common(most):
        print(f"{used:9,} {alone[function]:9,} alone  {function}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--worker", action="append", choices=list(KINDS))
    parser.add_argument("--functions", nargs="?", type=int, const=50, default=0)
    given = parser.parse_args()
    count_instructions()
    with Sandbox(progress=print) as sandbox:
        PythonGuest.code_type = sandbox.start(TELLS).call("add").value
        for name in given.worker or KINDS:
            steps = Steps(sandbox, name)
            first, pages = steps.step(), len(steps.guest.written())
            for _ in range(WARM - 1):
                steps.step()
            print(
                f"{name:13} first step {first:9,} instructions, {pages} pages; "
                f"then {steps.step():7,} each; image {steps.image_kib} KiB"
            )
            if given.functions:
                by_function(lambda name=name: Steps(sandbox, name), given.functions)  # type: ignore[misc]


if __name__ == "__main__":
    main()
