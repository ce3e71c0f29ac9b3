"""What lies on the disk: the certificate and key of a socket, the account's key, answers to challenges. Blocks on it.

A socket's key is made once, by whoever comes first, with a certificate of its own that nobody trusts: so the socket can
listen before there is another one. Later only the certificate is replaced, at once and as a whole: nobody ever finds a
key that does not belong to it. A key without a certificate (one was removed, or the process ended between the two) gets
another such one.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from pyworkerd_config import Certificate

MAX_ANSWER: Final = 1024
"""Bytes of an answer to a challenge: two texts of some 43 and a point, by RFC 8555 section 8.1."""
PLACEHOLDER_DAYS: Final = 7
LEFT: Final = 3
"""A certificate is renewed when a third of its time is left, as Let's Encrypt asks."""


class AcmeFiles:
    """The folder of one server's ACME accounts and challenges; certificates lie where the configuration says."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.challenges = folder / "challenges"

    def prepare(self) -> None:
        """Make the folders, which nobody else may look into."""
        self.challenges.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder.chmod(0o700)

    def account(self, name: str) -> Path:
        """The key of the account at one authority."""
        return self.folder / f"{name}.key"

    def answer(self, token: str) -> bytes | None:
        """The answer to a challenge; None if there is no such challenge. The token is one: see `challenges`."""
        try:
            with (self.challenges / token).open("rb") as file:
                return file.read(MAX_ANSWER)
        except OSError:
            return None

    @contextmanager
    def locked(self, name: str, *, wait: bool) -> Iterator[bool]:
        """Hold a lock against all processes; whether it was free. The kernel lets go of it when a process ends."""
        descriptor = os.open(self.folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True
        finally:
            os.close(descriptor)


def write_whole(path: Path, data: bytes) -> None:
    """Put a file where another one may have been, for its owner alone: it is there as a whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
        os.replace(name, path)  # noqa: PTH105 (a name, not a path)
    except BaseException:
        os.unlink(name)  # noqa: PTH108
        raise


def begin(files: AcmeFiles, pair: Certificate, hosts: Sequence[str]) -> None:
    """Make the key and a certificate that nobody trusts, unless there are any. Raises OSError, and ValueError for a key
    that cannot sign one.
    """
    files.prepare()
    with files.locked("begin", wait=True):
        if pair.cert.exists():
            return
        if pair.key.exists():
            key = load_pem_private_key(pair.key.read_bytes(), None)
            if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
                raise ValueError("the key is neither an RSA key nor one of an elliptic curve")
        else:
            key = ec.generate_private_key(ec.SECP256R1())
            write_whole(pair.key, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        write_whole(pair.cert, _placeholder(key, hosts).public_bytes(Encoding.PEM))


def _placeholder(
    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, hosts: Sequence[str]
) -> x509.Certificate:
    now = datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "pyworkerd: no certificate yet")])
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=PLACEHOLDER_DAYS))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .sign(key, SHA256())
    )


def renewal(pem: bytes, hosts: Sequence[str]) -> datetime:
    """When a certificate is to be replaced by one for these hosts; in the past where it already was to be. Pure."""
    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        covered = {name.lower() for name in names.get_values_for_type(x509.DNSName)}
    except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
        return datetime.min.replace(tzinfo=UTC)
    if certificate.issuer == certificate.subject or not covered.issuperset(map(str.lower, hosts)):
        return datetime.min.replace(tzinfo=UTC)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return ends - (ends - begins) / LEFT
