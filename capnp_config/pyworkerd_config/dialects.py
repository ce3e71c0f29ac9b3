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
from .problems import ConfigError, Problem, ProblemList
from .toml.reader import parse_toml
from .toml.writer import toml_value
from .workerd.files import Where
from .workerd.reader import read_workerd
from .workerd.values import Document
from .workerd.writer import (
    Embedded,
    as_workerd_says,
    main_alone,
    workerd_text,
    workerd_values,
)
from .wrangler.join import join
from .wrangler.reader import parse_wrangler
from .wrangler.writer import as_wrangler_says, to_wrangler_json, to_wrangler_toml, wrangler_files

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .model import Binding
    from .workerd.writer import Modules


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


class Written(NamedTuple):
    """Files, and what they mean to whoever reads them."""

    files: list[File]
    read: Callable[[BindingKinds], Config]


class Dialect(NamedTuple):
    """A way to write a configuration."""

    name: str
    """Of its file, by which it is known when it is read."""
    write: Callable[[Config, str, Path, bool], Written]
    same: Callable[[Config, Path, Modules], Config]
    """A model that means the same, put as this dialect puts it."""
    comment: str
    """What begins a comment."""


def print_as(
    dialect: str,
    config: Config,
    folder: Path,
    *,
    defaults: bool = False,
    modules: Modules = main_alone,
    kinds: BindingKinds = BINDING_KINDS,
) -> Printed:
    """The files that mean the same in a dialect (a key of `DIALECTS`), for `folder`; values of secrets are not in them.

    `defaults` writes out what would be the same if it were left out, where the dialect has a word for all of it:
    `config.toml`. `modules` lists the files of a worker, for dialects that do. Raises `ConfigError` if there is nothing
    that the dialect could say.
    """
    row = DIALECTS[dialect]
    meant = row.same(config, folder, modules)
    written = row.write(meant, dialect, folder, defaults)
    if not written.files:
        raise ConfigError(
            [Problem(config.place, f"a {row.name} is one worker, and there is none", "add a worker")]
        )
    return Printed(tuple(written.files), tuple(differences(meant, written.read(kinds), folder)))


def _for_toml(config: Config) -> Config:
    """The same without bindings and props that TOML has not."""
    services = tuple(
        replace(
            service,
            kind=replace(
                service.kind,
                bindings=tuple(each for each in service.kind.bindings if not _cannot_be_toml(each)),
            ),
        )
        if isinstance(service.kind, Worker)
        else service
        for service in config.services
    )
    sockets = tuple(
        replace(each, props=None) if each.props is not None and not _is_toml(each.props) else each
        for each in config.sockets
    )
    return replace(config, services=services, sockets=sockets)


def _cannot_be_toml(binding: Binding) -> bool:
    """Whether a value, or one in it, is none of TOML's: null and halves of surrogate pairs, which JSON can bring."""
    inner = binding.options.get("bindings", ())
    plain = (each for key, each in binding.options.items() if key != "bindings")
    said = [binding.name, *(each for each in (binding.value, *plain) if not isinstance(each, bytes | Path))]
    return not _is_toml(said) or any(map(_cannot_be_toml, inner))


def _is_toml(value: Any) -> bool:
    try:
        toml_value(value)
    except ValueError:
        return False
    return True


def _write_toml(config: Config, name: str, folder: Path, defaults: bool) -> Written:
    text = _toml_printable(to_toml(_for_toml(config), defaults=defaults, folder=folder))
    return Written([File(name, text)], lambda kinds: parse_toml(text, Place(folder / name), kinds=kinds))


def _wrangler(to_text: Callable[[dict[str, Any]], str]) -> Callable[[Config, str, Path, bool], Written]:
    def write(config: Config, name: str, folder: Path, _defaults: bool) -> Written:
        workers = wrangler_files(_for_toml(config), folder)
        stem, _, suffix = name.partition(".")
        files = [
            File(name if len(workers) == 1 else f"{stem}.{each.worker}.{suffix}", to_text(each.document))
            for each in workers
        ]
        return Written(files, lambda kinds: _read_wrangler(files, folder, kinds))

    return write


def _read_wrangler(files: list[File], folder: Path, kinds: BindingKinds) -> Config:
    return join([parse_wrangler(file.text, Place(folder / file.name), kinds=kinds) for file in files], kinds)


def _write_workerd(config: Config, name: str, folder: Path, _defaults: bool) -> Written:
    embedded = Embedded(folder)
    values = workerd_values(config, embedded)
    document = Document(ProblemList(), embedded.files, _read_nothing)
    where = Where(None, 0, None, Place(folder / name))
    text = workerd_text(values, embedded)
    return Written([File(name, text)], lambda _kinds: read_workerd(values, where, document, folder / name))


def _read_nothing(path: Path, _limit: int) -> bytes:
    raise AssertionError(f"{path} is embedded as a text of the configuration itself")


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
        Dialect("config.toml", _write_toml, lambda config, *_: config, "#"),
        Dialect("wrangler.toml", _WRANGLER_TOML, lambda config, *_: as_wrangler_says(config), "#"),
        Dialect("wrangler.json", _WRANGLER_JSON, lambda config, *_: as_wrangler_says(config), "//"),
        Dialect("wrangler.jsonc", _WRANGLER_JSON, lambda config, *_: as_wrangler_says(config), "//"),
        Dialect("config.capnp", _write_workerd, as_workerd_says, "#"),
    )
}
