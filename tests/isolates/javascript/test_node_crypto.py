"""`node:crypto`: hashes and what is derived from them, held to hashlib; random values; what is not there."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import given, settings
from hypothesis import strategies as st

from .node_answers import differences

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyworkerd_isolates.testing import Driver, Sandbox

HASHES = {
    "md5": "md5", "sha1": "sha1", "sha224": "sha224", "sha256": "sha256", "sha384": "sha384", "sha512": "sha512",
    "sha512-224": "sha512_224", "sha512-256": "sha512_256",
}  # fmt: skip
"""Names here, and in hashlib."""
COMPUTING = """
import crypto from "node:crypto";
const bytes = (hex) => Buffer.from(hex, "hex");
const ways = {
  hash: (name, ...pieces) => pieces.reduce((h, each) => h.update(bytes(each)), crypto.createHash(name)).digest("hex"),
  copied: (name, ...pieces) => pieces.reduce((h, each) => h.copy().update(bytes(each)), crypto.createHash(name))
    .digest("hex"),
  hmac: (name, key, ...pieces) => pieces.reduce((h, each) => h.update(bytes(each)),
    crypto.createHmac(name, bytes(key))).digest("hex"),
  pbkdf2: (name, password, salt, rounds, size) =>
    crypto.pbkdf2Sync(bytes(password), bytes(salt), rounds, size, name).toString("hex"),
  hkdf: (name, secret, salt, info, size) =>
    Buffer.from(crypto.hkdfSync(name, bytes(secret), bytes(salt), bytes(info), size)).toString("hex"),
};
export default { async fetch(request) {
  const [way, ...values] = await request.json();
  return new Response(ways[way](...values));
} };
"""
Compute = "Callable[..., str]"

few_bytes = st.binary(max_size=300)
pieces = st.lists(few_bytes, max_size=4)
names = st.sampled_from(sorted(HASHES))


@pytest.fixture(scope="module")
def compute(sandbox: Sandbox) -> Callable[..., str]:
    driver = sandbox.start({"w.js": COMPUTING}, cpu_ms=5000, startup_ms=10_000)

    def ask(*values: object) -> str:
        shown = [value.hex() if isinstance(value, bytes) else value for value in values]
        return driver.fetch(method="POST", body=json.dumps(shown).encode()).text

    return ask


@settings(max_examples=60)
@given(name=names, parts=pieces)
def test_hashes(compute: Callable[..., str], name: str, parts: list[bytes]) -> None:
    expected = hashlib.new(HASHES[name], b"".join(parts)).hexdigest()
    assert compute("hash", name, *parts) == compute("copied", name, *parts) == expected


def test_what_is_longer_than_a_piece_of_the_engine(compute: Callable[..., str]) -> None:
    data = bytes(range(256)) * 600
    assert compute("hash", "sha256", data[:70_001], data[70_001:]) == hashlib.sha256(data).hexdigest()


@settings(max_examples=40)
@given(name=names, key=few_bytes, parts=pieces)
def test_hmac(compute: Callable[..., str], name: str, key: bytes, parts: list[bytes]) -> None:
    assert compute("hmac", name, key, *parts) == hmac.new(key, b"".join(parts), HASHES[name]).hexdigest()


@settings(max_examples=40)
@given(name=names, password=few_bytes, salt=few_bytes, rounds=st.integers(1, 5), size=st.integers(1, 150))
def test_pbkdf2(
    compute: Callable[..., str], name: str, password: bytes, salt: bytes, rounds: int, size: int
) -> None:
    expected = hashlib.pbkdf2_hmac(HASHES[name], password, salt, rounds, size).hex()
    assert compute("pbkdf2", name, password, salt, rounds, size) == expected


@settings(max_examples=25)
@given(secret=few_bytes, salt=few_bytes, info=few_bytes, size=st.integers(1, 150))
def test_hkdf(compute: Callable[..., str], secret: bytes, salt: bytes, info: bytes, size: int) -> None:
    expected = HKDF(hashes.SHA256(), size, salt, info).derive(secret).hex()
    assert compute("hkdf", "sha256", secret, salt, info, size) == expected


IMPORTS = """
import crypto from "node:crypto"; import util from "node:util";
"""


def test_it_answers_as_in_node(start: Callable[..., Driver]) -> None:
    assert differences(start, "crypto", IMPORTS) == []


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("[crypto.randomBytes(0).length, crypto.randomBytes(70_000).length]", [0, 70_000]),
        ("crypto.randomBytes(8).equals(crypto.randomBytes(8))", False),
        ("await new Promise((r) => crypto.randomBytes(3, (e, v) => r([e, v.length])))", [None, 3]),
        ("await new Promise((r) => crypto.randomInt(5, 6, (e, v) => r([e, v])))", [None, 5]),
        ("await promisify(crypto.randomFill)(new Uint16Array(4), 1).then((a) => [a[0], a.some(Boolean)])",
         [0, True]),
        ("[...new Set(Array.from({ length: 200 }, () => crypto.randomInt(-1, 2)))].sort().join()", "-1,0,1"),
        ("crypto.randomInt(2 ** 47, 2 ** 47 + 2 ** 40) >= 2 ** 47", True),
        ("/^[0-9a-f-]{36}$/.test(crypto.randomUUID()) && crypto.webcrypto === globalThis.crypto", True),
        ("crypto.subtle === globalThis.crypto.subtle", True),
        ("crypto.getRandomValues(new Uint8Array(2)).length", 2),
        ("(await promisify(crypto.pbkdf2)('a', 'b', 1, 4, 'sha256')).toString('hex')", "ee212b01"),
        ("new Uint8Array(await promisify(crypto.hkdf)('sha256', 'a', 'b', 'c', 2)).length", 2),
    ],
)  # fmt: skip
def test_what_is_random_or_comes_later(
    start: Callable[..., Driver], expression: str, expected: object
) -> None:
    source = f"""
    import crypto from "crypto"; import {{ promisify }} from "util";
    export default {{ async fetch() {{ return Response.json([{expression}]); }} }};
    """
    assert start({"w.js": source}).fetch().json == [expected]


@pytest.mark.parametrize(
    ("expression", "instead"),
    [
        ("crypto.createCipheriv('aes-256-gcm', 'k', 'i')", "crypto.subtle.encrypt()"),
        ("crypto.createECDH('p256')", "crypto.subtle.deriveBits()"),
        ("crypto.createHash('whirlpool')", "workers have md5, sha1"),
        ("new X509Certificate('')", "crypto.X509Certificate: this is not there for workers"),
        ("crypto.checkPrimeSync(7n)", "crypto.checkPrimeSync: this is not there for workers"),
    ],
)
def test_what_is_not_there_says_what_is(start: Callable[..., Driver], expression: str, instead: str) -> None:
    source = f"""
    import crypto, {{ X509Certificate }} from "crypto";
    export default {{ fetch() {{ try {{ {expression}; }} catch (e) {{ return new Response(e.message); }} }} }};
    """
    assert instead in start({"w.js": source}).fetch().text
