// SHA-1 and SHA-2 (FIPS 180-4), HMAC (RFC 2104), HKDF (RFC 5869) and PBKDF2 (RFC 8018): the engine does whole blocks,
// here they are put together.

import { chain, hash } from "pyworkerd:system";
import { concatenate } from "pyworkerd:web/utf8";

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

// The end of a message of so many bytes (5.1): a one, zeros and its length, so that all is whole blocks.
function padding(length, block) {
  const size = block - ((length + block / 8) % block) + block / 8;
  const bytes = new Uint8Array(size);
  bytes[0] = 0x80;
  const view = new DataView(bytes.buffer);
  view.setUint32(size - 8, Math.floor(length / 0x20000000));
  view.setUint32(size - 4, (length << 3) >>> 0);
  return bytes;
}

/** A digest of bytes that come piece by piece. */
export class Hash {
  #algorithm;
  #state;
  #rest = new Uint8Array(0);
  #length;

  constructor(name, state = ALGORITHMS[name].start, length = 0) {
    this.#algorithm = ALGORITHMS[name];
    this.#state = state;
    this.#length = length;
  }

  update(bytes) {
    for (let at = 0; at < bytes.length; at += PIECE) this.#take(bytes.subarray(at, at + PIECE));
    return this;
  }

  #take(piece) {
    const { kind, block } = this.#algorithm;
    this.#length += piece.length;
    const whole = piece.length + this.#rest.length;
    const data = concatenate([this.#state, this.#rest, piece], this.#state.length + whole);
    const used = this.#state.length + whole - (whole % block);
    this.#rest = data.slice(used);
    if (used > this.#state.length) this.#state = hash(kind, data.subarray(0, used));
  }

  digest() {
    const { block, size } = this.#algorithm;
    this.#take(padding(this.#length, block));
    return this.#state.slice(0, size);
  }

  /** The state after whole blocks. */
  get state() { return this.#state; }
}

/** A digest, by the name of its algorithm. */
export const digest = (name, bytes) => new Hash(name).update(bytes).digest();

const keyed = (secret, pad) => secret.map((byte) => byte ^ pad);

/** A key as the two states that HMAC with it begins from: computed once, however often it is used. */
export class HmacKey {
  #name;
  #inner;
  #outer;

  constructor(name, secret) {
    const { block } = ALGORITHMS[name];
    const filled = new Uint8Array(block);
    filled.set(secret.length > block ? digest(name, secret) : secret);
    this.#name = name;
    this.#inner = new Hash(name).update(keyed(filled, 0x36)).state;
    this.#outer = new Hash(name).update(keyed(filled, 0x5c)).state;
  }

  sign(bytes) {
    const { block } = ALGORITHMS[this.#name];
    const inner = new Hash(this.#name, this.#inner, block).update(bytes).digest();
    return new Hash(this.#name, this.#outer, block).update(inner).digest();
  }

  /** The sum (XOR) of what so many rounds of signing make of `first`, the result of the first one. */
  repeat(first, rounds) {
    const { kind, size, block } = ALGORITHMS[this.#name];
    const work = new Uint8Array(384); // `wasm/sha.py` says where what lies
    work.set(this.#inner, 0);
    work.set(this.#outer, 64);
    work.set(first, 128);
    work.set(padding(block + size, block), 128 + size);
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
