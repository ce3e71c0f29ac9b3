"""Writes plain values as TOML text.

In the shape of this package's configuration: headers for entries, tables inline.

Own code because tomli-w, the usual writer, decides itself what becomes a header; a binding reads best on one
line.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_key(key: str) -> str:
    """A key, quoted where it must be."""
    return key if _BARE_KEY.fullmatch(key) else toml_text(key)


def toml_text(text: str) -> str:
    """A basic string (TOML 1.0.0, String). Raises `ValueError` for half of a surrogate pair, which TOML has
    not.
    """
    if any(0xD800 <= ord(c) <= 0xDFFF for c in text):
        raise ValueError("TOML cannot hold a lone surrogate")
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def toml_value(value: Any) -> str:
    """Any value on one line. Raises `ValueError` for what TOML has not: null, integers beyond 64 bits."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return toml_text(value)
    if isinstance(value, int) and -(1 << 63) <= value < 1 << 63:
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return repr(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(toml_value(item) for item in value)}]"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{toml_key(key)} = {toml_value(item)}" for key, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    raise ValueError(f"TOML cannot hold {'null' if value is None else type(value).__name__}")


def toml_lines(table: Mapping[str, Any]) -> list[str]:
    """`key = value` lines."""
    return [f"{toml_key(key)} = {toml_value(value)}" for key, value in table.items()]
