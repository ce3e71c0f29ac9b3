"""What a guest wants to have loaded, from its own words to types. Pure; nothing is believed."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pyworkerd_isolates.bundle import Bundle
from pyworkerd_isolates.errors import BundleError
from pyworkerd_isolates.languages import LANGUAGES, language_of

from pyworkerd.bindings.arguments import bounded, type_error

if TYPE_CHECKING:
    from pyworkerd_config.model import Limits
    from pyworkerd_isolates.errors import ImageError

MAX_NAME: Final = 256
"""Characters of a name that a loaded worker is found by."""
_SUFFIXES: Final = tuple(
    suffix for language in LANGUAGES if not language.is_program for suffix in language.suffixes
)
MAX_MODULES: Final = 1000
MAX_SOURCE_BYTES: Final = 10 << 20
"""All modules of one worker together (Workers: 10 MB per script)."""
MAX_ENV: Final = 128
"""Names on its `env` (Workers: 128 variables)."""
MAX_ENV_BYTES: Final = 1 << 20
MAX_ADDRESS: Final = 65_536

LIMITS: Final = {"cpu_ms": "cpu_ms", "sub_requests": "subrequests", "memory_mb": "memory_mb"}
"""What a loaded worker may be limited in, and the limit of its parent that it may not go beyond."""


@dataclass(frozen=True, slots=True)
class Code:
    """What is to be loaded."""

    bundle: Bundle
    env: tuple[tuple[str, bytes | int], ...]
    """Names, and encoded values or indexes of capabilities of the worker that loads."""
    outbound: int | None
    """Index of the capability that its `fetch()` goes to; None for no network at all."""
    limits: dict[str, int]
    """By the names of LIMITS."""

    def size(self) -> int:
        """Bytes of its modules."""
        return sum(map(len, self.bundle.files.values()))


class Address(NamedTuple):
    """Where a request or a call goes."""

    number: int
    entrypoint: str | None
    props: Any


def read_code(spec: dict[str, Any]) -> Code:
    """What the guest's half of the binding writes. Raises a TypeError of the guest's."""
    if spec.keys() != {"main", "modules", "env", "outbound", "limits"}:
        raise type_error("a worker to load has a main module, modules, env, an outbound and limits")
    outbound = spec["outbound"]
    if outbound is not None and type(outbound) is not int:
        raise type_error("global_outbound must be None or a service stub")
    return Code(_bundle(spec["main"], spec["modules"]), _env(spec["env"]), outbound, _limits(spec["limits"]))


def _bundle(main: object, modules: object) -> Bundle:
    if type(main) is not str or type(modules) is not list or len(modules) > MAX_MODULES:
        raise type_error(f"main_module must be a name, and modules at most {MAX_MODULES}")
    files: dict[str, str | bytes] = {}
    for module in modules:
        if type(module) is not list or list(map(type, module)) != [str, bytes]:
            raise type_error("a module is a name and its content")
        files[module[0]] = module[1]
    if sum(map(len, files.values())) > MAX_SOURCE_BYTES:
        raise type_error(f"the modules are larger than {MAX_SOURCE_BYTES} bytes")
    if main not in files:
        raise type_error(f"main_module {main[:MAX_NAME]!r} is not among the modules")
    language = language_of(main)
    if language is None or language.is_program:
        raise type_error(f"main_module {main[:MAX_NAME]!r} does not end in one of {', '.join(_SUFFIXES)}")
    try:
        return Bundle.of(files, main)
    except BundleError as error:
        raise type_error(str(error)) from None


def _env(env: object) -> tuple[tuple[str, bytes | int], ...]:
    if type(env) is not list or len(env) > MAX_ENV:
        raise type_error(f"env may have {MAX_ENV} names")
    size = 0
    for entry in env:
        if (
            type(entry) is not list
            or len(entry) != 2
            or type(entry[0]) is not str
            or type(entry[1]) not in (bytes, int)
        ):
            raise type_error("env has names with values or service stubs")
        name, value = entry
        if not name.isidentifier() or name.startswith("__") or len(name) > MAX_NAME:
            raise type_error(f"{name[:MAX_NAME]!r} cannot be a name on env")
        if isinstance(value, bytes):
            size += len(bounded(value, f"env.{name}"))
    if size > MAX_ENV_BYTES:
        raise type_error(f"the values of env are larger than {MAX_ENV_BYTES} bytes")
    if len({name for name, _ in env}) < len(env):
        raise type_error("env has a name twice")
    return tuple((name, value) for name, value in env)


def _limits(limits: object) -> dict[str, int]:
    if type(limits) is not dict:
        raise type_error("limits must be a dictionary")
    for key, value in limits.items():
        if key not in LIMITS:
            raise type_error(f"limits has {key[:40]!r}; there are {', '.join(LIMITS)}")
        if type(value) is not int or value < (key == "cpu_ms"):
            raise type_error(f"limits.{key} must be a positive integer")
        if key == "memory_mb" and value < 32:
            raise type_error("limits.memory_mb must be 32 at least: the engine itself takes 28 MB")
    return limits


def lower(parent: Limits, code: Code) -> Limits:
    """The limits that it runs under: those of the worker that loads it, or its own where they are lower."""
    own = {LIMITS[key]: value for key, value in code.limits.items()}
    return replace(parent, **{key: min(value, getattr(parent, key)) for key, value in own.items()})


def read_address(text: object) -> Address:
    """Where a request or a call goes, as the guest's half of the binding writes it. Raises a TypeError for it."""
    if type(text) is not str or len(text) > MAX_ADDRESS:
        raise type_error(f"entrypoint and props are larger than {MAX_ADDRESS} characters")
    try:
        number, entrypoint, props = json.loads(text)
    except (ValueError, TypeError, RecursionError):
        raise type_error("a loaded worker is asked by number, entrypoint and props") from None
    if type(number) is not int or not (entrypoint is None or type(entrypoint) is str):
        raise type_error("a loaded worker is asked by number, entrypoint and props")
    return Address(number, entrypoint, {} if props is None else props)


def sentence(error: ImageError, bundle: Bundle) -> str:
    """Where the top level failed, and how."""
    line = f":{error.line}" if error.line is not None else ""
    main = f"{bundle.main}.py" if bundle.language.dotted else bundle.main
    return f"{error.file or main}{line}: {error}"
