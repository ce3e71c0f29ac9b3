// crypto (https://w3c.github.io/webcrypto/): random values and digests. What needs keys is not there yet.

import { ALGORITHMS, digest } from "pyworkerd:web/digest";
import { bytesOf } from "pyworkerd:web/encoding";
import { expose, illegalConstructor, requireArguments } from "pyworkerd:web/idl";
import { fill } from "pyworkerd:system";

const MOST = 65536; // the standard's own
const INTEGERS = new Set([
  "Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array", "Uint32Array",
  "BigInt64Array", "BigUint64Array",
]);
const kindOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag).get;

const nameOf = (algorithm) => `${typeof algorithm === "object" && algorithm !== null ? algorithm.name : algorithm}`;

function unsupported(what, algorithm) {
  const named = algorithm === undefined ? "" : ` with the algorithm ${nameOf(algorithm)}`;
  return new DOMException(`crypto.subtle.${what}${named} is not supported here.`, "NotSupportedError");
}

export class SubtleCrypto {
  constructor() { throw illegalConstructor(); }

  async digest(algorithm, data) {
    requireArguments(arguments.length, 2, "'digest' on 'SubtleCrypto'");
    const name = nameOf(algorithm).toUpperCase();
    const bytes = bytesOf(data, "crypto.subtle.digest");
    if (!(name in ALGORITHMS)) throw unsupported("digest", algorithm);
    return digest(name, bytes).buffer;
  }

  /** workerd's: compares in a time that does not tell where the difference is. */
  timingSafeEqual(a, b) {
    requireArguments(arguments.length, 2, "'timingSafeEqual' on 'SubtleCrypto'");
    const [left, right] = [bytesOf(a, "timingSafeEqual"), bytesOf(b, "timingSafeEqual")];
    if (left.length !== right.length) throw new TypeError("Input buffers must have the same byte length.");
    let difference = 0;
    for (let i = 0; i < left.length; i += 1) difference |= left[i] ^ right[i];
    return difference === 0;
  }
}

// What needs keys: name, number of arguments, and which of them says the algorithm.
for (const [name, length, place] of [
  ["encrypt", 3, 0], ["decrypt", 3, 0], ["sign", 3, 0], ["verify", 4, 0], ["generateKey", 3, 0], ["deriveKey", 5, 0],
  ["deriveBits", 2, 0], ["importKey", 5, 2], ["exportKey", 2, null], ["wrapKey", 4, 3], ["unwrapKey", 7, 3],
]) {
  const value = { async [name](...values) { throw unsupported(name, values[place]); } }[name];
  Object.defineProperty(value, "length", { value: length, configurable: true });
  Object.defineProperty(SubtleCrypto.prototype, name, { value, writable: true, configurable: true });
}
expose(SubtleCrypto);

const subtle = Object.create(SubtleCrypto.prototype);

export class Crypto {
  constructor() { throw illegalConstructor(); }

  get subtle() { return subtle; }

  getRandomValues(array) {
    requireArguments(arguments.length, 1, "'getRandomValues' on 'Crypto'");
    if (!ArrayBuffer.isView(array) || !INTEGERS.has(kindOf.call(array))) {
      throw new DOMException("getRandomValues: the argument must be an array of integers.", "TypeMismatchError");
    }
    if (array.byteLength > MOST) {
      throw new DOMException(`getRandomValues: ${array.byteLength} bytes are more than ${MOST}.`, "QuotaExceededError");
    }
    fill(bytesOf(array, "getRandomValues"));
    return array;
  }

  /** A version 4 UUID (RFC 9562, section 5.4). */
  randomUUID() {
    const bytes = new Uint8Array(16);
    fill(bytes);
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    const hex = bytes.toHex();
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
  }
}
expose(Crypto);

export const crypto = Object.create(Crypto.prototype);
