"""`pyworkerd token NAME`: make a token for the admin address's API. It is shown once, and its hash is kept."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pyworkerd.admin.tokens import Token, digest_of, is_name, line_of, make_token, parse
from pyworkerd.errors import ConfigurationError

if TYPE_CHECKING:
    import argparse

LONGEST_DAYS: Final = 3650


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "example: pyworkerd token ada --file tokens --days 90"
    add = parser.add_argument
    add("name", help="whose it is: what versions say of who deployed them")
    add(
        "--file",
        type=Path,
        required=True,
        metavar="FILE",
        help="the file that `admin.tokens` names; it is made if need be",
    )
    add(
        "--days", type=int, metavar="N", help="how long it is accepted (default: until its line is taken out)"
    )
    add("--json", action="store_true", help="print it as JSON")


def run(options: argparse.Namespace) -> int:
    """Make one. Raises `ConfigurationError`."""
    if not is_name(options.name):
        raise ConfigurationError(f"{options.name!r} cannot be a name: letters, digits and . _ @ - can")
    days = options.days
    if days is not None and not 1 <= days <= LONGEST_DAYS:
        raise ConfigurationError(f"--days must be from 1 to {LONGEST_DAYS}")
    until = None if days is None else int((datetime.now(UTC) + timedelta(days=days)).timestamp())
    token = make_token()
    _append(options.file, Token(options.name, digest_of(token), until))
    if options.json:
        sys.stdout.write(json.dumps({"name": options.name, "token": token, "until": until}) + "\n")
    else:
        sys.stdout.write(f"{token}\n")
        sys.stderr.write(
            f"this is shown once: its hash is in {options.file}, where its line can be taken out again\n"
        )
    return 0


def _append(path: Path, token: Token) -> None:
    """Another line. The file is written anew beside the old one, so that a server never reads half of it."""
    try:
        text = path.read_text(encoding="utf-8") if path.exists() else ""
        if any(each.name == token.name for each in parse(text, path)):
            raise ConfigurationError(
                f"{path} has a token named {token.name!r}: take its line out, or choose another name"
            )
        if text and not text.endswith("\n"):
            text += "\n"
        draft = path.with_name(f".{path.name}.draft")
        draft.unlink(missing_ok=True)
        with os.fdopen(
            os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
        ) as file:
            file.write(text + line_of(token))
        draft.replace(path)
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be written: {error.strerror}") from None
