"""What a worker is told about the certificate of a client: the headers that Cloudflare's "TLS client auth" and
"client certificate forwarding" transforms add. Clients cannot forge them: see `origin`.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pyworkerd.messages import Headers

MAX_DER: Final = 10_240
"""Bytes of a certificate that is handed on whole. Cloudflare: "the maximum size is 10 KB"."""


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate that the TLS handshake has verified."""

    subject: str
    """The distinguished name as RFC 4514 writes it, in ASCII."""
    headers: Headers


def read_certificate(der: bytes) -> ClientCertificate:
    """From the bytes of a verified certificate. Raises ValueError for one that the library cannot read."""
    # Only sockets with client certificates need the library, and it takes a while to import.
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    certificate = x509.load_der_x509_certificate(der)
    subject = _ascii(certificate.subject.rfc4514_string())
    headers: Headers = (
        ("cf-cert-presented", "true"),
        ("cf-cert-verified", "true"),
        ("cf-cert-subject-dn", subject),
        ("cf-cert-issuer-dn", _ascii(certificate.issuer.rfc4514_string())),
        ("cf-cert-serial", f"{certificate.serial_number:X}"),
        ("cf-cert-fingerprint-sha256", certificate.fingerprint(hashes.SHA256()).hex()),
    )
    if len(der) <= MAX_DER:
        headers += (("cf-client-cert-der-base64", b64encode(der).decode()),)
    return ClientCertificate(subject, headers)


def _ascii(name: str) -> str:
    """RFC 4514 section 2.4 lets any octet of the UTF-8 form be written as a backslash and two digits."""
    return "".join(
        char if " " <= char <= "~" else "".join(f"\\{octet:02X}" for octet in char.encode("utf-8", "replace"))
        for char in name
    )
