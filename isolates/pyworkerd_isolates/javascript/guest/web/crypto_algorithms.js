// Which algorithms each operation of Web Crypto has, and the conversion of what names one ("normalizing an algorithm",
// https://w3c.github.io/webcrypto/#algorithm-normalization).

import { slotsOf } from "pyworkerd:web/crypto_key";

export const fail = (name, message) => new DOMException(message, name);

/** The bytes of a BufferSource as they are now; null for what is none. Of a detached buffer there are none. */
export function copied(source) {
  if (source instanceof ArrayBuffer) return source.detached ? new Uint8Array(0) : new Uint8Array(source.slice(0));
  if (!ArrayBuffer.isView(source)) return null;
  if (source.buffer.detached) return new Uint8Array(0);
  return new Uint8Array(source.buffer, source.byteOffset, source.byteLength).slice();
}

export const isBufferSource = (source) => source instanceof ArrayBuffer || ArrayBuffer.isView(source);

function bytes(value, name) {
  const copy = copied(value);
  if (copy === null) throw new TypeError(`${name} must be an ArrayBuffer or a view of one.`);
  return copy;
}

// WebIDL's [EnforceRange] integers.
const integer = (bits) => (value, name) => {
  const number = Math.trunc(Number(value));
  if (!(number >= 0 && number < 2 ** bits)) throw new TypeError(`${name} must be a number of 0 to 2^${bits} - 1.`);
  return number === 0 ? 0 : number;
};

/** `[EnforceRange] unsigned long`. */
export const unsignedLong = integer(32);

function bigInteger(value, name) {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${name} must be a Uint8Array.`);
  return bytes(value, name);
}

function key(value, name) {
  if (slotsOf(value) === null) throw new TypeError(`${name} must be a CryptoKey.`);
  return value;
}

const text = (value) => `${value}`;
const hash = (value) => normalize(value, "hash").name;

const required = (convert) => ({ convert, isRequired: true });
const optional = (convert) => ({ convert, isRequired: false });

// Members in the order in which WebIDL reads them: those of a base first, each in the order of the alphabet.
const NONE = {};
const HASHED = { hash: required(hash) };
const SIZED = { length: required(integer(16)) };
const CURVE = { namedCurve: required(text) };
const HMAC = { hash: required(hash), length: optional(unsignedLong) };
const CBC = { iv: required(bytes) };
const CTR = { counter: required(bytes), length: required(integer(8)) };
const GCM = { additionalData: optional(bytes), iv: required(bytes), tagLength: optional(integer(8)) };
const OAEP = { label: optional(bytes) };
const RSA = { modulusLength: required(unsignedLong), publicExponent: required(bigInteger), ...HASHED };
const AGREEMENT = { public: required(key) };

const HASHES = { "SHA-1": NONE, "SHA-256": NONE, "SHA-384": NONE, "SHA-512": NONE };
const CIPHERS = { "RSA-OAEP": OAEP, "AES-CTR": CTR, "AES-CBC": CBC, "AES-GCM": GCM };
const SIGNATURES = {
  "RSASSA-PKCS1-v1_5": NONE, "RSA-PSS": { saltLength: required(unsignedLong) }, ECDSA: HASHED, Ed25519: NONE,
  Ed448: { context: optional(bytes) }, HMAC: NONE,
};
const AES = { "AES-CTR": SIZED, "AES-CBC": SIZED, "AES-GCM": SIZED, "AES-KW": SIZED };
const OPERATIONS = {
  digest: { MD5: NONE, ...HASHES }, // MD5 is workerd's, for what others have made with it
  hash: HASHES, // as a part of another algorithm
  encrypt: CIPHERS,
  decrypt: CIPHERS,
  sign: SIGNATURES,
  verify: SIGNATURES,
  deriveBits: {
    HKDF: { hash: required(hash), info: required(bytes), salt: required(bytes) },
    PBKDF2: { hash: required(hash), iterations: required(unsignedLong), salt: required(bytes) },
    ECDH: AGREEMENT,
    X25519: AGREEMENT,
    X448: AGREEMENT,
  },
  wrapKey: { "AES-KW": NONE },
  unwrapKey: { "AES-KW": NONE },
  generateKey: {
    "RSASSA-PKCS1-v1_5": RSA, "RSA-PSS": RSA, "RSA-OAEP": RSA, ECDSA: CURVE, ECDH: CURVE, Ed25519: NONE, Ed448: NONE,
    X25519: NONE, X448: NONE, ...AES, HMAC,
  },
  importKey: {
    "RSASSA-PKCS1-v1_5": HASHED, "RSA-PSS": HASHED, "RSA-OAEP": HASHED, ECDSA: CURVE, ECDH: CURVE, Ed25519: NONE,
    Ed448: NONE, X25519: NONE, X448: NONE,
    "AES-CTR": NONE, "AES-CBC": NONE, "AES-GCM": NONE, "AES-KW": NONE, HMAC, HKDF: NONE, PBKDF2: NONE,
  },
  "get key length": { ...AES, HMAC, HKDF: NONE, PBKDF2: NONE },
};

// By operation: names in upper case, with the name as the standard writes it, and the members.
const REGISTERED = new Map(
  Object.entries(OPERATIONS).map(([operation, algorithms]) => [
    operation,
    new Map(Object.entries(algorithms).map(([name, members]) => [name.toUpperCase(), [name, Object.entries(members)]])),
  ]),
);

/** An algorithm as an object with its name and all members that the operation has for it, converted and copied.
 *  Raises TypeError for what is no algorithm, NotSupportedError for one that the operation does not have. */
export function normalize(algorithm, operation) {
  if (typeof algorithm === "string") return normalize({ name: algorithm }, operation);
  if ((typeof algorithm !== "object" && typeof algorithm !== "function") || algorithm === null) {
    return normalize({ name: `${algorithm}` }, operation);
  }
  const given = algorithm.name;
  if (given === undefined) throw new TypeError("The algorithm has no name.");
  const found = REGISTERED.get(operation).get(`${given}`.toUpperCase());
  if (found === undefined) {
    throw fail("NotSupportedError", `crypto.subtle: ${operation} with the algorithm ${given} is not supported.`);
  }
  const [name, members] = found;
  const normalizedAlgorithm = { name };
  for (const [member, { convert, isRequired }] of members) {
    const value = algorithm[member];
    if (value !== undefined) normalizedAlgorithm[member] = convert(value, `${name}: ${member}`);
    else if (isRequired) throw new TypeError(`${name}: the member ${member} is missing.`);
  }
  return normalizedAlgorithm;
}
