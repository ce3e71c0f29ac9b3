"""Headers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

IMPORTS = 'import { copyOf, headersFromPairs, lock, pairsOf } from "pyworkerd:web/headers";'


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("[...new Headers({ 'X-B': '2', A: 1 })]", [["a", "1"], ["x-b", "2"]]),
        ("[...new Headers([['a', '1'], ['A', ' 2 ']])]", [["a", "1, 2"]]),
        ("[...new Headers(new Headers({ a: 1 })).keys()]", ["a"]),
        ("[...new Headers(new Map([['a', 1]])).values()]", ["1"]),
        ("new Headers({ a: 1 }).get('A')", "1"),
        ("new Headers().get('a')", None),
        ("new Headers({ a: '' }).get('a')", ""),
        (
            "[...new Headers([['set-cookie', 'b=1'], ['Set-Cookie', 'a=2'], ['z', '1'], ['b', '1']])]",
            [["b", "1"], ["set-cookie", "b=1"], ["set-cookie", "a=2"], ["z", "1"]],
        ),
        ("new Headers([['set-cookie', 'b=1'], ['Set-Cookie', 'a=2']]).getSetCookie()", ["b=1", "a=2"]),
        ("new Headers([['set-cookie', 'b=1'], ['Set-Cookie', 'a=2']]).getAll('Set-Cookie')", ["b=1", "a=2"]),
        ("new Headers([['set-cookie', 'b=1'], ['Set-Cookie', 'a=2']]).get('Set-Cookie')", "b=1, a=2"),
        (
            (
                "(() => { const h = new Headers({ a: 1 }); h.set('a', 2); h.append('b', 3); h.delete('A'); return "
                "[...h]; })()"
            ),
            [["b", "3"]],
        ),
        (
            (
                "(() => { const h = new Headers({ 'set-cookie': 1 }); h.set('set-cookie', 2); const had = "
                "h.has('set-cookie');"
                "h.delete('set-cookie'); return [had, h.has('set-cookie')]; })()"
            ),
            [True, False],
        ),
        (
            (
                "(() => { const seen = []; const h = new Headers({ b: 1, a: 2 }); h.forEach((v, k, o) => "
                "seen.push(k, v, o === h));"
                "return seen; })()"
            ),
            ["a", "2", True, "b", "1", True],
        ),
        (
            (
                "(() => { const h = new Headers({ a: 1 }); const seen = []; for (const [k] of h) { seen.push(k);"
                "if (seen.length < 3) h.append('x' + seen.length, 1); } return seen; })()"
            ),
            ["a", "x1", "x2"],
        ),
        ("new Headers({ a: '\\t\\xe9 ' }).get('a')", "é"),
        ("`${new Headers().entries()}`", "[object Headers Iterator]"),
        ("new Headers().entries().map((x) => x).toArray()", []),
        (
            "[...copyOf(headersFromPairs([['a', '1'], ['a', '2'], ['set-cookie', 'x']]))]",
            [["a", "1, 2"], ["set-cookie", "x"]],
        ),
        (
            "pairsOf(new Headers([['B', '1'], ['set-cookie', 'x'], ['set-cookie', 'y']]))",
            [["b", "1"], ["set-cookie", "x"], ["set-cookie", "y"]],
        ),
    ],
)
def test_what_they_give(run: Callable[..., Any], expression: str, expected: object) -> None:
    assert run(f"return {expression};", IMPORTS) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "new Headers({ 'a b': 1 })",
        "new Headers({ '': 1 })",
        "new Headers({ a: 'x\\r\\ny: 1' })",
        "new Headers({ a: 'x\\0' })",
        "new Headers({ a: '€' })",
        "new Headers([['a']])",
        "new Headers('a: 1')",
        "new Headers(null)",
        "new Headers({ [Symbol('a')]: 1 })",
        "new Headers().getAll('a')",
        "new Headers().forEach()",
        "lock(new Headers()).set('a', 1)",
        "lock(new Headers()).delete('a')",
        "Headers.prototype.get.call({}, 'a')",
        "Headers.prototype.entries.call({})",
    ],
)
def test_what_they_refuse(run: Callable[..., Any], expression: str) -> None:
    assert (
        run(f"try {{ {expression}; return 'accepted'; }} catch (e) {{ return e.name; }}", IMPORTS)
        == "TypeError"
    )
