"""Signatures and encryption with public keys, and what two parties agree upon.

RSA and ECDSA sign a digest, which the guest computes: so a message may be of any length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, x448, x25519
from cryptography.hazmat.primitives.asymmetric.utils import (
    Prehashed,
    decode_dss_signature,
    encode_dss_signature,
)

from .faults import data_error, not_supported, operation_error
from .keys import CURVES, private_key, public_key, rsa_private, rsa_public

if TYPE_CHECKING:
    from collections.abc import Mapping

HASHES: Final[Mapping[str, hashes.HashAlgorithm]] = {
    "SHA-1": hashes.SHA1(),  # noqa: S303 - the standard has it; who signs with it is the tenant's affair
    "SHA-256": hashes.SHA256(),
    "SHA-384": hashes.SHA384(),
    "SHA-512": hashes.SHA512(),
}


MAX_LABEL: Final = 65_536
"""Bytes of a label of RSA-OAEP: the library digests it with the interpreter's lock held, 2 ms for each megabyte."""


class _Edwards(NamedTuple):
    size: int
    """Bytes of a point."""
    prime: int
    small: frozenset[int]
    """Second coordinates of the points whose order divides the cofactor."""


_P25519: Final = 2**255 - 19
_ORDER_8: Final = 0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7
_P448: Final = 2**448 - 2**224 - 1
_EDWARDS: Final[Mapping[str, _Edwards]] = {
    "Ed25519": _Edwards(32, _P25519, frozenset((0, 1, _P25519 - 1, _ORDER_8, _P25519 - _ORDER_8))),
    "Ed448": _Edwards(57, _P448, frozenset((0, 1, _P448 - 1))),
}
"""RFC 8032, section 5."""
_FAILED: Final = (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, InternalError)
"""What the library raises for what cannot be done with a key."""


def sign_pkcs1(key: bytes, hash_: str, digest: bytes) -> bytes:
    """RSASSA-PKCS1-v1_5."""
    return _sign_rsa(key, padding.PKCS1v15(), hash_, digest)


def verify_pkcs1(key: bytes, hash_: str, digest: bytes, signature: bytes) -> bool:
    """Whether it is one of this digest."""
    return _verify_rsa(key, padding.PKCS1v15(), hash_, digest, signature)


def sign_pss(key: bytes, hash_: str, salt: int, digest: bytes) -> bytes:
    """RSA-PSS with a salt of so many bytes."""
    return _sign_rsa(key, _pss(hash_, salt), hash_, digest)


def verify_pss(key: bytes, hash_: str, salt: int, digest: bytes, signature: bytes) -> bool:
    """Whether it is one of this digest, with such a salt."""
    return _verify_rsa(key, _pss(hash_, salt), hash_, digest, signature)


def sign_ecdsa(curve: str, key: bytes, hash_: str, digest: bytes) -> bytes:
    """ECDSA: both numbers, one after the other (IEEE P1363)."""
    loaded = private_key(curve, key)
    assert isinstance(loaded, ec.EllipticCurvePrivateKey)
    r, s = decode_dss_signature(loaded.sign(digest, ec.ECDSA(_prehashed(hash_, digest))))
    size = (CURVES[curve].key_size + 7) // 8
    return r.to_bytes(size, "big") + s.to_bytes(size, "big")


def verify_ecdsa(curve: str, key: bytes, hash_: str, digest: bytes, signature: bytes) -> bool:
    """Whether it is one of this digest."""
    loaded = public_key(curve, key)
    assert isinstance(loaded, ec.EllipticCurvePublicKey)
    size = (CURVES[curve].key_size + 7) // 8
    if len(signature) != 2 * size:
        return False
    r, s = (int.from_bytes(part, "big") for part in (signature[:size], signature[size:]))
    try:
        loaded.verify(encode_dss_signature(r, s), digest, ec.ECDSA(_prehashed(hash_, digest)))
    except InvalidSignature:
        return False
    return True


def sign_edwards(kind: str, key: bytes, data: bytes) -> bytes:
    """Ed25519 and Ed448 sign the message itself."""
    loaded = private_key(kind, key)
    assert isinstance(loaded, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return loaded.sign(data)


def verify_edwards(kind: str, key: bytes, data: bytes, signature: bytes) -> bool:
    """Whether it is one of this message. Points of small order, whose signatures fit many messages, have none."""
    loaded = public_key(kind, key)
    assert isinstance(loaded, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey)
    size = _EDWARDS[kind].size
    if len(signature) != 2 * size:
        return False
    if _is_small(kind, loaded.public_bytes_raw()) or _is_small(kind, signature[:size]):
        return False
    try:
        loaded.verify(signature, data)
    except InvalidSignature:
        return False
    return True


def encrypt_oaep(key: bytes, hash_: str, label: bytes, data: bytes) -> bytes:
    """RSA-OAEP."""
    loaded, how = rsa_public(key), _oaep(hash_, label)
    try:
        return loaded.encrypt(data, how)
    except _FAILED:
        raise operation_error("RSA-OAEP: the data is too long for the key") from None


def decrypt_oaep(key: bytes, hash_: str, label: bytes, data: bytes) -> bytes:
    """The other way. What cannot be decrypted raises `OperationError`, the same for every reason."""
    loaded, how = rsa_private(key), _oaep(hash_, label)
    try:
        return loaded.decrypt(data, how)
    except _FAILED:
        raise operation_error("RSA-OAEP: the data cannot be decrypted with this key") from None


def agree(kind: str, key: bytes, public: bytes) -> bytes:
    """The secret that a private and somebody else's public key have in common: ECDH, X25519, X448."""
    own, other = private_key(kind, key), public_key(kind, public)
    try:
        if isinstance(own, ec.EllipticCurvePrivateKey) and isinstance(other, ec.EllipticCurvePublicKey):
            return own.exchange(ec.ECDH(), other)
        if isinstance(own, x25519.X25519PrivateKey) and isinstance(other, x25519.X25519PublicKey):
            return own.exchange(other)
        if isinstance(own, x448.X448PrivateKey) and isinstance(other, x448.X448PublicKey):
            return own.exchange(other)
    except _FAILED:
        raise operation_error("nothing can be agreed upon with this public key") from None
    raise data_error("keys of this kind agree upon nothing")


def _is_small(kind: str, point: bytes) -> bool:
    """Whether a point is of small order; its last bit is the sign of the other coordinate."""
    _, prime, small = _EDWARDS[kind]
    return (int.from_bytes(point, "little") & ~(1 << (8 * len(point) - 1))) % prime in small


def _hash(name: str) -> hashes.HashAlgorithm:
    found = HASHES.get(name)
    if found is None:
        raise not_supported("there is no such hash")
    return found


def _prehashed(name: str, digest: bytes) -> Prehashed:
    algorithm = _hash(name)
    if len(digest) != algorithm.digest_size:
        raise operation_error("the digest is not one of this hash")
    return Prehashed(algorithm)


def _pss(name: str, salt: int) -> padding.PSS:
    algorithm = _hash(name)
    if not 0 <= salt <= 1024:  # the longest that any key has room for is shorter
        raise operation_error("RSA-PSS: the salt is too long for the key")
    return padding.PSS(padding.MGF1(algorithm), salt)


def _oaep(name: str, label: bytes) -> padding.OAEP:
    algorithm = _hash(name)
    if len(label) > MAX_LABEL:
        raise operation_error(f"RSA-OAEP: the label has at most {MAX_LABEL} bytes here")
    return padding.OAEP(padding.MGF1(algorithm), algorithm, label or None)


def _sign_rsa(key: bytes, how: padding.AsymmetricPadding, hash_: str, digest: bytes) -> bytes:
    loaded, algorithm = rsa_private(key), _prehashed(hash_, digest)
    try:
        return loaded.sign(digest, how, algorithm)
    except _FAILED:
        raise operation_error("the key is too short for this hash and salt") from None


def _verify_rsa(
    key: bytes, how: padding.AsymmetricPadding, hash_: str, digest: bytes, signature: bytes
) -> bool:
    loaded, algorithm = rsa_public(key), _prehashed(hash_, digest)
    try:
        loaded.verify(signature, digest, how, algorithm)
    except (InvalidSignature, *_FAILED):
        return False
    return True
