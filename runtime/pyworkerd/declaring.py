"""Types of what workers find on `env`, for editors and type checkers. Pure, but for the declarations in the package.

A configuration says which bindings there are, so `Env` is made of it; what a binding can do is the same everywhere and
lies in `declarations`.
"""

from __future__ import annotations

import os
import re
from importlib import resources
from keyword import iskeyword
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_config.model import Worker

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from pyworkerd_config import Config
    from pyworkerd_config.model import Binding

TYPESCRIPT: Final = "worker-configuration.d.ts"
"""Wrangler's name for it."""
PYTHON: Final = "typings/workers/__init__.pyi"
"""Where Pyright looks by itself, and mypy with `mypy_path = "typings"`."""
SCRIPTS: Final = frozenset((".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs"))
TYPED: Final = frozenset((".ts", ".tsx"))


class Types(NamedTuple):
    """What a binding of a kind is."""

    python: str
    typescript: str


TYPES: Final[Mapping[str, Types]] = {
    "text": Types("str", "string"),
    "json": Types("Any", "any"),
    "data": Types("bytes", "Uint8Array"),
    "environment": Types("str", "string"),
    "secret": Types("str", "string"),
    "service": Types("Fetcher", "AnyService"),
    "rate_limit": Types("RateLimit", "RateLimit"),
    "kv": Types("KVNamespace", "KVNamespace"),
    "durable_object": Types("DurableObjectNamespace", "DurableObjectNamespace"),
    "r2": Types("R2Bucket", "R2Bucket"),
    "queue": Types("Queue", "Queue"),
    "d1": Types("D1Database", "D1Database"),
    "worker_loader": Types("WorkerLoader", "WorkerLoader"),
    "analytics_engine": Types("AnalyticsEngineDataset", "AnalyticsEngineDataset"),
    "wrapped": Types("Any", "any"),
    "hello": Types("Hello", "Hello"),
}
ANYTHING: Final = Types("Any", "any")
ASSETS: Final = Types("Fetcher", "Fetcher")


def declarations(configs: Iterable[Config], folder: Path) -> dict[str, str]:
    """The files, by their paths from a folder: for TypeScript and for Python, as far as there are workers in them."""
    found = _Workers(configs)
    files = {}
    if scripts := {name: worker for name, worker in found.workers.items() if worker.main.suffix in SCRIPTS}:
        files[TYPESCRIPT] = _typescript(found, scripts, folder)
    if modules := [worker for worker in found.workers.values() if worker.main.suffix == ".py"]:
        files[PYTHON] = _python(modules)
    return files


class _Workers:
    """Of all configurations together: tests may have one of their own."""

    def __init__(self, configs: Iterable[Config]) -> None:
        self.workers: dict[str, Worker] = {}
        self._bindings: dict[str, dict[str, Binding]] = {}
        for config in configs:
            for service in config.services:
                if isinstance(service.kind, Worker):
                    self.workers.setdefault(service.name, service.kind)
                    known = self._bindings.setdefault(service.name, {})
                    known.update({each.name: each for each in service.kind.bindings})

    def bindings(self, name: str) -> Iterator[Binding]:
        """Those of a worker, in the order of their names."""
        return iter(sorted(self._bindings[name].values(), key=lambda binding: binding.name))


# TypeScript ----------------------------------------------------------------------------------------------------------


def _typescript(found: _Workers, scripts: Mapping[str, Worker], folder: Path) -> str:
    parts = [_MADE.format("//"), _packaged("runtime.d.ts")]
    for name, worker in scripts.items():
        lines = [
            f"  {_key(each.name)}: {_in_typescript(each, name, found, folder)};"
            for each in found.bindings(name)
        ]
        if worker.assets is not None and worker.assets.binding is not None:
            lines.append(f"  {_key(worker.assets.binding)}: {ASSETS.typescript};")
        body = "{\n" + "\n".join(lines) + "\n}" if lines else "{}"
        parts.append(f"// What the worker {_comment(name)} has.\ninterface {env_name(name)} {body}\n")
    if len(scripts) == 1 and (only := env_name(next(iter(scripts)))) != "Env":
        parts.append(f"type Env = {only};\n")
    return "\n".join(parts)


def env_name(service: str) -> str:
    """`user-data` has `UserDataEnv`."""
    words = re.findall(r"[A-Za-z0-9]+", service)
    name = "".join(word[0].upper() + word[1:] for word in words)
    return f"{'_' if name[:1].isdigit() else ''}{name}Env"


def _in_typescript(binding: Binding, own: str, found: _Workers, folder: Path) -> str:
    if binding.kind == "service":
        exported = _exported(found.workers.get(str(binding.value)), binding.options.get("entrypoint"), folder)
        return TYPES["service"].typescript if exported is None else f"Service<typeof {exported}>"
    if binding.kind == "durable_object":
        owner = str(binding.options.get("service_name") or own)
        exported = _exported(found.workers.get(owner), str(binding.value), folder)
        return TYPES["durable_object"].typescript + ("" if exported is None else f"<{exported}>")
    return TYPES.get(binding.kind, ANYTHING).typescript


def _exported(worker: Worker | None, name: str | None, folder: Path) -> str | None:
    """What a worker in TypeScript exports, as a type; None where the compiler could not look it up."""
    if (
        worker is None
        or worker.main.suffix not in TYPED
        or not re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", name or "default")
    ):
        return None
    path = os.path.relpath(worker.main.with_suffix(""), folder).replace(os.sep, "/")
    path = path if path.startswith(".") else f"./{path}"
    return f"import({_quoted(path)}).{name or 'default'}"


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_$][A-Za-z0-9_$]*", name) else _quoted(name)


def _quoted(text: str) -> str:
    escaped = "".join(
        character if character.isalnum() or character in " _-./@$+()[]" else f"\\u{{{ord(character):x}}}"
        for character in text
    )
    return f'"{escaped}"'


def _comment(text: str) -> str:
    return "".join(character if character.isalnum() or character in "_-." else "?" for character in text)


# Python --------------------------------------------------------------------------------------------------------------


def _python(modules: Iterable[Worker]) -> str:
    known: dict[str, str] = {}
    for worker in modules:
        for binding in worker.bindings:
            _add(known, binding.name, TYPES.get(binding.kind, ANYTHING).python)
        if worker.assets is not None and worker.assets.binding is not None:
            _add(known, worker.assets.binding, ASSETS.python)
    lines = [f"    {name}: {type_}" for name, type_ in sorted(known.items()) if _is_attribute(name)]
    parts = [_MADE.format("#"), _packaged("workers.pyi"), _ENV, "\n".join([*lines, *_MORE]), "\nenv: Env\n"]
    return "\n".join(parts)


def _is_attribute(name: str) -> bool:
    """Whether a class can say it; others are found by `env["..."]` alone."""
    return name.isidentifier() and not iskeyword(name) and not name.startswith("__")


def _add(known: dict[str, str], name: str, type_: str) -> None:
    """Workers of one project share the class: what they have different things under is anything."""
    known[name] = type_ if known.get(name, type_) == type_ else ANYTHING.python


_ENV: Final = '''
class Env:
    """What the configuration binds, of all its workers in Python together."""
'''
_MORE: Final = (
    "    def __getitem__(self, name: str) -> Any: ...",
    "    def __contains__(self, name: object) -> bool: ...",
    "    def __iter__(self) -> Iterator[str]: ...",
)
MADE: Final = "Made by `pyworkerd types`"
"""In the first line of each file."""
_MADE: Final = f"{{}} {MADE} of the configuration: what is changed here is overwritten.\n"


def _packaged(name: str) -> str:
    return (resources.files("pyworkerd") / "declarations" / name).read_text(encoding="utf-8")
