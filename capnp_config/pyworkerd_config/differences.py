"""What one model says and another does not: how a writer knows what its dialect could not say. Pure.

Nothing that a dialect loses has to be listed anywhere: its text is read again, and what is missing then is told.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from .explain import plain
from .problems import quote
from .toml.reader import INTERNET

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from .model import Config


def differences(meant: Config, read: Config, folder: Path) -> Iterator[str]:
    """A phrase for each thing that `read` does not mean as `meant` does, in the words of `config.toml`.

    The order of services, stores, queues, bindings and routes means nothing. `folder` is where paths start from.
    """
    yield from _compare(_named(meant, folder), _named(read, folder), ())


def _named(config: Config, folder: Path) -> dict[str, Any]:
    """The model as tables alone: entries by their names instead of in lists."""
    document = plain(config, defaults=False, folder=folder)
    services = {entry.pop("name"): entry for entry in document["services"]}
    if services.get(INTERNET) == {"network": {}}:
        del services[INTERNET]  # every reader puts it back
    for entry in services.values():
        if "routes" in entry:
            entry["routes"] = sorted(entry["routes"])
        worker = entry.get("worker", {})
        if "durable_objects" in worker:
            worker["durable_objects"] = {each.pop("class_name"): each for each in worker["durable_objects"]}
    return {
        **document,
        "services": services,
        "sockets": dict(enumerate(document["sockets"])),
        "extensions": {entry.pop("name"): entry for entry in document["extensions"]},
        "queues": {
            entry.pop("name"): {**entry, "producers": sorted(entry.get("producers", ()))}
            for entry in document["queues"]
        },
        "stores": {
            kind: {
                each[kind]: {key: sorted(value) if key == "workers" else value for key, value in each.items()}
                for each in document["stores"]
                if kind in each
            }
            for kind in (next(iter(entry)) for entry in document["stores"])
        },
    }


def _compare(meant: Any, read: Any, path: tuple[str | int, ...]) -> Iterator[str]:
    if isinstance(meant, dict) and isinstance(read, dict) and "bindings" not in path[:-1]:
        for key in {**meant, **read}:
            yield from _compare_key(meant, read, (*path, key))
    elif meant != read or type(meant) is not type(read):
        yield f"{_label(path)} is {_shown(meant)}, and would be {_shown(read)}"


def _compare_key(
    meant: Mapping[Any, Any], read: Mapping[Any, Any], path: tuple[str | int, ...]
) -> Iterator[str]:
    key = path[-1]
    if key not in read:
        yield f"{_label(path)} is {_shown(meant[key])}, and would be left out"
    elif key not in meant:
        yield f"{_label(path)} is not said, and would be {_shown(read[key])}"
    else:
        yield from _compare(meant[key], read[key], path)


def _label(path: tuple[str | int, ...]) -> str:
    return ".".join(
        str(part) if isinstance(part, int) or _PLAIN.fullmatch(part) else quote(part) for part in path
    )


def _shown(value: Any) -> str:
    return quote(value) if isinstance(value, str) else _cut(json.dumps(value))


def _cut(text: str) -> str:
    return text if len(text) <= _MOST else f"{text[:_MOST]}..."


_PLAIN = re.compile(r"[A-Za-z0-9_-]{1,63}")
_MOST = 100
"""Characters of a value that is shown."""
