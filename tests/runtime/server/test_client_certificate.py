"""What a worker reads about a client's certificate."""

from __future__ import annotations

import base64
import datetime
import hashlib

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from pyworkerd.http.writer import _VALUE
from pyworkerd.server.client_certificate import MAX_DER, read_certificate

KEY = ec.generate_private_key(ec.SECP256R1())
NAME = x509.NameOID


def certificate(*attributes: tuple[x509.ObjectIdentifier, str], padding: int = 0) -> bytes:
    subject = x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes])
    issuer = x509.Name([x509.NameAttribute(NAME.COMMON_NAME, "An authority")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(
        issuer, subject, KEY.public_key(), 0xABC123, now, now + datetime.timedelta(days=1)
    ).add_extension(
        x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), bytes(padding)), critical=False
    )
    return builder.sign(KEY, hashes.SHA256()).public_bytes(Encoding.DER)


def test_the_headers() -> None:
    der = certificate((NAME.ORGANIZATION_NAME, "Shop, Inc."), (NAME.COMMON_NAME, "till 7"))
    found = read_certificate(der)
    assert found.subject == "CN=till 7,O=Shop\\, Inc."
    assert found.headers == (
        ("cf-cert-presented", "true"),
        ("cf-cert-verified", "true"),
        ("cf-cert-subject-dn", "CN=till 7,O=Shop\\, Inc."),
        ("cf-cert-issuer-dn", "CN=An authority"),
        ("cf-cert-serial", "ABC123"),
        ("cf-cert-fingerprint-sha256", hashlib.sha256(der).hexdigest()),
        ("cf-client-cert-der-base64", base64.b64encode(der).decode()),
    )


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("caf\u00e9", "CN=caf\\C3\\A9"),
        ("\U0001f511", "CN=\\F0\\9F\\94\\91"),
        ("a\r\nx-admin: 1", "CN=a\\0D\\0Ax-admin: 1"),
        ("a,CN=admin", "CN=a\\,CN=admin"),
        ('a+b;c<d>"e\\', 'CN=a\\+b\\;c\\<d\\>\\"e\\\\'),
        ("\u2028", "CN=\\E2\\80\\A8"),
    ],
)
def test_a_name_cannot_leave_its_header_or_look_like_two(name: str, subject: str) -> None:
    found = read_certificate(certificate((NAME.COMMON_NAME, name)))
    assert found.subject == subject
    assert all(_VALUE.fullmatch(value) and value.isascii() for _, value in found.headers)


def test_a_huge_certificate_is_told_by_its_parts_alone() -> None:
    names = [name for name, _ in read_certificate(certificate(padding=MAX_DER)).headers]
    assert "cf-client-cert-der-base64" not in names
    assert "cf-cert-fingerprint-sha256" in names


@pytest.mark.parametrize("der", [b"", b"\x30\x80", b"hello" * 100])
def test_what_is_no_certificate(der: bytes) -> None:
    with pytest.raises(ValueError):
        read_certificate(der)
