// New keys of "node:crypto". Primes are looked for by the host: keys of RSA come later.

import { bytesOf, onlyLater, requireInteger } from "pyworkerd:node_parts/crypto_bytes";
import { answer, randomBytes } from "pyworkerd:node_parts/crypto_random";
import { CURVES, edwardsPublicOf, edwardsSeed, generateOn } from "pyworkerd:node_parts/curves";
import { invalidValue, requireFunction } from "pyworkerd:node_parts/errors";
import { readDer } from "pyworkerd:node_parts/key_formats";
import { createSecretKey, keyOf } from "pyworkerd:node_parts/key_object";
import { crypto } from "pyworkerd:web/crypto";

const AES_SIZES = [128, 192, 256];

const KINDS = {
  __proto__: null,

  ec({ namedCurve } = {}) {
    const curve = Object.keys(CURVES).find((name) => name === namedCurve || CURVES[name].name === namedCurve);
    if (curve === undefined) throw invalidValue("options.namedCurve", namedCurve);
    return { kind: "ec", curve, ...generateOn(CURVES[curve]) };
  },

  ed25519() {
    const seed = edwardsSeed();
    return { kind: "ed25519", seed, known: edwardsPublicOf(seed) };
  },
};

// Keys as objects, or as the options say that they are to be written.
function pairOf(key, options) {
  const written = (object, encoding) => (encoding === undefined ? object : object.export(encoding));
  return {
    publicKey: written(keyOf(key, false), options?.publicKeyEncoding),
    privateKey: written(keyOf(key, true), options?.privateKeyEncoding),
  };
}

export function generateKeyPairSync(type, options = undefined) {
  if (type === "rsa") throw onlyLater("generateKeyPairSync", "crypto.generateKeyPair(), with a callback");
  if (KINDS[type] === undefined) throw invalidValue("type", type, 'must be one of "rsa", "ec" and "ed25519"');
  return pairOf(KINDS[type](options), options);
}

// By the host.
async function rsaPair({ modulusLength, publicExponent = 65537 } = {}) {
  const algorithm = {
    name: "RSASSA-PKCS1-v1_5", hash: "SHA-256", modulusLength,
    publicExponent: Uint8Array.fromHex(publicExponent.toString(16).padStart(6, "0")),
  };
  const { privateKey } = await crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
  return readDer(new Uint8Array(await crypto.subtle.exportKey("pkcs8", privateKey)), "pkcs8", true);
}

export function generateKeyPair(type, ...given) {
  const callback = given.pop();
  requireFunction(callback, "callback");
  const tell = (error, pair) => callback(error, pair?.publicKey, pair?.privateKey);
  if (type !== "rsa") {
    answer(tell, () => generateKeyPairSync(type, given[0]));
    return;
  }
  requireInteger(given[0]?.modulusLength, "options.modulusLength");
  rsaPair(given[0]).then((key) => pairOf(key, given[0])).then(
    (pair) => queueMicrotask(() => tell(null, pair)),
    (error) => queueMicrotask(() => tell(error)),
  );
}
Object.defineProperty(generateKeyPair, Symbol.for("nodejs.util.promisify.custom"), {
  value: (type, options) => new Promise((resolve, reject) => {
    generateKeyPair(type, options, (error, publicKey, privateKey) =>
      (error ? reject(error) : resolve({ publicKey, privateKey })));
  }),
});

export function generateKeySync(type, { length } = {}) {
  requireInteger(length, "options.length", 8);
  if (type !== "hmac" && type !== "aes") throw invalidValue("type", type, "must be a supported key type");
  if (type === "aes" && !AES_SIZES.includes(length)) throw invalidValue("options.length", length);
  return createSecretKey(bytesOf(randomBytes(length >> 3), "key"));
}

export function generateKey(type, options, callback) {
  requireFunction(callback, "callback");
  answer(callback, () => generateKeySync(type, options));
}
