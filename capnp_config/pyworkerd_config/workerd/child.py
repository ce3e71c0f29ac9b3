"""A program of its own: what pycapnp makes of a configuration in workerd's dialect, as msgpack.

It runs in a process with limits, because pycapnp ends its process on a syntax error (an exception of C++ that nothing
catches), and because what it reads is hostile. It is handed a folder that holds nothing but the copies that
`files` made, and opens nothing else.

    python -I child.py PATHS text FOLDER CONSTANT
    python -I child.py PATHS binary FOLDER

A struct is a map of the fields that are set: of a union the one that is, of pointers those that are not null. Under ""
stands its type, "Worker.Binding". Nothing of this package is imported: the process should be small.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from pathlib import Path
from typing import Any, Final

CPU_S: Final = 10
MEMORY_BYTES: Final = 1 << 30
OUTPUT_BYTES: Final = 256 << 20
"""What a program may have as modules and data in a binary configuration, several times."""
MAX_VALUES: Final = 500_000
"""As many as some thousand workers have; some seconds."""
MAX_DEPTH: Final = 48
"""Structs in structs. Those of workerd's own schema are a dozen deep; wrapped bindings may hold others."""
SCHEMA: Final = "workerd.capnp"
MAIN: Final = "0.capnp"
MESSAGE: Final = "message"
RESULT: Final = "result"


class Refused(Exception):
    """A sentence for the operator, and what to write instead."""


def confine() -> None:
    """Limit what this process may use."""
    limits = (
        ("RLIMIT_CPU", CPU_S),
        ("RLIMIT_AS", MEMORY_BYTES),
        ("RLIMIT_FSIZE", OUTPUT_BYTES),
        ("RLIMIT_CORE", 0),
    )
    for name, limit in limits:
        with contextlib.suppress(AttributeError, OSError, ValueError):  # not every system has each
            resource.setrlimit(getattr(resource, name), (limit, limit))


def main(paths: str, form: str, folder: str, constant: str = "") -> None:
    """Read one configuration; the result is a file beside it."""
    confine()
    sys.path.extend(json.loads(paths))
    import msgpack  # noqa: PLC0415 (after the limits are set, and found where the server finds it)

    try:
        import capnp  # noqa: PLC0415
    except ImportError as error:
        answer: dict[str, Any] = {"absent": str(error)}
    else:
        try:
            answer = {"config": _read(capnp, form, Path(folder), constant)}
        except Refused as error:
            answer = {"refused": list(error.args)}
        except capnp.KjException as error:
            answer = {"wrong": str(error)}
        except MemoryError:
            answer = {"refused": ["it takes more memory than a configuration may", ""]}
    with (Path(folder) / RESULT).open("wb") as file:
        file.write(msgpack.packb(answer, use_bin_type=True))


def _read(capnp: Any, form: str, folder: Path, constant: str) -> Any:
    parser = capnp.SchemaParser()
    # The configuration before the schema: of one that is loaded already, groups are not found when values are compiled.
    module = None if form == "binary" else parser.load(str(folder / MAIN), imports=[])
    schema = parser.load(str(folder / SCHEMA), imports=[])
    if module is None:
        data = (folder / MESSAGE).read_bytes()
        # Whoever reads a message that points in circles reads it again and again: workerd has no limit here.
        words = max(len(data), 1 << 20)
        with schema.Config.from_bytes(
            data, traversal_limit_in_words=words, nesting_limit=2 * MAX_DEPTH
        ) as config:
            return Walk().struct(config, 0)
    return Walk().struct(_constant(module, constant, schema.Config.schema.node.id), 0)


def _constant(module: Any, wanted: str, config: int) -> Any:
    scope, found = module, module
    if wanted:
        for name in wanted.split("."):
            found = vars(scope).get(name)
            if found is None or name.startswith("_"):
                raise Refused(f"there is no constant {wanted!r} in the file", _known(module, config))
            scope = found
        if not _is_config(found, config):
            raise Refused(f"{wanted!r} is no constant of the type Config", _known(module, config))
        return found
    names = _names(module, config)
    if len(names) == 1:
        return vars(module)[names[0]]
    if not names:
        raise Refused(
            "the file has no constant of the type Config", "write const config :Workerd.Config = (...);"
        )
    raise Refused(
        "the file has several configurations", f"name one of them after the file: {', '.join(names)}"
    )


def _known(module: Any, config: int) -> str:
    names = _names(module, config)
    return f"there are: {', '.join(names)}" if names else "write const config :Workerd.Config = (...);"


def _names(module: Any, config: int) -> list[str]:
    return [name for name, value in vars(module).items() if _is_config(value, config)]


def _is_config(value: Any, config: int) -> bool:
    schema = getattr(value, "schema", None)
    is_value = type(value).__name__ == "_DynamicStructReader"
    return is_value and schema is not None and schema.node.id == config


class Walk:
    """From values of pycapnp to plain ones, within limits."""

    def __init__(self) -> None:
        self.left = MAX_VALUES

    def struct(self, value: Any, depth: int) -> dict[str, Any]:
        """One struct, or one group of a union."""
        if depth > MAX_DEPTH:
            raise Refused(f"structs lie in one another more than {MAX_DEPTH} deep", "")
        schema = value.schema
        found: dict[str, Any] = {"": schema.node.displayName.partition(":")[2]}
        names = list(schema.non_union_fields)
        if schema.union_fields:
            names.append(str(value.which()))
        for name in names:
            kind = schema.fields[name].proto
            if kind.which() == "slot" and not _is_set(value, name, kind):
                continue
            found[name] = self.value(getattr(value, name), depth + 1)
        return found

    def value(self, value: Any, depth: int) -> Any:
        """Any value."""
        self.left -= 1
        if self.left < 0:
            raise Refused(f"it has more than {MAX_VALUES:,} values", "")
        if value is None or isinstance(value, bool | int | float | str | bytes):
            return value
        kind = type(value).__name__
        if kind.startswith("_DynamicList"):
            if len(value) > self.left:
                raise Refused(f"it has more than {MAX_VALUES:,} values", "")
            return [self.value(each, depth) for each in value]
        return str(value) if kind == "_DynamicEnum" else self.struct(value, depth)


def _is_set(value: Any, name: str, field: Any) -> bool:
    """Whether a field is there; a pointer that is null is as good as absent, unless it has a default."""
    slot = field.slot
    kind = slot.type.which()
    if kind in ("text", "data", "list", "struct"):
        return bool(value._has(name)) or bool(slot.hadExplicitDefault)  # noqa: SLF001 (pycapnp has no other)
    return True


if __name__ == "__main__":
    main(*sys.argv[1:])
