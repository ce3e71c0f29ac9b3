"""Media types by the ends of names: the standard library's, without the machine's own tables, and some newer ones."""

from __future__ import annotations

import mimetypes
from typing import Final

_NEWER: Final = {
    ".avif": "image/avif",
    ".cjs": "text/javascript",
    ".jsonld": "application/ld+json",
    ".md": "text/markdown",
    ".mjs": "text/javascript",
    ".otf": "font/otf",
    ".ttf": "font/ttf",
    ".wasm": "application/wasm",
    ".webmanifest": "application/manifest+json",
    ".webp": "image/webp",
    ".woff": "font/woff",
    ".woff2": "font/woff2",
}
BINARY: Final = "application/octet-stream"
_known = mimetypes.MimeTypes(())
_known.add_type("text/javascript", ".js")  # RFC 9239
for _end, _kind in _NEWER.items():
    _known.add_type(_kind, _end)


def media_type(name: str) -> str:
    """The type of a file. Text is UTF-8."""
    kind, encoding = _known.guess_type(f"x{name[name.rfind('.') :]}" if "." in name else name)
    if kind is None or encoding is not None:
        return BINARY
    return f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
