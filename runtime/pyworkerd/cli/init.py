"""`pyworkerd init [FOLDER]`: begin a project from a template."""

from __future__ import annotations

import json
import shlex
import sys
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd.problems import MISTAKE, Fault, Refusal

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

TEMPLATES: Final = {
    "python": "a page in Python, with a store",
    "typescript": "the same in TypeScript",
    "mixed": "a page in TypeScript that calls a service in Python",
    "durable-object": "Durable Objects in TypeScript, one for each name",
}
RENAMED: Final = {"gitignore": ".gitignore"}
"""Files that would mean something where the templates lie."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "examples: pyworkerd init hello;  pyworkerd init shop --template mixed"
    listed = "; ".join(f"{name}: {about}" for name, about in TEMPLATES.items())
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=Path(),
        metavar="FOLDER",
        help="where to; made if need be (default: the working directory)",
    )
    parser.add_argument(
        "-t", "--template", choices=TEMPLATES, default="python", help=f"{listed} (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Write the files. Nothing that is there is changed. Raises `Refusal`."""
    folder: Path = options.folder
    files = dict(files_of(options.template))
    there = [name for name in files if (folder / name).exists() or (folder / name).is_symlink()]
    if there:
        raise Refusal(
            [Fault(f"{folder / name} is there already: choose another folder") for name in there], MISTAKE
        )
    for name, content in files.items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("xb") as file:
                file.write(content)
        except OSError as error:
            raise Refusal.of(f"{path} cannot be written: {error.strerror}") from None
    if options.json:
        sys.stdout.write(json.dumps({"ok": True, "folder": str(folder), "files": list(files)}) + "\n")
    else:
        _tell(folder, list(files))
    return 0


def files_of(template: str) -> Iterator[tuple[str, bytes]]:
    """The files of a template, by their paths from the project's folder, in the order of their names."""
    return _below(resources.files("pyworkerd") / "templates" / template, "")


def _below(folder: Traversable, prefix: str) -> Iterator[tuple[str, bytes]]:
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        name = f"{prefix}{RENAMED.get(entry.name, entry.name)}"
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _below(entry, f"{name}/")
        else:
            yield name, entry.read_bytes()


def _tell(folder: Path, names: list[str]) -> None:
    for name in names:
        sys.stdout.write(f"{folder / name}\n")
    steps = ["pyworkerd test", "pyworkerd dev"]
    if folder != Path():
        steps.insert(0, f"cd {shlex.quote(str(folder))}")
    sys.stderr.write("\nnext:\n" + "".join(f"  {step}\n" for step in steps))
