"""`pyworkerd do`: which Durable Objects have stored something, and what, as a database to take out or to put in."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

from pyworkerd_config.checks.objects import unique_key
from pyworkerd_config.model import Worker
from pyworkerd_isolates.protocol import Commit

from pyworkerd.errors import ConfigurationError, PyworkerdError
from pyworkerd.objects import ids
from pyworkerd.objects.locks import Locks
from pyworkerd.objects.peers import Errand, Gone, Peers
from pyworkerd.objects.storage import DESIGN, MOST_MB, PAGE, Contents, ObjectStorage
from pyworkerd.observe.scope import begin
from pyworkerd.problems import FAILED, Refusal
from pyworkerd.services.base import Target
from pyworkerd.storage import layout
from pyworkerd.storage.stores import Stores

from .stores import add_binding, binding_of, read_file, say, with_runtime

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from pyworkerd.runtime import Runtime
    from pyworkerd.services.base import Service

PAUSES_S: Final = (0.02, 0.1, 0.5)
"""How long a process that has an object may take to let go of it, each time that it is asked."""
MAGIC: Final = b"SQLite format 3\0"
ROLLBACK_JOURNAL: Final = b"\1\1"
"""Bytes 18 and 19 of a database that is whole without a write-ahead log (SQLite, file format, 1.3)."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = (
        "example: pyworkerd do export config.toml shop ROOMS --name lobby --path lobby.sqlite3;  that is "
        "a database for any SQLite, and nothing of it is trusted: its content is the worker's"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="objects that have stored something, their bytes and alarms")
    exporting = verbs.add_parser("export", help="write what an object has stored, as a SQLite database")
    importing = verbs.add_parser("import", help="have an object store a SQLite database in place of its own")
    deleting = verbs.add_parser("delete", help="forget what an object has stored, and its alarm")
    for sub in (listing, exporting, importing, deleting):
        add_binding(sub, "namespace")
    for sub in (exporting, importing, deleting):
        which = sub.add_mutually_exclusive_group(required=True)
        which.add_argument("--id", help="the object's id, 64 hexadecimal digits")
        which.add_argument("--name", help="the object's name")
    exporting.add_argument("--path", type=Path, required=True, help="the file to write; it must not exist")
    importing.add_argument("--path", type=Path, required=True, help="the database")


def run(options: argparse.Namespace) -> int:
    """Do it. Raises `ConfigError`, `ConfigurationError`, `Refusal`."""

    async def work(runtime: Runtime) -> int:
        await _VERBS[options.verb](_Namespace.of(runtime, options.worker, options.binding), options)
        return 0

    return with_runtime(options.config, work)


class _Namespace(NamedTuple):
    """The objects of a class, without a worker."""

    unique_key: str
    owner: str
    """The service whose class it is."""
    class_name: str
    root: Path
    stores: Stores

    @classmethod
    def of(cls, runtime: Runtime, worker: str, binding: str) -> _Namespace:
        bound = binding_of(runtime.config, "durable_object", worker, binding)
        owner = str(bound.options.get("service_name") or worker)
        kinds = {each.name: each.kind for each in runtime.config.services}
        kind = kinds.get(owner)
        key = unique_key(owner, kind if isinstance(kind, Worker) else None, str(bound.value))
        root, stores = runtime.state_dir(runtime.config), runtime.shared.get(Stores, Stores)
        return cls(key, owner, str(bound.value), root, stores)

    def id_of(self, options: argparse.Namespace) -> str:
        key = ids.key_of(self.unique_key)
        if options.name is not None:
            return ids.of_name(key, options.name)
        if not ids.is_valid(key, options.id):
            raise Refusal.of("this is no id of an object of this namespace")
        return str(options.id)

    def storage(self, object_id: str) -> ObjectStorage:
        location = layout.durable_object(self.root, self.unique_key, object_id)
        return ObjectStorage(self.stores.use(location, DESIGN), self.stores)

    async def load(self, object_id: str) -> Contents:
        storage = self.storage(object_id)
        try:
            return await storage.load()
        finally:
            await storage.aclose()

    async def replace(self, object_id: str, pages: bytes, *, keep_alarm: bool) -> None:
        """What it has stored, while it is nowhere in memory. Who has it lets go of it, if nothing is under way."""
        locks, key = Locks(self.root), (self.unique_key, object_id)
        holder = locks.take(key)
        for pause in PAUSES_S:
            if holder is None:
                break
            await self._dismiss(object_id, holder)
            await asyncio.sleep(pause)
            holder = locks.take(key)
        if holder is not None:
            message = f"the object is in the memory of process {holder}, and has something under way"
            raise Refusal.of(f"{message}: try again when nobody asks for it", FAILED)
        storage = self.storage(object_id)
        try:
            size = len(pages) // PAGE
            alarm = (await storage.load()).alarm if keep_alarm else None
            await storage.keep(Commit(size, tuple(range(size)), pages, alarm))
        finally:
            await storage.aclose()
            locks.release(key)

    async def _dismiss(self, object_id: str, holder: int) -> None:
        errand = Errand(holder, self.owner, Target(self.class_name, {}, object_id), begin(())[0])
        with contextlib.suppress(Gone, PyworkerdError):  # it is asked again, and refused in the end
            await Peers(self.root, _nobody).call(errand, "", b"", "dismiss")


def _nobody(name: str) -> Service:
    raise ConfigurationError(f"there is no service {name!r} here")


async def _list(namespace: _Namespace, options: argparse.Namespace) -> None:
    folder = layout.durable_object(namespace.root, namespace.unique_key, "").path.parent
    key = ids.key_of(namespace.unique_key)
    for path in await asyncio.to_thread(lambda: sorted(folder.glob("*.sqlite3"))):
        if not ids.is_valid(key, path.stem):
            continue
        contents = await namespace.load(path.stem)
        if contents != Contents():
            row = {"id": path.stem, "bytes": len(contents.pages), "alarm": contents.alarm}
            text = "\t".join("" if value is None else str(value) for value in row.values())
            say(row, text, as_json=options.json)


async def _export(namespace: _Namespace, options: argparse.Namespace) -> None:
    contents = await namespace.load(namespace.id_of(options))
    if not contents.pages:
        raise Refusal.of("the object has stored nothing", FAILED)
    try:
        with options.path.open("xb") as file:
            file.write(contents.pages)
    except OSError as error:
        raise Refusal.of(f"{options.path} cannot be written: {error.strerror}") from None
    say({"ok": True, "bytes": len(contents.pages)}, f"{len(contents.pages)} bytes", as_json=options.json)


async def _import(namespace: _Namespace, options: argparse.Namespace) -> None:
    pages = read_file(options.path)
    for problem in _problems(pages):
        raise Refusal.of(f"{options.path} {problem}")
    object_id = namespace.id_of(options)
    await namespace.replace(object_id, pages, keep_alarm=True)
    say({"ok": True, "bytes": len(pages)}, f"{len(pages)} bytes", as_json=options.json)


async def _delete(namespace: _Namespace, options: argparse.Namespace) -> None:
    await namespace.replace(namespace.id_of(options), b"", keep_alarm=False)
    say({"ok": True}, "ok", as_json=options.json)


def _problems(pages: bytes) -> Iterator[str]:
    """What keeps a file from being an object's database, as a sentence about it."""
    if pages[:16] != MAGIC:
        yield "is no SQLite database"
    if int.from_bytes(pages[16:18]) != PAGE or len(pages) % PAGE:
        yield f"has not pages of {PAGE} bytes: run PRAGMA page_size = {PAGE} and VACUUM on it"
    if pages[18:20] != ROLLBACK_JOURNAL:
        yield "has a write-ahead log: run PRAGMA journal_mode = DELETE on it"
    if len(pages) > MOST_MB << 20:
        yield f"has more than {MOST_MB} MB"


_VERBS: Final = {"list": _list, "export": _export, "import": _import, "delete": _delete}
