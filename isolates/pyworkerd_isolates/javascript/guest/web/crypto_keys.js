// How keys of each algorithm are imported, exported and generated. Secrets are bytes that need nobody; keys of
// public-key algorithms are read, written and made by the host.

import { fail } from "pyworkerd:web/crypto_algorithms";
import { base64url, check, checkAlgorithm, octets } from "pyworkerd:web/crypto_jwk";
import { makeKey } from "pyworkerd:web/crypto_key";
import { ALGORITHMS } from "pyworkerd:web/digest";
import { compute, fill } from "pyworkerd:system";

const CIPHER = ["encrypt", "decrypt", "wrapKey", "unwrapKey"];
const DERIVING = ["deriveKey", "deriveBits"];
const AES_SIZES = [128, 192, 256];
const CURVES = {
  "__proto__": null, "P-256": 65, "P-384": 97, "P-521": 133, "Ed25519": 32, "Ed448": 57, "X25519": 32, "X448": 56,
};
// Bytes of a point: SubjectPublicKeyInfo ends with them.
const EXPONENTS = [3, 65537];
const RSA_BITS = [1024, 4096];
// As on the host: public exponents, and bits of the modulus, that a key is generated with.

const hashBits = (hash) => hash.slice(4);

function checkUsages(usages, allowed) {
  const wrong = usages.find((usage) => !allowed.includes(usage));
  if (wrong !== undefined) throw fail("SyntaxError", `A key of this kind cannot be used for "${wrong}".`);
}

const unsupportedFormat = (format, name) =>
  fail("NotSupportedError", `Keys of ${name} have no format "${format}".`);

/** Secret and private keys have to be of some use. */
export function refuseUseless(key) {
  if (key.type !== "public" && key.usages.length === 0) {
    throw fail("SyntaxError", "Usages cannot be empty when creating a key.");
  }
  return key;
}

function randomBytes(size) {
  const made = new Uint8Array(size);
  fill(made);
  return made;
}

// Secrets ---------------------------------------------------------------------------------------------------------

const jwkSecret = (slots, alg) => ({ kty: "oct", k: base64url(slots.material), alg });

class Aes {
  constructor(name, usages) {
    this.name = name;
    this.usages = usages;
    this.suffix = name.slice(4);
  }

  import(format, data, { name }, extractable, usages) {
    checkUsages(usages, this.usages);
    if (format !== "raw" && format !== "jwk") throw unsupportedFormat(format, name);
    let secret = data;
    if (format === "jwk") {
      check(data, "oct", "enc", extractable, usages);
      secret = octets(data, "k");
    }
    const length = 8 * secret.length;
    if (!AES_SIZES.includes(length)) throw fail("DataError", "A key of AES has 128, 192 or 256 bits.");
    if (format === "jwk") checkAlgorithm(data, `A${length}${this.suffix}`);
    return makeKey("secret", { name, length }, extractable, usages, secret);
  }

  export(format, slots) {
    if (format === "raw") return slots.material.slice();
    if (format === "jwk") return jwkSecret(slots, `A${slots.algorithm.length}${this.suffix}`);
    throw unsupportedFormat(format, this.name);
  }

  generate({ name, length }, extractable, usages) {
    checkUsages(usages, this.usages);
    if (!AES_SIZES.includes(length)) throw fail("OperationError", "A key of AES has 128, 192 or 256 bits.");
    return refuseUseless(makeKey("secret", { name, length }, extractable, usages, randomBytes(length / 8)));
  }

  lengthOf({ length }) {
    if (!AES_SIZES.includes(length)) throw fail("OperationError", "A key of AES has 128, 192 or 256 bits.");
    return length;
  }
}

const HMAC = {
  import(format, data, { hash, length }, extractable, usages) {
    checkUsages(usages, ["sign", "verify"]);
    if (format !== "raw" && format !== "jwk") throw unsupportedFormat(format, "HMAC");
    let secret = data;
    if (format === "jwk") {
      check(data, "oct", "sig", extractable, usages);
      secret = octets(data, "k");
      checkAlgorithm(data, `HS${hashBits(hash)}`);
    }
    const bits = 8 * secret.length;
    if (bits === 0) throw fail("DataError", "A key of HMAC cannot be empty.");
    if (length !== undefined && (length > bits || length <= bits - 8)) {
      throw fail("DataError", `The key has ${bits} bits, and not ${length}.`);
    }
    return makeKey("secret", { name: "HMAC", hash, length: length ?? bits }, extractable, usages, secret);
  },

  export(format, slots) {
    if (format === "raw") return slots.material.slice();
    if (format === "jwk") return jwkSecret(slots, `HS${hashBits(slots.algorithm.hash)}`);
    throw unsupportedFormat(format, "HMAC");
  },

  generate({ hash, length = 8 * ALGORITHMS[hash].block }, extractable, usages) {
    checkUsages(usages, ["sign", "verify"]);
    if (length === 0) throw fail("OperationError", "A key of HMAC cannot be empty.");
    const secret = randomBytes(Math.ceil(length / 8));
    return refuseUseless(makeKey("secret", { name: "HMAC", hash, length }, extractable, usages, secret));
  },

  lengthOf({ hash, length = 8 * ALGORITHMS[hash].block }) {
    if (length === 0) throw new TypeError("HMAC: the length must not be 0.");
    return length;
  },
};

// What others are derived from: it cannot be exported.
const SOURCE = {
  import(format, data, { name }, extractable, usages) {
    if (format !== "raw") throw unsupportedFormat(format, name);
    checkUsages(usages, DERIVING);
    if (extractable) throw fail("SyntaxError", `A key of ${name} cannot be extractable.`);
    return makeKey("secret", { name }, false, usages, data);
  },

  lengthOf: () => null,
};

// Public-key algorithms -------------------------------------------------------------------------------------------

class PublicKeyAlgorithm {
  constructor(name, use, publicUsages, privateUsages) {
    this.name = name;
    this.use = use;
    this.publicUsages = publicUsages;
    this.privateUsages = privateUsages;
  }

  async import(format, data, algorithm, extractable, usages) {
    const isPrivate = format === "pkcs8" || (format === "jwk" && data.d !== undefined);
    this.checkFormat(format);
    checkUsages(usages, isPrivate ? this.privateUsages : this.publicUsages);
    let imported;
    if (format === "jwk") {
      check(data, this.kty, this.use, extractable, usages);
      this.checkJwk(data, algorithm);
      const members = Object.fromEntries(this.members(isPrivate).map((name) => [name, octets(data, name)]));
      imported = await compute(`import ${this.kindOf(algorithm)} JWK`, members);
    } else {
      imported = await compute(`import ${this.kindOf(algorithm)}`, format, data);
    }
    const [material, details] = imported;
    const described = this.describe(algorithm, details);
    return makeKey(isPrivate ? "private" : "public", described, extractable, usages, material);
  }

  async export(format, { type, algorithm, material }) {
    this.checkFormat(format);
    const isPrivate = type === "private";
    if (format === "jwk") {
      const members = await compute(`export ${this.kindOf(algorithm)} JWK`, isPrivate, material);
      const texts = Object.entries(members).map(([name, bytes]) => [name, base64url(bytes)]);
      return { kty: this.kty, ...this.named(algorithm), ...Object.fromEntries(texts) };
    }
    if (isPrivate !== (format === "pkcs8")) {
      throw fail("InvalidAccessError", `A ${type} key has no format "${format}".`);
    }
    return format === "raw" ? material.slice(-CURVES[this.kindOf(algorithm)]) : material.slice();
  }

  async generate(algorithm, extractable, usages) {
    checkUsages(usages, [...this.publicUsages, ...this.privateUsages]);
    this.checkGenerated(algorithm);
    const own = usages.filter((usage) => this.privateUsages.includes(usage));
    if (own.length === 0) throw fail("SyntaxError", "Usages cannot be empty when creating a key.");
    const [forOthers, secret] = await this.make(algorithm);
    const described = this.describe(algorithm, [algorithm.modulusLength, algorithm.publicExponent]);
    const others = usages.filter((usage) => this.publicUsages.includes(usage));
    return {
      privateKey: makeKey("private", described, extractable, own, secret),
      publicKey: makeKey("public", described, true, others, forOthers),
    };
  }

  make(algorithm) {
    return compute(`generate ${this.kindOf(algorithm)}`);
  }

  checkFormat() {}

  checkGenerated() {}
}

class Rsa extends PublicKeyAlgorithm {
  kty = "RSA";

  constructor(name, prefix, ...others) {
    super(name, ...others);
    this.prefix = prefix;
  }

  kindOf() { return "RSA"; }

  checkFormat(format) {
    if (format === "raw") throw unsupportedFormat(format, this.name);
  }

  // JSON Web Algorithms leaves SHA-1 out of the name of RSA-OAEP, and has a "1" for signatures.
  algorithmOf(hash) {
    const bits = hashBits(hash);
    if (this.prefix !== "RSA-OAEP") return `${this.prefix}${bits}`;
    return bits === "1" ? this.prefix : `${this.prefix}-${bits}`;
  }

  named({ hash }) { return { alg: this.algorithmOf(hash) }; }

  checkJwk(jwk, { hash }) {
    checkAlgorithm(jwk, this.algorithmOf(hash));
    if (jwk.oth !== undefined) throw fail("NotSupportedError", "Keys of RSA with more than two primes are not known.");
  }

  members(isPrivate) {
    return isPrivate ? ["n", "e", "d", "p", "q", "dp", "dq", "qi"] : ["n", "e"];
  }

  describe({ name, hash }, [modulusLength, publicExponent]) {
    return { name, modulusLength, publicExponent, hash };
  }

  checkGenerated({ modulusLength, publicExponent }) {
    const [least, most] = RSA_BITS;
    if (modulusLength < least || modulusLength > most || modulusLength % 8 !== 0) {
      throw fail("OperationError", `The modulus of an RSA key has ${least} to ${most} bits, a multiple of 8.`);
    }
    if (!EXPONENTS.includes(exponentOf(publicExponent))) {
      throw fail("OperationError", "The public exponent of a new RSA key is 3 or 65537.");
    }
  }

  make({ modulusLength, publicExponent }) {
    return compute("generate RSA", modulusLength, exponentOf(publicExponent));
  }
}

const exponentOf = (bytes) => bytes.reduce((value, byte) => value * 256 + byte, 0);

class OnCurve extends PublicKeyAlgorithm {
  kty = "EC";

  kindOf({ namedCurve }) {
    if (!Object.hasOwn(JWS, namedCurve)) throw fail("DataError", `There is no curve ${namedCurve} here.`);
    return namedCurve;
  }

  named({ namedCurve }) { return { crv: namedCurve }; }

  checkJwk(jwk, { namedCurve }) {
    if (jwk.crv !== namedCurve) throw fail("DataError", `The member "crv" of the JSON Web Key is not "${namedCurve}".`);
    if (this.use === "sig" && Object.hasOwn(JWS, namedCurve)) checkAlgorithm(jwk, JWS[namedCurve]);
  }

  members(isPrivate) { return isPrivate ? ["x", "y", "d"] : ["x", "y"]; }

  describe({ name, namedCurve }) { return { name, namedCurve }; }

  checkGenerated({ namedCurve }) {
    if (!Object.hasOwn(JWS, namedCurve)) throw fail("NotSupportedError", `There is no curve ${namedCurve} here.`);
  }
}

const JWS = { "P-256": "ES256", "P-384": "ES384", "P-521": "ES512" };

class OctetKeyPair extends PublicKeyAlgorithm {
  kty = "OKP";

  constructor(name, algorithms, ...others) {
    super(name, ...others);
    this.algorithms = algorithms;
  }

  kindOf() { return this.name; }

  named() {
    return this.algorithms.length === 0 ? { crv: this.name } : { alg: this.algorithms[0], crv: this.name };
  }

  checkJwk(jwk) {
    if (jwk.crv !== this.name) throw fail("DataError", `The member "crv" of the JSON Web Key is not "${this.name}".`);
    if (this.algorithms.length > 0) checkAlgorithm(jwk, ...this.algorithms);
  }

  members(isPrivate) { return isPrivate ? ["x", "d"] : ["x"]; }

  describe({ name }) { return { name }; }
}

/** By the name of the algorithm. */
export const KEYS = {
  "__proto__": null,
  "AES-CTR": new Aes("AES-CTR", CIPHER),
  "AES-CBC": new Aes("AES-CBC", CIPHER),
  "AES-GCM": new Aes("AES-GCM", CIPHER),
  "AES-KW": new Aes("AES-KW", ["wrapKey", "unwrapKey"]),
  HMAC,
  "HKDF": SOURCE,
  "PBKDF2": SOURCE,
  "RSASSA-PKCS1-v1_5": new Rsa("RSASSA-PKCS1-v1_5", "RS", "sig", ["verify"], ["sign"]),
  "RSA-PSS": new Rsa("RSA-PSS", "PS", "sig", ["verify"], ["sign"]),
  "RSA-OAEP": new Rsa("RSA-OAEP", "RSA-OAEP", "enc", ["encrypt", "wrapKey"], ["decrypt", "unwrapKey"]),
  "ECDSA": new OnCurve("ECDSA", "sig", ["verify"], ["sign"]),
  "ECDH": new OnCurve("ECDH", "enc", [], DERIVING),
  "Ed25519": new OctetKeyPair("Ed25519", ["Ed25519", "EdDSA"], "sig", ["verify"], ["sign"]),
  "Ed448": new OctetKeyPair("Ed448", ["Ed448", "EdDSA"], "sig", ["verify"], ["sign"]),
  "X25519": new OctetKeyPair("X25519", [], "enc", [], DERIVING),
  "X448": new OctetKeyPair("X448", [], "enc", [], DERIVING),
};
