"""Images: the heap of one worker version, written down after its top level ran.

    bundle = Bundle.read(Path("src/shop.py"))
    image = build_image(engine, cache, bundle, limits)

An image is a WebAssembly module that is nothing but a memory and its data. It is found again by its content: the same
bundle on the same engine is built once. It holds no secret and no binding, because none was there when it was made.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Final

from . import wire
from .errors import (
    BundleError,
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
from .isolate import is_starved
from .native import Instance, Module
from .pages import Hot
from .snapshot import take
from .wasm.image import image_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from .cache import Cache
    from .engine import Engine
    from .limits import Limits

MAX_FILES: Final = 20_000
"""Workers: 20,000 asset files."""
MAX_BUNDLE_BYTES: Final = 64 * 1024 * 1024
"""Workers: 64 MiB per script."""
LOAD_OUTPUT_BYTES: Final = 4 * 1024 * 1024
CACHED_BYTES: Final = 2 << 30
"""Disk for images, some 70 of them: those that were not asked for longest go first, and are built again when needed."""
MAX_ENTRYPOINTS: Final = 1000
MAX_LOGS: Final = 1000
SKIPPED_SUFFIXES: Final = frozenset((".pyc", ".pyo"))
SKIPPED_FOLDERS: Final = frozenset(("__pycache__", "node_modules"))


@dataclass(frozen=True, slots=True)
class Bundle:
    """A worker's files by their path below its root, and the name of its main module."""

    main: str
    files: Mapping[str, bytes]

    def __post_init__(self) -> None:
        if len(self.files) > MAX_FILES:
            raise BundleError(f"the worker has {len(self.files)} files; at most {MAX_FILES} are allowed")
        size = sum(map(len, self.files.values()))
        if size > MAX_BUNDLE_BYTES:
            raise BundleError(f"the worker's files have {size} bytes; at most {MAX_BUNDLE_BYTES} are allowed")
        for name in self.files:
            _check_name(name)
        stem = self.main.replace(".", "/")
        if f"{stem}.py" not in self.files and f"{stem}/__init__.py" not in self.files:
            raise BundleError(f"the main module {self.main!r} is not among the worker's files")

    @classmethod
    def read(cls, main: Path, root: Path | None = None, exclude: frozenset[Path] = frozenset()) -> Bundle:
        """A worker from disk: `main` and what lies beside it below `root`.

        Names that begin with a dot (`.dev.vars`, `.git`), compiled files and `exclude` stay out. So do links that
        lead out of `root`: a bundle must not carry what its folder does not show.
        """
        root = (root or main.parent).resolve()
        files: dict[str, bytes] = {}
        size = 0
        try:
            if main.suffix != ".py" or not main.is_file():
                raise BundleError(f"{main} is not a Python file")
            for path in _walk(root):
                if path.resolve() in exclude:
                    continue
                size += path.stat().st_size
                if size > MAX_BUNDLE_BYTES or len(files) >= MAX_FILES:
                    raise BundleError(
                        f"{root} holds more than a worker may have ({MAX_FILES} files, {MAX_BUNDLE_BYTES} bytes); "
                        "give the worker a folder of its own"
                    )
                files[path.relative_to(root).as_posix()] = path.read_bytes()
        except OSError as error:
            raise BundleError(f"{error.filename or root} cannot be read: {error.strerror or error}") from None
        try:
            relative = main.resolve().relative_to(root)
        except ValueError:
            raise BundleError(f"{main} does not lie below {root}") from None
        return cls(_module_name(relative.as_posix()), files)

    @classmethod
    def of(cls, sources: Mapping[str, str | bytes], main: str | None = None) -> Bundle:
        """A worker from memory: {"worker.py": source, ...}. Without `main`, the only or first `.py` file."""
        files = {
            name: data.encode() if isinstance(data, str) else bytes(data) for name, data in sources.items()
        }
        if main is None:
            main = next((name for name in files if name.endswith(".py")), None)
            if main is None:
                raise BundleError("the worker has no .py file")
        return cls(_module_name(main), files)

    def digest(self) -> str:
        """A name for exactly this content."""
        digest = hashlib.sha256(self.main.encode())
        for name in sorted(self.files):
            data = self.files[name]
            digest.update(f"\0{name}\0{len(data)}\0".encode())
            digest.update(data)
        return digest.hexdigest()


def _module_name(path: str) -> str:
    stem = path.removesuffix(".py").removesuffix("/__init__")
    if "." in stem:
        raise BundleError(f"{path!r} cannot be imported: there is a dot in its name")
    return stem.replace("/", ".")


def _check_name(name: str) -> None:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or str(path) != name or "\0" in name:
        raise BundleError(f"{name!r} is not a plain relative path")
    if any(part.startswith(".") for part in path.parts):
        raise BundleError(
            f"{name!r} is hidden: files like .dev.vars hold secrets, and never become part of a worker"
        )
    try:
        name.encode()
    except UnicodeEncodeError:
        raise BundleError(f"{name!r} is not valid UTF-8") from None


def _walk(root: Path) -> list[Path]:
    found: list[Path] = []
    pending = [root]
    while pending:
        for path in sorted(pending.pop().iterdir()):
            if path.name.startswith(".") or path.suffix in SKIPPED_SUFFIXES:
                continue
            if path.is_symlink():
                if _may_follow(path, root):
                    found.append(path)
            elif path.is_dir():
                if path.name not in SKIPPED_FOLDERS:
                    pending.append(path)
            elif path.is_file():
                found.append(path)
    return found


def _may_follow(link: Path, root: Path) -> bool:
    """Whether a link names a file that the bundle shows anyway: inside the root, and not hidden."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # it leads nowhere, or in a circle (RuntimeError before Python 3.13)
        return False
    if not target.is_file() or not target.is_relative_to(root):
        return False
    return not any(part.startswith(".") for part in target.relative_to(root).parts)


@dataclass(frozen=True, slots=True)
class Image:
    """A mapped image, ready to start isolates from. `handlers` are those of each entrypoint ("" is the default)."""

    name: str
    module: Module
    memory_size: int
    handlers: Mapping[str, tuple[str, ...]]
    logs: tuple[tuple[str, str, str], ...]
    """What the top level logged when it ran: (level, source, message)."""
    deploy_ms: float
    """How long the deploy took; for an image that was there already, how long it took to find it."""
    built: bool = field(default=True, compare=False)
    hot: Hot = field(default_factory=Hot, compare=False, repr=False)

    def close(self) -> None:
        """Let go of the mapping. Live isolates keep it."""
        self.module.close()


def build_image(engine: Engine, cache: Cache, bundle: Bundle, limits: Limits) -> Image:
    """The image of a bundle on an engine: found if it was built before, else built under the start-up limits.

    Raises an `ImageError` that names file and line where they are known. Takes about 0.1 s; call it on a thread.
    """
    started = time.perf_counter()
    name = f"image-{engine.key[:16]}-{bundle.digest()[:32]}-{limits.memory_mb}.cwasm"
    built = False

    def build() -> tuple[bytes, dict[str, Any]]:
        nonlocal built
        built = True
        memory, notes = _run_top_level(engine, bundle, limits)
        return engine.machine.compile(image_of(memory)), notes

    entry = cache.get_or_build(name, build)
    if built:
        cache.trim("image-", CACHED_BYTES)
    try:
        module = engine.machine.load(entry.path)
    except EngineError:
        module = engine.machine.load(cache.put(name, *build()).path)
    notes = entry.notes
    return Image(
        name=name,
        module=module,
        memory_size=int(notes["memory"]),
        handlers={key: tuple(value) for key, value in notes["handlers"].items()},
        logs=tuple((level, source, text) for level, source, text in notes["logs"]),
        deploy_ms=(time.perf_counter() - started) * 1000,
        built=built,
    )


def _run_top_level(engine: Engine, bundle: Bundle, limits: Limits) -> tuple[bytearray, dict[str, Any]]:
    """Run the top level in a fresh isolate and read its heap back, with what is to be known about it."""
    names = sorted(bundle.files)
    message = [bundle.main, [[name, index] for index, name in enumerate(names)]]
    frame = wire.encode(message, [bundle.files[name] for name in names])
    with engine.base() as base:
        instance = _start(engine, base, limits)
        try:
            notes = _notes(_answer(instance, frame, limits))
            with _explained(instance, limits):
                memory = take(instance, limits.startup_ms)
        finally:
            instance.close()
    notes["memory"] = len(memory)
    return memory, notes


def _start(engine: Engine, base: Module, limits: Limits) -> Instance:
    try:
        return Instance(engine.code, base, limits.memory_bytes, engine.refusals)
    except Trap as error:
        raise TopLevelTooBig(
            f"the engine itself does not fit into {limits.memory_mb} MB (limits.memory_mb): {error}"
        ) from None


def _answer(instance: Instance, frame: bytes, limits: Limits) -> list[Any]:
    with _explained(instance, limits):
        answer, _ = wire.decode(
            instance.step("load", time.time_ns(), frame, limits.startup_ms, LOAD_OUTPUT_BYTES)
        )
    if type(answer) is not list or not answer:
        raise ImageError(_BROKEN)
    return answer


_BROKEN: Final = "the worker's top level left a broken answer"
_ENTROPY: Final = (
    "the worker's top level asked for random numbers, which every isolate would then share; "
    "ask for them inside a handler"
)


@contextlib.contextmanager
def _explained(instance: Instance, limits: Limits) -> Iterator[None]:
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


def _notes(answer: list[Any]) -> dict[str, Any]:
    """What `load` answered, checked: the guest wrote it."""
    match answer:
        case ["ok", dict(handlers), list(logs)] if _are_handlers(handlers):
            return {"handlers": handlers, "logs": _clean_logs(logs)}
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
