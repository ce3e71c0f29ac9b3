"""`pyworkerd secret`: secrets of a running server's service. They are sent and never come back."""

from __future__ import annotations

import getpass
import json
import sys
from typing import TYPE_CHECKING

from .remote import add_remote, encode, path_of, remote_of, service_of

if TYPE_CHECKING:
    import argparse


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = "example: pyworkerd secret put TOKEN --service shop --to unix:/run/pyworkerd.sock"
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="print the names of a service's secrets")
    putting = verbs.add_parser("put", help="set one; it is read from standard input")
    deleting = verbs.add_parser("delete", help="take one away")
    for sub in (putting, deleting):
        sub.add_argument("name", metavar="NAME", help="its name on `env`")
    for sub in (listing, putting, deleting):
        add_remote(sub)


def run(options: argparse.Namespace) -> int:
    """Do it. Raises `Refusal`, `ConfigError`."""
    remote, service = remote_of(options), service_of(options)
    if options.verb == "list":
        said = remote.ask("GET", path_of(service, "secrets"))
    elif options.verb == "put":
        body = encode({"value": _read()})
        said = remote.ask("PUT", path_of(service, "secrets", options.name), body=body)
    else:
        said = remote.ask("DELETE", path_of(service, "secrets", options.name))
    if options.json:
        sys.stdout.write(json.dumps(said) + "\n")
    elif options.verb == "list":
        sys.stdout.writelines(f"{name}\n" for name in said["secrets"])
    return 0


def _read() -> str:
    """The secret: typed without being shown, or what comes in, without the end of its last line."""
    if sys.stdin.isatty():
        return getpass.getpass("secret: ")
    return sys.stdin.read().removesuffix("\n")
