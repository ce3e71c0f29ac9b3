// KeyObject of "node:crypto": a key that is kept as it is, and what makes one of texts, bytes and other keys.

import { Buffer } from "pyworkerd:node/buffer";
import { bytesOf, shownAs, viewed } from "pyworkerd:node_parts/crypto_bytes";
import { onSecrets } from "pyworkerd:node_parts/crypto_hashes";
import { CURVES } from "pyworkerd:node_parts/curves";
import { coded, invalidType, invalidValue, requireString } from "pyworkerd:node_parts/errors";
import { publicHalf, readDer, readJwk, readPem, writeJwk, writeKey } from "pyworkerd:node_parts/key_formats";
import { bitsOf } from "pyworkerd:node_parts/numbers";
import { base64url } from "pyworkerd:web/crypto_jwk";
import { equal } from "pyworkerd:web/crypto_operations";
import { slotsOf } from "pyworkerd:web/crypto_key";

let made = false; // the constructors are nobody else's
let read;

export class KeyObject {
  #material;

  constructor(type, material) {
    if (!made) throw coded(TypeError, "ERR_ILLEGAL_CONSTRUCTOR", "Illegal constructor");
    made = false;
    this.#material = material;
    Object.defineProperty(this, "type", { value: type, enumerable: true });
  }

  static {
    read = (value) => (value !== null && typeof value === "object" && #material in value ? value.#material : undefined);
  }

  /** Of a key of Web Crypto that can be exported. */
  static from(key) {
    const slots = slotsOf(key);
    if (slots === null) throw invalidType("key", "an instance of CryptoKey", key);
    if (!slots.extractable) throw coded(Error, "ERR_INVALID_ARG_VALUE", "the key is not extractable");
    if (slots.type === "secret") return secret(slots.material);
    const isPrivate = slots.type === "private";
    return keyOf(readDer(slots.material, isPrivate ? "pkcs8" : "spki", isPrivate), isPrivate);
  }

  equals(other) {
    if (!(other instanceof KeyObject)) throw invalidType("otherKeyObject", "an instance of KeyObject", other);
    return this.type === other.type && equal(Buffer.from(this.#whole()), Buffer.from(other.#whole()));
  }

  #whole() {
    if (this.type === "secret") return this.#material;
    const isPrivate = this.type === "private";
    return writeKey(this.#material, isPrivate ? "pkcs8" : "spki", "der", isPrivate);
  }

  get [Symbol.toStringTag]() { return "KeyObject"; }
}

export class SecretKeyObject extends KeyObject {
  get symmetricKeySize() { return read(this).length; }

  export(options = undefined) {
    const bytes = read(this);
    const { format = "buffer" } = options ?? {};
    if (format === "jwk") return { kty: "oct", k: base64url(bytes) };
    if (format !== "buffer") throw invalidValue("options.format", format);
    return Buffer.from(bytes);
  }
}

class AsymmetricKeyObject extends KeyObject {
  get asymmetricKeyType() { return read(this).kind; }

  get asymmetricKeyDetails() {
    const { kind, n, e, curve } = read(this);
    if (kind === "rsa") return { modulusLength: bitsOf(n), publicExponent: e };
    return kind === "ec" ? { namedCurve: CURVES[curve].name } : {};
  }

  export(options) {
    if (options === null || typeof options !== "object") throw invalidType("options", "of type object", options);
    const { format, type, cipher } = options;
    if (format === "jwk") return writeJwk(read(this));
    if (format !== "pem" && format !== "der") throw invalidValue("options.format", format);
    if (cipher !== undefined) throw coded(Error, "ERR_METHOD_NOT_IMPLEMENTED", "keys are not encrypted here");
    requireString(type, "options.type");
    const written = writeKey(read(this), type, format, this.type === "private");
    return typeof written === "string" ? written : Buffer.from(written);
  }
}

export class PublicKeyObject extends AsymmetricKeyObject {}
export class PrivateKeyObject extends AsymmetricKeyObject {}

function make(Kind, type, material) {
  made = true;
  return new Kind(type, material);
}

const secret = (bytes) => make(SecretKeyObject, "secret", bytes.slice());
export const keyOf = (key, isPrivate) =>
  isPrivate ? make(PrivateKeyObject, "private", key) : make(PublicKeyObject, "public", publicHalf(key));

export function createSecretKey(key, encoding = undefined) {
  return secret(bytesOf(key, "key", encoding));
}

// The numbers of a key in any form that a program may have it in.
function numbersOf(given, isPrivate) {
  const own = read(given);
  if (own !== undefined) {
    if (given.type === "secret") throw wrongKind(given.type, isPrivate ? "private" : "public or private");
    return own;
  }
  if (slotsOf(given) !== null) return numbersOf(KeyObject.from(given), isPrivate);
  const isPlain = typeof given === "string" || viewed(given) !== undefined;
  const { key, format = "pem", type, encoding } = isPlain ? { key: given } : (given ?? {});
  if (read(key) !== undefined || slotsOf(key) !== null) return numbersOf(key, isPrivate);
  if (format === "jwk") {
    if (key === null || typeof key !== "object") throw invalidType("key.key", "of type object", key);
    return readJwk(key);
  }
  const bytes = bytesOf(key, isPlain ? "key" : "key.key", encoding);
  if (format === "pem") return readPem(shownAs(bytes, "latin1"), isPrivate);
  if (format !== "der") throw invalidValue("key.format", format);
  return readDer(bytes, type, isPrivate);
}

function wrongKind(type, wanted) {
  return coded(TypeError, "ERR_CRYPTO_INVALID_KEY_OBJECT_TYPE", `Invalid key object type ${type}, expected ${wanted}.`);
}

const isPrivateHalf = ({ d, seed }) => d !== undefined || seed !== undefined;

/** The numbers of a private key. */
export function privateNumbers(given) {
  const numbers = numbersOf(given, true);
  if (!isPrivateHalf(numbers)) throw wrongKind("public", "private");
  return numbers;
}

/** The numbers of a public key, or of the public half of a private one. */
export function publicNumbers(given) {
  return publicHalf(numbersOf(given, false));
}

export function createPrivateKey(key) {
  return keyOf(privateNumbers(key), true);
}

export function createPublicKey(key) {
  return keyOf(publicNumbers(key), false);
}

onSecrets((key) => {
  const slots = slotsOf(key);
  const isSecret = slots === null ? read(key) !== undefined && key.type === "secret" : slots.type === "secret";
  if (slots === null && read(key) === undefined) return undefined;
  if (!isSecret) throw wrongKind(key.type, "secret");
  return slots === null ? read(key) : slots.material;
});
