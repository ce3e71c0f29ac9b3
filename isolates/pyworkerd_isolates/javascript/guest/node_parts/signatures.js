// Signatures of "node:crypto", made and checked at once.

import { Buffer } from "pyworkerd:node/buffer";
import { BYTES, bytesOf, shownAs } from "pyworkerd:node_parts/crypto_bytes";
import { hashNamed, requireHash } from "pyworkerd:node_parts/crypto_hashes";
import { answer } from "pyworkerd:node_parts/crypto_random";
import { CURVES, edwardsSign, edwardsVerify } from "pyworkerd:node_parts/curves";
import { DerError, integerIn, sequence, writeInteger, writeSequence } from "pyworkerd:node_parts/der";
import { coded, invalidType, invalidValue, requireString } from "pyworkerd:node_parts/errors";
import { privateNumbers, publicNumbers } from "pyworkerd:node_parts/key_object";
import { bitsOf, bytesOfNumber, numberOf } from "pyworkerd:node_parts/numbers";
import { signPkcs1, signPss, verifyPkcs1, verifyPss } from "pyworkerd:node_parts/rsa";
import { Writable } from "pyworkerd:node_parts/writable";
import { equal } from "pyworkerd:web/crypto_operations";
import { concatenate } from "pyworkerd:web/utf8";

const VIEWS = BYTES.slice("of type string or ".length);
const PKCS1 = 1;
const PSS = 6;
const AUTO = -2;

// What of the options says how to sign, beside the key.
function waysOf(options) {
  const { padding = PKCS1, saltLength, dsaEncoding = "der" } =
    options !== null && typeof options === "object" && !ArrayBuffer.isView(options) ? options : {};
  if (padding !== PKCS1 && padding !== PSS) throw invalidValue("options.padding", padding);
  if (dsaEncoding !== "der" && dsaEncoding !== "ieee-p1363") throw invalidValue("options.dsaEncoding", dsaEncoding);
  if (saltLength !== undefined && !(Number.isInteger(saltLength) && saltLength >= AUTO)) {
    throw invalidValue("options.saltLength", saltLength);
  }
  return { padding, salt: saltLength === AUTO ? undefined : saltLength, dsaEncoding };
}

const USUAL = "SHA-256"; // where a program names no hash, and the key needs one

// Signatures of ECDSA are two numbers, in DER or one behind the other.
function toDer(signature) {
  const half = signature.length / 2;
  const numbers = [signature.subarray(0, half), signature.subarray(half)].map(numberOf);
  return writeSequence(...numbers.map(writeInteger));
}

function fromDer(bytes, { n }) {
  const size = Math.ceil(bitsOf(n) / 8);
  const numbers = sequence(bytes).map(integerIn);
  if (numbers.length !== 2 || numbers.some((number) => number >= n)) throw new DerError("it is no signature");
  const isDer = equal(bytes, writeSequence(...numbers.map(writeInteger)));
  if (!isDer) throw new DerError("it has another form"); // or one signature had many forms
  return concatenate(numbers.map((number) => bytesOfNumber(number, size)), 2 * size);
}

const requireNone = (hash) => {
  if (hash === null) return;
  throw coded(Error, "ERR_OSSL_INVALID_DIGEST", "Ed25519 hashes by itself: sign() and verify() take null for a hash");
};

function signed(hash, data, key, { padding, salt, dsaEncoding }) {
  if (key.kind === "ed25519") {
    requireNone(hash);
    return edwardsSign(key.seed, key.known, data);
  }
  const name = hash ?? USUAL;
  if (key.kind === "rsa") return padding === PSS ? signPss(key, name, data, salt) : signPkcs1(key, name, data);
  const signature = CURVES[key.curve].sign(key.d, name, data);
  return dsaEncoding === "der" ? toDer(signature) : signature;
}

function isSigned(hash, data, key, signature, { padding, salt, dsaEncoding }) {
  if (key.kind === "ed25519") {
    requireNone(hash);
    return edwardsVerify(key.known, data, signature);
  }
  const name = hash ?? USUAL;
  if (key.kind === "rsa") {
    return padding === PSS ? verifyPss(key, name, data, signature, salt) : verifyPkcs1(key, name, data, signature);
  }
  const curve = CURVES[key.curve];
  try {
    const plain = dsaEncoding === "der" ? fromDer(signature, curve) : signature;
    return curve.verify(key.x, key.y, name, data, plain);
  } catch (error) {
    if (error instanceof DerError) return false;
    throw error;
  }
}

const hashOf = (algorithm) =>
  algorithm === null || algorithm === undefined ? null : requireHash(algorithm, "algorithm");

/** A signature of bytes. With a callback it comes later, and is computed in the isolate as well. */
export function sign(algorithm, data, key, callback = undefined) {
  const given = [hashOf(algorithm), bytesOf(data, "data"), privateNumbers(key), waysOf(key)];
  if (callback === undefined) return Buffer.from(signed(...given));
  return answer(callback, () => Buffer.from(signed(...given)));
}

export function verify(algorithm, data, key, signature, callback = undefined) {
  const bytes = bytesOf(data, "data");
  if (typeof signature === "string") throw invalidType("signature", VIEWS, signature);
  const given = [hashOf(algorithm), bytes, publicNumbers(key), bytesOf(signature, "signature"), waysOf(key)];
  if (callback === undefined) return isSigned(...given);
  return answer(callback, () => isSigned(...given));
}

// What both classes are: streams that keep what is written to them.
class Collecting extends Writable {
  #hash;
  #parts = [];
  #isOver = false;

  constructor(algorithm, options) {
    requireString(algorithm, "algorithm");
    super(options);
    this.#hash = hashNamed(algorithm);
    if (this.#hash === undefined) throw coded(Error, "ERR_CRYPTO_INVALID_DIGEST", `Invalid digest: ${algorithm}`);
  }

  update(data, encoding = undefined) {
    if (this.#isOver) throw over();
    this.#parts.push(bytesOf(data, "data", encoding).slice());
    return this;
  }

  _write(chunk, encoding, callback) {
    this.update(chunk, encoding);
    callback();
  }

  take() {
    if (this.#isOver) throw over();
    this.#isOver = true;
    const size = this.#parts.reduce((sum, part) => sum + part.length, 0);
    return [this.#hash, concatenate(this.#parts.splice(0), size)];
  }
}

const over = () => coded(Error, "ERR_CRYPTO_INVALID_STATE", "the signature was made or checked already");

export class Sign extends Collecting {
  sign(key, encoding = undefined) {
    if (key === null || key === undefined) {
      throw coded(Error, "ERR_CRYPTO_SIGN_KEY_REQUIRED", "No key provided to sign");
    }
    const [numbers, ways] = [privateNumbers(key), waysOf(key)];
    return shownAs(signed(...this.take(), numbers, ways), encoding);
  }
}

export class Verify extends Collecting {
  verify(key, signature, encoding = undefined) {
    const [numbers, ways] = [publicNumbers(key), waysOf(key)];
    const bytes = bytesOf(signature, "signature", encoding);
    return isSigned(...this.take(), numbers, bytes, ways);
  }
}

export const createSign = (algorithm, options = undefined) => new Sign(algorithm, options);
export const createVerify = (algorithm, options = undefined) => new Verify(algorithm, options);
