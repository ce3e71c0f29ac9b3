// crypto (https://w3c.github.io/webcrypto/#crypto-interface): random values, and workerd's stream of a digest.

import { copied, isBufferSource, normalize } from "pyworkerd:web/crypto_algorithms";
import { Hash } from "pyworkerd:web/digest";
import { bytesOf } from "pyworkerd:web/encoding";
import { expose, illegalConstructor, requireArguments } from "pyworkerd:web/idl";
import { SubtleCrypto } from "pyworkerd:web/subtle";
import { WritableStream } from "pyworkerd:web/writable";
import { encode, fill } from "pyworkerd:system";

const MOST = 65536; // the standard's own
const INTEGERS = new Set([
  "Int8Array", "Uint8Array", "Uint8ClampedArray", "Int16Array", "Uint16Array", "Int32Array", "Uint32Array",
  "BigInt64Array", "BigUint64Array",
]);
const kindOf = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag).get;

/** workerd's: what is written to it is digested, and kept nowhere. */
export class DigestStream extends WritableStream {
  #digest;
  #bytes = 0;

  constructor(algorithm) {
    requireArguments(arguments.length, 1, "'DigestStream'");
    const hash = new Hash(normalize(algorithm, "digest").name);
    const { promise, resolve, reject } = Promise.withResolvers();
    promise.catch(() => {}); // who does not ask for it need not handle its failure
    super({
      write: (chunk) => {
        if (typeof chunk !== "string" && !isBufferSource(chunk)) {
          const error = new TypeError("A DigestStream takes bytes and strings.");
          reject(error);
          throw error;
        }
        const bytes = typeof chunk === "string" ? encode(chunk.toWellFormed()) : copied(chunk);
        hash.update(bytes);
        this.#bytes += bytes.length;
      },
      close: () => resolve(hash.digest().buffer),
      abort: (reason) => reject(reason),
    });
    this.#digest = promise;
  }

  get digest() { return this.#digest; }
  get bytesWritten() { return this.#bytes; }
}
expose(DigestStream);

const subtle = Object.create(SubtleCrypto.prototype);

function refuseDetached(self) {
  if (self !== crypto) throw new TypeError("Illegal invocation: call it as a method of `crypto`.");
}

export class Crypto {
  constructor() { throw illegalConstructor(); }

  get subtle() {
    refuseDetached(this);
    return subtle;
  }

  get DigestStream() { return DigestStream; }

  getRandomValues(array) {
    refuseDetached(this);
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
    refuseDetached(this);
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
