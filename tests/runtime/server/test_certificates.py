"""Reading PEM files: which certificate answers whom, and what is said about files that cannot be used."""

from __future__ import annotations

import datetime
import logging
import os
import ssl
from typing import TYPE_CHECKING

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from pyworkerd.server.certificates import MAX_FILE, UnusableFiles, choose, load, stamp_of
from pyworkerd_config import Certificate, Https

from tests.runtime.server.pem import authority, client_ca, pair, write

if TYPE_CHECKING:
    from pathlib import Path

ALPN = ("http/1.1",)


def faults(https: Https) -> list[tuple[tuple[str | int, ...], str]]:
    with pytest.raises(UnusableFiles) as caught:
        load(https, ALPN)
    assert all(fault.message and fault.remedy for fault in caught.value.faults)
    return [(fault.where, f"{fault.message}: {fault.remedy}") for fault in caught.value.faults]


def one_fault(certificate: Certificate) -> tuple[tuple[str | int, ...], str]:
    (found,) = faults(Https((certificate,)))
    return found


def test_settings(tmp_path: Path) -> None:
    site = pair(tmp_path, "a.example")
    context = load(Https((site,)), ALPN).default
    assert (context.minimum_version, context.verify_mode) == (ssl.TLSVersion.TLSv1_2, ssl.CERT_NONE)
    assert context.options & ssl.OP_NO_RENEGOTIATION
    old = [cipher["name"] for cipher in context.get_ciphers() if cipher["protocol"] == "TLSv1.2"]
    assert old
    assert all(name.startswith("ECDHE-") and ("GCM" in name or "CHACHA20" in name) for name in old)
    strict = load(Https((site,), "1.3", client_ca(tmp_path)), ALPN).default
    assert (strict.minimum_version, strict.verify_mode) == (ssl.TLSVersion.TLSv1_3, ssl.CERT_REQUIRED)
    asked = load(Https((site,), client_ca=client_ca(tmp_path), require_client_certs=False), ALPN).default
    assert asked.verify_mode == ssl.CERT_OPTIONAL


def test_names_choose_a_certificate(tmp_path: Path) -> None:
    first = pair(tmp_path, "a.example", "*.shop.example", stem="a")
    second = pair(tmp_path, "B.example", "a.example", "x.shop.example", "127.0.0.1", stem="b")
    third = pair(tmp_path, common_name="c.example", stem="c")
    loaded = load(Https((first, second, third)), ALPN)
    context = {name: choose(loaded.by_name, name) for name in loaded.by_name}
    assert set(context) == {"a.example", "*.shop.example", "b.example", "x.shop.example", "c.example"}
    for asked, served in {
        "a.example": "a.example",  # the first of two
        "A.Example.": "a.example",
        "b.example": "b.example",
        "www.shop.example": "a.example",
        "x.shop.example": "b.example",  # exact names come before wildcards
        "c.example": "c.example",
    }.items():
        assert choose(loaded.by_name, asked) is context[served], asked
    for asked in (None, "", ".", "*", "shop.example", "a.b.shop.example", "other.example", "*.shop.examplex"):
        assert choose(loaded.by_name, asked) is None, asked
    assert loaded.default is context["a.example"]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    site = pair(tmp_path, "a.example")
    site.key.unlink()
    where, text = one_fault(site)
    assert (where, text) == (("key",), f"{site.key} does not exist: create it or correct the path")
    where, text = one_fault(Certificate(tmp_path / "no.pem", site.key))
    assert where == ("cert",)


def test_files_that_are_none(tmp_path: Path) -> None:
    site = pair(tmp_path, "a.example")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(bytes(MAX_FILE + 1))
    for name, text in {
        "pipe": "is not a file",
        ".": "cannot be read|is not a file",
        "large": "is larger than 1024 KiB",
    }.items():
        for certificate, key in (
            (Certificate(tmp_path / name, site.key), "cert"),
            (Certificate(site.cert, tmp_path / name), "key"),
        ):
            where, found = one_fault(certificate)
            assert where == (key,)
            assert any(each in found for each in text.split("|")), found


def test_a_key_with_a_password_is_refused_without_asking_for_it(tmp_path: Path) -> None:
    site = pair(tmp_path, "a.example")
    key = load_pem_private_key(site.key.read_bytes(), None)
    for password in (b"x" * 20, b"y"):
        site.key.write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(password))
        )
        where, text = one_fault(site)
        assert where == ("key",)
        assert text == (
            f"the key {site.key} has a password: store it without one: openssl pkey -in {site.key} -out key.pem"
        )


def test_a_key_of_another_certificate(tmp_path: Path) -> None:
    first, second = pair(tmp_path, "a.example", stem="a"), pair(tmp_path, "b.example", stem="b")
    where, text = one_fault(Certificate(first.cert, second.key))
    assert where == ("key",)
    assert "does not belong to the certificate" in text
    other = rsa.generate_private_key(65537, 2048)
    second.key.write_bytes(other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert "does not belong to the certificate" in one_fault(Certificate(first.cert, second.key))[1]


def test_files_that_are_no_pem(tmp_path: Path) -> None:
    site = pair(tmp_path, "a.example")
    nonsense = tmp_path / "nonsense"
    for content in (
        b"",
        b"hello",
        b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        b"\xff" * 99,
    ):
        nonsense.write_bytes(content)
        where, text = one_fault(Certificate(nonsense, site.key))
        assert (where, "holds no certificate in PEM form" in text) == (("cert",), True)
        where, text = one_fault(Certificate(site.cert, nonsense))
        assert (where, "holds no private key in PEM form" in text) == (("key",), True)
    where, text = one_fault(Certificate(site.key, site.cert))
    assert (where, "it holds a key" in text) == (("cert",), True)


def test_certificate_and_key_in_one_file(tmp_path: Path) -> None:
    site = pair(tmp_path, "a.example")
    both = tmp_path / "both.pem"
    both.write_bytes(site.key.read_bytes() + site.cert.read_bytes())
    assert set(load(Https((Certificate(both, both),)), ALPN).by_name) == {"a.example"}


def test_a_key_that_is_too_small(tmp_path: Path) -> None:
    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a.example")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
        .sign(key, hashes.SHA256())
        .public_bytes(Encoding.PEM)
    )
    site = Certificate(tmp_path / "a.pem", tmp_path / "a.key")
    site.cert.write_bytes(made)
    site.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    where, text = one_fault(site)
    assert where == ("cert",)
    assert "is too weak" in text


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    good = pair(tmp_path, "a.example")
    bad = Certificate(tmp_path / "no.pem", good.key)
    found = faults(Https((bad, good, bad), client_ca=good.key))
    assert [where for where, _ in found] == [
        ("client_ca",),
        ("certificates", 0, "cert"),
        ("certificates", 2, "cert"),
    ]


def test_dates_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    now = datetime.datetime.now(datetime.UTC)
    day = datetime.timedelta(days=1)
    site = Certificate(tmp_path / "a.pem", tmp_path / "a.key")
    for begins, ends, word in (
        (now - 2 * day, now - day, "expired on"),
        (now + day, now + 2 * day, "valid from"),
    ):
        made = authority().issue_cert("a.example", not_before=begins, not_after=ends)
        write(site, made)
        with caplog.at_level(logging.WARNING, "pyworkerd.server"):
            load(Https((site,)), ALPN)
        assert word in caplog.messages[-1]


def test_stamps_see_links_that_point_elsewhere(tmp_path: Path) -> None:
    first, second = tmp_path / "1", tmp_path / "2"
    first.mkdir()
    second.mkdir()
    pair(first, "a.example")
    pair(second, "a.example")
    now = tmp_path / "now"
    now.symlink_to(first)
    https = Https((Certificate(now / "site.pem", now / "site.key"),))
    before = stamp_of(https)
    assert stamp_of(https) == before
    now.unlink()
    assert stamp_of(https) == (None, None)
    now.symlink_to(second)
    assert stamp_of(https) not in (before, (None, None))


def test_a_leaf_of_trustme_has_what_the_tests_need() -> None:
    assert isinstance(authority().issue_cert("a.example"), trustme.LeafCert)
    assert authority() is authority("tests")
