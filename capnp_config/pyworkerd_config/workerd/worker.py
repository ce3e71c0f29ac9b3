"""Reads a worker in workerd's dialect: its modules, its classes, and what it inherits from another one. Pure."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from pyworkerd_config.model import Module, ObjectClass, Worker
from pyworkerd_config.problems import did_you_mean, quote

from .bindings import concrete, designated, filled, read_bindings, unfilled

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pyworkerd_config.model import Binding

    from .values import Struct

SCRIPTS: Final = (".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx")
TYPED: Final = (".ts", ".mts", ".tsx")
MAX_PARENTS: Final = 16
SCRIPT: Final = "worker.js"
"""What a script is called that the configuration gives no name."""
_KINDS: Final[Mapping[str, Any]] = {
    "esModule": "code",
    "commonJsModule": "common",
    "pythonModule": "code",
    "text": "text",
    "data": "data",
    "json": "json",
}


@dataclass(frozen=True, slots=True)
class Program:
    """A worker, as far as it is written down."""

    worker: Worker
    struct: Struct
    parameters: tuple[Binding, ...]
    """Its bindings with those that another worker has to fill in."""
    origin: Struct
    """The worker that says which classes there are: itself, or the one at the end of those that it inherits."""
    storage: str | None
    """Where its Durable Objects are stored: `none`, `inMemory`, or the name of a disk in quotes."""

    @property
    def abstract(self) -> list[str]:
        """Parameters without which it cannot run."""
        return unfilled(self.parameters)


def read_programs(workers: Mapping[str, Struct], folder: Path) -> dict[str, Program]:
    """All workers by the names of their services; those that cannot be made are reported and left out."""
    made: dict[str, Program | None] = {}

    def make(name: str, below: tuple[str, ...]) -> Program | None:
        if name in made:
            return made[name]
        struct = workers[name]
        if not struct.has("inherit"):
            made[name] = _read(struct, folder)
            return made[name]
        parent = struct.text("inherit")
        if parent not in workers:
            known = [each for each in workers if each != name]
            remedy = partial(did_you_mean, parent, known, "name a service that is a worker")
            struct.report(f"there is no worker {quote(parent)} to inherit from", remedy, "inherit")
        elif parent in (*below, name) or len(below) >= MAX_PARENTS:
            struct.report(f"workers inherit from each other in a circle, or more than {MAX_PARENTS} in a row",
                          "let one of them have modules", "inherit")  # fmt: skip
        elif (base := make(parent, (*below, name))) is not None:
            made[name] = _inherited(struct, base)
            return made[name]
        made[name] = None
        return None

    for name in workers:
        make(name, ())
    return {name: program for name, program in made.items() if program is not None}


def _read(struct: Struct, folder: Path) -> Program | None:
    modules = _modules(struct)
    if not modules:
        return None
    bindings = read_bindings(struct)
    main = folder / modules[0].name
    worker = Worker(
        main=main,
        root=folder,
        compatibility_date=struct.text("compatibilityDate") or None,
        compatibility_flags=struct.texts("compatibilityFlags"),
        tails=_names(struct, "tails"),
        bindings=concrete(bindings),
        global_outbound=_outbound(struct) or "internet",
        durable_objects=_classes(struct, struct.text("durableObjectUniqueKeyModifier")),
        modules=modules,
    )
    return Program(worker, struct, bindings, struct, _storage(struct))


def _inherited(struct: Struct, base: Program) -> Program:
    """A worker with other bindings, and with Durable Objects of its own (workerd.capnp, Worker.inherit)."""
    for field in ("compatibilityDate", "compatibilityFlags"):
        if struct.values.get(field):
            struct.report(f"a worker that inherits has no {quote(field)} of its own", "leave it out", field)
    own = read_bindings(struct)
    bindings = filled(base.parameters, struct, own)
    modifier = struct.text("durableObjectUniqueKeyModifier")
    classes = _classes(base.origin, modifier)
    if classes and not modifier:
        message = "a worker that inherits Durable Object classes needs ids of its own"
        struct.report(message, 'write durableObjectUniqueKeyModifier = "..."')
    # The schema's default cannot be told from a name that was written.
    outbound = _outbound(struct)
    worker = Worker(
        main=base.worker.main,
        root=base.worker.root,
        compatibility_date=base.worker.compatibility_date,
        compatibility_flags=base.worker.compatibility_flags,
        tails=_names(struct, "tails") or base.worker.tails,
        bindings=concrete(bindings),
        global_outbound=base.worker.global_outbound if outbound in ("", "internet") else outbound,
        durable_objects=classes,
        modules=base.worker.modules,
    )
    return Program(worker, struct, bindings, base.origin, _storage(struct))


def _storage(struct: Struct) -> str | None:
    storage = struct.struct("durableObjectStorage")
    if storage is None:
        return None
    kind = storage.choice("localDisk", "inMemory")
    return quote(storage.text("localDisk")) if kind == "localDisk" else kind


def _classes(struct: Struct, modifier: str) -> tuple[ObjectClass, ...]:
    found = []
    for each in struct.structs("durableObjectNamespaces"):
        key = each.text("uniqueKey")
        if each.has("uniqueKey") and not key:
            each.report("the class has no uniqueKey", 'write uniqueKey = "..."', "uniqueKey")
            continue
        if modifier:
            key = hashlib.sha256(json.dumps([key, modifier]).encode()).hexdigest()
        found.append(ObjectClass(each.text("className"), key, each.flag("preventEviction")))
    return tuple(found)


def _names(struct: Struct, field: str) -> tuple[str, ...]:
    return tuple(only_name(each, f"Worker.{field}") for each in struct.structs(field))


def _outbound(struct: Struct) -> str:
    designator = struct.struct("globalOutbound")
    return "" if designator is None else only_name(designator, "Worker.globalOutbound")


def only_name(designator: Struct, what: str) -> str:
    """The service of a designator that may say nothing else."""
    name, options = designated(designator)
    for option in options:
        designator.report(f"{quote(f'{what}.{option}')} is not supported", "name a service alone", option)
    return name


# modules ---------------------------------------------------------------------------------------------


def _modules(struct: Struct) -> tuple[Module, ...]:
    if struct.has("serviceWorkerScript"):
        where = struct.where.field("serviceWorkerScript")
        return (Module(SCRIPT, "code", struct.content("serviceWorkerScript"), where.place),)
    if not struct.values.get("modules"):
        struct.report(
            "the worker has no program", 'write modules = [(name = "worker", esModule = embed "worker.js")]'
        )
        return ()
    found: dict[str, Module] = {}
    typed = any(flag.startswith("typescript_") for flag in struct.texts("compatibilityFlags"))
    for number, each in enumerate(struct.structs("modules")):
        module = _module(each, typed=typed)
        if module is None:
            continue
        if number == 0 and (module.kind != "code" or not each.choice("esModule", "pythonModule")):
            remedy = "the first module has to be an esModule or a pythonModule"
            each.report(f"{quote(module.name)} cannot be the main module", remedy)
        if module.name in found:
            each.report(f"two modules are named {quote(each.text('name'))}", "rename one", "name")
        found[module.name] = module
    return tuple(found.values())


def _module(struct: Struct, *, typed: bool) -> Module | None:
    kind = struct.choice(*_KINDS)
    if kind is None:
        return None  # refused by the tables
    written = struct.text("name")
    name = _path(written)
    if name is None:
        message = f"{quote(written)} cannot be the name of a module"
        struct.report(message, "write a path that leads neither up nor to a hidden file", "name")
        return None
    content = struct.content(kind)
    suffix = PurePosixPath(name).suffix
    if kind in ("esModule", "commonJsModule") and suffix not in SCRIPTS:
        is_typed = (
            typed and kind == "esModule" and not isinstance(content, str | bytes) and content.suffix in TYPED
        )
        name += ".ts" if is_typed else ".js"
    elif kind == "pythonModule" and suffix != ".py":
        name += ".py"
    return Module(name, _KINDS[kind], content, struct.where.place)


def _path(name: str) -> str | None:
    """A module's name as a plain path; None if it is none."""
    path = PurePosixPath(name)
    parts = path.parts
    if (
        path.is_absolute()
        or not parts
        or not name.isprintable()
        or any(part.startswith(".") for part in parts)
    ):
        return None
    return str(path)
