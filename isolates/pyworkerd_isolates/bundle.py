"""Bundles: the files of a worker, from memory or from a folder, with limits; and how to tell that they are unchanged.

What is in a folder that the author did not mean (compiled files, hidden ones, links that lead out) is not in a bundle.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Final, NamedTuple

from .errors import BundleError
from .languages import PYTHON, SUFFIXES, Language, language_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

MAX_FILES: Final = 20_000
"""Workers: 20,000 asset files."""
MAX_BUNDLE_BYTES: Final = 64 * 1024 * 1024
"""Workers: 64 MiB per script."""
_KEY: Final = b"PRIVATE KEY"
PRIVATE_KEY: Final = re.compile(
    rb"^(?:\xef\xbb\xbf)?-----BEGIN (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    rb"|-----BEGIN (?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----(?:\\[rn]|\s){1,64}"
    rb"(?:[A-Za-z0-9+/]{16}|Proc-Type:)",
    re.MULTILINE,
)
"""How a key begins that only its owner is to have (RFC 7468 sections 10 and 11, OpenSSH's and OpenPGP's alike): on a
line of its own, or in a text within JSON, YAML or an environment."""
_BEFORE, _AFTER = 96, 256
"""Bytes around its name in which all of that is."""
MAX_LOOKS: Final = 1000
"""How often a file is looked at where it has that name. A tenant may have written it to be looked at for ever, and
while an expression is compared no other thread runs: so each is short, and they are few."""
JSON_WEB_KEY: Final = re.compile(rb'"(?:d|k)"\s{0,16}:\s{0,16}"[A-Za-z0-9_-]{20,}"')
"""The part of a JSON Web Key that only its owner is to have (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1)."""
KEY_TYPE: Final = re.compile(rb'"kty"\s{0,16}:\s{0,16}"(?:RSA|EC|OKP|oct)"')
MAX_JSON: Final = 1 << 20
"""Bytes of a file that is looked at for those: a set of a thousand keys."""
PUTTY_KEY: Final = b"PuTTY-User-Key-File-"
"""How a file of PuTTY's begins, which has a private key in it (PuTTY's manual, appendix C)."""
SECRET_SUFFIXES: Final = (".env", ".p12", ".pfx", ".jks", ".keystore")
"""Of environments, and of files that hold private keys in ways that do not show."""
BACKUP: Final = "backup.json"
"""Beside it lie the stores of all workers, and their secrets (`pyworkerd state backup`)."""
_BACKUP_HAS: Final = (b'"format"', b'"created"', b'"stores"')

RULES: Final = b"5"
"""Of what is left out: by others a folder is another bundle, and what was known of it is not known again."""
MAX_SHOWN: Final = 10
"""Names in a message."""

logger = logging.getLogger("pyworkerd.bundle")


class Listed(NamedTuple):
    """A module of a worker whose modules are listed, instead of being the files of a folder."""

    name: str
    """A path below the root."""
    kind: str
    """`code`, `common` (CommonJS), `text`, `data` or `json`; `extension` is code that is imported by its name alone,
    `internal` one that only other extensions can import."""
    content: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """A worker's files by their path below its root, and its main module: a Python module's dotted name, or a path."""

    main: str
    files: Mapping[str, bytes]
    language: Language = PYTHON
    kinds: Mapping[str, str] = field(default_factory=dict)
    """What those are whose names need not tell, by name: see `Listed.kind`. For languages that import more than code.
    """
    wrappers: tuple[str, ...] = ()
    """Extensions that are loaded beside the main module, because bindings are made by them."""
    secrets: tuple[str, ...] = field(default=(), compare=False)
    """Files that lie beside the others and are not among them: they look like secrets."""

    def __post_init__(self) -> None:
        if len(self.files) > MAX_FILES:
            raise BundleError(f"the worker has {len(self.files)} files; at most {MAX_FILES} are allowed")
        size = sum(map(len, self.files.values()))
        if size > MAX_BUNDLE_BYTES:
            raise BundleError(f"the worker's files have {size} bytes; at most {MAX_BUNDLE_BYTES} are allowed")
        for name in self.files:
            _check_name(name)
        if not any(name in self.files for name in self._main_files()):
            raise BundleError(f"the main module {self.main!r} is not among the worker's files")

    def _main_files(self) -> tuple[str, ...]:
        if not self.language.dotted:
            return (self.main,)
        stem = self.main.replace(".", "/")
        return f"{stem}.py", f"{stem}/__init__.py"

    @classmethod
    def read(cls, main: Path, root: Path | None = None, exclude: frozenset[Path] = frozenset()) -> Bundle:
        """A worker from disk: `main` and what lies beside it below `root`.

        Names that begin with a dot (`.dev.vars`, `.git`), compiled files, and files and folders in `exclude` stay out.
        So do links that lead out of `root`: a bundle must not carry what its folder does not show. And so do files that
        look like secrets and are no code (`secrets`), which is logged.
        """
        root = (root or main.parent).resolve()
        files: dict[str, bytes] = {}
        secrets: list[str] = []
        size = 0
        for name, path, _ in _walk(main, root, exclude):
            try:
                files[name] = path.read_bytes()
            except OSError as error:
                raise BundleError(f"{path} cannot be read: {error.strerror or error}") from None
            size += len(files[name])
            if size > MAX_BUNDLE_BYTES:  # it grew while it was read
                raise BundleError(f"{root} holds more than {MAX_BUNDLE_BYTES} bytes")
            if is_secret(name, files[name]):
                del files[name]
                secrets.append(name)
        if secrets:
            logger.warning("%s: left out, since they look like secrets: %s", root, shown(secrets))
        try:
            relative = main.resolve().relative_to(root)
        except ValueError:
            raise BundleError(f"{main} does not lie below {root}") from None
        return cls(*_main(relative.as_posix(), files), secrets=tuple(secrets))

    @classmethod
    def of(cls, sources: Mapping[str, str | bytes], main: str | None = None) -> Bundle:
        """A worker from memory: {"worker.py": source, ...}. Without `main`, the first file of a known language."""
        files = {
            name: data.encode() if isinstance(data, str) else bytes(data) for name, data in sources.items()
        }
        if main is None:
            main = next((name for name in files if language_of(name) is not None), None)
            if main is None:
                raise BundleError(f"the worker has no file that ends in {_one_of(SUFFIXES)}")
        return cls(*_main(main, files))

    @classmethod
    def listed(cls, modules: Sequence[Listed]) -> Bundle:
        """A worker from a list of modules, the main one first."""
        if not modules:
            raise BundleError("the worker has no module")
        files = {module.name: module.content for module in modules}
        main, files, language = _main(modules[0].name, files)
        kinds = {} if language.dotted else {module.name: module.kind for module in modules}
        return cls(main, files, language, kinds)

    def extended(self, extensions: Sequence[Listed], wrappers: tuple[str, ...]) -> Bundle:
        """The same with extensions; bindings are made by `wrappers` among them. Raises `BundleError`."""
        taken = next((each.name for each in extensions if each.name in self.files), None)
        if taken is not None:
            raise BundleError(f"the worker has a file that is named as an extension: {taken!r}")
        files = {**self.files, **{each.name: each.content for each in extensions}}
        kinds = {**self.kinds, **{each.name: each.kind for each in extensions}}
        return Bundle(self.main, files, self.language, kinds, wrappers)

    def digest(self) -> str:
        """A name for exactly this content."""
        digest = hashlib.sha256("\0".join((self.main, *self.wrappers)).encode())
        for name in sorted(self.files):
            data = self.files[name]
            digest.update(f"\0{name}\0{len(data)}\0".encode())
            digest.update(data)
            if name in self.kinds:
                digest.update(self.kinds[name].encode())
        return digest.hexdigest()


def is_secret(name: str, data: bytes) -> bool:
    """Whether a file looks like a private key or an environment, and is no code."""
    if language_of(name) is not None:
        return False
    if data.startswith(PUTTY_KEY) or name.lower().endswith(SECRET_SUFFIXES):
        return True
    return _has_private_key(data) or _has_json_web_key(data)


def _has_private_key(data: bytes) -> bool:
    at = -1
    for _ in range(MAX_LOOKS):
        at = data.find(_KEY, at + 1)  # at the speed of memory: bundles have 64 MiB
        if at < 0:
            return False
        if PRIVATE_KEY.search(data, max(at - _BEFORE, 0), at + _AFTER) is not None:
            return True
    return False


def _has_json_web_key(data: bytes) -> bool:
    if len(data) > MAX_JSON or b'"kty"' not in data:
        return False
    return KEY_TYPE.search(data) is not None and JSON_WEB_KEY.search(data) is not None


def _is_backup(entries: Sequence[os.DirEntry[str]]) -> bool:
    """Whether a folder is one that `pyworkerd state backup` has made, by how its list begins."""
    for entry in entries:
        if entry.name == BACKUP and entry.is_file(follow_symlinks=False):
            with Path(entry.path).open("rb") as file:
                head = file.read(128)
            return all(word in head for word in _BACKUP_HAS)
    return False


def shown(names: Sequence[str]) -> str:
    """Some names of files for a message, safe to print."""
    more = f" and {len(names) - MAX_SHOWN} more" if len(names) > MAX_SHOWN else ""
    return ", ".join(map(repr, names[:MAX_SHOWN])) + more


def _main(path: str, files: dict[str, bytes]) -> tuple[str, dict[str, bytes], Language]:
    language = language_of(path) or PYTHON
    return module_name(path) if language.dotted else path, files, language


def _one_of(words: tuple[str, ...]) -> str:
    return ", ".join(words[:-1]) + f" or {words[-1]}"


def module_name(path: str) -> str:
    """The dotted name of a Python file by its path below the root. Raises `BundleError` if it can have none."""
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


class Signature(NamedTuple):
    """What a folder looks like from outside, for telling that a bundle is what it was without reading it."""

    digest: str
    """Of every file's path, size, times, inode and device."""
    changed_ns: int
    """When the latest of them was changed, by the clock of its file system (ctime: no program can set it)."""


@dataclass(frozen=True, slots=True)
class Folder:
    """Where a bundle is read from: see `Bundle.read`."""

    main: Path
    root: Path
    exclude: frozenset[Path] = frozenset()

    @property
    def language(self) -> Language:
        """What its worker is written in, as far as the name of its main file tells."""
        return language_of(self.main.name) or PYTHON

    def read(self) -> Bundle:
        """The bundle. Raises `BundleError`."""
        return Bundle.read(self.main, self.root, self.exclude)

    def signature(self) -> Signature:
        """The signature of the files that `read` would read. Raises `BundleError` as that does."""
        digest, newest = hashlib.sha256(RULES), 0
        for name, _, status in _walk(self.main, self.root.resolve(), self.exclude):
            newest = max(newest, status.st_ctime_ns)
            size, ctime, mtime = status.st_size, status.st_ctime_ns, status.st_mtime_ns
            digest.update(f"\0{size} {mtime} {ctime} {status.st_ino} {status.st_dev} ".encode())
            digest.update(os.fsencode(name))
        return Signature(digest.hexdigest(), newest)


def _walk(main: Path, root: Path, exclude: frozenset[Path]) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Path below `root`, path and status of every file of a bundle, within the limits. Raises `BundleError`."""
    try:
        language = language_of(main.name)
        if language is None or not main.is_file():
            raise BundleError(f"{main} is not a file that ends in {_one_of(SUFFIXES)}")
        if language.is_program:
            yield _program(main, root)
            return
        count = size = 0
        for entry in _entries(root, exclude, language):
            path = Path(entry.path)
            if entry.is_symlink() and not _may_follow(path, root):
                continue
            if exclude and not exclude.isdisjoint(((real := path.resolve()), *real.parents)):
                continue
            status = entry.stat()
            count, size = count + 1, size + status.st_size
            if size > MAX_BUNDLE_BYTES or count > MAX_FILES:
                raise BundleError(
                    f"{root} holds more than a worker may have ({MAX_FILES} files, {MAX_BUNDLE_BYTES} bytes); "
                    "give the worker a folder of its own"
                )
            yield path.relative_to(root).as_posix(), path, status
    except OSError as error:
        raise BundleError(f"{error.filename or root} cannot be read: {error.strerror or error}") from None


def _program(main: Path, root: Path) -> tuple[str, Path, os.stat_result]:
    """A main file that is all of its worker: what lies beside it is not looked at."""
    path, status = main.resolve(), main.stat()
    if not path.is_relative_to(root):
        raise BundleError(f"{main} does not lie below {root}")
    if status.st_size > MAX_BUNDLE_BYTES:
        raise BundleError(f"{main} has {status.st_size} bytes; at most {MAX_BUNDLE_BYTES} are allowed")
    return path.relative_to(root).as_posix(), path, status


def _entries(root: Path, exclude: frozenset[Path], language: Language) -> Iterator[os.DirEntry[str]]:
    """Links and files below `root`, except those that never belong to a bundle, in the order of their names: so of a
    folder that is a backup none.

    Folders among `exclude` are not entered; files among it are for the caller to leave out.
    """
    pending = [str(root)]
    while pending:
        with os.scandir(pending.pop()) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        if _is_backup(entries):
            continue
        for entry in entries:
            if entry.name.startswith(".") or entry.name.endswith(language.skipped_suffixes):
                continue
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in language.skipped_folders and not (
                    exclude and Path(entry.path).resolve() in exclude
                ):
                    pending.append(entry.path)
            elif entry.is_symlink() or entry.is_file():
                yield entry


def _may_follow(link: Path, root: Path) -> bool:
    """Whether a link names a file that the bundle shows anyway: inside the root, and not hidden."""
    try:
        target = link.resolve(strict=True)
    except (OSError, RuntimeError):  # it leads nowhere, or in a circle (RuntimeError before Python 3.13)
        return False
    if not target.is_file() or not target.is_relative_to(root):
        return False
    return not any(part.startswith(".") for part in target.relative_to(root).parts)
