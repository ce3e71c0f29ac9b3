"""Media types."""

from __future__ import annotations

import pytest
from pyworkerd.services.assets.types import media_type


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/index.html", "text/html; charset=utf-8"),
        ("/a/b.JS", "text/javascript; charset=utf-8"),
        ("/a.mjs", "text/javascript; charset=utf-8"),
        ("/a.css", "text/css; charset=utf-8"),
        ("/a.svg", "image/svg+xml"),
        ("/a.webp", "image/webp"),
        ("/a.wasm", "application/wasm"),
        ("/a.json", "application/json"),
        ("/a.woff2", "font/woff2"),
        ("/a.tar.gz", "application/octet-stream"),
        ("/a", "application/octet-stream"),
        ("/a.", "application/octet-stream"),
        ("/a.unheard-of", "application/octet-stream"),
        ("/data:text/html,x.html", "text/html; charset=utf-8"),
    ],
)
def test_types(name: str, expected: str) -> None:
    assert media_type(name) == expected
