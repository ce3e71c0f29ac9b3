"""Images: the heap of one worker version, written down after its top level ran.

    bundle = Bundle.read(Path("src/shop.py"))
    image = build_image(engine, cache, bundle, limits)

An image is a WebAssembly module that is nothing but a memory and its data. It is found again by its content: the same
bundle on the same engine is built once. It holds no secret and no binding, because none was there when it was made.
"""

from __future__ import annotations

import contextlib
import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from . import wire
from .errors import (
    CpuExhausted,
    EngineError,
    ImageError,
    ProtocolError,
    Refused,
    TopLevelEntropy,
    TopLevelRaised,
    TopLevelTooBig,
    TopLevelTooSlow,
    Trap,
)
from .isolate import Isolate, is_starved
from .native import Instance, Module
from .pages import Hot
from .snapshot import take

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .bundle import Bundle
    from .cache import Cache, Entry
    from .engine import Engine
    from .limits import Limits
    from .slots import Slots
    from .unfrozen import Sources

LOAD_OUTPUT_BYTES: Final = 4 * 1024 * 1024
CACHED_BYTES: Final = 2 << 30
"""Disk for images, some 70 of them: those that were not asked for longest go first, and are built again when needed."""
MAX_ENTRYPOINTS: Final = 1000
MAX_LOGS: Final = 1000
_NAME: Final = re.compile(r"image-[0-9a-f]{16}-[0-9a-f]{32}-[0-9]{1,6}\.cwasm")


@dataclass(frozen=True, slots=True)
class Image:
    """A mapped image, ready to start isolates from. `handlers` are those of each entrypoint ("" is the default)."""

    name: str
    engine: Engine = field(repr=False)
    """What it is a heap of."""
    module: Module
    memory_size: int
    handlers: Mapping[str, tuple[str, ...]]
    logs: tuple[tuple[str, str, str], ...]
    """What the top level logged when it ran: (level, source, message)."""
    objects: Mapping[str, tuple[str, ...]]
    """The same of exported Durable Object classes."""
    deploy_ms: float
    """How long the deploy took; for an image that was there already, how long it took to find it."""
    built: bool = field(default=True, compare=False)
    hot: Hot = field(default_factory=Hot, compare=False, repr=False)
    sources: Sources | None = field(default=None, compare=False, repr=False)
    """What is not frozen in the module and has to run in each isolate first: see `unfrozen`."""

    def instance(self, memory_bytes: int) -> Instance:
        """A new instance of its engine on its memory, which may grow to so many bytes."""
        return Instance(self.engine.code, self.module, memory_bytes, self.engine.refusals)

    def isolate(self, limits: Limits, slots: Slots | None = None) -> Isolate:
        """A new isolate."""
        return Isolate(self.engine, self, limits, slots)

    def close(self) -> None:
        """Let go of the mapping. Live isolates keep it."""
        self.module.close()


def image_name(engine: Engine, bundle: Bundle, limits: Limits) -> str:
    """The cache's name for the image of a bundle: what it depends on, and nothing else."""
    return f"{image_prefix(engine)}{bundle.digest()[:32]}{image_suffix(limits)}"


def image_prefix(engine: Engine) -> str:
    """What the names of all images of an engine begin with."""
    return f"image-{engine.key[:16]}-"


def image_suffix(limits: Limits) -> str:
    """What the names of all images under these limits end with."""
    return f"-{limits.memory_mb}.cwasm"


def is_image_name(name: str) -> bool:
    """Whether it could be the name of an image, whoever wrote it."""
    return _NAME.fullmatch(name) is not None


def build_image(engine: Engine, cache: Cache, bundle: Bundle, limits: Limits) -> Image:
    """The image of a bundle on an engine: found if it was built before, else built under the start-up limits.

    Raises an `ImageError` that names file and line where they are known. Takes about 0.1 s; call it on a thread.
    """
    started = time.perf_counter()
    name = image_name(engine, bundle, limits)
    built = False

    def build() -> tuple[bytes, dict[str, Any]]:
        nonlocal built
        built = True
        from .wasm.image import image_of  # noqa: PLC0415 (every start would pay for it)

        memory, notes = _run_top_level(engine, bundle, limits)
        return engine.machine.compile(image_of(memory)), notes

    entry = cache.get_or_build(name, build)
    if built:
        cache.trim("image-", CACHED_BYTES)
    try:
        image = open_image(engine, entry)
    except EngineError:
        image = open_image(engine, cache.put(name, *build()))
    return replace(image, built=built, deploy_ms=(time.perf_counter() - started) * 1000)


def needs_storage(image: Image, bundle: Bundle) -> bool:
    """Whether it has to be built anew, on the engine of its language that has storage."""
    return bool(image.objects) and bundle.language.has_storage_engine


def open_image(engine: Engine, entry: Entry) -> Image:
    """Map an image of the cache. Raises `EngineError` if that is not possible, then it has to be built again."""
    started = time.perf_counter()
    notes = entry.notes
    try:
        memory_size, handlers, objects = (
            int(notes["memory"]),
            _names(notes["handlers"]),
            _names(notes["objects"]),
        )
        logs = tuple((level, source, text) for level, source, text in notes["logs"])
    except (KeyError, TypeError, ValueError) as error:  # of another version
        raise EngineError(f"the notes of {entry.name} cannot be read: {error!r}") from None
    module = engine.machine.load(entry.path)
    deploy_ms = (time.perf_counter() - started) * 1000
    return Image(entry.name, engine, module, memory_size, handlers, logs, objects, deploy_ms, built=False)


def kept_notes(image: Image) -> dict[str, Any]:
    """What `open_image` has to be told of an image; not what its top level logged, which is told once."""
    names = {key: list(value) for key, value in image.handlers.items()}
    objects = {key: list(value) for key, value in image.objects.items()}
    return {"memory": image.memory_size, "handlers": names, "objects": objects, "logs": []}


def _names(noted: dict[str, list[str]]) -> dict[str, tuple[str, ...]]:
    return {key: tuple(value) for key, value in noted.items()}


def _run_top_level(engine: Engine, bundle: Bundle, limits: Limits) -> tuple[bytearray, dict[str, Any]]:
    """Run the top level in a fresh isolate and read its heap back, with what is to be known about it."""
    bundle = engine.prepared(bundle)
    instance = start(engine, engine.base(), limits)
    try:
        notes = notes_of(_answer(instance, load_frame(bundle), limits))
        with explained(instance, limits):
            memory = take(instance, limits.startup_ms)
    finally:
        instance.close()
    notes["memory"] = len(memory)
    return memory, notes


def load_frame(bundle: Bundle) -> bytes:
    """What `load` is handed: the name of the main module; every file, with its kind where its name need not tell it;
    names of what is loaded beside the main module.
    """
    names, kinds = sorted(bundle.files), bundle.kinds
    files = [[name, index, *([kinds[name]] if name in kinds else [])] for index, name in enumerate(names)]
    message = [bundle.main, files, *([bundle.wrappers] if bundle.wrappers else [])]
    return wire.encode(message, [bundle.files[name] for name in names])


def start(engine: Engine, base: Module, limits: Limits) -> Instance:
    """An instance without a worker in it. Raises `TopLevelTooBig` if not even that fits."""
    try:
        return Instance(engine.code, base, limits.memory_bytes, engine.refusals)
    except Trap as error:
        raise TopLevelTooBig(
            f"the engine itself does not fit into {limits.memory_mb} MB (limits.memory_mb): {error}"
        ) from None


def _answer(instance: Instance, frame: bytes, limits: Limits) -> list[Any]:
    with explained(instance, limits):
        return read_answer(instance.step("load", time.time_ns(), frame, limits.startup_ms, LOAD_OUTPUT_BYTES))


def read_answer(data: bytes) -> list[Any]:
    """What `load` answered. Raises `ImageError` or `wire.WireError`."""
    answer, _ = wire.decode(data)
    if type(answer) is not list or not answer:
        raise ImageError(_BROKEN)
    return answer


_BROKEN: Final = "the worker's top level left a broken answer"
_ENTROPY: Final = (
    "the worker's top level asked for random numbers, which every isolate would then share; "
    "ask for them inside a handler"
)


@contextlib.contextmanager
def explained(instance: Instance, limits: Limits) -> Iterator[None]:
    """What stops the top level for good, as errors that its author understands."""
    try:
        yield
    except CpuExhausted:
        raise TopLevelTooSlow(
            f"the worker's top level used more than {limits.startup_ms} ms of CPU time (limits.startup_ms); "
            "move work into a handler, or raise the limit"
        ) from None
    except (Trap, ProtocolError) as error:
        if is_starved(error, instance.memory_size, limits):
            raise TopLevelTooBig(_TOO_BIG) from None
        raise _crash(error) from None
    except wire.WireError as error:
        raise ImageError(f"{_BROKEN}: {error}") from None


def _crash(error: Trap | ProtocolError) -> ImageError:
    if isinstance(error, Refused):
        if str(error).startswith("wasi:random/"):
            return TopLevelEntropy(_ENTROPY)
        return TopLevelRaised(
            f"the worker's top level reached for the system ({error}); there is none inside"
        )
    if isinstance(error, Trap):
        return TopLevelRaised(f"the worker's top level crashed its isolate: {error}")
    return ImageError(f"{_BROKEN}: {error}")


_TOO_BIG: Final = "the worker's top level used up its memory (limits.memory_mb)"


def notes_of(answer: list[Any]) -> dict[str, Any]:
    """What `load` answered, checked: the guest wrote it."""
    match answer:
        case ["ok", dict(handlers), dict(objects), list(logs)] if _are_handlers({**objects, **handlers}):
            return {"handlers": handlers, "objects": objects, "logs": _clean_logs(logs)}
        case [
            str(kind),
            str(name),
            str(message),
            str(detail),
            (str() | None) as file,
            (int() | None) as line,
            list(),
        ]:
            where: dict[str, Any] = {
                "file": None if file is None else _clean(file, 1024),
                "line": line if type(line) is int and 0 < line < 1 << 31 else None,
                "detail": _clean(detail, 65_536),
            }
            raise _failure(kind, _clean(name, 256), _clean(message, 4096), where)
    raise ImageError(_BROKEN)


def _failure(kind: str, name: str, message: str, where: dict[str, Any]) -> ImageError:
    if kind == "entropy":
        return TopLevelEntropy(_ENTROPY, **where)
    if name == "MemoryError":
        return TopLevelTooBig(_TOO_BIG, **where)
    return TopLevelRaised(f"{name}: {message}" if message else name, **where)


def _clean(text: str, limit: int) -> str:
    """Text that can be shown and written: bounded, and without halves of characters."""
    return text[:limit].encode("utf-8", "replace").decode()


def _are_handlers(handlers: dict[Any, Any]) -> bool:
    return len(handlers) <= MAX_ENTRYPOINTS and all(
        type(key) is str and len(key) <= 256 and type(names) is list and _are_names(names)
        for key, names in handlers.items()
    )


def _are_names(names: list[Any]) -> bool:
    return len(names) <= MAX_ENTRYPOINTS and all(type(name) is str and len(name) <= 256 for name in names)


def _clean_logs(logs: list[Any]) -> list[list[str]]:
    return [
        [_clean(text, 16_384) for text in entry]
        for entry in logs[:MAX_LOGS]
        if type(entry) is list and len(entry) == 3 and all(type(text) is str for text in entry)
    ]
