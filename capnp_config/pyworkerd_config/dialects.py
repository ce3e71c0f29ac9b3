"""Every form that a configuration can be printed in, as a table, and what each of them could not say. No I/O."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .differences import differences
from .explain import to_toml
from .kinds import BINDING_KINDS, BindingKinds
from .model import Config, Place, Worker
from .problems import ConfigError, Problem
from .toml_reader import parse_toml
from .toml_writer import toml_value
from .wrangler_join import join
from .wrangler_reader import parse_wrangler
from .wrangler_writer import as_wrangler_says, to_wrangler_json, to_wrangler_toml, wrangler_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .model import Binding


class File(NamedTuple):
    """One file of a configuration."""

    name: str
    text: str


class Printed(NamedTuple):
    """A configuration as text."""

    files: tuple[File, ...]
    """In the order in which they are to be named where they are read."""
    lost: tuple[str, ...]
    """Phrases for what they do not say as the model does."""


class Dialect(NamedTuple):
    """A way to write a configuration."""

    name: str
    """Of its file, by which it is known when it is read."""
    write: Callable[[Config, str, Path, bool], list[File]]
    read: Callable[[list[File], Path, BindingKinds], Config]
    same: Callable[[Config], Config]
    """A model that means the same, put as this dialect puts it."""
    comment: str
    """What begins a comment."""


def print_as(
    dialect: str,
    config: Config,
    folder: Path,
    *,
    defaults: bool = False,
    kinds: BindingKinds = BINDING_KINDS,
) -> Printed:
    """The files that mean the same in a dialect (a key of `DIALECTS`), for `folder`; values of secrets are not in them.

    `defaults` writes out what would be the same if it were left out, where the dialect has a word for all of it:
    `config.toml`. Raises `ConfigError` if there is nothing that the dialect could say.
    """
    row = DIALECTS[dialect]
    meant = row.same(config)
    files = row.write(_without(meant, _cannot_be_toml), dialect, folder, defaults)
    if not files:
        raise ConfigError(
            [Problem(config.place, f"a {row.name} is one worker, and there is none", "add a worker")]
        )
    return Printed(tuple(files), tuple(differences(meant, row.read(files, folder, kinds), folder)))


def _without(config: Config, wrong: Callable[[Binding], bool]) -> Config:
    """The same without some of the bindings."""
    services = tuple(
        replace(
            service,
            kind=replace(
                service.kind, bindings=tuple(each for each in service.kind.bindings if not wrong(each))
            ),
        )
        if isinstance(service.kind, Worker)
        else service
        for service in config.services
    )
    return replace(config, services=services)


def _cannot_be_toml(binding: Binding) -> bool:
    """Whether a value is none of TOML's: null and halves of surrogate pairs, which only JSON can bring."""
    if isinstance(binding.value, bytes | Path):
        return False
    try:
        toml_value(
            [binding.name, binding.value, [o for o in binding.options.values() if not isinstance(o, Path)]]
        )
    except ValueError:
        return True
    return False


def _write_toml(config: Config, name: str, folder: Path, defaults: bool) -> list[File]:
    return [File(name, _toml_printable(to_toml(config, defaults=defaults, folder=folder)))]


def _read_toml(files: list[File], folder: Path, kinds: BindingKinds) -> Config:
    return parse_toml(files[0].text, Place(folder / files[0].name), kinds=kinds)


def _wrangler(to_text: Callable[[dict[str, Any]], str]) -> Callable[[Config, str, Path, bool], list[File]]:
    def write(config: Config, name: str, folder: Path, _defaults: bool) -> list[File]:
        workers = wrangler_files(config, folder)
        stem, _, suffix = name.partition(".")
        return [
            File(name if len(workers) == 1 else f"{stem}.{each.worker}.{suffix}", to_text(each.document))
            for each in workers
        ]

    return write


def _read_wrangler(files: list[File], folder: Path, kinds: BindingKinds) -> Config:
    return join([parse_wrangler(file.text, Place(folder / file.name), kinds=kinds) for file in files], kinds)


def _toml_printable(text: str) -> str:
    r"""The same document without characters that a terminal would obey.

    They can only stand inside basic strings, where TOML has `\uXXXX` and `\UXXXXXXXX` for them.
    """
    return "".join(c if c.isprintable() or c == "\n" else _toml_escape(ord(c)) for c in text)


def _toml_escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _json_printable(text: str) -> str:
    """The same for JSON, which has pairs of surrogates for what is beyond 16 bits (RFC 8259, section 7)."""
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


_WRANGLER_TOML: Final = _wrangler(lambda document: _toml_printable(to_wrangler_toml(document)))
_WRANGLER_JSON: Final = _wrangler(lambda document: _json_printable(to_wrangler_json(document)))

DIALECTS: Final[Mapping[str, Dialect]] = {
    row.name: row
    for row in (
        Dialect("config.toml", _write_toml, _read_toml, lambda config: config, "#"),
        Dialect("wrangler.toml", _WRANGLER_TOML, _read_wrangler, as_wrangler_says, "#"),
        Dialect("wrangler.json", _WRANGLER_JSON, _read_wrangler, as_wrangler_says, "//"),
        Dialect("wrangler.jsonc", _WRANGLER_JSON, _read_wrangler, as_wrangler_says, "//"),
    )
}
