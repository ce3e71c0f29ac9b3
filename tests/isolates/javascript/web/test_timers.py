"""Timers, intervals and `scheduler.wait`, by a clock that jumps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

NOW = 'import { now } from "pyworkerd:system";'


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            (
                "const seen = []; setTimeout((...a) => seen.push(a), 20, 1, 2); setTimeout(() => seen.push('first'), "
                "10);"
                "await scheduler.wait(30); return seen;"
            ),
            ["first", [1, 2]],
        ),
        ("const start = now(); await scheduler.wait(1500); return now() - start;", 1500),
        (
            (
                "const seen = []; clearTimeout(setTimeout(() => seen.push(1), 5)); await scheduler.wait(10); return "
                "seen;"
            ),
            [],
        ),
        (
            (
                "const seen = []; const id = setInterval(() => { if (seen.push(now()) === 3) clearInterval(id); }, "
                "10);"
                "await scheduler.wait(100); return [seen.length, seen[2] - seen[0]];"
            ),
            [3, 20],
        ),
        ("const id = setInterval(() => {}, 10); clearTimeout(id); return typeof id;", "number"),
        ("clearTimeout(); clearTimeout(999); clearTimeout('x'); return 1;", 1),
        (
            (
                "const start = now(); await new Promise((done) => setTimeout(done)); await new Promise((done) => "
                "setTimeout(done, -5));"
                "return now() - start;"
            ),
            0,
        ),
        (
            (
                "const c = new AbortController(); setTimeout(() => c.abort('no'), 5);"
                "try { await scheduler.wait(1000, { signal: c.signal }); } catch (e) { return e; }"
            ),
            "no",
        ),
        (
            "try { await scheduler.wait(10, { signal: AbortSignal.abort('early') }); } catch (e) { return e; }",
            "early",
        ),
        ("try { setTimeout('code', 1); } catch (e) { return e.name; }", "TypeError"),
        (
            "return [setTimeout.length, setInterval.length, clearTimeout.length, setTimeout.name];",
            [1, 1, 0, "setTimeout"],
        ),
    ],
)
def test_timers(run: Callable[..., Any], body: str, expected: object) -> None:
    assert run(body, NOW) == expected


def test_an_error_in_a_timer_is_logged_and_an_interval_goes_on(run: Callable[..., Any]) -> None:
    body = """
    let count = 0;
    const id = setInterval(() => { count += 1; throw new Error(`number ${count}`); }, 10);
    await scheduler.wait(25);
    clearInterval(id);
    return logged.map(([, text]) => text.split("\\n")[0]);
    """
    assert run(body) == ["Uncaught Error: number 1", "Uncaught Error: number 2"]


def test_intervals_that_ended_with_their_request_are_forgotten(run: Any) -> None:
    """The host forgets them without a word; what is kept of each must not pile up for as long as the isolate lives."""
    body = "for (let i = 0; i < 5000; i += 1) setInterval(() => {}, 5); timers.clear();"
    imports = 'import { timers } from "pyworkerd:system";'
    run(body, imports)
    before = run.memory()
    for _ in range(10):
        run(body, imports)
    assert run.memory() - before < 1_000_000
