// crypto.subtle (https://w3c.github.io/webcrypto/#subtlecrypto-interface). What is wrong with the arguments is found
// before a method returns, and buffers are copied then; the rest happens later, whoever computes it.

import {
  copied, fail, isBufferSource, normalize, unsignedLong,
} from "pyworkerd:web/crypto_algorithms";
import { jwkOf } from "pyworkerd:web/crypto_jwk";
import { USAGES, slotsOf } from "pyworkerd:web/crypto_key";
import { KEYS, refuseUseless } from "pyworkerd:web/crypto_keys";
import { DECRYPT, DERIVE, ENCRYPT, SIGN, VERIFY, equal } from "pyworkerd:web/crypto_operations";
import { digest } from "pyworkerd:web/digest";
import { expose, illegalConstructor, requireArguments } from "pyworkerd:web/idl";
import { decode } from "pyworkerd:web/utf8";
import { encode } from "pyworkerd:system";

const FORMATS = ["raw", "spki", "pkcs8", "jwk"];
const LATER = null; // awaited before a result: nothing is settled before the caller has the promise

const on = (name) => `'${name}' on 'SubtleCrypto'`;

function formatOf(format) {
  const name = `${format}`;
  if (!FORMATS.includes(name)) throw new TypeError(`crypto.subtle: there is no format "${name}" of keys.`);
  return name;
}

function usagesOf(usages) {
  if (usages === null || typeof usages !== "object") throw new TypeError("crypto.subtle: the usages must be a list.");
  return Array.from(usages, (usage) => {
    const name = `${usage}`;
    if (!USAGES.includes(name)) throw new TypeError(`crypto.subtle: there is no usage "${name}" of keys.`);
    return name;
  });
}

function requireKey(key) {
  const slots = slotsOf(key);
  if (slots === null) throw new TypeError("crypto.subtle: the key must be a CryptoKey.");
  return slots;
}

function requireBytes(data) {
  if (!isBufferSource(data)) throw new TypeError("crypto.subtle: the data must be an ArrayBuffer or a view of one.");
}

function allow(slots, algorithm, usage) {
  if (slots.algorithm.name !== algorithm.name) {
    throw fail("InvalidAccessError", `The key is one of ${slots.algorithm.name}, and not of ${algorithm.name}.`);
  }
  if (!slots.usages.includes(usage)) throw fail("InvalidAccessError", `The key cannot be used for "${usage}".`);
}

// The first of these operations that has the algorithm.
function normalizeFor(algorithm, first, second) {
  try {
    return normalize(algorithm, first);
  } catch (error) {
    if (error?.name !== "NotSupportedError") throw error;
    return normalize(algorithm, second);
  }
}

async function cipher(ways, usage, given) {
  requireArguments(given.length, 3, on(usage));
  const [algorithm, key, data] = given;
  const slots = requireKey(key);
  requireBytes(data);
  const normalized = normalize(algorithm, usage);
  const bytes = copied(data);
  await LATER;
  allow(slots, normalized, usage);
  return (await ways[normalized.name](slots, normalized, bytes)).buffer;
}

async function exportedFrom(format, key) {
  const slots = slotsOf(key);
  const { extractable, usages, algorithm } = slots;
  const way = KEYS[algorithm.name];
  if (way.export === undefined) throw fail("NotSupportedError", `Keys of ${algorithm.name} cannot be exported.`);
  if (!extractable) throw fail("InvalidAccessError", "The key is not extractable.");
  const exported = await way.export(format, slots);
  return format === "jwk" ? { ...exported, key_ops: [...usages], ext: extractable } : exported;
}

async function importedFrom(format, data, algorithm, extractable, usages) {
  return refuseUseless(await KEYS[algorithm.name].import(format, data, algorithm, extractable, usages));
}

export class SubtleCrypto {
  constructor() { throw illegalConstructor(); }

  // A promise of a promise would be settled some turns later.
  encrypt(_algorithm, _key, _data) { return cipher(ENCRYPT, "encrypt", arguments); }
  decrypt(_algorithm, _key, _data) { return cipher(DECRYPT, "decrypt", arguments); }
  sign(_algorithm, _key, _data) { return cipher(SIGN, "sign", arguments); }

  async verify(algorithm, key, signature, data) {
    requireArguments(arguments.length, 4, on("verify"));
    const slots = requireKey(key);
    requireBytes(signature);
    requireBytes(data);
    const normalized = normalize(algorithm, "verify");
    const [given, bytes] = [copied(signature), copied(data)];
    await LATER;
    allow(slots, normalized, "verify");
    return VERIFY[normalized.name](slots, normalized, given, bytes);
  }

  async digest(algorithm, data) {
    requireArguments(arguments.length, 2, on("digest"));
    requireBytes(data);
    const { name } = normalize(algorithm, "digest");
    const bytes = copied(data);
    await LATER;
    return digest(name, bytes).buffer;
  }

  async generateKey(algorithm, extractable, keyUsages) {
    requireArguments(arguments.length, 3, on("generateKey"));
    const usages = usagesOf(keyUsages);
    const normalized = normalize(algorithm, "generateKey");
    await LATER;
    return KEYS[normalized.name].generate(normalized, Boolean(extractable), usages);
  }

  async deriveKey(algorithm, baseKey, derivedKeyType, extractable, keyUsages) {
    requireArguments(arguments.length, 5, on("deriveKey"));
    const slots = requireKey(baseKey);
    const usages = usagesOf(keyUsages);
    const normalized = normalize(algorithm, "deriveBits");
    const wanted = normalize(derivedKeyType, "importKey");
    const sized = normalize(derivedKeyType, "get key length");
    await LATER;
    allow(slots, normalized, "deriveKey");
    const length = KEYS[sized.name].lengthOf(sized);
    const secret = await DERIVE[normalized.name](slots, normalized, length);
    return importedFrom("raw", secret, wanted, Boolean(extractable), usages);
  }

  async deriveBits(algorithm, baseKey, length = null) {
    requireArguments(arguments.length, 2, on("deriveBits"));
    const slots = requireKey(baseKey);
    const bits = length === null ? null : length >>> 0;
    const normalized = normalize(algorithm, "deriveBits");
    await LATER;
    allow(slots, normalized, "deriveBits");
    return (await DERIVE[normalized.name](slots, normalized, bits)).buffer;
  }

  async importKey(format, keyData, algorithm, extractable, keyUsages) {
    requireArguments(arguments.length, 5, on("importKey"));
    const form = formatOf(format);
    const isBytes = isBufferSource(keyData);
    const jwk = isBytes ? null : jwkOf(keyData);
    const usages = usagesOf(keyUsages);
    const normalized = normalize(algorithm, "importKey");
    if (isBytes === (form === "jwk")) {
      const wanted = isBytes ? "an object" : "bytes";
      throw new TypeError(`crypto.subtle: the data of the format "${form}" must be ${wanted}.`);
    }
    const data = isBytes ? copied(keyData) : jwk;
    await LATER;
    return importedFrom(form, data, normalized, Boolean(extractable), usages);
  }

  async exportKey(format, key) {
    requireArguments(arguments.length, 2, on("exportKey"));
    const form = formatOf(format);
    requireKey(key);
    await LATER;
    const exported = await exportedFrom(form, key);
    return form === "jwk" ? exported : exported.buffer;
  }

  async wrapKey(format, key, wrappingKey, wrapAlgorithm) {
    requireArguments(arguments.length, 4, on("wrapKey"));
    const form = formatOf(format);
    requireKey(key);
    const wrapping = requireKey(wrappingKey);
    const normalized = normalizeFor(wrapAlgorithm, "wrapKey", "encrypt");
    await LATER;
    allow(wrapping, normalized, "wrapKey");
    const exported = await exportedFrom(form, key);
    const bytes = form === "jwk" ? encode(JSON.stringify(exported)) : exported;
    return (await ENCRYPT[normalized.name](wrapping, normalized, bytes)).buffer;
  }

  async unwrapKey(
    format, wrappedKey, unwrappingKey, unwrapAlgorithm, unwrappedKeyAlgorithm, extractable, keyUsages,
  ) {
    requireArguments(arguments.length, 7, on("unwrapKey"));
    const form = formatOf(format);
    requireBytes(wrappedKey);
    const unwrapping = requireKey(unwrappingKey);
    const usages = usagesOf(keyUsages);
    const normalized = normalizeFor(unwrapAlgorithm, "unwrapKey", "decrypt");
    const wanted = normalize(unwrappedKeyAlgorithm, "importKey");
    const bytes = copied(wrappedKey);
    await LATER;
    allow(unwrapping, normalized, "unwrapKey");
    const unwrapped = await DECRYPT[normalized.name](unwrapping, normalized, bytes);
    const data = form === "jwk" ? parsed(unwrapped) : unwrapped;
    return importedFrom(form, data, wanted, Boolean(extractable), usages);
  }

  /** workerd's: compares in a time that does not tell where the difference is. */
  timingSafeEqual(a, b) {
    requireArguments(arguments.length, 2, on("timingSafeEqual"));
    requireBytes(a);
    requireBytes(b);
    const [left, right] = [copied(a), copied(b)];
    if (left.length !== right.length) throw new TypeError("Input buffers must have the same byte length.");
    return equal(left, right);
  }
}
Object.defineProperty(SubtleCrypto.prototype.deriveBits, "length", { value: 2, configurable: true });
expose(SubtleCrypto);

function parsed(bytes) {
  let value;
  try {
    value = JSON.parse(decode(bytes));
  } catch {
    throw fail("DataError", "What was unwrapped is no JSON Web Key.");
  }
  if (typeof value !== "object" || value === null) throw fail("DataError", "What was unwrapped is no JSON Web Key.");
  return jwkOf(value);
}
