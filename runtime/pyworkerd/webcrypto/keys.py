"""Keys of public-key algorithms, from bytes that nobody has looked at to the library's objects, and back.

A key is kept by the guest in one form: SubjectPublicKeyInfo for public ones, PKCS #8 for private ones (DER), as this
module wrote it. It is looked at again whenever it comes back: the guest's memory is the tenant's.

Rule 1: the library sees no key before its algorithm is known to be the one that is meant. It reads others as well, and
        computes with some of them: a Diffie-Hellman key of 6 KB takes it seconds, with the interpreter's lock held.
Rule 2: its own check of RSA keys tests primes, up to a quarter of a second, with the lock held. Here it is arithmetic:
        that the parts belong together, and are of the sizes that make an operation as quick as it should be.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, cast

from cryptography.exceptions import InternalError, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa, x448, x25519

from .faults import data_error, not_supported, operation_error

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

OctetsPublic: TypeAlias = (
    ed25519.Ed25519PublicKey | ed448.Ed448PublicKey | x25519.X25519PublicKey | x448.X448PublicKey
)
OctetsPrivate: TypeAlias = (
    ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey | x25519.X25519PrivateKey | x448.X448PrivateKey
)
"""Keys of curves whose keys are strings of bytes."""
Public: TypeAlias = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | OctetsPublic
Private: TypeAlias = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | OctetsPrivate
Members: TypeAlias = "dict[str, bytes]"
"""Of a JSON Web Key (RFC 7518 section 6, RFC 8037 section 2): those that are bytes in base64url."""

MIN_RSA_BITS: Final = 512
"""What the library computes with; it generates 1024 and more."""
MAX_RSA_BITS: Final = 4096
"""Our own: an operation with a private key takes 2 ms, with twice as many bits 10."""
MAX_EXPONENT_BITS: Final = 33
"""Of a public exponent, as in BoringSSL. One as long as the modulus makes of 0.05 ms to verify a signature 4."""
MAX_UNEVEN_BITS: Final = 16
"""By which the primes of a key of RSA may differ in length. With one of a few bits a signature takes 45 ms, not 3."""
MAX_KEY: Final = 8192
"""Bytes of a key. PKCS #8 of RSA with 4096 bits has 2.4 KiB."""
EXPONENTS: Final = (3, 65537)
"""Public exponents that keys are generated with (as in workerd)."""
RSA: Final = "RSA"
CURVES: Final[Mapping[str, ec.EllipticCurve]] = {
    "P-256": ec.SECP256R1(),
    "P-384": ec.SECP384R1(),
    "P-521": ec.SECP521R1(),
}
SIGNING: Final = ("Ed25519", "Ed448")
"""Curves whose keys sign, and agree upon nothing."""
KINDS: Final = (RSA, *CURVES, *SIGNING, "X25519", "X448")
"""What a key can be of."""
_IDENTIFIERS: Final[Mapping[str, bytes]] = {
    kind: bytes.fromhex(text)
    for kind, text in {
        RSA: "300d06092a864886f70d0101010500",
        "P-256": "301306072a8648ce3d020106082a8648ce3d030107",
        "P-384": "301006072a8648ce3d020106052b81040022",
        "P-521": "301006072a8648ce3d020106052b81040023",
        "Ed25519": "300506032b6570",
        "Ed448": "300506032b6571",
        "X25519": "300506032b656e",
        "X448": "300506032b656f",
    }.items()
}
"""AlgorithmIdentifier of each (RFC 3279, 5480, 8410). RSASSA-PSS has its own, which the standard does not take."""
_VERSIONS: Final = (b"\2\1\0", b"\2\1\1")
"""What comes before it in a private key: the version (RFC 5958)."""
_DER: Final = serialization.Encoding.DER
_MALFORMED: Final = (ValueError, TypeError, OverflowError, UnsupportedAlgorithm, InternalError)
"""What the library raises for bytes that are no key that it knows."""


class _Octets(NamedTuple):
    public: type[OctetsPublic]
    private: type[OctetsPrivate]


_OCTETS: Final[Mapping[str, _Octets]] = {
    "Ed25519": _Octets(ed25519.Ed25519PublicKey, ed25519.Ed25519PrivateKey),
    "Ed448": _Octets(ed448.Ed448PublicKey, ed448.Ed448PrivateKey),
    "X25519": _Octets(x25519.X25519PublicKey, x25519.X25519PrivateKey),
    "X448": _Octets(x448.X448PublicKey, x448.X448PrivateKey),
}


def public_key(kind: str, material: bytes) -> Public:
    """A public key of this kind, from SubjectPublicKeyInfo. Raises `DataError`."""
    _check_identifier(kind, material)
    key = cast("Public", _read(serialization.load_der_public_key, material))
    if isinstance(key, rsa.RSAPublicKey):
        _check_public(key.public_numbers())
    return key


def private_key(kind: str, material: bytes) -> Private:
    """A private key of this kind, from PKCS #8. Raises `DataError`."""
    _check_identifier(kind, material, *_VERSIONS)
    key = cast("Private", _read(_load_private, material))
    if isinstance(key, rsa.RSAPrivateKey):
        _check_parts(key.private_numbers())
    return key


def rsa_private(material: bytes) -> rsa.RSAPrivateKey:
    """A private key of RSA."""
    key = private_key(RSA, material)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def rsa_public(material: bytes) -> rsa.RSAPublicKey:
    """A public key of RSA."""
    key = public_key(RSA, material)
    assert isinstance(key, rsa.RSAPublicKey)
    return key


def point(kind: str, data: bytes) -> Public:
    """A public key of a curve, from the bytes of its point. Raises `DataError`."""
    read: Callable[[bytes], object]
    if kind in CURVES:
        read = partial(ec.EllipticCurvePublicKey.from_encoded_point, CURVES[kind])
    elif kind in _OCTETS:
        read = _OCTETS[kind].public.from_public_bytes
    else:
        raise not_supported("keys of this kind have no raw form")
    return cast("Public", _read(read, data))


def from_members(kind: str, members: Members) -> Public | Private:
    """A key from a JSON Web Key. Private ones have all that the public one has. Raises `DataError`."""
    if any(type(value) is not bytes or len(value) > MAX_KEY for value in members.values()):
        raise data_error("the members of a JSON Web Key are texts in base64url")
    try:
        key = _FROM_MEMBERS[kind](members) if kind == RSA else _of_curve(kind, members)
    except KeyError as error:
        raise data_error(f"the JSON Web Key has no member {error.args[0]!r}") from None
    except _MALFORMED:
        raise data_error("the JSON Web Key is not valid") from None
    return key


def members_of(key: Public | Private) -> Members:
    """The members of a JSON Web Key, as bytes."""
    if isinstance(key, rsa.RSAPublicKey):
        return _rsa_members(key)
    if isinstance(key, rsa.RSAPrivateKey):
        parts = key.private_numbers()
        names = {
            "d": parts.d,
            "p": parts.p,
            "q": parts.q,
            "dp": parts.dmp1,
            "dq": parts.dmq1,
            "qi": parts.iqmp,
        }
        return _rsa_members(key.public_key()) | {name: _bytes(value) for name, value in names.items()}
    if isinstance(key, ec.EllipticCurvePublicKey):
        size = (key.curve.key_size + 7) // 8
        numbers = key.public_numbers()
        return {"x": numbers.x.to_bytes(size, "big"), "y": numbers.y.to_bytes(size, "big")}
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.curve.key_size + 7) // 8
        return members_of(key.public_key()) | {"d": key.private_numbers().private_value.to_bytes(size, "big")}
    if isinstance(key, OctetsPublic):
        return {"x": key.public_bytes_raw()}
    return {"x": key.public_key().public_bytes_raw(), "d": key.private_bytes_raw()}


def material_of(key: Public | Private) -> bytes:
    """A key as the guest keeps it."""
    if isinstance(key, Public):
        return key.public_bytes(_DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return key.private_bytes(_DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def rsa_details(key: Public | Private) -> list[int | bytes] | None:
    """Bits of the modulus and the public exponent, of a key of RSA."""
    if isinstance(key, rsa.RSAPrivateKey):
        key = key.public_key()
    return [key.key_size, _bytes(key.public_numbers().e)] if isinstance(key, rsa.RSAPublicKey) else None


def generate(kind: str) -> Private:
    """A new key of a curve."""
    return ec.generate_private_key(CURVES[kind]) if kind in CURVES else _OCTETS[kind].private.generate()


def generate_rsa(bits: int, exponent: int) -> Private:
    """A new key of RSA: some ten milliseconds of CPU time, or, with 4096 bits, up to some seconds."""
    if exponent not in EXPONENTS:
        raise operation_error("the public exponent of a new key is 3 or 65537")
    _check_new_bits(bits)
    try:
        return rsa.generate_private_key(exponent, bits)
    except _MALFORMED as error:
        raise operation_error(f"the key cannot be generated: {error}") from None


def _load_private(data: bytes) -> object:
    return serialization.load_der_private_key(data, None, unsafe_skip_rsa_key_validation=True)


def _read(load: Callable[[bytes], object], data: bytes) -> object:
    if len(data) > MAX_KEY:
        raise data_error(f"the key has more than {MAX_KEY} bytes")
    try:
        return load(data)
    except _MALFORMED:
        raise data_error("the bytes are not a key of this format and algorithm") from None


def _check_identifier(kind: str, data: bytes, *before: bytes) -> None:
    """The first thing in the outermost SEQUENCE, after one of `before`, says what the key is of."""
    first = 2 + (data[1] & 0x7F if len(data) > 1 and data[1] & 0x80 else 0)
    if not any(data.startswith(each + _IDENTIFIERS[kind], first) for each in before or (b"",)):
        raise data_error("the bytes are not a key of this format and algorithm")


def _check_public(numbers: rsa.RSAPublicNumbers) -> None:
    bits = numbers.n.bit_length()
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS:
        raise data_error(
            f"the modulus of an RSA key has {MIN_RSA_BITS} to {MAX_RSA_BITS} bits, this one {bits}"
        )
    if numbers.e.bit_length() > MAX_EXPONENT_BITS:
        raise data_error(f"the public exponent of an RSA key has at most {MAX_EXPONENT_BITS} bits")


def _check_new_bits(bits: int) -> None:
    if not MIN_RSA_BITS <= bits <= MAX_RSA_BITS or bits % 8:
        raise operation_error(f"an RSA key has up to {MAX_RSA_BITS} bits, a multiple of 8")


def _check_parts(parts: rsa.RSAPrivateNumbers) -> None:
    p, q, d, public = parts.p, parts.q, parts.d, parts.public_numbers
    _check_public(public)
    fits = min(p, q) > 2 and p * q == public.n and p % 2 and q % 2 and d < public.n
    if not (
        fits
        and d * public.e % (p - 1) == d * public.e % (q - 1) == 1
        and (parts.dmp1, parts.dmq1) == (d % (p - 1), d % (q - 1))
        and parts.iqmp < p
        and parts.iqmp * q % p == 1
    ):
        raise data_error("the parts of the RSA key do not belong together")
    if abs(p.bit_length() - q.bit_length()) > MAX_UNEVEN_BITS:
        raise data_error("the two primes of an RSA key are about equally long")


def _number(members: Members, name: str) -> int:
    return int.from_bytes(members[name], "big")


def _bytes(number: int) -> bytes:
    return number.to_bytes((number.bit_length() + 7) // 8, "big")


def _rsa_members(key: rsa.RSAPublicKey) -> Members:
    numbers = key.public_numbers()
    return {"n": _bytes(numbers.n), "e": _bytes(numbers.e)}


def _rsa_from_members(members: Members) -> Public | Private:
    public = rsa.RSAPublicNumbers(_number(members, "e"), _number(members, "n"))
    _check_public(public)
    if "d" not in members:
        return public.public_key()
    p, q, d, dp, dq, qi = (_number(members, name) for name in ("p", "q", "d", "dp", "dq", "qi"))
    parts = rsa.RSAPrivateNumbers(p, q, d, dp, dq, qi, public)
    _check_parts(parts)
    return parts.private_key(unsafe_skip_rsa_key_validation=True)


def _of_curve(kind: str, members: Members) -> Public | Private:
    if kind in CURVES:
        return _elliptic_from_members(kind, members)
    public, private = _OCTETS[kind]
    if "d" not in members:
        return public.from_public_bytes(members["x"])
    key = private.from_private_bytes(members["d"])
    if key.public_key().public_bytes_raw() != members["x"]:
        raise data_error("the public and the private part of the key do not belong together")
    return key


def _elliptic_from_members(kind: str, members: Members) -> Public | Private:
    curve = CURVES[kind]
    size = (curve.key_size + 7) // 8
    if any(len(members[name]) != size for name in ("x", "y", "d") if name != "d" or "d" in members):
        raise data_error(f"coordinates and private keys of {kind} have {size} bytes")
    public = ec.EllipticCurvePublicNumbers(_number(members, "x"), _number(members, "y"), curve)
    if "d" not in members:
        return public.public_key()
    return ec.EllipticCurvePrivateNumbers(_number(members, "d"), public).private_key()


_FROM_MEMBERS: Final[Mapping[str, Callable[[Members], Public | Private]]] = {RSA: _rsa_from_members}
