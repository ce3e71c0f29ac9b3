"""The JavaScript engine at work: time, entropy, memory, and how a top level or a handler fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from pyworkerd_isolates import wire
from pyworkerd_isolates.errors import (
    ImageError,
    TopLevelEntropy,
    TopLevelRaised,
    TopLevelTooBig,
    TopLevelTooSlow,
)
from pyworkerd_isolates.pages import PAGES
from pyworkerd_isolates.testing import RunFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Sandbox


@pytest.fixture
def js(start: Callable[..., Driver]) -> Callable[..., Driver]:
    """A worker whose `fetch` has this body; `before` is its top level."""

    def begin(body: str, before: str = "", **options: Any) -> Driver:
        source = f"{before}\nexport default {{ async fetch(request, env, ctx) {{ {body} }} }};"
        return start({"worker.js": source}, **options)

    return begin


def test_hello(js: Callable[..., Driver]) -> None:
    run = js("return new Response(`${request.method} ${request.url}`)").fetch("http://shop.test/a?b=c")
    assert (run.status, run.text, run.done) == (200, "GET http://shop.test/a?b=c", True)


def test_what_an_isolate_remembers_is_its_own(sandbox: Sandbox) -> None:
    source = {"w.js": "let n = 0; export default { fetch() { n += 1; return new Response(String(n)); } };"}
    image = sandbox.image(source)
    first, second = sandbox.start(image), sandbox.start(image)
    assert [first.fetch().text, first.fetch().text, second.fetch().text] == ["1", "2", "1"]
    first.end()
    second.end()


@pytest.mark.skipif(PAGES is None, reason="this kernel has no PAGEMAP_SCAN")
def test_an_isolate_that_has_answered_keeps_few_pages(sandbox: Sandbox) -> None:
    """`pyworkerd_bench.experiments.javascript_steps` tells what is on them."""
    with sandbox.start({"w.js": 'export default { fetch() { return new Response("x"); } };'}) as driver:
        driver.fetch()
        driver.isolate.trim()
        kept = sum(end - start for start, end in driver.isolate._live().written() or ()) >> 10
        assert 20 <= kept <= 180, "KiB; 36 when this was written"


def test_time_stands_still_in_a_step(js: Callable[..., Driver]) -> None:
    driver = js("const t = Date.now(); for (let i = 0; i < 1e5; i++); return Response.json([t, Date.now()])")
    first, second = driver.fetch().json
    assert first == second
    driver.isolate.ahead_ns += 5_000_000_000
    assert driver.fetch().json[0] >= first + 5000


def test_no_two_isolates_have_a_random_number_in_common(sandbox: Sandbox) -> None:
    source = "export default { fetch() { return Response.json(Array.from({ length: 100 }, Math.random)); } };"
    image = sandbox.image({"w.js": source})
    numbers: list[Any] = []
    for _ in range(3):
        with sandbox.start(image) as driver:
            numbers += driver.fetch().json + driver.fetch().json
    assert len(set(numbers)) == len(numbers)
    assert all(0 <= number < 1 for number in numbers)
    assert 0.4 < sum(numbers) / len(numbers) < 0.6


@pytest.mark.parametrize(
    "top",
    ["Math.random()", "try { Math.random() } catch {}"],
)
def test_entropy_at_the_top_level_is_refused_also_where_it_is_caught(sandbox: Sandbox, top: str) -> None:
    with pytest.raises(TopLevelEntropy, match="random numbers"):
        sandbox.image({"w.js": f"{top}; export default {{ fetch() {{}} }};"})


@pytest.mark.parametrize(
    ("source", "kind", "message", "file", "line"),
    [
        ("export default {\n  fetch( {\n", TopLevelRaised, "SyntaxError: ", "w.js", 3),
        (
            "function f() {\n  throw new TypeError('broken');\n}\nf();",
            TopLevelRaised,
            "TypeError: broken",
            "w.js",
            2,
        ),
        ("throw undefined", TopLevelRaised, "Error: undefined", None, None),
        ("throw Object.create(null)", TopLevelRaised, "cannot be shown", None, None),
        ("throw new Error('x'.repeat(8e6))", TopLevelRaised, "Error: xxx", "w.js", 1),
        (
            "try { await import('./no.js') } catch {}\nthrow new Error('another')",
            TopLevelRaised,
            "Error: another",
            "w.js",
            2,
        ),
        ("throw 5", TopLevelRaised, "Error: 5", None, None),
        ("await new Promise(() => {}); export default {};", TopLevelRaised, "never comes", None, None),
        ("export const x = 1;", TopLevelRaised, "exports no handler", None, None),
        (
            "\nimport './no.js'; export default {};",
            TopLevelRaised,
            'No such module "./no.js", imported from "w.js"',
            "w.js",
            None,
        ),
        ("import { q } from './b.js'; export default {};", TopLevelRaised, "export 'q'", None, None),
        ("import './c.js'; export default {};", TopLevelRaised, "SyntaxError: ", "c.js", 2),
        ("for (;;);", TopLevelTooSlow, "startup_ms", None, None),
        ("const a = []; for (;;) a.push(new Uint8Array(1e6).fill(1));", TopLevelTooBig, "memory_mb", "w.js", 1),
        ("setTimeout(() => {}, 1); export default {};", TopLevelRaised, "no I/O", "w.js", 1),
        ("fetch('http://x/'); export default {};", TopLevelRaised, "no I/O", "w.js", 1),
    ],
)  # fmt: skip
def test_a_top_level_that_fails(
    sandbox: Sandbox, source: str, kind: type[ImageError], message: str, file: str | None, line: int | None
) -> None:
    with pytest.raises(kind) as caught:
        sandbox.image({"w.js": source, "b.js": "export const z = 1;", "c.js": "\nlet a = ;"}, memory_mb=64)
    assert type(caught.value) is kind
    assert message in str(caught.value)
    assert (caught.value.file, caught.value.line) == (file, line)
    assert "pyworkerd:" not in str(caught.value.detail)


def test_what_a_handler_throws(js: Callable[..., Driver]) -> None:
    driver = js("throw new RangeError('too far')")
    with pytest.raises(RunFailed):
        driver.fetch().checked()
    failure = driver.fetch().failure
    assert failure is not None
    assert (failure.type_name, failure.message) == ("RangeError", "too far")
    assert "/worker.js:2" in failure.traceback
    assert "pyworkerd:" not in failure.traceback


@pytest.mark.parametrize(
    "thrown",
    [
        "5", "null", "undefined", "Symbol('s')", "{ get message() { throw 1 }, toString() { throw 2 } }",
        "new Proxy(new Error('x'), { get() { throw new Error('y') } })",
        "Object.assign(new Error('x'), { name: { toString() { throw 3 } } })",
        "Object.defineProperty(new Error('x'), 'stack', { get() { throw 4 } })",
    ],
)  # fmt: skip
def test_what_is_thrown_may_be_anything(js: Callable[..., Driver], thrown: str) -> None:
    driver = js(f"throw {thrown}")
    assert driver.fetch().failure is not None
    assert driver.fetch().failure is not None


def test_no_answer_is_a_failure(js: Callable[..., Driver]) -> None:
    failure = js("return 'text'").fetch().failure
    assert failure is not None
    assert failure.type_name == "TypeError"
    assert "Response" in failure.message


def test_memory_that_runs_out_is_an_error_inside(js: Callable[..., Driver]) -> None:
    driver = js("const a = []; for (;;) a.push(new Uint8Array(1e6))", memory_mb=64)
    failure = driver.fetch().failure
    assert failure is not None
    assert failure.type_name == "MemoryError"


def test_bindings_reach_an_isolate_but_not_its_image(sandbox: Sandbox) -> None:
    secret = "hush-8e1f5b"
    image = sandbox.image(
        {"w.js": "export default { fetch(_, env) { return new Response(String(env.SECRET)); } };"}
    )
    with sandbox.start(image, bindings=[("SECRET", "value", wire.dump_value(secret))]) as driver:
        assert driver.fetch().text == secret
        assert secret.encode() in driver.isolate.memory()
    with sandbox.start(image) as other:
        assert other.fetch().text == "undefined"
        assert secret.encode() not in other.isolate.memory()
    assert secret.encode() not in (sandbox.cache.folder / image.name).read_bytes()
