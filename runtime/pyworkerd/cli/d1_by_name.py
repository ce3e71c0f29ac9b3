"""`pyworkerd d1 migrations` and `d1 execute`: as Wrangler spells them, with a database's own name or its binding's."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd_config.model import Worker

from pyworkerd.errors import ConfigurationError
from pyworkerd.problems import Refusal

from .configuration import add_named, read_configuration
from .stores import cell, read_file, say, with_runtime

if TYPE_CHECKING:
    import argparse
    from collections.abc import Awaitable, Callable, Sequence

    from pyworkerd_config import Config

    from pyworkerd.bindings.d1.handle import D1
    from pyworkerd.runtime import Runtime

FOLDER: Final = "migrations"
"""Beside the configuration, where a binding names no other (Wrangler, `migrations_dir`)."""
APPLIED: Final = "d1_migrations"
_NUMBER: Final = re.compile(r"(\d+)")
VERBS: Final = frozenset(("execute", "migrations"))


class Database(NamedTuple):
    """One that a configuration names."""

    worker: str
    name: str
    migrations: Path


def configure(verbs: Any) -> None:
    """Add them to the verbs of `d1`."""
    executing = verbs.add_parser("execute", help="run SQL on a database, as Wrangler's command of that name")
    _common(executing)
    what = executing.add_mutually_exclusive_group(required=True)
    what.add_argument("--command", dest="sql", metavar="SQL", help="one statement; its rows are printed")
    what.add_argument("--file", type=Path, metavar="FILE", help="a script, run as one transaction")
    migrating = verbs.add_parser("migrations", help="list, apply or create migrations, as Wrangler's command")
    steps = migrating.add_subparsers(dest="step", required=True, metavar="STEP")
    listing = steps.add_parser("list", help="print those that are not applied yet")
    applying = steps.add_parser("apply", help="apply those that are not applied yet, each exactly once")
    creating = steps.add_parser("create", help="make an empty one, with the next number")
    for sub in (listing, applying, creating):
        _common(sub)
    creating.add_argument("message", metavar="MESSAGE", help="what it does: it becomes part of the name")


def _common(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(config=None)
    parser.add_argument("database", metavar="DATABASE", help="its name, or that of a binding")
    add_named(parser)
    parser.add_argument("--worker", metavar="WORKER", help="whose it is, where several have one of that name")
    parser.add_argument(
        "--local", action="store_true", help="means nothing here: every database is on this machine"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Do it. Raises `ConfigError`, `ConfigurationError`, `Refusal`."""
    config = read_configuration(options)
    found = find(config, options.database, options.worker)
    step = "execute" if options.verb == "execute" else options.step
    if step == "create":
        return _create(found.migrations, options)
    act: Callable[[D1, Database, argparse.Namespace], Awaitable[int]] = _STEPS[step]

    async def work(runtime: Runtime) -> int:
        return await act(runtime.d1(found.name, worker=found.worker), found, options)

    return with_runtime(config, work)


def find(config: Config, wanted: str, worker: str | None = None) -> Database:
    """The database of that name, or that a binding of that name leads to. Raises `ConfigurationError`."""
    folder = config.place.file.parent if config.place.file is not None else Path()
    named: dict[tuple[str, str], Database] = {}
    known = set()
    for service in config.services:
        if not isinstance(service.kind, Worker) or worker not in (None, service.name):
            continue
        for binding in service.kind.bindings:
            if binding.kind != "d1":
                continue
            name = str(binding.value)
            known.add(name)
            if wanted in (name, binding.name):
                migrations = Path(binding.options.get("migrations") or folder / FOLDER)
                shared = _is_shared(config, name, service.name)
                named.setdefault(
                    (name, "" if shared else service.name), Database(service.name, name, migrations)
                )
    if len(named) > 1:
        owners = ", ".join(f"{each.name!r} of {each.worker!r}" for each in named.values())
        raise ConfigurationError(f"there is more than one database {wanted!r}, {owners}: add --worker")
    if not named:
        there = ", ".join(sorted(known)) or "none"
        raise ConfigurationError(f"there is no database or binding named {wanted!r}; there are: {there}")
    return next(iter(named.values()))


def _is_shared(config: Config, name: str, worker: str) -> bool:
    return any((s.kind, s.name) == ("d1", name) and worker in s.workers for s in config.stores)


async def _execute(database: D1, _: Database, options: argparse.Namespace) -> int:
    if options.file is not None:
        await import_file(database, options.file, as_json=options.json)
        return 0
    rows = await database.query(options.sql)
    shown = [{k: v.hex() if isinstance(v, bytes) else v for k, v in row.items()} for row in rows]
    if options.json:
        say({"ok": True, "results": shown}, "", as_json=True)
    elif shown:
        table = [
            list(shown[0]),
            *([("NULL" if v is None else str(v)) for v in row.values()] for row in shown),
        ]
        say(None, "\n".join("\t".join(map(cell, row)) for row in table), as_json=False)
    return 0


async def _list(database: D1, found: Database, options: argparse.Namespace) -> int:
    waiting = [name for name in _files(found.migrations) if name not in await _applied(database)]
    say({"ok": True, "migrations": waiting}, "\n".join(waiting) or "nothing is new", as_json=options.json)
    return 0


async def _apply(database: D1, found: Database, options: argparse.Namespace) -> int:
    await migrate(database, found.migrations, as_json=options.json)
    return 0


async def migrate(database: D1, folder: Path, *, as_json: bool) -> None:
    """Apply the migrations of a folder that are new, and tell which. Raises `Refusal`."""
    try:
        applied = await database.migrate(folder)
    except OSError as error:
        raise Refusal.of(f"{folder} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise Refusal.of(str(error)) from None
    say({"ok": True, "applied": applied}, "\n".join(applied) or "nothing is new", as_json=as_json)


async def import_file(database: D1, path: Path, *, as_json: bool) -> None:
    """Run a file of SQL as one transaction, and tell of how many statements. Raises `Refusal`."""
    try:
        script = read_file(path).decode()
    except UnicodeDecodeError:
        raise Refusal.of(f"{path} is not UTF-8") from None
    count = await database.import_sql(script)
    say({"ok": True, "statements": count}, f"{count} statements", as_json=as_json)


_STEPS: dict[str, Any] = {"execute": _execute, "list": _list, "apply": _apply}


async def _applied(database: D1) -> set[str]:
    if not await database.query("SELECT 1 FROM sqlite_master WHERE name = ?", APPLIED):
        return set()
    return {str(row["name"]) for row in await database.query(f"SELECT name FROM {APPLIED}")}  # noqa: S608 (ours)


def _files(folder: Path) -> list[str]:
    try:
        return sorted(path.name for path in folder.iterdir() if path.suffix == ".sql" and path.name[0] != ".")
    except OSError as error:
        raise Refusal.of(f"{folder} cannot be read: {error.strerror}") from None


def _create(folder: Path, options: argparse.Namespace) -> int:
    before = _files(folder) if folder.exists() else []
    path = folder / file_name(before, options.message)
    number, now = path.name.partition("_")[0], datetime.now(UTC).isoformat(timespec="seconds")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x", encoding="utf-8") as file:
            file.write(f"-- Migration {number}, {now}\n")
    except OSError as error:
        raise Refusal.of(f"{path} cannot be written: {error.strerror}") from None
    say({"ok": True, "file": str(path)}, str(path), as_json=options.json)
    return 0


def file_name(before: Sequence[str], message: str) -> str:
    """The name of the next one: a number after all that are there, and the message in plain characters."""
    numbers = [int(found[1]) for name in before if (found := _NUMBER.match(name))]
    words = re.sub(r"[^a-z0-9]+", "_", message.lower()).strip("_")[:100] or "migration"
    return f"{max(numbers, default=0) + 1:04}_{words}.sql"
