"""What the commands about stores have in common: a configuration, and its stores, without its workers.

They work beside a server that runs, on the same files.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pyworkerd_config import load
from pyworkerd_config.model import Worker

from pyworkerd.errors import ConfigurationError, PyworkerdError
from pyworkerd.observe.text import one_line
from pyworkerd.problems import FAILED, Refusal
from pyworkerd.runtime import Runtime

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable

    from pyworkerd_config.model import Binding, Config

T = TypeVar("T")


def add_config(parser: argparse.ArgumentParser) -> None:
    """The argument that every one of them begins with, and `--json`."""
    parser.add_argument(
        "config", type=Path, metavar="CONFIG", help="the configuration, for example config.toml"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_binding(parser: argparse.ArgumentParser, what: str) -> None:
    """The arguments that most of them begin with: a configuration, a worker, and its binding to a store, `what`."""
    add_config(parser)
    parser.add_argument("worker", metavar="WORKER", help="the name of its service")
    parser.add_argument(
        "binding", metavar="BINDING", help=f"the name that the {what} has on the worker's env"
    )


def with_runtime(config: Config | Path, work: Callable[[Runtime], Awaitable[T]]) -> T:
    """Do something with the stores of a configuration. Raises `ConfigError`, `ConfigurationError`, and `Refusal` for
    what a store refuses.
    """

    async def main() -> T:
        runtime = Runtime(load(config) if isinstance(config, Path) else config)
        try:
            return await work(runtime)
        except ConfigurationError:
            raise
        except PyworkerdError as error:
            raise Refusal.of(str(error), FAILED) from error
        finally:
            await runtime.aclose()

    return asyncio.run(main())


def binding_of(config: Config, kind: str, worker: str, name: str) -> Binding:
    """A worker's binding of a kind. Raises `ConfigurationError`, with what there is."""
    found = {
        each.name: each
        for service in config.services
        if service.name == worker and isinstance(service.kind, Worker)
        for each in service.kind.bindings
        if each.kind == kind
    }
    if name not in found:
        there = ", ".join(sorted(found)) or "none"
        raise ConfigurationError(
            f"worker {worker!r} has no {kind} binding named {name!r}; there are: {there}"
        )
    return found[name]


def store_of(config: Config, kind: str, worker: str, binding: str) -> str:
    """The name of the store that a worker's binding leads to. Raises `ConfigurationError`, with what there is."""
    return str(binding_of(config, kind, worker, binding).value)


def cell(text: str) -> str:
    """Text of a tenant's as a part of a line whose parts are told apart by tabs."""
    return one_line(text).replace("\t", "\\t")


def read_file(path: Path) -> bytes:
    """What is in a file that was named. Raises `Refusal`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise Refusal.of(f"{path} cannot be read: {error.strerror}") from None


def say(value: Any, text: str, *, as_json: bool) -> None:
    """Print a result for a program, or for a person."""
    sys.stdout.write((json.dumps(value) if as_json else text) + "\n")
