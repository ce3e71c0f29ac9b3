"""MIME types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

IMPORT = 'import { parseMime, serializeMime } from "pyworkerd:web/mime";'


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("text/html", "text/html"),
        (" Text/HTML ", "text/html"),
        ("text/html;charset=UTF-8", "text/html;charset=UTF-8"),
        ("text/html; charset=a ;CHARSET=b", "text/html;charset=a"),
        ('text/html;charset="a b\\"c"', 'text/html;charset="a b\\"c"'),
        ('text/html;charset="a"x;boundary=b', "text/html;charset=a;boundary=b"),
        ('text/html;charset="open', "text/html;charset=open"),
        ("text/html;;x;=y;charset=a", "text/html;charset=a"),
        ("text/html;a=\u0100;b=c", "text/html;b=c"),
        ('text/html;a=""', 'text/html;a=""'),
        ("text/html;a=", "text/html"),
        ("text/html ;a=b", "text/html;a=b"),
        ("text", None),
        ("text/", None),
        ("/html", None),
        ("te xt/html", None),
        ("text/ht ml", None),
        ("", None),
    ],
)
def test_types(run: Callable[..., Any], text: str, meaning: str | None) -> None:
    body = "const type = parseMime(text); return type === null ? null : serializeMime(type);"
    assert run(body, IMPORT, text=text) == meaning
