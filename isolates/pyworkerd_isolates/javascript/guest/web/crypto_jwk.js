// JSON Web Keys (RFC 7517, RFC 7518 section 6, RFC 8037): from objects of a program to members that are known to be
// what they should be, and back.

import { fail } from "pyworkerd:web/crypto_algorithms";
import { dictionary } from "pyworkerd:web/idl";

const TEXTS = [
  "alg", "crv", "d", "dp", "dq", "e", "ext", "k", "key_ops", "kty", "n", "oth", "p", "q", "qi", "use", "x", "y",
]; // all members, as WebIDL reads them
const BASE64URL = /^[\w-]*$/;

const CONVERSIONS = {
  __proto__: null,
  ext: Boolean,
  key_ops: (value) => Array.from(value, (each) => `${each}`),
  oth: (value) => Array.from(value),
};

/** A dictionary JsonWebKey. Raises TypeError. */
export function jwkOf(value) {
  const given = dictionary(value, "a JSON Web Key");
  const jwk = { __proto__: null };
  for (const name of TEXTS) {
    const member = given[name];
    if (member !== undefined) jwk[name] = (CONVERSIONS[name] ?? String)(member);
  }
  return jwk;
}

/** Bytes of a member in base64url. */
export function octets(jwk, name) {
  const text = jwk[name];
  if (text === undefined) throw fail("DataError", `The JSON Web Key has no member "${name}".`);
  try {
    if (BASE64URL.test(text)) return Uint8Array.fromBase64(text, { alphabet: "base64url" });
  } catch {
    // It has a length that base64 cannot have.
  }
  throw fail("DataError", `The member "${name}" of the JSON Web Key is not base64url.`);
}

export const base64url = (bytes) => bytes.toBase64({ alphabet: "base64url", omitPadding: true });

/** What every JSON Web Key is looked at for: `kty`, and if they are there `use`, `key_ops` and `ext`. */
export function check(jwk, kty, use, extractable, usages) {
  if (jwk.kty !== kty) throw fail("DataError", `The member "kty" of the JSON Web Key is not "${kty}".`);
  if (usages.length > 0 && use !== null && jwk.use !== undefined && jwk.use !== use) {
    throw fail("DataError", `The member "use" of the JSON Web Key is not "${use}".`);
  }
  const operations = jwk.key_ops;
  if (operations !== undefined) {
    const isComplete = usages.every((usage) => operations.includes(usage));
    if (!isComplete || new Set(operations).size !== operations.length) {
      throw fail("DataError", 'The member "key_ops" of the JSON Web Key does not allow these usages.');
    }
  }
  if (jwk.ext === false && extractable) {
    throw fail("DataError", 'The member "ext" of the JSON Web Key says that it must not be extractable.');
  }
}

/** Whether `alg` is absent or one of these. */
export function checkAlgorithm(jwk, ...names) {
  if (jwk.alg !== undefined && !names.includes(jwk.alg)) {
    throw fail("DataError", `The member "alg" of the JSON Web Key is not "${names.join('" or "')}".`);
  }
}
