"""`pyworkerd engine build|list|clean`: the engines and images in this user's cache."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Final, TextIO

from pyworkerd_isolates.cache import Cache, Entry
from pyworkerd_isolates.component.image import fingerprint
from pyworkerd_isolates.engine import engine_key, load_engine
from pyworkerd_isolates.known import NAME as KNOWN
from pyworkerd_isolates.languages import LANGUAGES, WASM
from pyworkerd_isolates.native import Machine

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable

    from pyworkerd_isolates.engine import Source


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "examples: pyworkerd engine build;  pyworkerd engine list --json"
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, (summary, _) in ACTIONS.items():
        action = actions.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
        action.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Do what was asked. Raises `EngineError`."""
    ACTIONS[options.action][1](as_json=options.json)
    return 0


@dataclass(frozen=True, slots=True)
class Listed:
    """A file of the cache. `size` is in bytes."""

    name: str
    kind: str
    """`engine` (code), `base` (the image that every worker starts from), `image` (of one worker version), or `program`
    (a component: its code, or its memory)."""
    language: str
    size: int
    current: bool
    """Whether this installation uses it; an old one is never loaded again."""


def listed(entries: Iterable[Entry], sources: Iterable[Source]) -> list[Listed]:
    """What the cache holds, and which of it the engines of `sources` still use. Pure."""
    entries = [entry for entry in entries if entry.name != KNOWN]
    wanted = {f"engine-{each.language}-{engine_key(each)[:32]}.cwasm" for each in sources}
    keys = {entry.notes["key"]: entry.notes["language"] for entry in entries if entry.name in wanted}
    return [_listed(entry, wanted, keys) for entry in entries]


def _listed(entry: Entry, wanted: set[str], keys: dict[str, str]) -> Listed:
    kind, owner, *_ = entry.name.split("-")
    if kind == "image":
        language = next((language for key, language in keys.items() if key.startswith(owner)), None)
        return Listed(entry.name, kind, language or "?", entry.size, language is not None)
    if kind == "program":
        return Listed(entry.name, kind, WASM.name, entry.size, owner == fingerprint())
    current = entry.name in wanted or entry.name in {
        f"base-{language}-{key[:32]}.cwasm" for key, language in keys.items()
    }
    return Listed(entry.name, kind, owner, entry.size, current)


def _build(*, as_json: bool) -> None:
    machine = Machine()
    ready = []
    try:
        for source in _sources():
            engine = load_engine(machine, Cache(), source, lambda step: _say(step, sys.stderr))
            engine.close()
            ready.append(
                {"language": engine.language, "key": engine.key, "milliseconds": round(engine.load_ms, 2)}
            )
            if not as_json:
                _say(f"the {engine.language} engine is ready ({engine.load_ms / 1000:.1f} s)")
    finally:
        machine.close()
    if as_json:
        _say(json.dumps(ready))


def _sources() -> list[Source]:
    return [source for language in LANGUAGES for source in language.sources()]


def _list(*, as_json: bool) -> None:
    found = listed(Cache().entries(), _sources())
    if as_json:
        _say(json.dumps([asdict(each) for each in found]))
        return
    width = max((len(each.name) for each in found), default=0)
    for each in found:
        state = "current" if each.current else "old"
        _say(f"{each.name:<{width}}  {each.language:<18}  {_megabytes(each.size):>10}  {state}")


def _clean(*, as_json: bool) -> None:
    freed = Cache().clean()
    _say(json.dumps({"freed": freed}) if as_json else f"removed {_megabytes(freed)}")


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def _say(line: str, stream: TextIO | None = None) -> None:
    stream = stream or sys.stdout
    stream.write(line + "\n")
    stream.flush()


ACTIONS: Final[dict[str, tuple[str, Callable[..., None]]]] = {
    "build": ("build the engines of this installation, unless the cache has them", _build),
    "list": ("list engines and images in the cache, current and old", _list),
    "clean": ("remove everything from the cache; it is built again when it is needed", _clean),
}
