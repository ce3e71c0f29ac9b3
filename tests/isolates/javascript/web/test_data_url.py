"""What data: URLs hold."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

IMPORT = 'import { readDataURL } from "pyworkerd:web/data_url";'


@pytest.mark.parametrize(
    ("url", "type_", "data"),
    [
        ("data:,", "text/plain;charset=US-ASCII", b""),
        ("data:,a%20b#c", "text/plain;charset=US-ASCII", b"a b"),
        ("data:text/html,<b>", "text/html", b"<b>"),
        ("data:;charset=utf-8,%C3%A9", "text/plain;charset=utf-8", "é".encode()),
        ("data:nonsense,a,b", "text/plain;charset=US-ASCII", b"a,b"),
        ("data:image/gif;base64,/w%3D%3D", "image/gif", b"\xff"),
        ("data:image/gif; BASE64,YQ", "image/gif", b"a"),
        ("data:;base64;a=b,YQ", "text/plain;a=b", b"YQ"),
        (
            "data:x/y;base64," + base64.b64encode(bytes(range(256)) * 300).decode(),
            "x/y",
            bytes(range(256)) * 300,
        ),
    ],
)
def test_content(run: Callable[..., Any], url: str, type_: str, data: bytes) -> None:
    found = run("const { type, bytes } = readDataURL(url); return [type, bytes.toBase64()];", IMPORT, url=url)
    assert found == [type_, base64.b64encode(data).decode()]


@pytest.mark.parametrize("url", ["data:", "data:text/html", "data:;base64,a", "data:;base64,%FF"])
def test_no_content(run: Callable[..., Any], url: str) -> None:
    assert run("return readDataURL(url);", IMPORT, url=url) is None
