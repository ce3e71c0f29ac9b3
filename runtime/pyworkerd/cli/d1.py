"""`pyworkerd d1`: ask a worker's database, migrate it, take it out or in as SQL, beside a running server too."""

from __future__ import annotations

import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pyworkerd.errors import ConfigurationError
from pyworkerd.problems import Refusal

from . import d1_by_name
from .stores import add_binding, binding_of, cell, say, with_runtime

if TYPE_CHECKING:
    import argparse

    from pyworkerd.bindings.d1.handle import D1
    from pyworkerd.runtime import Runtime


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = (
        "examples: pyworkerd d1 query config.toml shop DB 'SELECT count(*) FROM items';  "
        "pyworkerd d1 migrations apply shop -c wrangler.toml"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    asking = verbs.add_parser("query", help="run one statement, and print its rows")
    migrating = verbs.add_parser("migrate", help="apply the migrations that are new, as a deploy would")
    exporting = verbs.add_parser("export", help="print the database as SQL, as it is at one moment")
    importing = verbs.add_parser("import", help="run a file of SQL as one transaction")
    for sub in (asking, migrating, exporting, importing):
        add_binding(sub, "database")
    d1_by_name.configure(verbs)
    asking.add_argument("sql", metavar="SQL", help="one statement, with ? for values")
    asking.add_argument("values", metavar="VALUE", nargs="*", help="for its parameters: JSON, or else a text")
    exporting.add_argument("--path", type=Path, help="the file to write, in place of standard output")
    importing.add_argument("--path", type=Path, required=True, help="the file of SQL")


def run(options: argparse.Namespace) -> int:
    """Do it. Raises `ConfigError`, `ConfigurationError`, `Refusal`."""
    if options.verb in d1_by_name.VERBS:
        return d1_by_name.run(options)

    async def work(runtime: Runtime) -> int:
        bound = binding_of(runtime.config, "d1", options.worker, options.binding)
        options.migrations = bound.options.get("migrations")
        await _VERBS[options.verb](runtime.d1(str(bound.value), worker=options.worker), options)
        return 0

    return with_runtime(options.config, work)


async def _query(database: D1, options: argparse.Namespace) -> None:
    for row in await database.query(options.sql, *map(_value, options.values)):
        shown = {name: f"{value.hex()}" if isinstance(value, bytes) else value for name, value in row.items()}
        text = "\t".join(cell("NULL" if value is None else str(value)) for value in shown.values())
        say(shown, text, as_json=options.json)


def _value(text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if value is None or isinstance(value, str | int | float) else text


async def _migrate(database: D1, options: argparse.Namespace) -> None:
    if options.migrations is None:
        raise ConfigurationError(f"binding {options.binding!r} has no migrations: name their folder")
    await d1_by_name.migrate(database, options.migrations, as_json=options.json)


async def _export(database: D1, options: argparse.Namespace) -> None:
    if options.path is not None:
        await _written(database, options.path)
        say({"ok": True, "bytes": options.path.stat().st_size}, "ok", as_json=options.json)
        return
    with tempfile.TemporaryDirectory(prefix="pyworkerd-") as folder:
        await _written(database, Path(folder) / "export.sql")
        with (Path(folder) / "export.sql").open(encoding="utf-8") as lines:
            await asyncio.to_thread(sys.stdout.writelines, lines)


async def _written(database: D1, path: Path) -> None:
    try:
        await database.export(path)
    except OSError as error:
        raise Refusal.of(f"{path} cannot be written: {error.strerror}") from None


async def _import(database: D1, options: argparse.Namespace) -> None:
    await d1_by_name.import_file(database, options.path, as_json=options.json)


_VERBS: dict[str, Any] = {"query": _query, "migrate": _migrate, "export": _export, "import": _import}
