"""`pyworkerd rollback`: let an earlier version of a running server's service answer again, at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .deploy import tell
from .remote import add_remote, encode, path_of, remote_of, service_of

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "example: pyworkerd rollback --service shop --to unix:/run/pyworkerd.sock"
    version = "which version; `configured`: the files of the server's configuration (default: the last that answered)"
    parser.add_argument("to_version", nargs="?", metavar="VERSION", help=version)
    add_remote(parser)
    parser.add_argument("-m", "--message", default="", help="why")


def run(options: argparse.Namespace) -> int:
    """Do it. Raises `Refusal`, `ConfigError`."""
    body = encode({"version": options.to_version, "message": options.message})
    done = remote_of(options).ask("POST", path_of(service_of(options), "rollback"), body=body)
    tell(done, as_json=options.json)
    return 0
