// Keys from secrets and passwords, of "node:crypto".

import { BYTES, bytesOf, requireInteger, shownAs } from "pyworkerd:node_parts/crypto_bytes";
import { requireHash, secretOf } from "pyworkerd:node_parts/crypto_hashes";
import { answer } from "pyworkerd:node_parts/crypto_random";
import { coded, invalidType, outOfRange, requireFunction } from "pyworkerd:node_parts/errors";
import { ALGORITHMS, HmacKey, hkdf as expand, pbkdf2 as stretch } from "pyworkerd:web/digest";
import { compute } from "pyworkerd:system";

const MOST_INFO = 1024;

// The engine's rounds have the length of what is hashed where MD5 has it not.
function stretchMd5(password, salt, iterations, length) {
  const key = new HmacKey("MD5", password);
  const made = new Uint8Array(Math.ceil(length / 16) * 16);
  for (let at = 0, i = 1; at < length; at += 16, i += 1) {
    const first = new Uint8Array(salt.length + 4);
    first.set(salt);
    new DataView(first.buffer).setUint32(salt.length, i);
    let last = key.sign(first);
    const sum = last.slice();
    for (let round = 1; round < iterations; round += 1) {
      last = key.sign(last);
      for (let k = 0; k < 16; k += 1) sum[k] ^= last[k];
    }
    made.set(sum, at);
  }
  return made.slice(0, length);
}

function checkedPbkdf2(password, salt, iterations, length, digest) {
  const given = [bytesOf(password, "password"), bytesOf(salt, "salt")];
  requireInteger(iterations, "iterations", 1);
  requireInteger(length, "keylen");
  const name = requireHash(digest);
  if (name === "MD5") return () => shownAs(stretchMd5(...given, iterations, length));
  return () => shownAs(stretch(name, ...given, iterations, length));
}

export function pbkdf2Sync(password, salt, iterations, keylen, digest) {
  return checkedPbkdf2(password, salt, iterations, keylen, digest)();
}

export function pbkdf2(password, salt, iterations, keylen, digest, callback) {
  requireFunction(typeof digest === "function" ? undefined : callback, "callback");
  answer(callback, checkedPbkdf2(password, salt, iterations, keylen, digest));
}

function checkedHkdf(digest, ikm, salt, info, length) {
  const name = requireHash(digest);
  const secret = secretOf(ikm, undefined, "ikm");
  const given = [bytesOf(salt, "salt"), bytesOf(info, "info")];
  requireInteger(length, "length");
  const size = given[1].length;
  if (size > MOST_INFO) throw outOfRange("info", `not longer than ${MOST_INFO} bytes`, size);
  if (length > 255 * ALGORITHMS[name].size) {
    throw coded(RangeError, "ERR_CRYPTO_INVALID_KEYLEN", "Invalid key length");
  }
  return () => expand(name, secret, ...given, length).buffer;
}

export function hkdfSync(digest, ikm, salt, info, length) {
  return checkedHkdf(digest, ikm, salt, info, length)();
}

export function hkdf(digest, ikm, salt, info, length, callback) {
  requireFunction(callback, "callback");
  answer(callback, checkedHkdf(digest, ikm, salt, info, length));
}

const MAX_MEMORY = 32 * 1024 * 1024;
const NAMES = [["N", "cost", 16384], ["r", "blockSize", 8], ["p", "parallelization", 1]];
const invalidScrypt = (why = "") =>
  coded(RangeError, "ERR_CRYPTO_INVALID_SCRYPT_PARAMS", `Invalid scrypt params${why}`);

// The host computes it, within the bounds that it has.
export function scrypt(password, salt, keylen, ...others) {
  const callback = others.pop();
  const options = others[0] ?? {};
  const given = [bytesOf(password, "password"), bytesOf(salt, "salt")];
  requireInteger(keylen, "keylen");
  const numbers = NAMES.map(([short, long, usual]) => {
    if (options[short] !== undefined && options[long] !== undefined) {
      throw coded(Error, "ERR_CRYPTO_SCRYPT_INVALID_PARAMETER", "Invalid scrypt parameter");
    }
    const value = options[short] ?? options[long] ?? usual;
    requireInteger(value, short, 0);
    return value;
  });
  requireFunction(callback, "callback");
  const [cost, block, parallel] = numbers;
  if (cost < 2 || (cost & (cost - 1)) !== 0 || block < 1 || parallel < 1) throw invalidScrypt();
  if (128 * cost * block > (options.maxmem ?? MAX_MEMORY)) throw invalidScrypt(": memory limit exceeded");
  if (keylen === 0) {
    answer(callback, () => shownAs(new Uint8Array(0)));
    return;
  }
  compute("scrypt", ...given, ...numbers, keylen).then(
    (made) => queueMicrotask(() => callback(null, shownAs(made))),
    (error) => queueMicrotask(() => callback(error)),
  );
}

/** Whether both are the same, in a time that does not tell where they differ. */
export function timingSafeEqual(one, other) {
  const [left, right] = [bytesIn(one, "buf1"), bytesIn(other, "buf2")];
  if (left.length !== right.length) {
    throw coded(
      RangeError, "ERR_CRYPTO_TIMING_SAFE_EQUAL_LENGTH", "Input buffers must have the same byte length",
    );
  }
  let difference = 0;
  for (let i = 0; i < left.length; i += 1) difference |= left[i] ^ right[i];
  return difference === 0;
}

function bytesIn(value, name) {
  if (typeof value === "string") throw invalidType(name, BYTES.slice("of type string or ".length), value);
  return bytesOf(value, name);
}
