"""Keys and signatures of `node:crypto`, held to the library that the host has; and keys that are none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives import serialization as written
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, PSS, PKCS1v15
from hypothesis import given, settings
from hypothesis import strategies as st

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Sandbox

SOURCE = """
import crypto from "node:crypto";
const bytes = (hex) => Buffer.from(hex, "hex");
const keyOf = ({ isPrivate, key, ...how }) => {
  const given = how.format === "der" ? { key: bytes(key), ...how } : { key, ...how };
  return isPrivate ? crypto.createPrivateKey(given) : crypto.createPublicKey(given);
};
const ways = {
  sign: ({ key, hash, data, options }) => crypto.sign(hash, bytes(data), { key, ...options }).toString("hex"),
  verify: ({ key, hash, data, signature, options }) =>
    crypto.verify(hash, bytes(data), { key, ...options }, bytes(signature)),
  classes({ key, known, hash, data }) {
    const signature = crypto.createSign(hash).update(data, "hex").sign(key, "base64");
    const verifying = crypto.createVerify(hash);
    verifying.end(data, "hex");
    return verifying.verify(known, signature, "base64");
  },
  about(given) {
    const { type, asymmetricKeyType, asymmetricKeyDetails } = keyOf(given);
    return [type, asymmetricKeyType, JSON.stringify(asymmetricKeyDetails, (_, each) => `${each}` === each ? each
      : typeof each === "bigint" ? Number(each) : each)];
  },
  written({ as, ...given }) {
    const made = keyOf(given).export(as);
    return as.format === "der" ? made.toString("hex") : made;
  },
};
export default { async fetch(request) {
  const [way, given] = await request.json();
  try { return Response.json(ways[way](given)); }
  catch (e) { return Response.json(`${e.name} ${e.code ?? ""}: ${e.message}`); }
} };
"""
HASHES = {
    "sha1": hashes.SHA1(),
    "sha224": hashes.SHA224(),
    "sha256": hashes.SHA256(),
    "sha512": hashes.SHA512(),
}
PEM, DER = written.Encoding.PEM, written.Encoding.DER
CURVES = {
    "prime256v1": ec.SECP256R1(), "secp384r1": ec.SECP384R1(), "secp521r1": ec.SECP521R1(),
    "secp256k1": ec.SECP256K1(),
}  # fmt: skip
RSA_KEY = rsa.generate_private_key(65537, 2048)
DATA = b"what is signed"
OTHER = b"something else"


@pytest.fixture(scope="module")
def ask(sandbox: Sandbox) -> Callable[..., Any]:
    driver = sandbox.start({"w.js": SOURCE}, cpu_ms=10_000, startup_ms=10_000)

    def answer(way: str, **given: object) -> Any:
        shown = {name: value.hex() if isinstance(value, bytes) else value for name, value in given.items()}
        return driver.fetch(method="POST", body=json.dumps([way, shown]).encode()).json

    return answer


def private(key: Any, form: written.PrivateFormat = written.PrivateFormat.PKCS8) -> str:
    text: bytes = key.private_bytes(PEM, form, written.NoEncryption())
    return text.decode()


def public(key: Any, form: written.PublicFormat = written.PublicFormat.SubjectPublicKeyInfo) -> str:
    text: bytes = key.public_key().public_bytes(PEM, form)
    return text.decode()


@pytest.mark.parametrize("name", HASHES)
def test_rsa(ask: Callable[..., Any], name: str) -> None:
    signature = bytes.fromhex(ask("sign", key=private(RSA_KEY), hash=name, data=DATA))
    RSA_KEY.public_key().verify(signature, DATA, PKCS1v15(), HASHES[name])
    known = public(RSA_KEY)
    assert ask("verify", key=known, hash=name, data=DATA, signature=signature) is True
    assert ask("verify", key=known, hash=name, data=OTHER, signature=signature) is False
    assert ask("verify", key=known, hash=name, data=DATA, signature=signature[1:]) is False
    assert ask("classes", key=private(RSA_KEY), known=known, hash=f"RSA-{name}", data=DATA) is True


@pytest.mark.parametrize(
    ("name", "given", "length"),
    [
        ("sha256", None, PSS.MAX_LENGTH),
        ("sha512", -1, PSS.DIGEST_LENGTH),
        ("sha1", -2, PSS.MAX_LENGTH),
        ("sha224", 7, 7),
    ],
)
def test_rsa_with_a_salt(ask: Callable[..., Any], name: str, given: int | None, length: Any) -> None:
    padding = PSS(MGF1(HASHES[name]), length)
    options = {"padding": 6, **({} if given is None else {"saltLength": given})}
    signature = bytes.fromhex(ask("sign", key=private(RSA_KEY), hash=name, data=DATA, options=options))
    RSA_KEY.public_key().verify(signature, DATA, padding, HASHES[name])
    theirs = RSA_KEY.sign(DATA, padding, HASHES[name])
    for data, expected in ((DATA, True), (OTHER, False)):
        found = ask("verify", key=public(RSA_KEY), hash=name, data=data, signature=theirs, options=options)
        assert found is expected


@pytest.mark.parametrize("curve", CURVES)
def test_ecdsa(ask: Callable[..., Any], curve: str) -> None:
    key = ec.generate_private_key(CURVES[curve])
    for name in ("sha1", "sha512"):
        signature = bytes.fromhex(ask("sign", key=private(key), hash=name, data=DATA))
        key.public_key().verify(signature, DATA, ec.ECDSA(HASHES[name]))
        theirs = key.sign(DATA, ec.ECDSA(HASHES[name]))
        assert ask("verify", key=public(key), hash=name, data=DATA, signature=theirs) is True
        assert ask("verify", key=public(key), hash=name, data=OTHER, signature=theirs) is False
    signature = bytes.fromhex(ask("sign", key=private(key), hash=None, data=DATA))
    key.public_key().verify(signature, DATA, ec.ECDSA(HASHES["sha256"]))
    plain = {"dsaEncoding": "ieee-p1363"}
    signature = bytes.fromhex(ask("sign", key=private(key), hash="sha256", data=DATA, options=plain))
    assert len(signature) == 2 * -(-key.key_size // 8)
    known = public(key)
    assert ask("verify", key=known, hash="sha256", data=DATA, signature=signature, options=plain) is True
    assert (
        ask("verify", key=known, hash="sha256", data=DATA, signature=bytes(len(signature)), options=plain)
        is False
    )
    assert ask("about", key=private(key), isPrivate=True) == ["private", "ec", f'{{"namedCurve":"{curve}"}}']


def test_ed25519(ask: Callable[..., Any]) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    signature = key.sign(DATA)
    assert ask("sign", key=private(key), hash=None, data=DATA) == signature.hex()
    assert ask("verify", key=public(key), hash=None, data=DATA, signature=signature) is True
    assert ask("verify", key=public(key), hash=None, data=OTHER, signature=signature) is False
    assert ask("verify", key=public(key), hash=None, data=DATA, signature=signature[::-1]) is False


def test_what_a_key_of_ed25519_says_of_its_public_half_does_not_count(ask: Callable[..., Any]) -> None:
    """Else two signatures of one seed with different halves would tell the secret."""
    key = ed25519.Ed25519PrivateKey.generate()
    jwk = ask("written", key=private(key), isPrivate=True, **{"as": {"format": "jwk"}})
    for known in ("A" * 43, "A", None):
        changed = json.dumps({**jwk, "x": known})
        answer = ask("sign", key=json.loads(changed), hash=None, data=DATA, options={"format": "jwk"})
        assert answer == key.sign(DATA).hex()


def test_a_signature_of_ecdsa_has_one_form(ask: Callable[..., Any]) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    signature = key.sign(DATA, ec.ECDSA(HASHES["sha256"]))
    length = signature[3]
    first, second = signature[4 : 4 + length], signature[4 + length :]
    others = {
        "zeros before a number": bytes((0x30, signature[1] + 1, 2, length + 1, 0)) + first + second,
        "a longer length": bytes((0x30, 0x81)) + signature[1:],
        "something behind it": signature + b"\0",
    }
    for name, each in others.items():
        found = ask("verify", key=public(key), hash="sha256", data=DATA, signature=each)
        assert found is False, name
    assert ask("verify", key=public(key), hash="sha256", data=DATA, signature=signature) is True


@pytest.mark.parametrize("kind", ["rsa", "ec", "ed25519"])
def test_forms_of_keys(ask: Callable[..., Any], kind: str) -> None:
    keys = {
        "rsa": RSA_KEY,
        "ec": ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    key: Any = keys[kind]
    older = {"rsa": "pkcs1", "ec": "sec1"}.get(kind)
    if older is not None:
        text = private(key, written.PrivateFormat.TraditionalOpenSSL)
        assert (
            ask("written", key=private(key), isPrivate=True, **{"as": {"type": older, "format": "pem"}})
            == text
        )
        assert ask(
            "written", key=text, isPrivate=True, **{"as": {"type": "pkcs8", "format": "pem"}}
        ) == private(key)
    for is_private, type_, text in ((True, "pkcs8", private(key)), (False, "spki", public(key))):
        given = {"key": text, "isPrivate": is_private}
        pem, der, jwk = (
            ask("written", **given, **{"as": {"type": type_, "format": form}})
            for form in ("pem", "der", "jwk")
        )
        assert pem == text
        again = {"isPrivate": is_private, "as": {"type": type_, "format": "pem"}}
        assert ask("written", key=der, format="der", type=type_, **again) == text
        assert ask("written", key=jwk, format="jwk", **again) == text
    # The public half of a private key.
    assert ask("written", key=private(key), **{"as": {"type": "spki", "format": "pem"}}) == public(key)


PARAMETERS = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
SECRET_KEY, KNOWN_KEY = ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()


@pytest.mark.parametrize(
    ("text", "is_private", "kind"),
    [
        (PARAMETERS + private(SECRET_KEY, written.PrivateFormat.TraditionalOpenSSL), True, "private ec"),
        (PARAMETERS + private(SECRET_KEY, written.PrivateFormat.TraditionalOpenSSL), False, "public ec"),
        (public(KNOWN_KEY) + private(SECRET_KEY), True, "private ec"),
        (private(SECRET_KEY) + public(KNOWN_KEY), False, "public ed25519"),
    ],
)  # fmt: skip
def test_a_text_of_several_parts(ask: Callable[..., Any], text: str, is_private: bool, kind: str) -> None:
    assert ask("about", key=text, isPrivate=is_private)[:2] == kind.split()


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "it is no PEM, or encrypted"),
        ("-----BEGIN PUBLIC KEY-----\n!\n-----END PUBLIC KEY-----", "it is no PEM"),
        ("-----BEGIN OTHER-----\nAAAA\n-----END OTHER-----", "nothing here reads a OTHER"),
        (
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----",
            "it is encrypted",
        ),
        ("-----BEGIN PUBLIC KEY-----\nMIIB\n-----END PUBLIC KEY-----", "it ends too early"),
    ],
)
def test_what_is_no_key(ask: Callable[..., Any], key: str, message: str) -> None:
    answer = ask("about", key=key)
    assert answer.startswith(f"Error ERR_OSSL_UNSUPPORTED: the key cannot be read: {message}")


def test_a_point_that_is_not_on_its_curve(ask: Callable[..., Any]) -> None:
    jwk = {"kty": "EC", "crv": "P-256", "x": "A" * 43, "y": "A" * 42 + "E"}
    assert "its point is not on the curve" in ask("about", key=jwk, format="jwk")


EC_DER = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    DER, written.PrivateFormat.PKCS8, written.NoEncryption()
)


@settings(max_examples=40)
@given(at=st.integers(0, len(EC_DER) - 1), byte=st.integers(0, 255), cut=st.integers(0, len(EC_DER)))
def test_bytes_that_are_not_quite_a_key(ask: Callable[..., Any], at: int, byte: int, cut: int) -> None:
    changed = (EC_DER[:at] + bytes((byte,)) + EC_DER[at + 1 :])[: cut or None]
    answer = ask("about", key=changed, format="der", type="pkcs8", isPrivate=True)
    assert answer[:2] == ["private", "ec"] or answer.startswith(("Error ERR_OSSL_UNSUPPORTED", "RangeError"))


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("hmac(crypto.createSecretKey('k')) === hmac('k') && hmac('k') !== hmac('other')", True),
        ("crypto.createSecretKey(Buffer.from('abc')).export({ format: 'jwk' })", {"kty": "oct", "k": "YWJj"}),
        ("crypto.createSecretKey('YWJj', 'base64').equals(crypto.createSecretKey('abc'))", True),
        ("crypto.createSecretKey('abc').symmetricKeySize", 3),
        ("new Set([pair.publicKey, pair.privateKey].map((key) => key instanceof crypto.KeyObject)).size", 1),
        ("thrown(() => crypto.createHmac('sha256', pair.publicKey))", "ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE"),
        ("thrown(() => crypto.createPrivateKey(pair.publicKey))", "ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE"),
        ("thrown(() => crypto.createPublicKey(hidden))", "ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE"),
        ("thrown(() => crypto.createSecretKey('k').export({ format: 'pem' }))", "ERR_INVALID_ARG_VALUE"),
        ("thrown(() => crypto.sign('sha256', 'x', crypto.generateKeyPairSync('ed25519').privateKey))",
         "ERR_OSSL_INVALID_DIGEST"),
        ("thrown(() => new crypto.KeyObject('secret', {}))", "ERR_ILLEGAL_CONSTRUCTOR"),
        ("thrown(() => crypto.generateKeyPairSync('rsa'))", "ERR_METHOD_NOT_IMPLEMENTED"),
        ("thrown(() => crypto.createSign('sha256').sign())", "ERR_CRYPTO_SIGN_KEY_REQUIRED"),
        ("thrown(() => crypto.sign('sha256', 'x', { key: pair.privateKey, padding: 3 }))", "ERR_INVALID_ARG_VALUE"),
        ("crypto.generateKeyPairSync('ed25519', { publicKeyEncoding: { format: 'jwk' } }).publicKey.crv", "Ed25519"),
        ("crypto.generateKeySync('aes', { length: 256 }).symmetricKeySize", 32),
        ("crypto.verify('md5', 'x', pair.publicKey, await promisify(crypto.sign)('md5', 'x', pair.privateKey))", True),
        ("JSON.stringify(pair.privateKey) + Object.values(pair.privateKey)", '{"type":"private"}private'),
    ],
)  # fmt: skip
def test_keys_as_objects(start: Callable[..., Driver], expression: str, expected: object) -> None:
    source = f"""
    import crypto from "node:crypto"; import {{ promisify }} from "node:util";
    const hmac = (key) => crypto.createHmac("sha256", key).update("x").digest("hex");
    const thrown = (act) => {{ try {{ act(); }} catch (e) {{ return e.code; }} }};
    export default {{ async fetch() {{
      const pair = crypto.generateKeyPairSync("ec", {{ namedCurve: "P-256" }});
      const kind = {{ name: "HMAC", hash: "SHA-256" }};
      const hidden = await crypto.subtle.importKey("raw", Buffer.from("k"), kind, true, ["sign"]);
      return Response.json([{expression}]);
    }} }};
    """
    assert start({"w.js": source}).fetch().json == [expected]
