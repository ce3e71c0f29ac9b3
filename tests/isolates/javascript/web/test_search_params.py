"""URLSearchParams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("`${new URLSearchParams('?a=1&b=2&a=3')}`", "a=1&b=2&a=3"),
        ("`${new URLSearchParams({ a: 'x y', 'é': '&=' })}`", "a=x+y&%C3%A9=%26%3D"),
        ("`${new URLSearchParams([['a', 1], ['b', 2]])}`", "a=1&b=2"),
        ("`${new URLSearchParams(new URLSearchParams('a=1'))}`", "a=1"),
        ("`${new URLSearchParams()}`", ""),
        ('`${new URLSearchParams("a=!\'()~*-._")}`', "a=%21%27%28%29%7E*-._"),
        (
            "[...new URLSearchParams('a+b=c%20d&%zz=%ff&=&&x')]",
            [["a b", "c d"], ["%zz", "�"], ["", ""], ["x", ""]],
        ),
        ("[...new URLSearchParams('a=%F0%9F%98%80%ff')]", [["a", "😀�"]]),
        ("`${new URLSearchParams('a=\\ud800')}`", "a=%EF%BF%BD"),
        ("new URLSearchParams('a=1&a=2').getAll('a')", ["1", "2"]),
        ("[new URLSearchParams('a=1').get('b'), new URLSearchParams('a=1').has('a', '2')]", [None, False]),
        ("new URLSearchParams('a=1&b=2').size", 2),
        (
            (
                "(() => { const p = new URLSearchParams('a=1&b=2&a=3'); p.set('a', 4); p.append('c', 5); "
                "p.delete('b');"
                "return `${p}`; })()"
            ),
            "a=4&c=5",
        ),
        ("(() => { const p = new URLSearchParams('a=1&a=2'); p.delete('a', '1'); return `${p}`; })()", "a=2"),
        (
            (
                "(() => { const p = new URLSearchParams('z=1&a=2&z=0&\\ufffc=3&\\u{1f308}=4'); p.sort(); return "
                "[...p.keys()]; })()"
            ),
            ["a", "z", "z", "🌈", "\ufffc"],
        ),
        (
            (
                "(() => { const p = new URLSearchParams('a=1'); const seen = []; for (const [k] of p) { seen.push(k);"
                "if (seen.length < 3) p.append('x', 1); } return seen; })()"
            ),
            ["a", "x", "x"],
        ),
        ("[...new URLSearchParams('a=1&b=2').values()]", ["1", "2"]),
        (
            (
                "(() => { const seen = []; new URLSearchParams('a=1').forEach((v, k) => seen.push(k, v)); return "
                "seen; })()"
            ),
            ["a", "1"],
        ),
    ],
)
def test_what_they_give(run: Callable[..., Any], expression: str, expected: object) -> None:
    assert run(f"return {expression};") == expected


@pytest.mark.parametrize(
    "expression",
    [
        "new URLSearchParams([['a']])",
        "new URLSearchParams([1])",
        "new URLSearchParams().get()",
        "new URLSearchParams().forEach(1)",
        "URLSearchParams.prototype.get.call({}, 'a')",
    ],
)
def test_what_they_refuse(run: Callable[..., Any], expression: str) -> None:
    assert run(f"try {{ {expression}; return 'accepted'; }} catch (e) {{ return e.name; }}") == "TypeError"
