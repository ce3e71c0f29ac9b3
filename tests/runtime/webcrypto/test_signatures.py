"""Signatures, RSA-OAEP and agreements: what fits, and what does not."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import pytest
from pyworkerd.errors import WorkerException
from pyworkerd.webcrypto import keys, signatures

if TYPE_CHECKING:
    from collections.abc import Callable

DIGEST = hashlib.sha256(b"message").digest()
OTHER = hashlib.sha256(b"another").digest()


def pair(kind: str) -> tuple[bytes, bytes]:
    key = keys.generate(kind) if kind != "RSA" else keys.generate_rsa(1024, 65537)
    return keys.material_of(key), keys.material_of(key.public_key())


OWN, KNOWN = pair("RSA")


@pytest.mark.parametrize("curve", keys.CURVES)
def test_ecdsa(curve: str) -> None:
    own, known = pair(curve)
    signature = signatures.sign_ecdsa(curve, own, "SHA-256", DIGEST)
    verify = signatures.verify_ecdsa
    assert verify(curve, known, "SHA-256", DIGEST, signature)
    assert not verify(curve, known, "SHA-256", OTHER, signature)
    assert not verify(curve, known, "SHA-256", DIGEST, signature[:-1])
    assert not verify(curve, known, "SHA-256", DIGEST, bytes(len(signature)))


@pytest.mark.parametrize("kind", keys.SIGNING)
def test_eddsa(kind: str) -> None:
    own, known = pair(kind)
    signature = signatures.sign_edwards(kind, own, b"message")
    assert signatures.verify_edwards(kind, known, b"message", signature)
    for message, wrong in ((b"another", signature), (b"message", signature[:-1]), (b"message", b"")):
        assert not signatures.verify_edwards(kind, known, message, wrong)


SMALL = [
    "00" * 32,
    "01" + "00" * 31,
    "01" + "00" * 30 + "80",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "ff",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
]
"""Of the eight points of small order, in both of their forms where there are two (RFC 8032 section 5.1)."""


@pytest.mark.parametrize("point", SMALL)
def test_a_point_of_small_order_signs_nothing(point: str) -> None:
    """The equation holds for many messages, or for all: with such a key, and S = 0, R is chosen to fit."""
    small = bytes.fromhex(point)
    _, known = pair("Ed25519")
    assert not signatures.verify_edwards("Ed25519", known, b"", small + bytes(32))
    key = known[:-32] + small
    try:
        keys.public_key("Ed25519", key)
    except WorkerException:
        return
    assert not any(
        signatures.verify_edwards("Ed25519", key, bytes([n]), small + bytes(32)) for n in range(16)
    )


def test_rsa() -> None:
    first = signatures.sign_pkcs1(OWN, "SHA-256", DIGEST)
    second = signatures.sign_pss(OWN, "SHA-256", 11, DIGEST)
    assert signatures.verify_pkcs1(KNOWN, "SHA-256", DIGEST, first)
    assert signatures.verify_pss(KNOWN, "SHA-256", 11, DIGEST, second)
    assert not signatures.verify_pss(KNOWN, "SHA-256", 12, DIGEST, second)
    assert not signatures.verify_pkcs1(KNOWN, "SHA-256", OTHER, first)
    assert not signatures.verify_pkcs1(KNOWN, "SHA-256", DIGEST, b"")


def test_oaep() -> None:
    encrypted = signatures.encrypt_oaep(KNOWN, "SHA-1", b"label", b"text")
    assert signatures.decrypt_oaep(OWN, "SHA-1", b"label", encrypted) == b"text"
    for label, data in ((b"", encrypted), (b"label", encrypted[:-1]), (b"label", bytes(128))):
        with pytest.raises(WorkerException, match="cannot be decrypted with this key"):
            signatures.decrypt_oaep(OWN, "SHA-1", label, data)


@pytest.mark.parametrize("kind", [*keys.CURVES, "X25519", "X448"])
def test_two_agree(kind: str) -> None:
    (first, one), (second, two) = pair(kind), pair(kind)
    assert signatures.agree(kind, first, two) == signatures.agree(kind, second, one)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: signatures.sign_pkcs1(OWN, "MD5", DIGEST), "NotSupportedError: there is no such hash"),
        (lambda: signatures.sign_pkcs1(OWN, "SHA-1", DIGEST), "OperationError: the digest is not one"),
        (lambda: signatures.sign_pkcs1(KNOWN, "SHA-256", DIGEST), "DataError: the bytes are not a key"),
        (lambda: signatures.sign_pss(OWN, "SHA-256", 100, DIGEST), "too short for this hash and salt"),
        (lambda: signatures.sign_pss(OWN, "SHA-256", -1, DIGEST), "the salt is too long"),
        (lambda: signatures.encrypt_oaep(KNOWN, "SHA-512", b"", b"x"), "too long for the key"),
        (
            lambda: signatures.encrypt_oaep(KNOWN, "SHA-1", bytes(65_537), b"x"),
            "label has at most 65536 bytes",
        ),
        (lambda: signatures.decrypt_oaep(OWN, "SHA-1", bytes(65_537), b"x"), "label has at most 65536 bytes"),
        (lambda: signatures.agree("Ed25519", *pair("Ed25519")), "agree upon nothing"),
        (
            lambda: signatures.agree("X25519", pair("X25519")[0], pair("X25519")[1][:-32] + bytes(32)),
            "OperationError: nothing can be agreed",
        ),
    ],
)
def test_what_is_refused(call: Callable[[], object], message: str) -> None:
    with pytest.raises(WorkerException, match=message):
        call()
