"""Requests and method calls: how handlers are found and called, and what each failure looks like from outside."""

from __future__ import annotations

import pytest
from pyworkerd_isolates.testing import LATER

HEAD = "import asyncio\nfrom workers import Response, WorkerEntrypoint, handler\n"


def default(body, extra=""):
    return f"{HEAD}{extra}\nclass Default(WorkerEntrypoint):\n{body}\n"


def each(bodies):
    """One worker with an entrypoint for each of them, in their order: `at` has their names."""
    return HEAD + "".join(
        f"\nclass Entrypoint{number}(WorkerEntrypoint):\n{body}\n" for number, body in enumerate(bodies)
    )


def at(keys, key):
    return f"Entrypoint{list(keys).index(key)}"


SIGNATURES = {
    "no argument": "    async def fetch(self): return Response('ok')",
    "the request": "    async def fetch(self, request): return Response('ok')",
    "request and env": "    async def fetch(self, request, env): return Response('ok' if env is self.env else '')",
    "all three": "    async def fetch(self, request, env, ctx): return Response('ok' if ctx is self.ctx else '')",
    "any number": "    async def fetch(self, *arguments): return Response('ok' if len(arguments) == 3 else '')",
    "a default": "    async def fetch(self, request, env=None): return Response('ok' if env is self.env else '')",
    "not a coroutine": "    def fetch(self, request): return Response('ok')",
    "static": "    @staticmethod\n    async def fetch(request): return Response('ok' if request.url else '')",
    "of the class": "    @classmethod\n    async def fetch(cls, request): return Response('ok' if request.url else '')",
    "a future": (
        "    def fetch(self):\n        return asyncio.ensure_future(self.later())\n"
        "    async def later(self): return Response('ok')"
    ),
    "with its own constructor": (
        "    def __init__(self, ctx, env):\n        super().__init__(ctx, env)\n        self.mine = 'ok'\n"
        "    async def fetch(self): return Response(self.mine)"
    ),
}


@pytest.mark.parametrize("kind", SIGNATURES)
def test_relaxed_signatures(start, kind):
    driver = start(each(SIGNATURES.values()))
    assert driver.fetch(entrypoint=at(SIGNATURES, kind)).text == "ok"


LEGACY = {
    "the request": "async def on_fetch(request): return Response('ok')",
    "all three": "async def on_fetch(request, env, ctx): return Response('ok' if hasattr(ctx, 'wait_until') else '')",
    "nothing": "def on_fetch(): return Response('ok')",
    "decorated": "@handler\nasync def on_fetch(request, env): return Response('ok' if env is not None else '')",
}


@pytest.mark.parametrize("kind", LEGACY)
def test_legacy_handlers_of_a_module(start, kind):
    driver = start(HEAD + LEGACY[kind])
    assert driver.isolate.image.handlers == {"": ("fetch",)}
    assert driver.fetch().text == "ok"
    assert driver.call("fetch").failure.reason == "no_method"


ENTRYPOINTS = default(
    "    async def fetch(self): return Response('default')\n    async def name(self): return 'default'",
    "class Admin(WorkerEntrypoint):\n    async def fetch(self): return Response('admin')\n"
    "    async def name(self): return 'admin'\n"
    "class Silent(WorkerEntrypoint):\n    async def name(self): return 'silent'\n"
    "class _Private(WorkerEntrypoint): pass\n",
)


def test_named_entrypoints(start):
    driver = start(ENTRYPOINTS)
    assert driver.isolate.image.handlers == {"": ("fetch",), "Admin": ("fetch",), "Silent": ()}
    assert driver.fetch().text == "default"
    assert driver.fetch(entrypoint="Admin").text == "admin"
    assert driver.call("name", entrypoint="Silent").value == "silent"


def test_what_is_not_exported(start):
    driver = start(ENTRYPOINTS)
    for name in ("_Private", "Nothing", "WorkerEntrypoint", ""):
        assert driver.fetch(entrypoint=name).failure.reason == "no_entrypoint"
        assert driver.call("name", entrypoint=name).failure.reason == "no_entrypoint"
    assert driver.fetch(entrypoint="Silent").failure.reason == "no_handler"


METHODS = default("""
    def __init__(self, ctx, env):
        super().__init__(ctx, env)
        self.attribute = lambda: "of the instance"
    count = 7
    async def fetch(self): return Response("ok")
    async def scheduled(self): pass
    async def dup(self): return "reserved"
    async def _private(self): return "private"
    async def add(self, a, b=1, *, c=0): return a + b + c
    def plain(self): return [1, {"two": b"3"}]
    async def nothing(self): pass
    async def bad(self): return object()
    @property
    def secret(self): return lambda: "property"
""")


def test_methods(start):
    driver = start(METHODS)
    assert driver.call("add", 1).value == 2
    assert driver.call("add", 1, 2, c=3).value == 6
    assert driver.call("plain").value == [1, {"two": b"3"}]
    assert driver.call("nothing").checked().value is None
    assert driver.call("add").failure.type_name == "TypeError"
    assert "cannot be sent over RPC" in driver.call("bad").failure.message


@pytest.mark.parametrize(
    "name",
    [
        "fetch",
        "scheduled",
        "dup",
        "_private",
        "__init__",
        "__class__",
        "attribute",
        "count",
        "secret",
        "env",
        "ctx",
        "absent",
        "",
    ],
)
def test_what_is_no_method(start, name):
    assert start(METHODS).call(name).failure.reason == "no_method"


FAILURES = {
    "raise ValueError('no')": ("ValueError", "no"),
    "return 'text'": ("TypeError", "fetch() has to return a Response, not str: write `return Response(...)`"),
    "return None": ("TypeError", "fetch() has to return a Response, not NoneType: return it on every way"),
    "raise SystemExit(3)": ("SystemExit", "3"),
    "raise KeyboardInterrupt": ("KeyboardInterrupt", ""),
    "raise GeneratorExit": ("GeneratorExit", ""),
    "raise asyncio.CancelledError('self')": ("CancelledError", "self"),
    "raise type('Odd', (BaseException,), {})('base')": ("Odd", "base"),
    "raise type('X' * 500, (Exception,), {})('long')": ("X" * 256, "long"),
    "raise ValueError('x' * 100_000)": ("ValueError", "x" * 8192),
    "raise ExceptionGroup('several', [ValueError(1)])": ("ExceptionGroup", "several (1 sub-exception)"),
    "raise type('Sly', (Exception,), {'__str__': lambda self: 1 / 0})()": ("Sly", ""),
    "raise type('Sly', (Exception,), {'__str__': lambda self: exit(1)})(1, 2)": (
        "Exception",
        "an error that cannot be shown",
    ),
    "raise type('Kind', (type,), {'__name__': 5})('Sly', (Exception,), {})()": (
        "Exception",
        "an error that cannot be shown",
    ),
    "def f(): f()\n        f()": ("RecursionError", "maximum recursion depth exceeded"),
    "return Response('x', headers={f'x{n}': '' for n in range(300)})": ("ValueError", None),
    "return Response('x', headers={'x': 'y' * 140_000})": ("ValueError", None),
    "return Response('x', headers={'x': 'a\\r\\nb: c'})": ("ValueError", None),
}


@pytest.mark.parametrize("code", FAILURES)
def test_a_handler_that_fails(start, code):
    driver = start(each(f"    async def fetch(self):\n        {code}" for code in FAILURES))
    run = driver.fetch(entrypoint=at(FAILURES, code))
    kind, message = FAILURES[code]
    assert run.done
    assert run.failure.reason == "exception"
    assert run.failure.type_name == kind
    assert message is None or run.failure.message == message
    assert len(run.failure.traceback) <= 16_384
    assert driver.fetch(entrypoint=at(FAILURES, code)).failure.type_name == kind


def test_a_traceback_is_what_its_author_should_see(start):
    source = default(
        "    async def fetch(self):\n        await helper()",
        "async def helper():\n    raise ValueError('here')\n",
    )
    trace = start(source).fetch().failure.traceback
    assert trace.startswith("Traceback (most recent call last):\n")
    assert 'File "/session/metadata/worker.py", line 8, in fetch\n    await helper()' in trace
    assert "    raise ValueError('here')" in trace
    assert trace.endswith("ValueError: here\n")
    assert "_pyworkerd" not in trace


def test_a_traceback_shows_what_led_to_the_error(start):
    code = """    async def fetch(self):
        try:
            await asyncio.wait_for(asyncio.sleep(5), 1)
        except TimeoutError as error:
            raise ValueError("outer") from error"""
    trace = start(default(code)).fetch().failure.traceback
    assert "TimeoutError" in trace
    assert "direct cause" in trace


def test_an_entrypoint_that_cannot_be_made(start):
    driver = start(
        default("    def __init__(self, ctx, env): raise ValueError('made')\n    async def fetch(self): pass")
    )
    assert driver.fetch().failure.message == "made"
    assert driver.call("anything").failure.message == "made"


def test_many_long_tracebacks_in_one_step_are_cut_and_end_nothing(start):
    driver = start(default("    async def fetch(self):\n        raise ValueError('\\u00e9' * 8000)"))
    runs = [driver.begin() for _ in range(50)]
    driver.settle()
    assert all(run.failure.type_name == "ValueError" for run in runs)
    assert "left out" in runs[-1].failure.traceback
    assert driver.fetch().failure.message == "\u00e9" * 8000


def test_one_failure_does_not_touch_the_others_of_its_step(start):
    source = default("""    async def fetch(self, request):
        if request.url.endswith("bad"):
            raise ValueError
        return Response("good")""")
    driver = start(source)
    runs = [driver.begin(f"http://test.invalid/{kind}") for kind in ("good", "bad") * 5]
    driver.settle()
    assert [run.status for run in runs] == [200, None] * 5
    assert driver.isolate.steps == 1


BROKEN = f"""{HEAD}
from _pyworkerd import calls, handlers, streams
from _pyworkerd.handlers import loop

def broken(*_):
    raise MemoryError

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return Response(await request.text())

    async def wait(self):
        return await self.env.CALL()

    async def ask(self):
        return await self.env.CALL()

    async def break_off(self, module, name):
        setattr(globals()[module], name, broken)
"""


@pytest.mark.parametrize(
    ("module", "name"), [("handlers", "_fetch"), ("handlers", "on_cancel"), ("streams", "on_data")]
)
def test_an_event_that_cannot_be_taken_in_ends_its_own_invocation(start, module, name):
    driver = start(BROKEN, bindings=[("CALL", "callable", 1)], answer=lambda _: LATER)
    neighbour = driver.call("wait")
    driver.call("break_off", module, name)
    run = driver.begin(method="POST", body=[b"piece", b"piece"])
    driver.settle()
    if name == "on_cancel":
        run = driver.call("wait")
        driver.cancel(run)
    assert run.done
    assert run.failure is not None
    assert (run.failure.type_name == "StreamError") == (module == "streams")
    driver.resolve(next(iter(driver.calls)), "answered")
    driver.settle()
    assert neighbour.value == "answered"


@pytest.mark.parametrize(("module", "name", "together"), [("loop", "wake", 1), ("calls", "on_resolve", 2)])
def test_an_answer_that_cannot_be_taken_in_is_an_error_for_who_asked(start, module, name, together):
    driver = start(BROKEN, bindings=[("CALL", "callable", 1)], answer=lambda _: LATER)
    runs = [driver.call("ask") for _ in range(together)]
    driver.call("break_off", module, name)
    for call in list(driver.calls):
        driver.resolve(call, "answered")
    driver.settle()
    assert [run.failure.type_name for run in runs] == ["MemoryError"] * together


UNFOCUSED = """
from _pyworkerd import handlers
from workers import Response, WorkerEntrypoint

def fails(loop, numbers):
    raise ValueError("no focus")

class Default(WorkerEntrypoint):
    async def fetch(self, request):
        type(handlers.loop).focus = fails
        return Response("ok")
"""


def test_a_request_that_cannot_be_begun_fails_alone(start):
    driver = start(UNFOCUSED)
    assert driver.fetch().checked().text == "ok"
    run = driver.begin()
    driver.events.focus([run.number])
    driver.step()
    assert run.failure is not None
    assert (run.failure.message, run.done) == ("no focus", True)
