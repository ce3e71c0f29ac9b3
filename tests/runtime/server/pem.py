"""Certificates for tests, as the files that an operator would have."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

import trustme
from pyworkerd_config import Certificate, Https, Place, Places, Socket

if TYPE_CHECKING:
    from pathlib import Path

_AUTHORITIES: dict[str, trustme.CA] = {}


def authority(name: str = "tests") -> trustme.CA:
    """An authority, the same one for all tests."""
    if name not in _AUTHORITIES:
        _AUTHORITIES[name] = trustme.CA(organization_name=name)
    return _AUTHORITIES[name]


def pair(folder: Path, *names: str, stem: str = "site", **options: Any) -> Certificate:
    """A certificate and its key, signed by `authority()`, in `stem.pem` and `stem.key`."""
    made = authority().issue_cert(*names, **options)
    found = Certificate(folder / f"{stem}.pem", folder / f"{stem}.key")
    write(found, made)
    return found


def write(where: Certificate, made: trustme.LeafCert) -> None:
    """Put a certificate where another one may have been, first the one file, then the other."""
    where.cert.write_bytes(b"".join(blob.bytes() for blob in made.cert_chain_pems))
    where.key.write_bytes(made.private_key_pem.bytes())


def client_ca(folder: Path, name: str = "tests") -> Path:
    """The authority's own certificate."""
    path = folder / f"{name}-ca.pem"
    authority(name).cert_pem.write_to_path(str(path))
    return path


def client_context(certificate: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """A client that trusts the authority, and perhaps has a certificate of its own."""
    context = ssl.create_default_context()
    authority().configure_trust(context)
    if certificate is not None:
        certificate.configure_cert(context)
    return context


def socket_of(https: Https, places: Places | None = None) -> Socket:
    """A socket of a configuration with these settings."""
    return Socket("x", "127.0.0.1:0", https=https, place=Place(), places=places or Places())
