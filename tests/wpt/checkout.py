"""What a checkout of web-platform-tests holds for us: its test files, what each says of itself, and its texts.

https://web-platform-tests.org/writing-tests/testharness.html#multi-global-tests tells of `// META` lines.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

SUFFIXES: Final = (".any.js", ".worker.js")
"""Tests that need no document. Those in `.window.js` are run where they are named."""
SCOPES: Final = frozenset(
    {"window", "worker", "dedicatedworker", "sharedworker", "window-module", "dedicatedworker-module"}
)
"""Kinds of global scope that a worker of ours stands for; a file for none of them is no test for it."""
HOST: Final = "web-platform.test"
ORIGIN: Final = f"http://{HOST}:8000"
TIMEOUTS: Final = {"normal": 10, "long": 60}
"""Seconds, as upstream has them."""
_META: Final = re.compile(r"//\s*META:\s*(\w+)=(.*?)\s*$")
_IMPORT: Final = re.compile(r"^\s*importScripts\(([^)]*)\);?", re.MULTILINE)
_STRICT: Final = re.compile(r"""(?:\s|//[^\n]*\n|/\*.*?\*/)*["']use strict["']""", re.DOTALL)
_NAMES: Final = re.compile(r"""["']([^"']+)["']""")
_SUBSTITUTED: Final = re.compile(r"\{\{(?:\$\w+:)?([^{}]+)\}\}")
_ALIASES: Final = {
    "resources/WebIDLParser.js": "resources/webidl2/lib/webidl2.js",
}
_OURS: Final = frozenset({"resources/testharness.js", "resources/testharnessreport.js"})
"""What the shim stands for."""
_VALUES: Final = {
    "host": HOST,
    "domains[]": HOST,
    "domains[www]": f"www.{HOST}",
    "domains[www1]": f"www1.{HOST}",
    "domains[www2]": f"www2.{HOST}",
    "hosts[][]": HOST,
    "hosts[][www]": f"www.{HOST}",
    "hosts[alt][]": "not-web-platform.test",
    "hosts[alt][www]": "www.not-web-platform.test",
    "ports[http][0]": "8000",
    "ports[http][1]": "8001",
    "ports[https][0]": "8443",
    "ports[https][1]": "8444",
    "ports[h2][0]": "9000",
    "ports[ws][0]": "8666",
    "ports[wss][0]": "8667",
    "location[scheme]": "http",
    "location[host]": f"{HOST}:8000",
    "location[hostname]": HOST,
    "location[server]": ORIGIN,
    "location[port]": "8000",
}


@dataclass(frozen=True, slots=True)
class Meta:
    """The `// META` lines of a file."""

    title: str | None = None
    seconds: int = TIMEOUTS["normal"]
    scripts: tuple[str, ...] = ()
    variants: tuple[str, ...] = ("",)
    scopes: frozenset[str] = frozenset({"window", "dedicatedworker"})

    @property
    def fits(self) -> bool:
        """Whether it is a test for a worker of ours."""
        return bool(self.scopes & SCOPES)


@dataclass(frozen=True, slots=True)
class Case:
    """One run: a file, with what stands behind the `?` of its address."""

    path: str
    variant: str
    meta: Meta

    @property
    def name(self) -> str:
        """What results and expectations know it by."""
        return self.path + self.variant

    @property
    def address(self) -> str:
        """Where the file says that it is."""
        return f"{ORIGIN}/{self.path}{self.variant}"


def read_meta(source: str) -> Meta:
    """What the first lines of a file say. The first line that is no `// META` ends them; unknown keys are skipped."""
    pairs = []
    for line in source.splitlines():
        if (found := _META.match(line)) is None:
            break
        pairs.append((found[1], found[2]))
    last = dict(pairs)
    scopes = [part.strip() for part in last.get("global", "window,dedicatedworker").split(",")]
    return Meta(
        title=last.get("title"),
        seconds=TIMEOUTS.get(last.get("timeout", "normal"), TIMEOUTS["normal"]),
        scripts=tuple(value for key, value in pairs if key == "script"),
        variants=tuple(value for key, value in pairs if key == "variant") or ("",),
        scopes=frozenset(scopes),
    )


def resolve(base: str, name: str) -> str | None:
    """The path, from the root, of what a file names; None for what is on another server, or outside of the root."""
    if re.match(r"[a-z][a-z0-9+.-]*:|//", name, re.IGNORECASE):
        return None
    name = re.split(r"[?#]", name, maxsplit=1)[0]
    path = posixpath.normpath(posixpath.join("/", posixpath.dirname(base), name)).lstrip("/")
    return None if path.startswith("..") else _ALIASES.get(path, path)


def substitute(text: str) -> str:
    """Fills in what upstream's server fills in in files named `.sub.`; what is unknown stays as it is."""
    return _SUBSTITUTED.sub(lambda found: _VALUES.get(found[1].strip(), found[0]), text)


class Checkout:
    """A folder that holds web-platform-tests, or a part of them with their paths."""

    def __init__(self, root: Path) -> None:
        self.root = root.resolve()

    def path(self, name: str) -> Path | None:
        """Where a file of the checkout lies; None if there is none, or if it is outside (a symbolic link)."""
        try:
            path = (self.root / name).resolve()
            inside = path.is_relative_to(self.root) and path.is_file()
        except (OSError, ValueError):  # too long, a loop of links, a zero byte
            return None
        return path if inside else None

    def read(self, name: str) -> bytes | None:
        """A file's bytes as upstream's server would send them, or None."""
        path = self.path(name)
        if path is None:
            return None
        data = path.read_bytes()
        return substitute(data.decode(errors="replace")).encode() if ".sub." in path.name else data

    def text(self, name: str) -> str:
        """The text of a script. Raises `LookupError` if there is none, which says where it was looked for."""
        data = self.read(name)
        if data is None:
            raise LookupError(f"the checkout has no {name}")
        return data.decode(errors="replace")

    def cases(self, wanted: Iterable[str]) -> Iterator[Case]:
        """The runs of these folders and files, sorted. Raises `LookupError` for a name that is neither."""
        for name in wanted:
            path = (self.root / name).resolve()
            if not path.is_relative_to(self.root) or not path.exists():
                raise LookupError(f"the checkout has no {name}")
            files = [path] if path.is_file() else sorted(_tests_below(path))
            for file in files:
                if self.path(file.relative_to(self.root).as_posix()) is None:
                    continue  # a link that leads out
                relative = file.relative_to(self.root).as_posix()
                meta = read_meta(file.read_text(errors="replace"))
                if meta.fits:
                    yield from (Case(relative, variant, meta) for variant in meta.variants)

    def script(self, case: Case) -> str:
        """All that a case evaluates, as one script, so that what one file declares is there for the next.

        A directive in front of another file is none here; where the case itself is strict, it is a function that is.
        """
        parts = [";"]
        source = self.text(case.path)
        for name in case.meta.scripts:
            parts.append(self._named(case.path, name))
        own = _IMPORT.sub(lambda found: self._imported(case.path, found[1]), source)
        parts.append(f"(function () {{{own}\n}}).call(this);" if _STRICT.match(source) else own)
        return "\n".join(parts)

    def _named(self, base: str, name: str) -> str:
        path = resolve(base, name)
        if path in _OURS:
            return ""
        if path is None:
            raise LookupError(f"{base} wants {name}, which is not in the checkout")
        return self.text(path)

    def _imported(self, base: str, arguments: str) -> str:
        return "\n".join(self._named(base, name) for name in _NAMES.findall(arguments))


def _tests_below(folder: Path) -> Sequence[Path]:
    return [path for suffix in SUFFIXES for path in folder.rglob(f"*{suffix}") if path.is_file()]
