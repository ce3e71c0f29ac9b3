"""`pyworkerd types`: declarations of what workers find on `env`, for editors and type checkers."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pyworkerd_config import load

from pyworkerd.declaring import declarations
from pyworkerd.problems import FAILED, MISTAKE, Fault, Refusal

from .configuration import add_configuration, paths_of
from .test import OWN_NAMES

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "examples: pyworkerd types;  pyworkerd types -c wrangler.toml --check"
    add_configuration(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FOLDER",
        help="where to (default: beside the configuration)",
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit status 1 if something would change"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Write them. Raises `ConfigError`, `Refusal`."""
    paths = paths_of(options)
    configs = [load(*paths, environment=options.env or None)]
    tests = paths[0].with_name(OWN_NAMES[0])
    if not options.named and options.config is None and tests.is_file():
        configs.append(load(tests, environment=options.env or None))
    folder: Path = options.output or paths[0].parent
    changed = []
    for name, text in declarations(configs, folder).items():
        path = folder / name
        if _content(path) != text:
            changed.append(path)
            if not options.check:
                _write(path, text)
    if options.json:
        sys.stdout.write(
            json.dumps({"ok": not (changed and options.check), "changed": [*map(str, changed)]}) + "\n"
        )
    else:
        sys.stdout.write("".join(f"{path}\n" for path in changed))
    return FAILED if changed and options.check else 0


def _content(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise Refusal([Fault(f"{path} cannot be written: {error.strerror}")], MISTAKE) from None
