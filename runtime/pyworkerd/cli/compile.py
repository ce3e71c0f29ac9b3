"""`pyworkerd compile config.toml -o shop.pyworkerd`: configuration, code and files in one file, which `serve` runs."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

from pyworkerd.compiled import SUFFIX, compile_to
from pyworkerd.observe.text import printable

from .configuration import add_configuration, read_configuration, tell_warnings

DEFAULT: Final = f"app{SUFFIX}"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = (
        "examples: pyworkerd compile -o shop.pyworkerd;  pyworkerd compile wrangler.toml -o edge.pyworkerd"
    )
    add_configuration(parser)
    parser.add_argument(
        "-o", "--output", type=_named, default=Path(DEFAULT), metavar="FILE", help="(default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(options: argparse.Namespace) -> int:
    """Write the file, and say what is in it. Raises `ConfigError`."""
    config = read_configuration(options)
    if not options.json:
        tell_warnings(config)
    summary = compile_to(config, options.output)
    if options.json:
        sys.stdout.write(json.dumps({"ok": True, "file": str(options.output), **summary._asdict()}) + "\n")
    else:
        sys.stdout.write(f"{printable(str(options.output))}: {summary.files} files, {summary.size:,} bytes\n")
    return 0


def _named(text: str) -> Path:
    if not text.endswith(SUFFIX):
        raise argparse.ArgumentTypeError(f"a compiled file is called something{SUFFIX}")
    return Path(text)
