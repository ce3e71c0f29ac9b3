"""Cross checks of sockets whose certificate an authority signs by itself. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from pyworkerd_config.problems import Problem, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from pyworkerd_config.kinds import BindingKinds
    from pyworkerd_config.model import Acme, Config, Place

MAX_HOSTS = 100
"""Of one certificate, as Let's Encrypt has it."""
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*(?<![0-9])", re.IGNORECASE)
_DIRECTORY = re.compile(r"https://[!-~]+")


def acme(config: Config, _kinds: BindingKinds) -> Iterator[Problem]:
    """What cannot work of all sockets."""
    plain = any(socket.https is None for socket in config.sockets)
    kept: dict[Path, tuple[str, Acme]] = {}
    for socket in config.sockets:
        if socket.https is None or socket.https.acme is None:
            continue

        def at(*path: str | int, places: Place = socket.place, entry: object = socket) -> Place:
            return entry.places.at("https", "acme", *path) if entry.places.lines else places  # type: ignore[attr-defined]

        yield from _faults(socket.https.acme, at)
        cert = socket.https.certificates[0].cert
        other, wanted = kept.setdefault(cert, (socket.name, socket.https.acme))
        if wanted != socket.https.acme:
            message = f"the socket {quote(other)} keeps another certificate in {quote(str(cert))}"
            yield Problem(at(), message, "write the same into both, or another cert and key")
        if not plain:
            message = "no socket without TLS is there to prove whose the hosts are (http-01, on port 80)"
            yield Problem(at(), message, 'write for example address = "*:80" in another [[sockets]]')


def _faults(written: Acme, at: Callable[..., Place]) -> Iterator[Problem]:
    if not written.agree_to_terms:
        message = f"nothing is asked of {written.directory} unless you agree to its terms of service"
        yield Problem(at("agree_to_terms"), message, "read them, and write agree_to_terms = true")
    if not 1 <= len(written.hosts) <= MAX_HOSTS:
        message = f"a certificate is for 1 to {MAX_HOSTS} hosts, found {len(written.hosts)}"
        yield Problem(at("hosts"), message, 'write for example hosts = ["shop.example.com"]')
    for i, host in enumerate(written.hosts):
        if not _HOST.fullmatch(host) or len(host) > 253:
            remedy = "write names such as shop.example.com, without wildcards, which http-01 cannot prove"
            yield Problem(at("hosts", i), f"{quote(host)} is no name of a host", remedy)
    if not _DIRECTORY.fullmatch(written.directory):
        message = f"{quote(written.directory)} is no directory of an authority"
        yield Problem(at("directory"), message, 'write for example "https://acme.example.com/directory"')
