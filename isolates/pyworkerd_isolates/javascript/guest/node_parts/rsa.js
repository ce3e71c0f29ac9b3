// Signatures with RSA (RFC 8017), made and checked at once. A key: `n`, `e`, and a private one `d`, `p`, `q`, `dp`,
// `dq`, `qi`.

import { bitsOf, bytesOfNumber, inverse, mod, numberOf, power, randomBelow } from "pyworkerd:node_parts/numbers";
import { ALGORITHMS, digest } from "pyworkerd:web/digest";
import { concatenate } from "pyworkerd:web/utf8";
import { fill } from "pyworkerd:system";

// What comes before a digest in a signature (9.2, note 1).
const PREFIXES = {
  "__proto__": null,
  "MD5": "3020300c06082a864886f70d020505000410",
  "SHA-1": "3021300906052b0e03021a05000414",
  "SHA-224": "302d300d06096086480165030402040500041c",
  "SHA-256": "3031300d060960864801650304020105000420",
  "SHA-384": "3041300d060960864801650304020205000430",
  "SHA-512": "3051300d060960864801650304020305000440",
  "SHA-512/224": "302d300d06096086480165030402050500041c",
  "SHA-512/256": "3031300d060960864801650304020605000420",
};
const BLIND = 1n << 64n;
const sizeOf = ({ n }) => Math.ceil(bitsOf(n) / 8);

// RSASP1, with a base and exponents that nobody else knows, and a look at the result.
function signNumber(key, number) {
  const { n, e, p, q, dp, dq, qi } = key;
  const blind = randomBelow(n);
  const base = (number * power(blind, e, n)) % n;
  const first = power(base % p, dp + randomBelow(BLIND) * (p - 1n), p);
  const second = power(base % q, dq + randomBelow(BLIND) * (q - 1n), q);
  const blinded = second + mod((first - second) * qi, p) * q;
  const signature = (blinded * inverse(blind, n)) % n;
  if (power(signature, e, n) !== number) throw new Error("the private key is not valid: what it signs is not signed");
  return bytesOfNumber(signature, sizeOf(key));
}

// RSAVP1: the bytes that were signed, of this length; null where it can be no signature.
function openedBytes(key, signature, length) {
  if (signature.length !== sizeOf(key)) return null;
  const number = numberOf(signature);
  if (number >= key.n) return null;
  const opened = power(number, key.e, key.n);
  return bitsOf(opened) > 8 * length ? null : bytesOfNumber(opened, length);
}

const isSame = (one, other) => one !== null && one.length === other.length && one.every((byte, i) => byte === other[i]);

// EMSA-PKCS1-v1_5 (9.2).
function padded(hash, data, size) {
  const info = concatenate([Uint8Array.fromHex(PREFIXES[hash]), digest(hash, data)],
    PREFIXES[hash].length / 2 + ALGORITHMS[hash].size);
  if (size < info.length + 11) throw new RangeError(`the key is too short for a signature with ${hash}`);
  const made = new Uint8Array(size).fill(0xff);
  made[0] = 0;
  made[1] = 1;
  made[size - info.length - 1] = 0;
  made.set(info, size - info.length);
  return made;
}

export function signPkcs1(key, hash, data) {
  return signNumber(key, numberOf(padded(hash, data, sizeOf(key))));
}

export function verifyPkcs1(key, hash, data, signature) {
  return isSame(openedBytes(key, signature, sizeOf(key)), padded(hash, data, sizeOf(key)));
}

// MGF1 (B.2.1), over what it is added to.
function mask(hash, seed, bytes) {
  const { size } = ALGORITHMS[hash];
  const counted = new Uint8Array(seed.length + 4);
  counted.set(seed);
  for (let at = 0, i = 0; at < bytes.length; at += size, i += 1) {
    new DataView(counted.buffer).setUint32(seed.length, i);
    const part = digest(hash, counted);
    for (let k = 0; k < size && at + k < bytes.length; k += 1) bytes[at + k] ^= part[k];
  }
}

const saltedHash = (hash, data, salt) => {
  const { size } = ALGORITHMS[hash];
  return digest(hash, concatenate([new Uint8Array(8), digest(hash, data), salt], 8 + size + salt.length));
};

/** What `saltLength` means: undefined is as much as there is room for, or as there is. */
export const AS_DIGEST = -1;

// EMSA-PSS (9.1.1).
export function signPss(key, hash, data, saltLength) {
  const bits = bitsOf(key.n) - 1;
  const size = Math.ceil(bits / 8);
  const digestSize = ALGORITHMS[hash].size;
  const length = saltLength === AS_DIGEST ? digestSize : (saltLength ?? size - digestSize - 2);
  if (length < 0 || size < digestSize + length + 2) throw new RangeError("the key is too short for this salt and hash");
  const salt = new Uint8Array(length);
  fill(salt);
  const sum = saltedHash(hash, data, salt);
  const made = new Uint8Array(size);
  const block = made.subarray(0, size - digestSize - 1);
  block[block.length - length - 1] = 1;
  block.set(salt, block.length - length);
  mask(hash, sum, block);
  block[0] &= 0xff >> (8 * size - bits);
  made.set(sum, block.length);
  made[size - 1] = 0xbc;
  return signNumber(key, numberOf(made));
}

export function verifyPss(key, hash, data, signature, saltLength) {
  const bits = bitsOf(key.n) - 1;
  const size = Math.ceil(bits / 8);
  const digestSize = ALGORITHMS[hash].size;
  const opened = openedBytes(key, signature, size);
  if (opened === null || size < digestSize + 2 || opened[size - 1] !== 0xbc) return false;
  const block = opened.slice(0, size - digestSize - 1);
  const sum = opened.subarray(block.length, size - 1);
  if (block[0] & ~(0xff >> (8 * size - bits))) return false;
  mask(hash, sum, block);
  block[0] &= 0xff >> (8 * size - bits);
  const one = block.findIndex((byte) => byte !== 0);
  if (one < 0 || block[one] !== 1) return false;
  const salt = block.subarray(one + 1);
  const wanted = saltLength === AS_DIGEST ? digestSize : saltLength;
  return (wanted === undefined || wanted === salt.length) && isSame(sum, saltedHash(hash, data, salt));
}
