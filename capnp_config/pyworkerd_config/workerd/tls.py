"""Reads `TlsOptions` of workerd's dialect: what is said of sockets, and of servers that are asked. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pyworkerd_config.model import Certificate, Https
from pyworkerd_config.problems import quote

if TYPE_CHECKING:
    from pathlib import Path

    from .values import Struct

_VERSIONS: Final[dict[str, Any]] = {"goodDefault": "1.2", "tls1Dot2": "1.2", "tls1Dot3": "1.3"}
_FILES: Final = 'write it into a file and embed that, for example embed "cert.pem"'


def read_https(socket: Struct) -> Https | None:
    """TLS of a socket; None, and a report, where it cannot be had."""
    options = socket.struct("tlsOptions")
    pair = None if options is None else options.struct("keypair")
    if options is None or pair is None:
        socket.report("the socket has no certificate", "write tlsOptions = (keypair = (privateKey = embed ..., "
                      "certificateChain = embed ...))")  # fmt: skip
        return None
    key, cert = _file(pair, "privateKey"), _file(pair, "certificateChain")
    version = options.values.get("minVersion", "goodDefault")
    if version not in _VERSIONS:
        options.report(
            f"TLS 1.2 is the oldest that is spoken, not {quote(version)}", "leave it out", "minVersion"
        )
    if options.flag("trustBrowserCas"):
        message = '"TlsOptions.trustBrowserCas" is of servers that are asked, not of sockets'
        options.report(message, "name the authority of the clients in trustedCertificates", "trustBrowserCas")
    authority = _authority(options)
    required = options.flag("requireClientCerts")
    if required and authority is None:
        message = "clients need certificates, and no authority is trusted"
        options.report(message, "write trustedCertificates = [embed ...]", "requireClientCerts")
    if key is None or cert is None:
        return None
    # workerd asks for certificates only where they are needed.
    return Https((Certificate(cert, key),), _VERSIONS.get(version, "1.2"), authority if required else None)


def _authority(options: Struct) -> Path | None:
    given = options.values.get("trustedCertificates") or []
    if len(given) > 1:
        options.report(
            "clients have one authority file", "write all of them into one file", "trustedCertificates"
        )
    if not given:
        return None
    path = options.document.file(given[0])
    if path is None:
        options.report("the authority is no file", _FILES, "trustedCertificates")
    return path


def _file(pair: Struct, field: str) -> Path | None:
    value = pair.values.get(field)
    if not value:
        pair.report(f"the keypair has no {field}", f'write {field} = embed "..."')
        return None
    path = pair.document.file(value)
    if path is None:
        pair.report(f"the {field} is no file", _FILES, field)
    return path


def trusts_browsers(options: Struct | None) -> bool:
    """Whether a server that is asked may have any certificate that browsers accept; other things are reported."""
    if options is None:
        return False
    for field, remedy in (
        ("keypair", "servers that are asked see no certificate of ours"),
        ("trustedCertificates", "the authorities are those that browsers trust"),
        ("requireClientCerts", "it is of sockets"),
    ):
        if options.values.get(field):
            options.report(f'"TlsOptions.{field}" is of sockets only', remedy, field)
    if options.values.get("minVersion", "goodDefault") != "goodDefault":
        options.report('"TlsOptions.minVersion" is of sockets only', "leave it out", "minVersion")
    return options.flag("trustBrowserCas")
