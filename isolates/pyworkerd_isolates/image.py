"""Images: the heap of one worker version, written down after its top level ran.

    bundle = Bundle.read(Path("src/shop.py"))
    image = build_image(engine, cache, bundle, limits)

An image is a WebAssembly module that is nothing but a memory and its data. It is found again by its content: the same
bundle on the same engine is built once. It holds no secret and no binding, because none was there when it was made.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
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
from .native import Instance, Module
from .snapshot import take
from .wasm.image import image_of

if TYPE_CHECKING:
    from .cache import Cache
    from .engine import Engine
    from .limits import Limits

MAX_FILES: Final = 20_000
"""Workers: 20,000 asset files."""
MAX_BUNDLE_BYTES: Final = 64 * 1024 * 1024
"""Workers: 64 MiB per script."""
LOAD_OUTPUT_BYTES: Final = 4 * 1024 * 1024
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
            path = PurePosixPath(name)
            if path.is_absolute() or ".." in path.parts or str(path) != name or "\0" in name:
                raise BundleError(f"{name!r} is not a plain relative path")
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
        try:
            relative = main.resolve().relative_to(root)
        except ValueError:
            raise BundleError(f"{main} does not lie below {root}") from None
        if relative.name == "__init__.py":
            relative = relative.parent
        return cls(".".join(relative.with_suffix("").parts), files)

    @classmethod
    def of(cls, sources: Mapping[str, str | bytes], main: str | None = None) -> Bundle:
        """A worker from memory: {"worker.py": source, ...}. Without `main`, the only or first `.py` file."""
        files = {name: data.encode() if isinstance(data, str) else bytes(data) for name, data in sources.items()}
        if main is None:
            main = next((name for name in files if name.endswith(".py")), None)
            if main is None:
                raise BundleError("the worker has no .py file")
        return cls(main.removesuffix(".py").removesuffix("/__init__").replace("/", "."), files)

    def digest(self) -> str:
        """A name for exactly this content."""
        digest = hashlib.sha256(self.main.encode())
        for name in sorted(self.files):
            data = self.files[name]
            digest.update(f"\0{name}\0{len(data)}\0".encode())
            digest.update(data)
        return digest.hexdigest()


def _walk(root: Path) -> list[Path]:
    found: list[Path] = []
    pending = [root]
    while pending:
        for path in sorted(pending.pop().iterdir()):
            if path.name.startswith(".") or path.suffix in SKIPPED_SUFFIXES:
                continue
            if path.is_symlink() and not path.resolve().is_relative_to(root):
                continue
            if path.is_dir():
                if path.name not in SKIPPED_FOLDERS and not path.is_symlink():
                    pending.append(path)
            elif path.is_file():
                found.append(path)
    return found


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
        instance = Instance(engine.code, base, limits.memory_bytes, engine.refusals)
        try:
            notes = _notes(_load(instance, frame, limits))
            memory = take(instance, limits.startup_ms)
        finally:
            instance.close()
    notes["memory"] = len(memory)
    return memory, notes


def _load(instance: Instance, frame: bytes, limits: Limits) -> list[Any]:
    try:
        raw = instance.step("load", time.time_ns(), frame, limits.startup_ms, LOAD_OUTPUT_BYTES)
        answer, _ = wire.decode(raw)
    except CpuExhausted:
        raise TopLevelTooSlow(
            f"the worker's top level used more than {limits.startup_ms} ms of CPU time (limits.startup_ms); "
            "move work into a handler, or raise the limit"
        ) from None
    except Refused as error:
        if str(error) == "entropy":
            raise TopLevelEntropy(
                "the worker's top level asked for random numbers, which every isolate would then share; "
                "ask for them inside a handler"
            ) from None
        raise TopLevelRaised(f"the worker's top level reached for the system ({error}); there is none inside") from None
    except Trap as error:
        raise TopLevelRaised(f"the worker's top level crashed its isolate: {error}") from None
    except (ProtocolError, wire.WireError) as error:
        raise ImageError(f"the worker's top level left a broken answer: {error}") from None
    if type(answer) is not list or not answer:
        raise ImageError("the worker's top level left a broken answer")
    return answer


def _notes(answer: list[Any]) -> dict[str, Any]:
    """What `load` answered, checked: the guest wrote it."""
    match answer:
        case ["ok", dict(handlers), list(logs)] if _are_handlers(handlers):
            return {"handlers": handlers, "logs": _clean_logs(logs)}
        case ["entropy", str(), str(message), str(detail), (str() | None) as file, (int() | None) as line, list()]:
            raise TopLevelEntropy(message, file=file, line=line, detail=detail)
        case ["raised", "MemoryError", str(), str(detail), (str() | None) as file, (int() | None) as line, list()]:
            raise TopLevelTooBig(
                "the worker's top level used up its memory (limits.memory_mb)", file=file, line=line, detail=detail
            )
        case ["raised", str(kind), str(message), str(detail), (str() | None) as file, (int() | None) as line, list()]:
            raise TopLevelRaised(f"{kind}: {message}" if message else kind, file=file, line=line, detail=detail)
    raise ImageError("the worker's top level left a broken answer")


def _are_handlers(handlers: dict[Any, Any]) -> bool:
    return len(handlers) <= 1000 and all(
        type(key) is str and len(key) <= 256 and type(names) is list and all(type(name) is str for name in names)
        for key, names in handlers.items()
    )


def _clean_logs(logs: list[Any]) -> list[list[str]]:
    return [
        [text[:16_384] for text in entry]
        for entry in logs[:1000]
        if type(entry) is list and len(entry) == 3 and all(type(text) is str for text in entry)
    ]
