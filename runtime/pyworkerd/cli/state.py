"""`pyworkerd state`: a backup of everything that is stored, also while the server runs, and its restore."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pyworkerd_config import load

from pyworkerd.backup import as_json, backup, restore
from pyworkerd.errors import StorageError
from pyworkerd.foreign import part_of
from pyworkerd.problems import FAILED, Refusal

from .stores import add_config, say

if TYPE_CHECKING:
    import argparse

    from pyworkerd_config import Config


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "example: pyworkerd state backup config.toml /backups/monday"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    saving = verbs.add_parser("backup", help="copy the state_dir of a configuration into a folder")
    restoring = verbs.add_parser("restore", help="make the state_dir of a configuration of a backup")
    for sub in (saving, restoring):
        add_config(sub)
        sub.add_argument("folder", type=Path, metavar="FOLDER", help="of the backup")


def run(options: argparse.Namespace) -> int:
    """Do it. Raises `ConfigError`, `Refusal`."""
    config = load(options.config)
    state_dir, folder = config.state_dir.absolute(), options.folder.absolute()
    try:
        if options.verb == "backup":
            _must_be_nobodys(folder, config)
            summary = backup(state_dir, folder, _progress)
        else:
            summary = restore(folder, state_dir, _progress)
    except StorageError as error:
        raise Refusal.of(str(error), FAILED) from error
    text = f"{summary.stores} stores, {summary.files} files of buckets, {summary.size} bytes"
    say({"ok": True, **as_json(summary)}, text, as_json=options.json)
    return 0


def _must_be_nobodys(folder: Path, config: Config) -> None:
    """A worker would have what all others have stored, and their secrets, among its files."""
    found = part_of(folder, config)
    if found is not None:
        name, root = found
        raise StorageError(
            f"{folder} lies in the folder of the worker {name!r}, and what is in there is part of it: "
            f"name another one, or one whose name begins with a dot, such as {root / '.backup'}"
        )


def _progress(store: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{store[-100:]}")
        sys.stderr.flush()
