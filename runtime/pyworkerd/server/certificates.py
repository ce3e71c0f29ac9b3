"""Reads the PEM files of one socket into TLS contexts, and says what is wrong with them. Blocks on the disk.

One context for each certificate, all with the same settings; the client's SNI chooses one (`choose`).
"""

from __future__ import annotations

import logging
import os
import ssl
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from pyworkerd_config import Certificate, Https, KeyPath

logger: Final = logging.getLogger("pyworkerd.server")

MAX_FILE: Final = 1 << 20
"""Bytes of one PEM file. All authorities that a browser trusts together are a quarter of that."""
CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""Of TLS 1.2: forward secrecy and authenticated encryption only, as Mozilla's "intermediate" and RFC 9113 section
9.2.2 ask. TLS 1.3 has no others."""
_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class Fault(NamedTuple):
    """Why a file cannot be used."""

    where: KeyPath
    """Its key inside `https`."""
    message: str
    remedy: str


class UnusableFiles(Exception):
    """At least one file cannot be used."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(f"{fault.message}: {fault.remedy}" for fault in faults))


_Chooser = Callable[[ssl.SSLObject, str, ssl.SSLContext], None]
Stamp = tuple[tuple[int, int, int, int] | None, ...]
"""What the files looked like: device, inode, size and time of change of each, None for one that is not there."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """The contexts of one socket."""

    default: ssl.SSLContext
    """For new connections; it hands over to another one when the client names another certificate's host."""
    by_name: Mapping[str, ssl.SSLContext]
    """Names of certificates, in lower case, some with `*.` in front."""
    stamp: Stamp


def files_of(https: Https) -> list[Path]:
    """Every file that the settings name."""
    found = [path for pair in https.certificates for path in (pair.cert, pair.key)]
    return [*found, https.client_ca] if https.client_ca is not None else found


def stamp_of(https: Https) -> Stamp:
    """What the files look like now. Links are followed: renewal is often a link that points elsewhere."""
    return tuple(_stamp(path) for path in files_of(https))


def _stamp(path: Path) -> tuple[int, int, int, int] | None:
    try:
        status = path.stat()
    except (OSError, ValueError):
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def load(https: Https, alpn: Sequence[str]) -> Loaded:
    """Read everything. Raises `UnusableFiles` with all that is wrong."""
    stamp = stamp_of(https)
    faults: list[Fault] = []
    authorities = _read_authorities(https.client_ca, faults) if https.client_ca is not None else None
    single = len(https.certificates) == 1
    contexts: list[ssl.SSLContext] = []
    by_name: dict[str, ssl.SSLContext] = {}
    for i, pair in enumerate(https.certificates):
        where: KeyPath = () if single else ("certificates", i)
        context = _context(https, authorities, alpn)
        try:
            names = _add_pair(context, pair, where)
        except UnusableFiles as error:
            faults += error.faults
            continue
        contexts.append(context)
        for name in names:
            by_name.setdefault(name, context)
    if faults:
        raise UnusableFiles(faults)
    default = contexts[0]
    if len(contexts) > 1:
        default.sni_callback = _chooser(by_name, default)
    return Loaded(default, by_name, stamp)


def choose(by_name: Mapping[str, ssl.SSLContext], server_name: str | None) -> ssl.SSLContext | None:
    """The context for a name that a client asks for: an exact match, or a wildcard for one label (RFC 6125 section
    6.4.3). None for the default.
    """
    if server_name is None:
        return None
    name = server_name.lower().removesuffix(".")
    return by_name.get(name) or by_name.get(f"*.{name.partition('.')[2]}")


def _chooser(by_name: Mapping[str, ssl.SSLContext], default: ssl.SSLContext) -> _Chooser:
    # Without SNI there is no name, whatever the types of the standard library say.
    def pick(connection: ssl.SSLObject, server_name: str | None, _context: ssl.SSLContext) -> None:
        chosen = choose(by_name, server_name)
        if chosen is not None and chosen is not default:
            connection.context = chosen

    return pick


def _context(https: Https, authorities: str | None, alpn: Sequence[str]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[https.min_version]
    context.set_ciphers(CIPHERS)
    context.set_alpn_protocols(list(alpn))
    # A client may make a server compute as often as it likes by renegotiating (CVE-2011-1473).
    context.options |= ssl.OP_NO_RENEGOTIATION
    if authorities is not None:
        context.load_verify_locations(cadata=authorities)
        context.verify_mode = ssl.CERT_REQUIRED if https.require_client_certs else ssl.CERT_OPTIONAL
    return context


def _add_pair(context: ssl.SSLContext, pair: Certificate, where: KeyPath) -> list[str]:
    """Put a certificate into its context; returns the names in it. Raises `UnusableFiles`."""
    certificate = _read_certificates(pair.cert, (*where, "cert"))[0]
    _read(pair.key, (*where, "key"))
    encrypted = False

    def password() -> str:
        nonlocal encrypted
        encrypted = True
        return ""

    try:
        context.load_cert_chain(pair.cert, pair.key, password)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise UnusableFiles([_pair_fault(error, pair, where, encrypted)]) from None
    _warn_of_dates(certificate, pair.cert)
    return _names(certificate)


def _pair_fault(error: Exception, pair: Certificate, where: KeyPath, encrypted: bool) -> Fault:
    key = (*where, "key")
    if encrypted:
        remedy = f"store it without one: openssl pkey -in {pair.key} -out key.pem"
        return Fault(key, f"the key {pair.key} has a password", remedy)
    reason = getattr(error, "reason", None) or ""
    if reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED"):
        message = f"the key {pair.key} does not belong to the certificate {pair.cert}"
        return Fault(key, message, "name the key that the certificate was made for")
    if reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        message = f"the certificate {pair.cert} is too weak ({reason.lower().replace('_', ' ')})"
        return Fault(
            (*where, "cert"), message, "make one with a key of 2048 bits (RSA) or P-256, and SHA-256"
        )
    if isinstance(error, PermissionError):
        return Fault(key, f"{pair.key} cannot be read ({error.strerror})", "let this user read it")
    return Fault(
        key,
        f"{pair.key} holds no private key in PEM form",
        "name a file that begins -----BEGIN PRIVATE KEY-----",
    )


def _read_certificates(path: Path, where: KeyPath) -> list[x509.Certificate]:
    data = _read(path, where)
    try:
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        pass
    remedy = "name a file that begins -----BEGIN CERTIFICATE-----"
    if b"PRIVATE KEY-----" in data:
        remedy = f"it holds a key; {remedy}"
    raise UnusableFiles([Fault(where, f"{path} holds no certificate in PEM form", remedy)])


def _read_authorities(path: Path, faults: list[Fault]) -> str | None:
    """The PEM text of the authorities, or None after a fault was noted."""
    where: KeyPath = ("client_ca",)
    try:
        certificates = _read_certificates(path, where)
    except UnusableFiles as error:
        faults += error.faults
        return None
    return "".join(each.public_bytes(Encoding.PEM).decode("ascii") for each in certificates)


def _read(path: Path, where: KeyPath) -> bytes:
    try:
        # Not to be kept waiting by a pipe, or fed by a device.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UnusableFiles([Fault(where, f"{path} is not a file", "name a PEM file")])
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise UnusableFiles(
            [Fault(where, f"{path} does not exist", "create it or correct the path")]
        ) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its name cannot be one"
        raise UnusableFiles(
            [Fault(where, f"{path} cannot be read ({reason})", "let this user read it")]
        ) from None
    if len(data) > MAX_FILE:
        raise UnusableFiles([Fault(where, f"{path} is larger than {MAX_FILE >> 10} KiB", "name a PEM file")])
    return data


def _names(certificate: x509.Certificate) -> list[str]:
    """DNS names; the common name only where none is listed (RFC 6125 section 6.4.4)."""
    names: list[str] = []
    with suppress(x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = extension.value.get_values_for_type(x509.DNSName)
    if not names:
        found = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        names = [attribute.value for attribute in found if isinstance(attribute.value, str)]
    return [name.lower().removesuffix(".") for name in names]


def _warn_of_dates(certificate: x509.Certificate, path: Path) -> None:
    now = datetime.now(UTC)
    if certificate.not_valid_after_utc < now:
        logger.warning("the certificate %s expired on %s", path, certificate.not_valid_after_utc.date())
    elif certificate.not_valid_before_utc > now:
        logger.warning(
            "the certificate %s is valid from %s on", path, certificate.not_valid_before_utc.date()
        )
