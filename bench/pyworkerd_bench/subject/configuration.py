"""Writes configurations for pyworkerd: the few shapes that benchmarks need."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path


def socket(name: str, service: str | None = None) -> str:
    """One `[[sockets]]` entry on a port that the system chooses; without a service it goes by routes."""
    lines = ["[[sockets]]", f'name = "{name}"', 'address = "127.0.0.1:0"']
    return "\n".join([*lines, *([] if service is None else [f'service = "{service}"']), ""])


def service(
    folder: Path,
    name: str,
    source: str,
    keys: Mapping[str, object] | None = None,
    worker: Mapping[str, object] | None = None,
    main: str = "worker.py",
) -> str:
    """One `[[services]]` entry with its `keys` and those of its worker.

    The source goes into a folder of its own, into a file that is called `main`.
    """
    file = folder / name / main
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    settings = {"main": f"{name}/{main}", **(worker or {})}
    lines = ["[[services]]", f'name = "{name}"', *map(_line, (keys or {}).items())]
    return "\n".join([*lines, "[services.worker]", *map(_line, settings.items()), ""])


def write(path: Path, entries: Iterable[str]) -> Path:
    """The file of these entries. Returns its path."""
    path.write_text("\n".join(entries))
    return path


def _line(item: tuple[str, object]) -> str:
    return f"{item[0]} = {_value(item[1])}"


def _value(value: object) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(map(_line, value.items()))} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return json.dumps(value)  # strings and numbers read the same in TOML
