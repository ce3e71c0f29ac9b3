"""crypto.subtle as a worker sees it: against the library itself, both ways, and what is refused with which error.

The web-platform-tests say the rest (`make wpt ARGS=WebCryptoAPI`).
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, x25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., Any]

DER = serialization.Encoding.DER
HASHES = {"SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}


def pkcs8(key: Any) -> str:
    return key.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).hex()


def spki(key: Any) -> str:
    return key.public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo).hex()


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("size", [1, 64, 65, 200])
def test_hmac(run: Run, name: str, size: int) -> None:
    body = """
    const key = await subtle.importKey("raw", bytes(secret), { name: "HMAC", hash: name }, false, ["sign", "verify"]);
    const signature = await subtle.sign("HMAC", key, utf8("message"));
    const checks = [signature, new Uint8Array(signature.byteLength), new Uint8Array(1)].map(
      (each) => subtle.verify("HMAC", key, each, utf8("message")));
    return [hex(signature), await Promise.all(checks), key.algorithm];
    """
    found, checks, algorithm = run(body, secret="61" * size, name=name)
    assert found == hmac.digest(b"a" * size, b"message", HASHES[name]).hex()
    assert checks == [True, False, False]
    assert algorithm == {"name": "HMAC", "hash": {"name": name}, "length": 8 * size}


@pytest.mark.parametrize("name", HASHES)
@pytest.mark.parametrize("length", [0, 8, 160, 1000])
def test_what_is_derived_from_a_secret(run: Run, name: str, length: int) -> None:
    body = """
    const derive = async (algorithm) => {
      const key = await subtle.importKey("raw", utf8("secret"), algorithm.name, false, ["deriveBits"]);
      return hex(await subtle.deriveBits({ ...algorithm, hash: name, salt: utf8("salt") }, key, length));
    };
    return [await derive({ name: "HKDF", info: utf8("info") }), await derive({ name: "PBKDF2", iterations: 3 })];
    """
    size = length // 8
    hash_ = getattr(hashes, name.replace("-", ""))()
    expected = HKDF(hash_, size, b"salt", b"info").derive(b"secret").hex() if size else ""
    other = hashlib.pbkdf2_hmac(HASHES[name], b"secret", b"salt", 3, size).hex() if size else ""
    assert run(body, name=name, length=length) == [expected, other]


@pytest.mark.parametrize("pss", [True, False])
def test_signatures_of_rsa(run: Run, rsa_key: rsa.RSAPrivateKey, pss: bool) -> None:
    body = """
    const algorithm = { name, hash: "SHA-256", saltLength: 20 };
    const own = await subtle.importKey("pkcs8", bytes(secret), algorithm, false, ["sign"]);
    const other = await subtle.importKey("spki", bytes(known), algorithm, true, ["verify"]);
    return [hex(await subtle.sign(algorithm, own, utf8("m"))),
      await subtle.verify(algorithm, other, bytes(signature), utf8("m")),
      await subtle.verify(algorithm, other, bytes(signature), utf8("n")),
      { ...other.algorithm, publicExponent: hex(other.algorithm.publicExponent) }];
    """
    how: Any = padding.PSS(padding.MGF1(hashes.SHA256()), 20) if pss else padding.PKCS1v15()
    name = "RSA-PSS" if pss else "RSASSA-PKCS1-v1_5"
    found, right, wrong, algorithm = run(
        body,
        name=name,
        secret=pkcs8(rsa_key),
        known=spki(rsa_key.public_key()),
        signature=rsa_key.sign(b"m", how, hashes.SHA256()).hex(),
    )
    rsa_key.public_key().verify(bytes.fromhex(found), b"m", how, hashes.SHA256())
    assert (right, wrong) == (True, False)
    assert algorithm == {
        "name": name,
        "modulusLength": 2048,
        "publicExponent": "010001",
        "hash": {"name": "SHA-256"},
    }


@pytest.mark.parametrize(
    ("name", "curve"), [("P-256", ec.SECP256R1()), ("P-384", ec.SECP384R1()), ("P-521", ec.SECP521R1())]
)
def test_elliptic_curves(run: Run, name: str, curve: ec.EllipticCurve) -> None:
    body = """
    const ecdsa = { name: "ECDSA", namedCurve: name, hash: "SHA-384" };
    const ecdh = { name: "ECDH", namedCurve: name };
    const own = await subtle.importKey("pkcs8", bytes(secret), ecdsa, true, ["sign"]);
    const jwk = await subtle.exportKey("jwk", own);
    const agreeing = await subtle.importKey("jwk", { ...jwk, key_ops: undefined }, ecdh, false, ["deriveBits"]);
    const other = await subtle.importKey("raw", bytes(point), ecdh, true, []);
    return [hex(await subtle.sign(ecdsa, own, utf8("m"))), jwk.crv, jwk.key_ops,
      hex(await subtle.deriveBits({ ...ecdh, public: other }, agreeing, null)),
      hex(await subtle.exportKey("raw", other))];
    """
    own, other = ec.generate_private_key(curve), ec.generate_private_key(curve)
    point = other.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    found, crv, operations, agreed, raw = run(body, name=name, secret=pkcs8(own), point=point.hex())
    size = len(found) // 2
    r, s = int(found[:size], 16), int(found[size:], 16)
    own.public_key().verify(encode_dss_signature(r, s), b"m", ec.ECDSA(hashes.SHA384()))
    assert (crv, operations, raw) == (name, ["sign"], point.hex())
    assert agreed == own.exchange(ec.ECDH(), other.public_key()).hex()


def test_curve_25519(run: Run) -> None:
    body = """
    const own = await subtle.importKey("pkcs8", bytes(secret), "Ed25519", true, ["sign"]);
    const pair = await subtle.generateKey("X25519", true, ["deriveBits"]);
    const other = await subtle.importKey("raw", bytes(point), "X25519", true, []);
    return [hex(await subtle.sign("Ed25519", own, utf8("m"))), (await subtle.exportKey("jwk", own)).kty,
      hex(await subtle.exportKey("raw", pair.publicKey)),
      hex(await subtle.deriveBits({ name: "X25519", public: other }, pair.privateKey, 100))];
    """
    own, other = ed25519.Ed25519PrivateKey.generate(), x25519.X25519PrivateKey.generate()
    signature, kty, public, agreed = run(
        body, secret=pkcs8(own), point=other.public_key().public_bytes_raw().hex()
    )
    own.public_key().verify(bytes.fromhex(signature), b"m")
    assert kty == "OKP"
    whole = other.exchange(x25519.X25519PublicKey.from_public_bytes(bytes.fromhex(public)))
    assert agreed == whole[:12].hex() + f"{whole[12] & 0xF0:02x}"


def test_gcm(run: Run) -> None:
    body = """
    const key = await subtle.importKey("raw", bytes("00".repeat(32)), "AES-GCM", false, ["encrypt", "decrypt"]);
    const algorithm = { name: "AES-GCM", iv: bytes("01".repeat(12)), additionalData: utf8("more") };
    return [hex(await subtle.encrypt(algorithm, key, utf8("text"))),
      hex(await subtle.decrypt(algorithm, key, bytes(encrypted)))];
    """
    encrypted = AESGCM(bytes(32)).encrypt(bytes([1] * 12), b"text", b"more")
    assert run(body, encrypted=encrypted.hex()) == [encrypted.hex(), b"text".hex()]


@pytest.mark.parametrize("cipher", ["AES-KW", "AES-GCM", "AES-CBC", "AES-CTR", "RSA-OAEP"])
@pytest.mark.parametrize("format_", ["raw", "jwk"])
def test_wrapped_keys_come_back(run: Run, cipher: str, format_: str) -> None:
    body = """
    const hash = "SHA-1";
    const sized = { name: cipher, length: 128, hash, modulusLength: 2048, publicExponent: bytes("010001") };
    const made = await subtle.generateKey(sized, false, ["wrapKey", "unwrapKey"]);
    const [wrapping, unwrapping] = made.publicKey ? [made.publicKey, made.privateKey] : [made, made];
    const algorithm = { name: cipher, iv: new Uint8Array(16), counter: new Uint8Array(16), length: 64 };
    const key = await subtle.generateKey({ name: "AES-CTR", length: 192 }, true, ["encrypt"]);
    const wrapped = await subtle.wrapKey(format, key, wrapping, algorithm);
    const back = await subtle.unwrapKey(format, wrapped, unwrapping, algorithm, "AES-CTR", true, ["encrypt"]);
    const exported = await Promise.all([key, back].map((each) => subtle.exportKey("raw", each)));
    return exported.map(hex);
    """
    if (cipher, format_) == ("AES-KW", "jwk"):
        body = body.replace("const exported", "return [0, 0]; const exported")
        body = f"return [await failure(async () => {{ {body} }}), 'OperationError'].map((text) => text.split(':')[0])"
    first, second = run(body, cipher=cipher, format=format_)
    assert first == second


def test_what_is_derived_becomes_a_key(run: Run) -> None:
    body = """
    const base = await subtle.importKey("raw", utf8("p"), "PBKDF2", false, ["deriveKey"]);
    const algorithm = { name: "PBKDF2", hash: "SHA-256", salt: utf8("s"), iterations: 2 };
    const derive = (wanted, usages) => subtle.deriveKey(algorithm, base, wanted, true, usages);
    const aes = await derive({ name: "AES-CBC", length: 256 }, ["encrypt"]);
    const mac = await derive({ name: "HMAC", hash: "SHA-512" }, ["sign"]);
    return [hex(await subtle.exportKey("raw", aes)), (await subtle.exportKey("jwk", mac)).alg, mac.algorithm.length];
    """
    key = hashlib.pbkdf2_hmac("sha256", b"p", b"s", 2).hex()
    assert run(body) == [key, "HS512", 1024]


def test_buffers_are_those_of_the_call(run: Run) -> None:
    body = """
    const key = await subtle.importKey("raw", new Uint8Array(16), "AES-CBC", false, ["encrypt"]);
    const [iv, data] = [new Uint8Array(16), new Uint8Array(4)];
    const [first, second] = [0, 1].map(() => {
      const encrypted = subtle.encrypt({ name: "aes-cbc", iv }, key, data);
      iv[0] = data[1] = 1;
      return encrypted;
    });
    const moved = new Uint8Array(4);
    const third = subtle.digest({ get name() { moved.buffer.transfer(); return "SHA-1"; } }, moved);
    return (await Promise.all([first, second, third])).map(hex);
    """
    first, second, third = run(body)
    assert first != second
    assert third == hashlib.sha1(b"").hexdigest()


def test_a_promise_is_not_settled_before_the_caller_has_it(run: Run) -> None:
    body = """
    const order = [];
    const done = subtle.digest("SHA-1", new Uint8Array(1)).then(() => order.push("digest"));
    const failed = subtle.digest("SHA-0", new Uint8Array(1)).catch(() => order.push("failure"));
    const other = subtle.encrypt("AES-GCM", null, 1).catch(() => order.push("another"));
    await Promise.all([done, failed, other, Promise.resolve().then(() => order.push("later"))]);
    return order;
    """
    assert run(body) == ["failure", "another", "later", "digest"]


def test_what_a_key_shows_is_not_what_it_is(run: Run) -> None:
    body = """
    const key = await subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["verify", "sign", "sign"]);
    const shown = [...key.usages, key.algorithm === key.algorithm, Object.prototype.toString.call(key)];
    key.algorithm.hash.name = "SHA-1";
    key.usages.length = 0;
    const signature = await subtle.sign("HMAC", key, new Uint8Array(1));
    const clone = structuredClone(key);
    return [shown, signature.byteLength, JSON.stringify(key), clone === key, clone.algorithm.hash.name,
      await subtle.verify("HMAC", clone, signature, new Uint8Array(1)), clone.extractable];
    """
    assert run(body) == [
        ["sign", "verify", True, "[object CryptoKey]"], 32, "{}", False, "SHA-256", True, False,
    ]  # fmt: skip


def test_a_stream_is_digested(run: Run) -> None:
    body = """
    const stream = new crypto.DigestStream("SHA-256");
    const writer = stream.getWriter();
    for (let i = 0; i < 100; i += 1) await writer.write(new Uint8Array(1000).fill(i));
    await writer.write("text");
    await writer.close();
    const wrong = new crypto.DigestStream("SHA-1");
    const refused = await failure(() => wrong.getWriter().write({}));
    return [hex(await stream.digest), stream.bytesWritten, refused, await failure(() => wrong.digest)];
    """
    data = b"".join(bytes([i]) * 1000 for i in range(100)) + b"text"
    refused = "TypeError: A DigestStream takes bytes and strings."
    assert run(body) == [hashlib.sha256(data).hexdigest(), len(data), refused, refused]


GIVEN = """
const hmac = await subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
const aes = await subtle.generateKey({ name: "AES-GCM", length: 128 }, false, ["encrypt", "decrypt"]);
const data = new Uint8Array(8);
const rsa = (members) => ({
  name: "RSA-PSS", hash: "SHA-1", modulusLength: 2048, publicExponent: Uint8Array.of(1, 0, 1), ...members,
});
"""


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("subtle.digest('MD4', data)", "NotSupportedError: crypto.subtle: digest with the algorithm MD4 is"),
        ("subtle.generateKey({ name: 'HMAC', hash: 'MD5' }, true, ['sign'])",
         "NotSupportedError: crypto.subtle: hash with the algorithm MD5 is not"),
        ("subtle.digest({}, data)", "TypeError: The algorithm has no name"),
        ("subtle.digest('SHA-1', 'text')", "TypeError: crypto.subtle: the data must be"),
        ("subtle.digest('SHA-1')", "TypeError: Failed to execute 'digest' on 'SubtleCrypto': 2 arguments"),
        ("subtle.sign('HMAC', {}, data)", "TypeError: crypto.subtle: the key must be a CryptoKey"),
        ("subtle.verify('HMAC', hmac, data, data)", 'InvalidAccessError: The key cannot be used for "verify"'),
        ("subtle.sign('Ed25519', hmac, data)", "InvalidAccessError: The key is one of HMAC, and not of Ed25519"),
        ("subtle.exportKey('raw', hmac)", "InvalidAccessError: The key is not extractable"),
        ("subtle.encrypt({ name: 'AES-GCM' }, aes, data)", "TypeError: AES-GCM: the member iv is missing"),
        ("subtle.encrypt({ name: 'AES-GCM', iv: data, tagLength: 7 }, aes, data)",
         "OperationError: the tag of AES-GCM has one of"),
        ("subtle.encrypt({ name: 'AES-GCM', iv: data, tagLength: 999 }, aes, data)",
         "TypeError: AES-GCM: tagLength must be a number of 0 to 2^8 - 1"),
        ("subtle.decrypt({ name: 'AES-GCM', iv: data }, aes, new Uint8Array(40))", "OperationError: AES-GCM: the data"),
        ("subtle.importKey('text', data, 'AES-GCM', true, ['encrypt'])", "TypeError: crypto.subtle: there is no"),
        ("subtle.importKey('raw', data, 'AES-GCM', true, ['dance'])", "TypeError: crypto.subtle: there is no usage"),
        ("subtle.importKey('raw', data, 'AES-GCM', true, ['sign'])", "SyntaxError: A key of this kind cannot be used"),
        ("subtle.importKey('raw', data, 'AES-GCM', true, ['encrypt'])", "DataError: A key of AES has 128, 192 or 256"),
        ("subtle.importKey('raw', new Uint8Array(16), 'AES-GCM', true, [])", "SyntaxError: Usages cannot be empty"),
        ("subtle.importKey('raw', data, 'PBKDF2', true, ['deriveKey'])", "SyntaxError: A key of PBKDF2 cannot be"),
        ("subtle.importKey('jwk', data, 'AES-GCM', true, [])", "TypeError: crypto.subtle: the data of the format"),
        ("subtle.importKey('jwk', { kty: 'oct', k: '??' }, 'AES-GCM', true, ['encrypt'])", "DataError: The member"),
        ("subtle.importKey('jwk', { kty: 'RSA' }, rsa(), true, ['verify'])", "DataError: The JSON Web Key has no"),
        ("subtle.importKey('spki', data, rsa(), true, ['verify'])", "DataError: the bytes are not a key"),
        ("subtle.importKey('raw', data, { name: 'ECDH', namedCurve: 'P-1' }, true, [])", "DataError: There is no"),
        ("subtle.generateKey({ name: 'ECDH', namedCurve: 'P-1' }, true, [])", "NotSupportedError: There is no curve"),
        ("subtle.generateKey(rsa(), true, ['verify'])", "SyntaxError: Usages cannot be empty"),
        ("subtle.generateKey(rsa({ modulusLength: 8192 }), true, ['sign'])", "OperationError: The modulus of an RSA"),
        ("subtle.generateKey(rsa({ publicExponent: Uint8Array.of(5) }), true, ['sign'])", "OperationError: The public"),
        ("subtle.encrypt({ name: 'AES-GCM', iv: data }, aes, new Uint8Array(8 << 20))", "RangeError: calls and"),
        ("new CryptoKey()", "TypeError: Illegal constructor"),
        ("Object.create(CryptoKey.prototype).type", "TypeError: "),
    ],
)  # fmt: skip
def test_what_is_refused(run: Run, expression: str, message: str) -> None:
    assert run(f"{GIVEN} return failure(async () => {expression});").startswith(message)
