// Hashes of "node:crypto", computed at once: the engine has MD5, SHA-1 and SHA-2 (`web/digest.js`).

import { BYTES, bytesOf, shownAs } from "pyworkerd:node_parts/crypto_bytes";
import { Transform } from "pyworkerd:node_parts/duplex";
import { coded, invalidType, requireString } from "pyworkerd:node_parts/errors";
import { ALGORITHMS, Hash as Digest, digest } from "pyworkerd:web/digest";

// The same rounds with another beginning, and less of what they end with (FIPS 180-4, 5.3.2 and 5.3.6).
Object.assign(ALGORITHMS, {
  "SHA-224": {
    kind: 2, size: 28, block: 64,
    start: Uint8Array.fromHex("c1059ed8367cd5073070dd17f70e5939ffc00b316858151164f98fa7befa4fa4"),
  },
  "SHA-512/224": {
    kind: 3, size: 28, block: 128,
    start: Uint8Array.fromHex(
      "8c3d37c819544da273e1996689dcd4d61dfab7ae32ff9c82679dd514582f9fcf" +
        "0f6d2b697bd44da877e36f7304c489423f9d85a86a1d36c81112e6ad91d692a1",
    ),
  },
  "SHA-512/256": {
    kind: 3, size: 32, block: 128,
    start: Uint8Array.fromHex(
      "22312194fc2bf72c9f555fa3c84c64c22393b86b6f53b151963877195940eabd" +
        "96283ee2a88effe3be5e1e25538639922b0199fc2c85b8aa0eb72ddc81c52ca2",
    ),
  },
});

const HASHES = {
  "__proto__": null,
  "md5": "MD5", "sha1": "SHA-1", "sha224": "SHA-224", "sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512",
  "sha512-224": "SHA-512/224", "sha512-256": "SHA-512/256",
};
const NAMES = Object.keys(HASHES);

/** The names of all hashes. */
export const getHashes = () => [...NAMES.map((name) => `RSA-${name.toUpperCase()}`), ...NAMES];

/** An algorithm of `ALGORITHMS` by one of the names that OpenSSL has for it; undefined if there is none. */
export function hashNamed(name) {
  const plain = name.toLowerCase().replace(/^rsa-|withrsaencryption$/g, "").replace(/^sha2?-(?=\d)/, "sha");
  return HASHES[plain.replace("/", "-")];
}

/** The same, for who cannot do without. */
export function requireHash(name, argument = "digest") {
  requireString(name, argument);
  const found = hashNamed(name);
  if (found === undefined) throw coded(TypeError, "ERR_CRYPTO_INVALID_DIGEST", `Invalid digest: ${name}`);
  return found;
}

const DATA = "of type string or an instance of Buffer, TypedArray, or DataView";
const finalized = () => coded(Error, "ERR_CRYPTO_HASH_FINALIZED", "Digest already called");

function dataOf(data, encoding) {
  if (data instanceof ArrayBuffer) throw invalidType("data", DATA, data);
  return bytesOf(data, "data", encoding, DATA);
}

const unsupported = () =>
  new Error(`Digest method not supported: of all hashes, workers have ${NAMES.join(", ")}`);

// Both are streams, too: one that is written to, and then gives its digest. Few are used as that: what a stream has is
// made when somebody asks for it.
function inheritStream(constructor) {
  const { prototype } = constructor;
  Object.setPrototypeOf(constructor, Transform);
  Object.setPrototypeOf(prototype, Transform.prototype);
  const own = (name) => ({
    get() {
      for (const each of STATES) Object.defineProperty(this, each, { value: undefined, writable: true });
      Transform.call(this);
      return this[name];
    },
    configurable: true,
  });
  for (const name of STATES) Object.defineProperty(prototype, name, own(name));
  prototype._transform = function (chunk, encoding, callback) {
    this.update(chunk, encoding);
    callback();
  };
  prototype._flush = function (callback) {
    this.push(this.digest());
    callback();
  };
}
const STATES = ["_readableState", "_writableState"];

// Functions and no classes: programs call them without `new`.
export function Hash(algorithm, options = undefined, state = undefined) {
  if (!new.target) return new Hash(algorithm, options);
  requireString(algorithm, "algorithm");
  this._name = hashNamed(algorithm);
  if (this._name === undefined) throw unsupported();
  const length = options?.outputLength;
  if (length !== undefined && length !== ALGORITHMS[this._name].size) {
    const message = `${algorithm} has ${ALGORITHMS[this._name].size} bytes, and not ${length}`;
    throw coded(Error, "ERR_OSSL_EVP_NOT_XOF_OR_INVALID_LENGTH", message);
  }
  this._state = state ?? new Digest(this._name);
}

inheritStream(Hash);

Hash.prototype.update = function update(data, encoding = undefined) {
  if (this._state === null) throw finalized();
  this._state.update(dataOf(data, encoding));
  return this;
};

Hash.prototype.digest = function (encoding = undefined) {
  if (this._state === null) throw finalized();
  const made = this._state.digest();
  this._state = null;
  return shownAs(made, encoding);
};

Hash.prototype.copy = function copy(options = undefined) {
  if (this._state === null) throw finalized();
  return new Hash(this._name, options, this._state.copy());
};

export function createHash(algorithm, options = undefined) {
  return new Hash(algorithm, options);
}

/** A digest of all the data at once. */
export function hash(algorithm, data, encoding = "hex") {
  requireString(algorithm, "algorithm");
  const name = hashNamed(algorithm);
  if (name === undefined) throw unsupported();
  return shownAs(digest(name, dataOf(data)), encoding);
}

// HMAC (RFC 2104) of data that come piece by piece.
export function Hmac(algorithm, key, options = undefined) {
  if (!new.target) return new Hmac(algorithm, key, options);
  requireString(algorithm, "hmac");
  const secret = secretOf(key, options?.encoding);
  this._name = requireHash(algorithm);
  const { block } = ALGORITHMS[this._name];
  const filled = new Uint8Array(block);
  filled.set(secret.length > block ? digest(this._name, secret) : secret);
  this._inner = new Digest(this._name);
  this._inner.update(filled.map((byte) => byte ^ 0x36));
  this._outer = new Digest(this._name);
  this._outer.update(filled.map((byte) => byte ^ 0x5c));
}

let readSecret = () => undefined;

/** What tells the bytes of a key that is an object. */
export function onSecrets(reader) {
  readSecret = reader;
}

const SECRET = BYTES.replace("or DataView", "DataView, KeyObject, or CryptoKey");

/** The bytes of a secret: of a text, of bytes, or of a key that is one. */
export function secretOf(key, encoding = undefined, name = "key") {
  return readSecret(key) ?? bytesOf(key, name, encoding, SECRET);
}

inheritStream(Hmac);

Hmac.prototype.update = function update(data, encoding = undefined) {
  if (this._inner === null) throw finalized();
  this._inner.update(dataOf(data, encoding));
  return this;
};

// As in Node.js, asked once more it answers with nothing.
Hmac.prototype.digest = function (encoding = undefined) {
  if (this._inner === null) return shownAs(new Uint8Array(0), encoding);
  this._outer.update(this._inner.digest());
  this._inner = null;
  return shownAs(this._outer.digest(), encoding);
};

export function createHmac(algorithm, key, options = undefined) {
  return new Hmac(algorithm, key, options);
}
