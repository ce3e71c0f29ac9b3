// CryptoKey (https://w3c.github.io/webcrypto/#cryptokey-interface). What a key is made of lies in its private field:
// bytes of a secret, SubjectPublicKeyInfo of a public key, PKCS #8 of a private one.

import { expose, illegalConstructor } from "pyworkerd:web/idl";

export const USAGES = [
  "encrypt", "decrypt", "sign", "verify", "deriveKey", "deriveBits", "wrapKey", "unwrapKey",
];

let pending = null; // what the next key is made of: the constructor is nobody else's
let readSlots;

export class CryptoKey {
  #slots;

  constructor() {
    if (pending === null) throw illegalConstructor();
    this.#slots = pending;
    pending = null;
  }

  static {
    readSlots = (value) => (typeof value === "object" && value !== null && #slots in value ? value.#slots : null);
  }

  get type() { return this.#slots.type; }
  get extractable() { return this.#slots.extractable; }

  /** A copy, always the same one: a program may change it, and the key is what it was. */
  get algorithm() {
    this.#slots.shown ??= shownOf(this.#slots.algorithm);
    return this.#slots.shown;
  }

  get usages() {
    this.#slots.shownUsages ??= [...this.#slots.usages];
    return this.#slots.shownUsages;
  }
}
expose(CryptoKey);

function shownOf(algorithm) {
  const shown = {};
  for (const [name, value] of Object.entries(algorithm)) {
    shown[name] = name === "hash" ? { name: value } : value instanceof Uint8Array ? value.slice() : value;
  }
  return shown;
}

/** A key. `algorithm` is the internal form: its `hash` is the hash's name. */
export function makeKey(type, algorithm, extractable, usages, material) {
  pending = { type, algorithm, extractable, usages: normalized(usages), material, shown: null, shownUsages: null };
  return new CryptoKey();
}

/** What a key is made of; null for what is none. */
export const slotsOf = (value) => readSlots(value);

/** The same key once more. */
export function cloneKey(key) {
  const { type, algorithm, extractable, usages, material } = slotsOf(key);
  return makeKey(type, algorithm, extractable, usages, material);
}

/** Usages without repetitions, in the standard's order. */
export const normalized = (usages) => USAGES.filter((usage) => usages.includes(usage));
