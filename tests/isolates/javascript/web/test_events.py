"""Events, their targets, and signals that abort."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

SEEN = "const seen = []; const target = new EventTarget();"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            (
                "target.addEventListener('a', (e) => seen.push(e.type, e.target === target, e.eventPhase));"
                "seen.push(target.dispatchEvent(new Event('a'))); return seen;"
            ),
            ["a", True, 2, True],
        ),
        (
            (
                "const f = () => seen.push(1); target.addEventListener('a', f); target.addEventListener('a', f);"
                "target.addEventListener('a', f, true); target.dispatchEvent(new Event('a')); return seen;"
            ),
            [1, 1],
        ),
        (
            (
                "target.addEventListener('a', () => seen.push(1), { once: true });"
                "for (const _ of [1, 2]) target.dispatchEvent(new Event('a')); return seen;"
            ),
            [1],
        ),
        (
            (
                "target.addEventListener('a', (e) => e.stopImmediatePropagation()); target.addEventListener('a', () "
                "=> seen.push(1));"
                "target.dispatchEvent(new Event('a')); return seen;"
            ),
            [],
        ),
        (
            (
                "target.addEventListener('a', (e) => e.preventDefault());"
                "return [target.dispatchEvent(new Event('a', { cancelable: true })), target.dispatchEvent(new "
                "Event('a'))];"
            ),
            [False, True],
        ),
        (
            (
                "target.addEventListener('a', (e) => e.preventDefault(), { passive: true });"
                "return target.dispatchEvent(new Event('a', { cancelable: true }));"
            ),
            True,
        ),
        (
            (
                "target.addEventListener('a', { handleEvent(e) { seen.push(this.x, e.detail); }, x: 5 });"
                "target.dispatchEvent(new CustomEvent('a', { detail: 7 })); return seen;"
            ),
            [5, 7],
        ),
        (
            (
                "const c = new AbortController(); target.addEventListener('a', () => seen.push(1), { signal: "
                "c.signal });"
                "target.dispatchEvent(new Event('a')); c.abort(); target.dispatchEvent(new Event('a')); return seen;"
            ),
            [1],
        ),
        (
            (
                "const second = () => seen.push(2); target.addEventListener('a', () => "
                "target.removeEventListener('a', second));"
                "target.addEventListener('a', second); target.dispatchEvent(new Event('a')); return seen;"
            ),
            [],
        ),
        (
            (
                "target.addEventListener('a', () => target.addEventListener('a', () => seen.push(1)));"
                "target.dispatchEvent(new Event('a')); return seen;"
            ),
            [],
        ),
        (
            (
                "class Mine extends EventTarget {} const mine = new Mine(); mine.addEventListener('a', () => "
                "seen.push(1));"
                "mine.dispatchEvent(new Event('a')); return seen;"
            ),
            [1],
        ),
        (
            (
                "const m = new MessageEvent('message', { data: 3 }); const c = new CloseEvent('close', { code: 1000, "
                "wasClean: true });"
                "const e = new ErrorEvent('error', { message: 'x', error: 4 });"
                "return [m.data, m.ports, c.code, c.reason, c.wasClean, e.message, e.error, e.lineno];"
            ),
            [3, [], 1000, "", True, "x", 4, 0],
        ),
    ],
)
def test_events(run: Callable[..., Any], body: str, expected: object) -> None:
    assert run(SEEN + body) == expected


def test_a_listener_that_throws_is_logged_and_the_others_run(run: Callable[..., Any]) -> None:
    body = """
    target.addEventListener('a', () => { throw new TypeError('wrong'); });
    target.addEventListener('a', () => seen.push(1));
    target.dispatchEvent(new Event('a'));
    return [seen, logged.map(([level, text]) => [level, text.split('\\n')[0]])];
    """
    assert run(SEEN + body) == [[1], [["error", "Uncaught TypeError: wrong"]]]


def test_an_event_is_dispatched_once_at_a_time(run: Callable[..., Any]) -> None:
    body = """
    const event = new Event('a');
    target.addEventListener('a', () => { try { target.dispatchEvent(event); } catch (e) { seen.push(e.name); } });
    target.dispatchEvent(event);
    return seen;
    """
    assert run(SEEN + body) == ["InvalidStateError"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            (
                "const c = new AbortController(); c.signal.onabort = (e) => seen.push(e.type, c.signal.reason.name);"
                "c.abort(); c.abort(1); return [seen, c.signal.aborted];"
            ),
            [["abort", "AbortError"], True],
        ),
        (
            (
                "const c = new AbortController(); c.abort('why'); try { c.signal.throwIfAborted(); } catch (e) { "
                "return e; }"
            ),
            "why",
        ),
        ("return AbortSignal.abort().reason;", "AbortError: The operation was aborted"),
        (
            (
                "const s = AbortSignal.timeout(20); await new Promise((done) => { s.onabort = done; }); return "
                "s.reason.name;"
            ),
            "TimeoutError",
        ),
        (
            (
                "const [a, b] = [new AbortController(), new AbortController()]; const any = "
                "AbortSignal.any([a.signal, b.signal]);"
                "any.addEventListener('abort', () => seen.push('any')); b.abort(7); a.abort(8); return [seen, "
                "any.reason];"
            ),
            [["any"], 7],
        ),
        (
            (
                "const a = new AbortController(); const deep = AbortSignal.any([AbortSignal.any([a.signal])]);"
                "a.signal.onabort = () => seen.push(deep.aborted); a.abort(); return seen;"
            ),
            [True],
        ),
        ("return AbortSignal.any([AbortSignal.abort(3), AbortSignal.abort(4)]).reason;", 3),
        ("return AbortSignal.any([]).aborted;", False),
        (
            (
                "const c = new AbortController(); c.signal.onabort = () => seen.push(1); c.signal.onabort = null; "
                "c.abort(); return seen;"
            ),
            [],
        ),
        ("try { new AbortSignal(); } catch (e) { return e; }", "TypeError: Illegal constructor"),
        ("try { AbortSignal.any([1]); } catch (e) { return e.name; }", "TypeError"),
    ],
)
def test_signals(run: Callable[..., Any], body: str, expected: object) -> None:
    assert run(SEEN + body) == expected


def test_a_signal_of_long_life_does_not_collect_those_that_followed_it(run: Any) -> None:
    body = """
    globalThis.forever ??= new AbortController();
    for (let i = 0; i < 5000; i += 1) {
      const signal = AbortSignal.any([forever.signal]);
      const listener = () => {};
      signal.addEventListener("abort", listener);
      signal.removeEventListener("abort", listener);
      new Request("http://a", { signal }).signal.aborted;
    }
    """
    run(body)
    before = run.memory()
    for _ in range(5):
        run(body)
    assert run.memory() - before < 200_000


def test_the_reason_is_that_of_the_first(run: Callable[..., Any]) -> None:
    body = """
    const [a, b] = [new AbortController(), new AbortController()];
    const [early, late] = [AbortSignal.any([a.signal, b.signal]), AbortSignal.any([a.signal, b.signal])];
    early.addEventListener("abort", () => {});
    b.abort("second");
    a.abort("first");
    return [early.reason, late.reason, AbortSignal.any([late]).reason];
    """
    assert run(body) == ["second", "second", "second"]


def test_events_of_the_platform_are_trusted_and_no_others(run: Callable[..., Any]) -> None:
    body = """
    const seen = [];
    const controller = new AbortController();
    controller.signal.onabort = (event) => {
      seen.push(event.isTrusted, Object.getOwnPropertyDescriptor(event, "isTrusted").configurable);
      event.initEvent("again");
      seen.push(event.type, event.isTrusted);
    };
    controller.abort();
    const other = new CustomEvent("a", { detail: 1 });
    other.initCustomEvent("b", true, true, 2);
    return [...seen, other.isTrusted, other.type, other.bubbles, other.detail];
    """
    assert run(body) == [True, False, "abort", True, False, "b", True, 2]


def test_a_listener_is_removed_by_its_capture_alone(run: Callable[..., Any]) -> None:
    body = """
    const target = new EventTarget();
    const seen = [];
    const listener = () => seen.push("heard");
    target.addEventListener("a", listener, { passive: true });
    target.removeEventListener("a", listener, { capture: true });
    target.dispatchEvent(new Event("a"));
    target.removeEventListener("a", listener, { get passive() { throw new Error("it asked"); } });
    target.dispatchEvent(new Event("a"));
    return seen;
    """
    assert run(body) == ["heard"]
