"""`pyworkerd versions`: what was deployed to a running server, and which of it answers."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pyworkerd.observe.text import one_line
from pyworkerd.problems import Refusal

from .deploy import shown, tell
from .remote import add_remote, encode, path_of, remote_of, service_of

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the arguments."""
    parser.epilog = (
        "example: pyworkerd versions deploy --service shop 0123456789abcdef@90% fedcba9876543210@10%"
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    listing = verbs.add_parser("list", help="print the versions of a service, and which of them answer")
    deploying = verbs.add_parser("deploy", help="say which versions answer: one, or two with their parts")
    promoting = verbs.add_parser("promote", help="end a rollout: the second version answers all requests")
    deploying.add_argument(
        "shares", nargs="+", metavar="VERSION@PERCENT", help="for example 0123456789abcdef@10%%"
    )
    for sub in (listing, deploying, promoting):
        add_remote(sub)
    for sub in (deploying, promoting):
        sub.add_argument("-m", "--message", default="", help="why")


def run(options: argparse.Namespace) -> int:
    """Do it. Raises `Refusal`, `ConfigError`."""
    remote, service = remote_of(options), service_of(options)
    if options.verb == "list":
        _tell(remote.ask("GET", path_of(service)), as_json=options.json)
        return 0
    body: dict[str, Any] = {"message": options.message}
    if options.verb == "deploy":
        body["shares"] = parse_shares(options.shares)
    path = path_of(service, "deployments" if options.verb == "deploy" else "promote")
    tell(remote.ask("POST", path, body=encode(body)), as_json=options.json)
    return 0


def parse_shares(texts: Sequence[str]) -> list[dict[str, Any]]:
    """`a@10% b@90%`; a version alone has what the others leave. Raises `Refusal`."""
    given: list[tuple[str, float | None]] = []
    for text in texts:
        version, at, percent = text.partition("@")
        try:
            given.append((version, float(percent.removesuffix("%")) if at else None))
        except ValueError:
            raise Refusal.of(f"{text!r} is not understood: write VERSION@10%") from None
    rest = 100.0 - sum(percent or 0.0 for _, percent in given)
    return [
        {"version": version, "percent": rest if percent is None else percent} for version, percent in given
    ]


def _tell(view: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps(view) + "\n")
        return
    parts = {share["version"]: share["percent"] for share in view["live"]}
    for version in view["versions"]:
        at = datetime.fromtimestamp(version["at"], UTC).strftime("%Y-%m-%d %H:%M")
        percent = f"{parts[version['id']]:g}%" if version["id"] in parts else ""
        line = f"{version['id']}  {percent:>6}  {at}  {version['by']}  {version['message']}"
        sys.stdout.write(one_line(line).rstrip() + "\n")
    sys.stdout.write(f"{view['service']}: {shown(view['live'])}\n")
