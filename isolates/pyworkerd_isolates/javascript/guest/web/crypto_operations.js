// What each algorithm computes with a key: in the engine where that can, else on the host. A digest is made here, so
// that of a message to be signed only that goes to the host.

import { fail } from "pyworkerd:web/crypto_algorithms";
import { slotsOf } from "pyworkerd:web/crypto_key";
import { ALGORITHMS, HmacKey, digest, hkdf, pbkdf2 } from "pyworkerd:web/digest";
import { compute } from "pyworkerd:system";

const NOTHING = new Uint8Array(0);
const PBKDF2_LONGEST = 2 ** 32 - 1; // blocks (RFC 8018, section 5.2)

/** Whether both are the same, in a time that does not tell where they differ. */
export function equal(left, right) {
  if (left.length !== right.length) return false;
  let difference = 0;
  for (let i = 0; i < left.length; i += 1) difference |= left[i] ^ right[i];
  return difference === 0;
}

function hmac(slots, data) {
  slots.hmac ??= new HmacKey(slots.algorithm.hash, slots.material);
  return slots.hmac.sign(data);
}

function refuseContext(context) {
  if (context !== undefined && context.length > 0) throw fail("NotSupportedError", "Ed448 has no context here.");
}

function signEdwards({ material }, { name, context }, data) {
  refuseContext(context);
  return compute(`sign ${name}`, material, data);
}

function verifyEdwards({ material }, { name, context }, signature, data) {
  refuseContext(context);
  return compute(`verify ${name}`, material, data, signature);
}

/** Signatures, by algorithm: of what a key is made of, the normalized algorithm, and bytes. */
export const SIGN = {
  "__proto__": null,
  "HMAC": (slots, _, data) => hmac(slots, data),
  "RSASSA-PKCS1-v1_5": ({ algorithm: { hash }, material }, _, data) =>
    compute("sign RSASSA-PKCS1-v1_5", material, hash, digest(hash, data)),
  "RSA-PSS": ({ algorithm: { hash }, material }, { saltLength }, data) =>
    compute("sign RSA-PSS", material, hash, saltLength, digest(hash, data)),
  "ECDSA": ({ algorithm: { namedCurve }, material }, { hash }, data) =>
    compute(`sign ${namedCurve}`, material, hash, digest(hash, data)),
  "Ed25519": signEdwards,
  "Ed448": signEdwards,
};

/** Whether a signature is one. */
export const VERIFY = {
  "__proto__": null,
  "HMAC": (slots, _, signature, data) => equal(hmac(slots, data), signature),
  "RSASSA-PKCS1-v1_5": ({ algorithm: { hash }, material }, _, signature, data) =>
    compute("verify RSASSA-PKCS1-v1_5", material, hash, digest(hash, data), signature),
  "RSA-PSS": ({ algorithm: { hash }, material }, { saltLength }, signature, data) =>
    compute("verify RSA-PSS", material, hash, saltLength, digest(hash, data), signature),
  "ECDSA": ({ algorithm: { namedCurve }, material }, { hash }, signature, data) =>
    compute(`verify ${namedCurve}`, material, hash, digest(hash, data), signature),
  "Ed25519": verifyEdwards,
  "Ed448": verifyEdwards,
};

const aesGcm = (way) => ({ material }, { iv, additionalData = NOTHING, tagLength = 128 }, data) =>
  compute(`${way} AES-GCM`, material, iv, additionalData, tagLength, data);
const aesCbc = (way) => ({ material }, { iv }, data) => compute(`${way} AES-CBC`, material, iv, data);
const aesCtr = (way) => ({ material }, { counter, length }, data) =>
  compute(`${way} AES-CTR`, material, counter, length, data);
const aesKw = (way) => ({ material }, _, data) => compute(`${way} AES-KW`, material, data);
const rsaOaep = (way) => ({ algorithm: { hash }, material }, { label = NOTHING }, data) =>
  compute(`${way} RSA-OAEP`, material, hash, label, data);

const both = (way) => ({
  "__proto__": null,
  "AES-GCM": aesGcm(way),
  "AES-CBC": aesCbc(way),
  "AES-CTR": aesCtr(way),
  "AES-KW": aesKw(way),
  "RSA-OAEP": rsaOaep(way),
});

/** Encryption and wrapping, by algorithm: of what a key is made of, the normalized algorithm, and bytes. */
export const ENCRYPT = both("encrypt");
export const DECRYPT = both("decrypt");

function wholeBytes(length) {
  if (length === null || length % 8 !== 0) throw fail("OperationError", "The length must be a multiple of 8.");
  return length / 8;
}

async function agree({ algorithm: own, material }, { name, public: other }, length) {
  const { type, algorithm, material: forOthers } = slotsOf(other);
  if (type !== "public") throw fail("InvalidAccessError", `${name}: the key of the other side must be a public one.`);
  if (algorithm.name !== name || algorithm.namedCurve !== own.namedCurve) {
    throw fail("InvalidAccessError", `${name}: the key of the other side is one of another algorithm or curve.`);
  }
  const secret = await compute(`agree ${own.namedCurve ?? name}`, material, forOthers);
  if (length === null) return secret;
  if (length > 8 * secret.length) throw fail("OperationError", `${name}: ${length} bits are more than there are.`);
  const part = secret.slice(0, Math.ceil(length / 8));
  if (length % 8 !== 0) part[part.length - 1] &= 0xff << (8 - (length % 8));
  return part;
}

/** Bits (or all, for null) that follow from a key, by algorithm. */
export const DERIVE = {
  __proto__: null,
  ECDH: agree,
  X25519: agree,
  X448: agree,

  HKDF({ material }, { hash, salt, info }, length) {
    const size = wholeBytes(length);
    if (size > 255 * ALGORITHMS[hash].size) throw fail("OperationError", "HKDF: so many bits cannot be derived.");
    return hkdf(hash, material, salt, info, size);
  },

  PBKDF2({ material }, { hash, salt, iterations }, length) {
    const size = wholeBytes(length);
    if (iterations === 0) throw fail("OperationError", "PBKDF2: there must be at least one iteration.");
    if (size > PBKDF2_LONGEST * ALGORITHMS[hash].size) {
      throw fail("OperationError", "PBKDF2: so many bits cannot be derived.");
    }
    return pbkdf2(hash, material, salt, iterations, size);
  },
};
