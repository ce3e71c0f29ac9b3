"""`pyworkerd explain config.toml`: the configuration as it was understood. Secrets are never printed."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

from pyworkerd_config import to_json, to_toml

from .configuration import add_configuration, read_configuration, tell_warnings

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    add_configuration(parser)
    parser.add_argument(
        "--defaults", action="store_true", help="also print what was left out, with its default"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, defaults included")


def run(options: argparse.Namespace) -> int:
    """Print the model. Raises `ConfigError`."""
    config = read_configuration(options)
    tell_warnings(config)
    if options.json:
        text = json.dumps(to_json(config), indent=2) + "\n"
    else:
        text = _escaped(to_toml(config, defaults=options.defaults))
    sys.stdout.write(text)
    return 0


def _escaped(toml: str) -> str:
    r"""The same document without characters that a terminal would obey.

    They can only stand inside basic strings, where TOML has `\uXXXX` and `\UXXXXXXXX` for them.
    """
    return "".join(c if c.isprintable() or c == "\n" else _escape(ord(c)) for c in toml)


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
