"""Which configuration a command is about: the file, and the environment of it where it is Wrangler's."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd_config import ConfigError, Place, Problem, WorkerdOptions, load
from pyworkerd_config.model import Worker
from pyworkerd_config.problems import quote

from pyworkerd.observe.text import printable

from .terminal import has_colours

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

    from pyworkerd_config import Config

NAMES: Final = ("config.toml", "wrangler.json", "wrangler.jsonc", "wrangler.toml")
"""What is looked for in the working directory if none is named; Wrangler's in the order in which it looks."""

COMPILED: Final = ".pyworkerd"
"""Suffix of compiled files."""


def add_configuration(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    found = f"default: the first of {', '.join(NAMES)} that is here"
    parser.add_argument(
        "config",
        type=Path,
        nargs="?",
        metavar="CONFIG",
        help=f"config.toml, Wrangler's file or workerd's ({found})",
    )
    parser.add_argument(
        "constant",
        nargs="?",
        metavar="CONSTANT",
        help="of workerd's file, the constant that is the configuration",
    )
    add_named(parser)


def add_named(parser: argparse.ArgumentParser) -> None:
    """Add those that are options: `-c` and `-e`."""
    several = "the same; several of Wrangler's files make one server, which listens for the first"
    parser.add_argument(
        "-c", "--config", dest="named", action="append", default=[], type=Path, metavar="CONFIG", help=several
    )
    parser.add_argument(
        "-e", "--env", metavar="NAME", help='the environment of a Wrangler file that is meant; "": none'
    )
    of_workerd = parser.add_argument_group("of workerd's configurations")
    add = of_workerd.add_argument
    add(
        "-I",
        "--import-path",
        dest="import_paths",
        action="append",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="a folder whose files it may import and embed as well; repeatable",
    )
    add("-b", "--binary", action="store_true", help="it is an encoded message (known by its content as well)")
    add(
        "--external-addr",
        action="append",
        default=[],
        metavar="NAME=ADDRESS",
        help="where an external server is; repeatable",
    )
    add(
        "--directory-path",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="the folder of a disk service; repeatable",
    )


def read_configuration(options: argparse.Namespace, names: Sequence[str] = NAMES) -> Config:
    """Read it; without a name the first of `names` that is here. Raises `ConfigError`."""
    paths = paths_of(options, names)
    if any(path.suffix == COMPILED for path in paths):
        return _compiled(paths, options.env)
    workerd = WorkerdOptions(
        constant=_constant(options),
        import_paths=tuple(options.import_paths),
        binary=options.binary,
        sockets=_pairs("--socket-addr", getattr(options, "socket_addr", ())),
        externals=_pairs("--external-addr", options.external_addr),
        directories={
            name: Path(path) for name, path in _pairs("--directory-path", options.directory_path).items()
        },
    )
    return load(*paths, environment=options.env or None, workerd=workerd)


def _compiled(paths: Sequence[Path], environment: str | None) -> Config:
    from pyworkerd.compiled import open_compiled  # noqa: PLC0415 (start-up time)

    if len(paths) > 1 or environment:
        raise ConfigError(
            [Problem(Place(paths[0]), "a compiled file is all of a configuration", "name it alone")]
        )
    return open_compiled(paths[0])


def _constant(options: argparse.Namespace) -> str:
    return str(options.config) if _is_constant(options) else getattr(options, "constant", None) or ""


def _is_constant(options: argparse.Namespace) -> bool:
    """Whether what stands where the configuration may is the name of a constant: `serve -c config.capnp production`."""
    return (
        options.config is not None
        and len(options.named) == 1
        and options.named[0].suffix == ".capnp"
        and not options.config.exists()
    )


def _pairs(option: str, given: Sequence[str]) -> dict[str, str]:
    """`NAME=VALUE`, by name. Raises `ConfigError`."""
    found = {}
    for text in given:
        name, _, value = text.partition("=")
        if not name or not value:
            message = f"{option}: {quote(text)} has no name or no value"
            raise ConfigError([Problem(Place(Path()), message, f"write {option} NAME=VALUE")])
        found[name] = value
    return found


KEPT: Final = frozenset(("kv", "d1", "r2", "durable_object", "queue", "analytics_engine"))
"""Kinds of bindings that store something in `state_dir`."""


def must_keep(config: Config) -> Config:
    """The same configuration. Raises `ConfigError` where what its workers store can be kept nowhere: the first request
    would find that out, and could not be told where.
    """
    workers = (service.kind for service in config.services if isinstance(service.kind, Worker))
    if KEPT.isdisjoint(binding.kind for worker in workers for binding in worker.bindings):
        return config
    folder = config.state_dir.absolute()
    there = next(each for each in (folder, *folder.parents) if os.path.exists(each))  # noqa: PTH110 - never raises
    if not there.is_dir():
        why = f"{there} is no folder"
    elif not os.access(there, os.W_OK | os.X_OK):
        why = f"this user may not write to {there}"
    else:
        return config
    message = f"what workers store cannot be kept in {config.state_dir}: {why}"
    raise ConfigError([Problem(config.place, message, 'name another folder: state_dir = "/var/lib/shop"')])


def tell_warnings(config: Config) -> None:
    """Tell the operator what the file says and means nothing here."""
    yellow, plain = ("\x1b[33m", "\x1b[0m") if has_colours(sys.stderr) else ("", "")
    for warning in config.warnings:
        sys.stderr.write(f"{yellow}warning:{plain} {printable(str(warning))}\n")


def paths_of(options: argparse.Namespace, names: Sequence[str] = NAMES) -> list[Path]:
    """The files that are meant. Raises `ConfigError` if none is named and there is none."""
    named: list[Path] = [*([options.config] if options.config is not None else []), *options.named]
    if len(named) == 2 and _is_constant(options):
        return named[1:]
    if named:
        return named
    path = next((path for path in map(Path, names) if path.is_file()), None)
    if path is None:
        message = f"no configuration is named, and there is none of {', '.join(names)} here"
        raise ConfigError(
            [Problem(Place(Path()), message, f"write for example pyworkerd {options.command} config.toml")]
        )
    return [path]
