"""`console`, and how values are shown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

INSPECT = 'import { inspect } from "pyworkerd:web/inspect";'


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("'a\\'b\\n'", '"a\'b\\n"'),
        ("-0", "-0"),
        ("12n", "12n"),
        ("undefined", "undefined"),
        ("Symbol('s')", "Symbol(s)"),
        ("[1, 'a', null]", "[ 1, 'a', null ]"),
        ("[]", "[]"),
        ("({})", "{}"),
        ("[1, , , 4]", "[ 1, <2 empty items>, 4 ]"),
        (
            "({ a: 1, 'b-c': { d: { e: { f: 1 } } }, [Symbol('s')]: 2 })",
            "{ a: 1, 'b-c': { d: { e: [Object] } }, [Symbol(s)]: 2 }",
        ),
        ("Object.create(null)", "[Object: null prototype] {}"),
        ("new (class Foo { x = 1; })()", "Foo { x: 1 }"),
        ("class Foo {}", "[class Foo]"),
        ("class Foo extends Array {}", "[class Foo extends Array]"),
        ("(() => { const f = function f() {}; return f; })()", "[Function: f]"),
        ("() => {}", "[Function (anonymous)]"),
        ("async () => {}", "[AsyncFunction (anonymous)]"),
        ("new Map([['a', { b: 1 }]])", "Map(1) { 'a' => { b: 1 } }"),
        ("new Set([1, 'x'])", "Set(2) { 1, 'x' }"),
        ("new Date(0)", "1970-01-01T00:00:00.000Z"),
        ("new Date(NaN)", "Invalid Date"),
        ("/a\\/b/g", "/a\\/b/g"),
        ("Uint8Array.of(1, 2)", "Uint8Array(2) [ 1, 2 ]"),
        ("Uint8Array.of(1, 255).buffer", "ArrayBuffer { [Uint8Contents]: <01 ff>, byteLength: 2 }"),
        ("new String('x')", "[String: 'x']"),
        ("Promise.resolve(1)", "Promise {}"),
        ("(() => { const o = { a: 1 }; o.self = o; return o; })()", "<ref *1> { a: 1, self: [Circular *1] }"),
        ("({ get a() { return 1; }, set b(x) {} })", "{ a: [Getter], b: [Setter] }"),
        ("({ [Symbol.for('nodejs.util.inspect.custom')]: () => 'mine' })", "mine"),
        ("new Headers({ A: 1 })", "Headers { a: '1' }"),
        ("new URLSearchParams('a=1')", "URLSearchParams { 'a' => '1' }"),
        ("new Proxy({ a: 1 }, {})", "{ a: 1 }"),
        ("new Array(200).fill(0)", "[\n  " + "0,\n  " * 100 + "... 100 more items\n]"),
        ("({ text: 'x'.repeat(80), b: 1 })", "{\n  text: '" + "x" * 80 + "',\n  b: 1\n}"),
        ("({ a: { b: { c: { d: [], e: new Map(), f: [1] } } } })", "{ a: { b: { c: [Object] } } }"),
        ("[[[[]]], [[[new Set()]]], [[[[1]]]]]", "[ [ [ [] ] ], [ [ [Array] ] ], [ [ [Array] ] ] ]"),
        ("[{ a: { b: { c: 1 } } }, 2]", "[ { a: { b: [Object] } }, 2 ]"),
        ("({ a: { b: { c: {} } } })", "{ a: { b: { c: {} } } }"),
        (
            "({ a: { text: 'x'.repeat(80), b: 1 } })",
            "{\n  a: {\n    text: '" + "x" * 80 + "',\n    b: 1\n  }\n}",
        ),
        ("(() => { const e = new RangeError('far'); e.stack = ''; return e; })()", "[RangeError: far]"),
        (
            "(() => { const e = new Error('x', { cause: 1 }); e.stack = ''; e.code = 'C'; return e; })()",
            "[Error: x] { [cause]: 1, code: 'C' }",
        ),
    ],
)
def test_values_are_shown(run: Callable[..., Any], expression: str, expected: str) -> None:
    assert run(f"return inspect({expression});", INSPECT) == expected


def test_urls_show_their_parts(run: Callable[..., Any]) -> None:
    shown = run("return inspect(new URL('http://a/b?c=1'));", INSPECT)
    assert shown.startswith("URL {\n  href: 'http://a/b?c=1',\n  origin: 'http://a',")
    assert "searchParams: URLSearchParams { 'c' => '1' }" in shown


def test_errors_show_name_message_and_where(run: Callable[..., Any]) -> None:
    head, *frames = run("return inspect(new TypeError('wrong'));", INSPECT).split("\n")
    assert head == "TypeError: wrong"
    assert frames
    assert all(frame.startswith("    at ") for frame in frames)


def test_hostile_values_are_shown_all_the_same(run: Callable[..., Any]) -> None:
    body = """
    const throwing = { get: () => { throw new Error('no'); } };
    const values = [
      new Proxy({}, throwing),
      { get [Symbol.toStringTag]() { throw new Error('no'); } },
      Object.assign(new Error('x'), { stack: { toString() { throw new Error('no'); } } }),
      Object.setPrototypeOf([1], null),
      Object.create(Map.prototype),
    ];
    return values.map((value) => { try { return typeof inspect(value); } catch (e) { return `${e}`; } });
    """
    assert run(body, INSPECT) == ["string"] * 5


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("console.log('a', 1, { b: 2 }, ['c'])", [["log", "a 1 { b: 2 } [ 'c' ]"]]),
        ("console.log()", [["log", ""]]),
        (
            "console.info('i'); console.warn('w'); console.error('e'); console.debug('d')",
            [["info", "i"], ["warn", "w"], ["error", "e"], ["debug", "d"]],
        ),
        (
            "console.log('%s is %d of %i, %f%% %j %o %c.', 'x', '42', 3.9, '1.5', { a: 1 }, [1], 'css', 'rest')",
            [["log", 'x is 42 of 3, 1.5% {"a":1} [ 1 ] . rest']],
        ),
        ("console.log('%s')", [["log", "%s"]]),
        (
            "console.log('%s %s %d %f %i', () => {}, { a: 1 }, 5n, 5n, '7px')",
            [["log", "() => {} { a: 1 } 5n 5 7"]],
        ),
        ("console.log('100%', 'sure')", [["log", "100% sure"]]),
        (
            (
                "console.group('g'); console.log('a\\nb'); console.group(); console.log('c'); console.groupEnd();"
                "console.groupEnd(); console.log('d')"
            ),
            [["log", "g"], ["log", "  a\n  b"], ["log", "    c"], ["log", "d"]],
        ),
        (
            "console.count(); console.count('x'); console.count(); console.countReset(); console.count()",
            [["log", "default: 1"], ["log", "x: 1"], ["log", "default: 2"], ["log", "default: 1"]],
        ),
        (
            "console.assert(true, 'no'); console.assert(false, 'a %s', 'b'); console.assert()",
            [["error", "Assertion failed: a b"], ["error", "Assertion failed"]],
        ),
        (
            (
                "console.time('t'); await scheduler.wait(20); console.timeLog('t', 'x'); await scheduler.wait(1500); "
                "console.timeEnd('t');"
                "console.timeEnd('t')"
            ),
            [["log", "t: 20ms x"], ["log", "t: 1.52s"], ["warn", "Timer 't' does not exist"]],
        ),
        ("console.dir({ a: { b: { c: {} } } }, { depth: 0 })", [["log", "{ a: [Object] }"]]),
        (
            "console.table([{ a: 1, b: 'x' }, { a: 2 }])",
            [
                [
                    "log",
                    "\n".join(
                        [
                            "┌─────────┬───┬─────┐",
                            "│ (index) │ a │ b   │",
                            "├─────────┼───┼─────┤",
                            "│ 0       │ 1 │ 'x' │",
                            "│ 1       │ 2 │     │",
                            "└─────────┴───┴─────┘",
                        ]
                    ),
                ]
            ],
        ),
        (
            "console.table(['x'])",
            [
                [
                    "log",
                    "\n".join(
                        [
                            "┌─────────┬────────┐",
                            "│ (index) │ Values │",
                            "├─────────┼────────┤",
                            "│ 0       │ 'x'    │",
                            "└─────────┴────────┘",
                        ]
                    ),
                ]
            ],
        ),
        ("console.table(5)", [["log", "5"]]),
        ("const { log } = console; log('bound to nothing')", [["log", "bound to nothing"]]),
    ],
)
def test_what_is_logged(run: Callable[..., Any], body: str, expected: list[list[str]]) -> None:
    assert run(f"{body}; return logged;") == expected


def test_traces_say_where(run: Callable[..., Any]) -> None:
    ((level, text),) = run("console.trace('here'); return logged;")
    assert level == "debug"
    assert text.startswith("Trace: here\n    at ")
