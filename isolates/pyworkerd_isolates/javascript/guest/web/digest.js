// MD5 (RFC 1321), SHA-1 and SHA-2 (FIPS 180-4), HMAC (RFC 2104), HKDF (RFC 5869) and PBKDF2 (RFC 8018): the engine does
// whole blocks, here they are put together.

import { chain, hash } from "pyworkerd:system";
import { concatenate } from "pyworkerd:web/utf8";

const MD5 = 4;
const PIECE = 65536; // bytes that are copied for the engine at once
const hex = (text) => Uint8Array.fromHex(text);

class Algorithm {
  constructor(kind, size, block, start) {
    this.kind = kind; // the engine's number for it
    this.size = size;
    this.block = block;
    this.start = hex(start); // initial hash value (5.3)
  }
}

/** By name: sizes in bytes. */
export const ALGORITHMS = {
  "__proto__": null,
  "MD5": new Algorithm(MD5, 16, 64, "0123456789abcdeffedcba9876543210"),
  "SHA-1": new Algorithm(1, 20, 64, "67452301efcdab8998badcfe10325476c3d2e1f0"),
  "SHA-256": new Algorithm(2, 32, 64, "6a09e667bb67ae853c6ef372a54ff53a510e527f9b05688c1f83d9ab5be0cd19"),
  "SHA-384": new Algorithm(
    3, 48, 128,
    "cbbb9d5dc1059ed8629a292a367cd5079159015a3070dd17152fecd8f70e5939" +
      "67332667ffc00b318eb44a8768581511db0c2e0d64f98fa747b5481dbefa4fa4",
  ),
  "SHA-512": new Algorithm(
    3, 64, 128,
    "6a09e667f3bcc908bb67ae8584caa73b3c6ef372fe94f82ba54ff53a5f1d36f1" +
      "510e527fade682d19b05688c2b3e6c1f1f83d9abfb41bd6b5be0cd19137e2179",
  ),
};

function joined(state, bytes, size) {
  const data = new Uint8Array(size);
  data.set(state);
  data.set(bytes, state.length);
  return data;
}

// The state after whole blocks.
function after({ kind }, state, bytes) {
  let last = state;
  for (let at = 0; at < bytes.length; at += PIECE) {
    const piece = bytes.subarray(at, at + PIECE);
    last = hash(kind, joined(last, piece, last.length + piece.length));
  }
  return last;
}

// The digest of a message whose first `before` bytes, whole blocks, have led to this state, and that ends with `bytes`.
// After those come a one, zeros and the length of it all, so that there are whole blocks (5.1).
function finished(algorithm, state, before, bytes) {
  const { kind, size, block } = algorithm;
  const whole = bytes.length < PIECE ? 0 : bytes.length - (bytes.length % block);
  const last = after(algorithm, state, bytes.subarray(0, whole));
  const rest = bytes.length - whole;
  const padded = Math.ceil((rest + 1 + block / 8) / block) * block;
  const data = joined(last, whole === 0 ? bytes : bytes.subarray(whole), last.length + padded);
  data[last.length + rest] = 0x80;
  const isLittle = kind === MD5; // its numbers begin with the lowest byte
  const step = isLittle ? 1 : -1;
  let bits = 8 * (before + bytes.length);
  for (let at = data.length - (isLittle ? 8 : 1); bits > 0; at += step) {
    data[at] = bits;
    bits = Math.floor(bits / 256);
  }
  const made = hash(kind, data);
  return made.length === size ? made : made.slice(0, size);
}

/** A digest of bytes that come piece by piece. */
export class Hash {
  #algorithm;
  #state;
  #before = 0;
  #rest = new Uint8Array(0);

  constructor(name, algorithm = ALGORITHMS[name]) {
    this.#algorithm = algorithm;
    this.#state = algorithm.start;
  }

  /** Another one that has had the same pieces. */
  copy() {
    const copy = new Hash("", this.#algorithm);
    copy.#state = this.#state;
    copy.#before = this.#before;
    copy.#rest = this.#rest;
    return copy;
  }

  update(bytes) {
    const all = this.#rest.length === 0 ? bytes : joined(this.#rest, bytes, this.#rest.length + bytes.length);
    const whole = all.length - (all.length % this.#algorithm.block);
    this.#state = after(this.#algorithm, this.#state, all.subarray(0, whole));
    this.#before += whole;
    this.#rest = all.slice(whole);
  }

  digest() {
    return finished(this.#algorithm, this.#state, this.#before, this.#rest);
  }
}

/** A digest, by the name of its algorithm. */
export function digest(name, bytes) {
  const algorithm = ALGORITHMS[name];
  return finished(algorithm, algorithm.start, 0, bytes);
}

/** A key as the two states that HMAC with it begins from: computed once, however often it is used. */
export class HmacKey {
  #algorithm;
  #inner;
  #outer;

  constructor(name, secret) {
    const algorithm = ALGORITHMS[name];
    const { block, start } = algorithm;
    const filled = joined(secret.length > block ? digest(name, secret) : secret, [], block);
    this.#algorithm = algorithm;
    this.#inner = after(algorithm, start, filled.map((byte) => byte ^ 0x36));
    this.#outer = after(algorithm, start, filled.map((byte) => byte ^ 0x5c));
  }

  sign(bytes) {
    const algorithm = this.#algorithm;
    const inner = finished(algorithm, this.#inner, algorithm.block, bytes);
    return finished(algorithm, this.#outer, algorithm.block, inner);
  }

  /** The sum (XOR) of what so many rounds of signing make of `first`, the result of the first one. */
  repeat(first, rounds) {
    const { kind, size, block } = this.#algorithm;
    const work = new Uint8Array(384); // `wasm/digests.py` says where what lies
    work.set(this.#inner, 0);
    work.set(this.#outer, 64);
    work.set(first, 128);
    work[128 + size] = 0x80;
    new DataView(work.buffer).setUint16(128 + block - 2, 8 * (block + size));
    work.set(first, 256);
    return chain(kind, size, rounds - 1, work);
  }
}

/** `length` bytes from a secret: HKDF. */
export function hkdf(name, secret, salt, info, length) {
  const { size } = ALGORITHMS[name];
  const key = new HmacKey(name, new HmacKey(name, salt).sign(secret));
  const made = new Uint8Array(Math.ceil(length / size) * size);
  let last = new Uint8Array(0);
  for (let i = 1; (i - 1) * size < length; i += 1) {
    last = key.sign(concatenate([last, info, Uint8Array.of(i)], last.length + info.length + 1));
    made.set(last, (i - 1) * size);
  }
  return made.slice(0, length);
}

/** `length` bytes from a password: PBKDF2 with HMAC. */
export function pbkdf2(name, password, salt, iterations, length) {
  const { size } = ALGORITHMS[name];
  const key = new HmacKey(name, password);
  const made = new Uint8Array(Math.ceil(length / size) * size);
  const block = concatenate([salt, new Uint8Array(4)], salt.length + 4);
  for (let i = 0; i * size < length; i += 1) {
    new DataView(block.buffer).setUint32(salt.length, i + 1);
    made.set(key.repeat(key.sign(block), iterations), i * size);
  }
  return made.slice(0, length);
}
