"""Promises that are rejected, and nobody hears of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Sandbox

FAILS = "async function fails(n) { await null; throw new RangeError(`lost ${n}`); }"
WORKER = f"""{FAILS}
export default {{ async fetch(request, env, ctx) {{ %s; return new Response("answered"); }} }};
"""
LOST = "Uncaught (in promise) RangeError: lost 1\n    at fails (/w.js:"
CONTEXTS = 'import "node:async_hooks";'


@pytest.mark.parametrize("first", ["", CONTEXTS])
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("fails(1)", [LOST]),
        ("fails(1).then(() => {}); await scheduler.wait(1)", [LOST]),
        ("Promise.all([fails(1), 2]); await scheduler.wait(1)", [LOST]),
        ("fails(1); await scheduler.wait(1)", [LOST]),
        ("setTimeout(() => fails(1), 1); ctx.waitUntil(scheduler.wait(5))", [LOST]),
        ("Promise.reject(5)", ["Uncaught (in promise) 5"]),
        ("queueMicrotask(() => { throw new RangeError('x'); })", ["Uncaught RangeError: x"]),
        ("ctx.waitUntil(fails(1))", ["a waitUntil() task failed\nRangeError: lost 1"]),
        ("try { await fails(1); } catch {}", []),
        ("await fails(1).catch(() => {})", []),
        ("const late = fails(1); await null; await late.catch(() => {})", []),
        ("await Promise.allSettled([fails(1), Promise.reject(2)])", []),
        ("await Promise.any([fails(1), 2])", []),
        ("await Promise.race([2, fails(1)])", []),
        ("const body = new Response('x').body; body.cancel(); await fetch('http://a/').catch(() => {})", []),
        (
            "const c = new AbortController(); const r = fetch('http://a/', c).catch(() => {}); c.abort(); await r",
            [],
        ),
        ("const s = new ReadableStream({ start(c) { c.error(new RangeError()); } }); new Response(s)", []),
        ("const t = new TransformStream(); t.writable.abort(1).catch(() => {})", []),
    ],
)
def test_what_is_told(start: Callable[..., Driver], first: str, body: str, told: list[str]) -> None:
    driver = start({"w.js": f"{first}{WORKER % body}"})
    run = driver.fetch()
    driver.settle()
    assert run.text == "answered"
    assert len(run.logs) == len(told), run.logs
    for entry, begin in zip(run.logs, told, strict=True):
        assert (entry.level, entry.message[: len(begin)]) == ("error", begin)


def test_each_is_told_to_whom_it_belongs(start: Callable[..., Driver]) -> None:
    driver = start({"w.js": WORKER % "fails(new URL(request.url).pathname)"})
    runs = [driver.begin(f"http://a/{name}") for name in "ab"]
    driver.settle()
    assert [[entry.message.split("\n")[0][-2:] for entry in run.logs] for run in runs] == [["/a"], ["/b"]]


def test_many_at_once_have_a_bound(start: Callable[..., Driver]) -> None:
    run = start({"w.js": WORKER % "for (let i = 0; i < 1000; i++) Promise.reject(i)"}).fetch()
    assert len(run.logs) == 100


def test_at_the_top_level(sandbox: Sandbox) -> None:
    image = sandbox.image({"w.js": f"{WORKER % ''} fails(1);"})
    assert [(entry[0], entry[-1].split("\n")[0]) for entry in image.logs] == [
        ("error", LOST.split("\n", maxsplit=1)[0])
    ]
