"""The files of a configuration in workerd's dialect: which ones it may name, and copies that pycapnp may read.

An import is copied; of a file that is embedded the copy is a mark, which stands for its path in what pycapnp makes of
it. So the content of a program passes through no other process, every reader knows which file a value came from, and
pycapnp opens no path that the configuration wrote.

A file may be named that lies in the folder of the configuration or below it, or in a folder of the operator's
(`-I`), where links have been followed. Absolute names are looked for in the latter alone, as workerd does.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd_config.model import Place
from pyworkerd_config.problems import ConfigError, Problem, ProblemList, quote
from pyworkerd_config.toml.document import MAX_BYTES, decode_text

from .text import Node, Text, read_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .text import Reference

    Read = Callable[[Path, int], bytes]

SCHEMA: Final = Path(__file__).with_name("workerd.capnp")
SCHEMA_NAMES: Final = ("/workerd/workerd.capnp",)
MAX_IMPORTS: Final = 200
MAX_EMBEDDED: Final = 20_000
"""As many as a worker may have files."""
MAX_HOPS: Final = 32
"""Constants that stand for each other in a row."""


@dataclass(slots=True)
class File:
    """One text of the configuration."""

    path: Path
    text: Text
    imports: dict[int, int] = field(default_factory=dict)
    """Number of the file that a reference imports, by the number of the reference."""


@dataclass(slots=True)
class Files:
    """All of them, the configuration first."""

    texts: list[File]
    embedded: dict[str, Path]
    """By the mark that stands for them."""
    copies: dict[str, str]
    """What pycapnp may read: names and contents."""

    def where(self, constant: str) -> Where:
        """The place of the constant that is the configuration; without a name the only one that has services."""
        found = self.texts[0].text.constants
        if constant:
            return Where(self, 0, found.get(constant))
        likely = [node for node in found.values() if node.fields.keys() & {"services", "sockets"}]
        return Where(self, 0, likely[0] if len(likely) == 1 else None)


class Where:
    """The place of a value: of the nearest thing around it where its own is not known."""

    __slots__ = ("_files", "_node", "_number", "place")

    def __init__(
        self, files: Files | None, number: int, node: Node | None, place: Place | None = None
    ) -> None:
        self._files, self._number = files, number
        self._node = self._meant(node)
        if files is not None and node is not None:
            file = files.texts[number]
            place = Place(file.path, file.text.line(node.at))
        self.place = place or Place(files.texts[number].path if files is not None else None)

    def _meant(self, node: Node | None) -> Node | None:
        """The value itself, where a constant's name stands for it."""
        for _ in range(MAX_HOPS):
            if self._files is None or node is None or not node.refers:
                return node
            file = self._files.texts[self._number]
            names = [name for name in node.refers if name]
            if not names:
                return node
            if names[0] in file.text.aliases:
                reference, inside = file.text.aliases[names[0]]
                self._number = file.imports.get(reference, self._number)
                names = [*inside, *names[1:]]
                file = self._files.texts[self._number]
            found = file.text.constants.get(".".join(names))
            if found is None:
                return node
            node = found
        return None

    def field(self, name: str) -> Where:
        """Of a field."""
        return self._part(None if self._node is None else self._node.fields.get(name))

    def item(self, number: int) -> Where:
        """Of one of a list."""
        items = [] if self._node is None else self._node.items
        return self._part(items[number] if number < len(items) else None)

    def _part(self, node: Node | None) -> Where:
        return Where(self._files, self._number, node, self.place)


def collect(path: Path, read: Read, import_paths: Sequence[Path] = ()) -> Files:
    """Read the configuration and what it imports; find what it embeds. Raises `ConfigError` with all that is wrong."""
    collecting = _Collecting(path, read, import_paths)
    collecting.run()
    if collecting.problems:
        raise collecting.problems.error()
    return Files(collecting.texts, collecting.embedded, collecting.copies)


class _Collecting:
    def __init__(self, path: Path, read: Read, import_paths: Sequence[Path]) -> None:
        self.read = read
        self.import_paths = [each.resolve() for each in import_paths]
        # Where the configuration is a link, its own folder is its as well.
        self.roots = [path.resolve().parent, path.parent.resolve(), *self.import_paths]
        self.problems = ProblemList()
        self.texts: list[File] = []
        self.numbers: dict[Path, int] = {}
        self.marks: dict[Path, str] = {}
        self.embedded: dict[str, Path] = {}
        self.copies: dict[str, str] = {"workerd.capnp": SCHEMA.read_text()}
        self.size = 0
        self.nonce = secrets.token_hex(16)
        self._open(path)

    def run(self) -> None:
        number = 0
        while number < len(self.texts):
            self._copy(number)
            number += 1

    def _open(self, path: Path) -> int:
        real = path.resolve()
        if real not in self.numbers:
            place = Place(path)
            if len(self.texts) >= MAX_IMPORTS:
                raise ConfigError([Problem(place, f"a configuration has {MAX_IMPORTS} files at most")])
            source = decode_text(self.read(path, MAX_BYTES), place)
            self.size += len(source)
            if self.size > MAX_BYTES:
                raise ConfigError(
                    [Problem(place, f"all files together are larger than {MAX_BYTES >> 20} MiB")]
                )
            self.numbers[real] = len(self.texts)
            self.texts.append(File(path, read_text(source, place)))
        return self.numbers[real]

    def _copy(self, number: int) -> None:
        """Copy a text, the files in it named as their copies are, and with an id if it has none."""
        file = self.texts[number]
        parts, at = [], 0
        for index, reference in enumerate(file.text.references):
            parts += [file.text.source[at : reference.start], f'"{self._copied(file, index, reference)}"']
            at = reference.end
        parts.append(file.text.source[at:])
        if not file.text.has_id:
            digest = hashlib.sha256(f"{self.nonce} {number}".encode()).digest()
            parts.append(f"\n@0x{int.from_bytes(digest[:8], 'big') | 1 << 63:x};\n")
        self.copies[f"{number}.capnp"] = "".join(parts)

    def _copied(self, file: File, index: int, reference: Reference) -> str:
        place = Place(file.path, file.text.line(reference.start))
        if reference.word == "import" and reference.path in SCHEMA_NAMES:
            return "workerd.capnp"
        try:
            found = self._find(file.path.parent, reference, place)
            if reference.word == "import":
                file.imports[index] = self._open(found)
                return f"{file.imports[index]}.capnp"
            return self._mark(found, place)
        except ConfigError as error:
            for problem in error.problems:
                self.problems.add(problem)
        return "absent"

    def _mark(self, path: Path, place: Place) -> str:
        name = self.marks.get(path)
        if name is None:
            number = len(self.marks)
            if number >= MAX_EMBEDDED:
                raise ConfigError([Problem(place, f"a configuration embeds {MAX_EMBEDDED:,} files at most")])
            name = self.marks[path] = f"embedded-{number}"
            mark = f"{self.nonce} {number}"
            self.embedded[mark], self.copies[name] = path, mark
        return name

    def _find(self, folder: Path, reference: Reference, place: Place) -> Path:
        """The file that is meant. Raises `ConfigError` if there is none, or not one that may be named."""
        word, name = reference.word, reference.path
        if "\\" in name or "\0" in name or not name.isprintable():
            message = f"{word} {quote(name)}: no name of a file has such characters"
            raise ConfigError([Problem(place, message, "write it in quotes, without escapes")])
        places = (
            [each / name.lstrip("/") for each in self.import_paths]
            if name.startswith("/")
            else [folder / name]
        )
        for path in places:
            try:
                real = path.resolve(strict=True)
                is_file = real.is_file()
            except (OSError, RuntimeError):  # not there, too long, or a circle of links
                continue
            if not any(real.is_relative_to(root) for root in self.roots):
                message = f"{word} {quote(name)} leads out of the folder of the configuration"
                remedy = f"move the file there, or allow its folder: -I {real.parent}"
                raise ConfigError([Problem(place, message, remedy)])
            if is_file:
                return path
        remedy = "create it or correct the path"
        if name.startswith("/"):
            remedy = "absolute names are looked for in the folders that -I names"
        raise ConfigError([Problem(place, f"{word} {quote(name)}: there is no such file", remedy)])
