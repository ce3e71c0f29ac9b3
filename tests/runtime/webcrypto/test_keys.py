"""Keys from bytes and from JSON Web Keys, back, and everything that is no key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from pyworkerd.errors import WorkerException
from pyworkerd.webcrypto import keys

if TYPE_CHECKING:
    from collections.abc import Callable

    from cryptography.hazmat.primitives.asymmetric import ec

DER = serialization.Encoding.DER
KEYS: dict[str, Any] = {
    kind: keys.generate(kind) if kind != "RSA" else keys.generate_rsa(1024, 3) for kind in keys.KINDS
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_key_is_the_same_in_every_form(kind: str) -> None:
    private = KEYS[kind]
    public = private.public_key()
    kept, known = keys.material_of(private), keys.material_of(public)
    assert keys.material_of(keys.private_key(kind, kept)) == kept
    assert keys.material_of(keys.public_key(kind, known)) == known
    assert keys.material_of(keys.from_members(kind, keys.members_of(private))) == kept
    assert keys.material_of(keys.from_members(kind, keys.members_of(public))) == known


@pytest.mark.parametrize("kind", [kind for kind in KEYS if kind != "RSA"])
def test_a_point_is_the_end_of_a_public_key(kind: str) -> None:
    known = keys.material_of(KEYS[kind].public_key())
    sizes = {"P-256": 65, "P-384": 97, "P-521": 133, "Ed25519": 32, "X25519": 32, "Ed448": 57, "X448": 56}
    assert keys.material_of(keys.point(kind, known[-sizes[kind] :])) == known


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("other", KEYS)
def test_a_key_of_another_kind_is_refused(kind: str, other: str) -> None:
    if kind == other:
        return
    private = KEYS[other]
    for read, material in (
        (keys.private_key, keys.material_of(private)),
        (keys.public_key, keys.material_of(private.public_key())),
    ):
        with pytest.raises(WorkerException, match="DataError"):
            read(kind, material)


def refused(call: Callable[[], object], message: str, name: str = "DataError") -> None:
    with pytest.raises(WorkerException, match=message) as raised:
        call()
    assert raised.value.type_name == name


def rsa_der(**changed: int) -> bytes:
    """PKCS #8 of a key of RSA with other numbers in it, as nobody's library would make it."""
    parts = numbers_of(KEYS["RSA"].private_numbers()) | changed
    order = ("n", "e", "d", "p", "q", "dmp1", "dmq1", "iqmp")
    inner = der(0x30, b"".join(integer(parts[name]) for name in order), before=integer(0))
    algorithm = bytes.fromhex("300d06092a864886f70d0101010500")
    return der(0x30, algorithm + der(0x04, inner), before=integer(0))


def numbers_of(numbers: rsa.RSAPrivateNumbers) -> dict[str, int]:
    public = numbers.public_numbers
    names = ("d", "p", "q", "dmp1", "dmq1", "iqmp")
    return {"n": public.n, "e": public.e} | {name: getattr(numbers, name) for name in names}


def integer(value: int) -> bytes:
    return der(0x02, value.to_bytes(value.bit_length() // 8 + 1, "big", signed=True))


def der(tag: int, content: bytes, before: bytes = b"") -> bytes:
    content = before + content
    size = len(content).to_bytes((len(content).bit_length() + 7) // 8 or 1, "big")
    long = b"" if len(content) < 128 else bytes([0x80 | len(size)])
    return bytes([tag]) + long + size + content


def test_a_key_written_by_hand_is_read() -> None:
    assert keys.material_of(keys.private_key("RSA", rsa_der())) == keys.material_of(KEYS["RSA"])


NUMBERS = numbers_of(KEYS["RSA"].private_numbers())


@pytest.mark.parametrize(
    "changed",
    [
        {"d": NUMBERS["d"] + 2},
        {"d": 1 << 9000},
        {"p": NUMBERS["p"] + 2},
        {"p": NUMBERS["n"], "q": 1},
        {"p": 0},
        {"p": 1 << 8000, "q": 1 << 8000},
        {"q": -NUMBERS["q"], "p": -NUMBERS["p"]},
        {"dmp1": NUMBERS["dmp1"] + NUMBERS["p"] - 1},
        {"dmq1": 1 << 8000},
        {"iqmp": NUMBERS["iqmp"] + NUMBERS["p"]},
        {"n": NUMBERS["n"] + 2},
        {"e": 0},
        {"e": 4},
    ],
    ids=",".join,
)
def test_parts_of_an_rsa_key_that_do_not_belong_together(changed: dict[str, int]) -> None:
    refused(lambda: keys.private_key("RSA", rsa_der(**changed)), "do not belong together|not a key|modulus")


@pytest.mark.parametrize("bits", [8, 511, 4097, 16_384])
def test_a_modulus_has_a_size(bits: int) -> None:
    modulus = (1 << (bits - 1)) + 1
    members = {"n": modulus.to_bytes(-(-bits // 8), "big"), "e": b"\3"}
    refused(lambda: keys.from_members("RSA", members), f"512 to 4096 bits, this one {bits}")


def test_a_key_that_makes_an_operation_slow_is_refused() -> None:
    """Its parts belong together, and the library would compute with them, ten times as long as with others."""
    p, q = 5, (1 << 1000) + 1  # whether it is prime, nobody looks
    d = pow(3, -1, (p - 1) * (q - 1))
    parts = {"dmp1": d % (p - 1), "dmq1": d % (q - 1), "iqmp": pow(q, -1, p)}
    uneven = rsa_der(n=p * q, e=3, d=d, p=p, q=q, **parts)
    refused(lambda: keys.private_key("RSA", uneven), "about equally long")
    long = NUMBERS | {"e": (1 << 33) + 1}
    members = {name: long[name].to_bytes(128, "big") for name in ("n", "e")}
    refused(lambda: keys.from_members("RSA", members), "exponent of an RSA key has at most 33 bits")
    public = rsa.RSAPublicNumbers(long["e"], long["n"]).public_key()
    refused(lambda: keys.public_key("RSA", keys.material_of(public)), "at most 33 bits")


@pytest.mark.parametrize(
    ("kind", "members", "message"),
    [
        ("RSA", {"n": b"\1" * 128}, "no member 'e'"),
        ("RSA", keys.members_of(KEYS["RSA"]) | {"q": b"\1"}, "do not belong together"),
        ("RSA", {"n": "text", "e": b"\3"}, "base64url"),
        ("P-256", {"x": bytes(32)}, "no member 'y'"),
        ("P-256", {"x": bytes(31), "y": bytes(32)}, "have 32 bytes"),
        ("P-256", {"x": bytes(32), "y": bytes(32)}, "not valid"),
        ("P-256", keys.members_of(KEYS["P-256"]) | {"d": bytes(31) + b"\1"}, "not valid"),
        ("Ed25519", {"x": bytes(31)}, "not valid"),
        ("Ed25519", keys.members_of(KEYS["Ed25519"]) | {"x": bytes(32)}, "do not belong together"),
        ("X448", {"d": bytes(56)}, "no member 'x'"),
    ],
)
def test_json_web_keys_that_are_none(kind: str, members: dict[str, bytes], message: str) -> None:
    refused(lambda: keys.from_members(kind, members), message)


@pytest.mark.parametrize(
    ("call", "message", "name"),
    [
        (lambda: keys.point("P-256", b"\4" + bytes(64)), "not a key", "DataError"),
        (lambda: keys.point("RSA", b""), "no raw form", "NotSupportedError"),
        (lambda: keys.point("P-256", bytes(8193)), "more than 8192 bytes", "DataError"),
        (lambda: keys.generate_rsa(1024, 5), "is 3 or 65537", "OperationError"),
        (lambda: keys.generate_rsa(8192, 3), "up to 4096 bits", "OperationError"),
        (lambda: keys.generate_rsa(512, 3), "cannot be generated", "OperationError"),
    ],
)
def test_what_is_refused(call: Callable[[], object], message: str, name: str) -> None:
    refused(call, message, name)


def test_a_curve_that_somebody_describes_is_refused() -> None:
    """Parameters that are written out would let a key bring a curve of its own."""
    public = bytearray(keys.material_of(KEYS["P-256"].public_key()))
    at = bytes(public).index(bytes.fromhex("06082a8648ce3d030107"))
    public[at : at + 1] = b"\x30"
    refused(lambda: keys.public_key("P-256", bytes(public)), "not a key")


def test_rsassa_pss_has_no_keys_of_its_own() -> None:
    known = keys.material_of(KEYS["RSA"].public_key())
    other = known.replace(bytes.fromhex("2a864886f70d010101"), bytes.fromhex("2a864886f70d01010a"))
    refused(lambda: keys.public_key("RSA", other), "not a key")


def test_a_key_of_an_algorithm_that_takes_long_to_read_is_not_read() -> None:
    """Diffie-Hellman: the library would compute the public key, for seconds."""
    prime, secret = (1 << 9990) + 1, (1 << 40_000) - 1
    parameters = der(0x30, integer(prime) + integer(2))
    algorithm = der(0x30, bytes.fromhex("06092a864886f70d010301") + parameters)
    hostile = der(0x30, algorithm + der(0x04, integer(secret)), before=integer(0))
    assert len(hostile) < keys.MAX_KEY
    for kind in keys.KINDS:
        refused(lambda kind=kind: keys.private_key(kind, hostile), "not a key")  # type: ignore[misc]


@pytest.mark.parametrize("data", [b"", b"0", b"0\x80", b"0\xff" + bytes(200), bytes(100)])
def test_bytes_that_are_nothing(data: bytes) -> None:
    for kind in keys.KINDS:
        refused(lambda kind=kind: keys.private_key(kind, data), "not a key")  # type: ignore[misc]
        refused(lambda kind=kind: keys.public_key(kind, data), "not a key")  # type: ignore[misc]


def test_details_are_those_of_rsa_alone() -> None:
    assert keys.rsa_details(KEYS["RSA"]) == keys.rsa_details(KEYS["RSA"].public_key()) == [1024, b"\3"]
    assert keys.rsa_details(KEYS["P-256"]) is None


def test_a_compressed_point_is_read() -> None:
    public: ec.EllipticCurvePublicKey = KEYS["P-256"].public_key()
    short = public.public_bytes(serialization.Encoding.X962, serialization.PublicFormat.CompressedPoint)
    assert keys.material_of(keys.point("P-256", short)) == keys.material_of(public)
