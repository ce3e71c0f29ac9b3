// Keys of public-key algorithms as numbers, and as what is written of them: SubjectPublicKeyInfo (RFC 5280), PKCS #8
// (RFC 5958), PKCS #1 (RFC 8017), SEC 1 (RFC 5915) and JSON Web Keys (RFC 7518).
//
// A key is { kind: "rsa", n, e } with { d, p, q, dp, dq, qi } if it is private, { kind: "ec", curve, x, y } with { d },
// or { kind: "ed25519", known } with { seed }.

import { coded } from "pyworkerd:node_parts/errors";
import { CURVES, edwardsPublicOf, publicOf } from "pyworkerd:node_parts/curves";
import {
  DerError, TAGS, bitsIn, bodyOf, elements, fromPem, integerIn, sequence, toPem, write, writeBits, writeInteger,
  writeOid, writeSequence,
} from "pyworkerd:node_parts/der";
import { bitsOf, bytesOfNumber, numberOf } from "pyworkerd:node_parts/numbers";
import { base64url, octets } from "pyworkerd:web/crypto_jwk";
import { concatenate } from "pyworkerd:web/utf8";

const RSA = "2a864886f70d010101";
const EC = "2a8648ce3d0201";
const ED25519 = "2b6570";
const MOST_BITS = 8192; // of a modulus: what a signature takes grows with their cube
const MOST_EXPONENT_BITS = 33; // as on the host: a larger one makes of a tenth of a millisecond some
const MEMBERS = ["n", "e", "d", "p", "q", "dp", "dq", "qi"];

const unsupported = (what) => coded(Error, "ERR_OSSL_UNSUPPORTED", `the key cannot be read: ${what}`);
const curveNamed = (name) => {
  if (!Object.hasOwn(CURVES, name)) throw unsupported(`there is no curve ${name} here`);
  return CURVES[name];
};

/** Whether the numbers can be a key. Raises an error that says why not. */
function checked(key) {
  if (key.kind === "rsa") {
    const { n, e, d, p, q } = key;
    if (n <= 0n || n % 2n === 0n || bitsOf(n) > MOST_BITS) throw unsupported("its modulus is not valid, or too large");
    if (e < 3n || e % 2n === 0n || bitsOf(e) > MOST_EXPONENT_BITS) throw unsupported("its exponent is not valid");
    if (d !== undefined && (p * q !== n || p < 2n || q < 2n)) throw unsupported("its parts do not belong together");
  } else if (key.kind === "ec") {
    const curve = CURVES[key.curve];
    if (!curve.has(key.x, key.y)) throw unsupported("its point is not on the curve");
    if (key.d !== undefined && (key.d <= 0n || key.d >= curve.n)) throw unsupported("its number is not of the curve");
  } else if (key.known.length !== 32) {
    throw unsupported("a key of Ed25519 has 32 bytes");
  }
  return key;
}

function pointIn(curve, bytes) {
  const { size } = CURVES[curve];
  if (bytes[0] !== 4 || bytes.length !== 1 + 2 * size) throw unsupported("its point is not written in full");
  return { x: numberOf(bytes.subarray(1, 1 + size)), y: numberOf(bytes.subarray(1 + size)) };
}

const pointOf = ({ curve, x, y }) => {
  const { size } = CURVES[curve];
  return concatenate([Uint8Array.of(4), bytesOfNumber(x, size), bytesOfNumber(y, size)], 1 + 2 * size);
};

function curveWith(element) {
  const oid = bodyOf(element, TAGS.oid).toHex();
  const name = Object.keys(CURVES).find((each) => CURVES[each].oid === oid);
  if (name === undefined) throw unsupported("its curve is none of P-256, P-384, P-521 and secp256k1");
  return name;
}

// Private and public keys of the older forms ------------------------------------------------------------------------

function rsaPublic(bytes) {
  const [n, e] = sequence(bytes).map(integerIn);
  if (e === undefined) throw new DerError("it has too few parts");
  return { kind: "rsa", n, e };
}

function rsaPrivate(bytes) {
  const [version, ...numbers] = sequence(bytes).map(integerIn);
  if (version !== 0n || numbers.length !== MEMBERS.length) throw new DerError("it has another number of parts");
  return { kind: "rsa", ...Object.fromEntries(MEMBERS.map((name, i) => [name, numbers[i]])) };
}

function ecPrivate(bytes, known = undefined) {
  const [version, secret, ...others] = sequence(bytes);
  if (integerIn(version) !== 1n) throw new DerError("it has another version");
  const tagged = (tag) => others.find((each) => each.tag === tag)?.body;
  const curve = known ?? curveWith(elements(tagged(0xa0) ?? new Uint8Array(0))[0]);
  const d = numberOf(bodyOf(secret, TAGS.octets));
  if (d <= 0n || d >= CURVES[curve].n) throw unsupported("its number is not of the curve");
  const point = tagged(0xa1);
  if (point !== undefined) return { kind: "ec", curve, d, ...pointIn(curve, bitsIn(elements(point)[0])) };
  const [x, y] = publicOf(CURVES[curve], d);
  return { kind: "ec", curve, d, x, y };
}

function spki(bytes) {
  const [algorithm, bits] = sequence(bytes);
  const [oid, parameter] = elements(bodyOf(algorithm, TAGS.sequence));
  const content = bitsIn(bits);
  const name = bodyOf(oid, TAGS.oid).toHex();
  if (name === RSA) return rsaPublic(content);
  if (name === ED25519) return { kind: "ed25519", known: content };
  if (name !== EC) throw unsupported("it is for none of RSA, ECDSA and Ed25519");
  const curve = curveWith(parameter);
  return { kind: "ec", curve, ...pointIn(curve, content) };
}

function pkcs8(bytes) {
  const [version, algorithm, inner] = sequence(bytes);
  if (integerIn(version) > 1n) throw new DerError("it has another version");
  const [oid, parameter] = elements(bodyOf(algorithm, TAGS.sequence));
  const content = bodyOf(inner, TAGS.octets);
  const name = bodyOf(oid, TAGS.oid).toHex();
  if (name === RSA) return rsaPrivate(content);
  if (name === EC) return ecPrivate(content, curveWith(parameter));
  if (name !== ED25519) throw unsupported("it is for none of RSA, ECDSA and Ed25519");
  return edwardsPrivate(bodyOf(elements(content)[0], TAGS.octets));
}

// What a key says of its public half is not looked at: two signatures of one seed with different ones tell the secret.
function edwardsPrivate(seed) {
  if (seed.length !== 32) throw unsupported("a key of Ed25519 has 32 bytes");
  return { kind: "ed25519", seed, known: edwardsPublicOf(seed) };
}

// The key that a certificate is for (RFC 5280, 4.1). Nobody looks at who has signed it.
function certificate(bytes) {
  const parts = elements(bodyOf(sequence(bytes)[0], TAGS.sequence));
  const from = parts[0]?.tag === 0xa0 ? 6 : 5;
  if (parts[from] === undefined) throw new DerError("it has too few parts");
  return spki(parts[from].whole);
}

const READERS = {
  "__proto__": null,
  "PUBLIC KEY": spki, "RSA PUBLIC KEY": rsaPublic, "CERTIFICATE": certificate,
  "PRIVATE KEY": pkcs8, "RSA PRIVATE KEY": rsaPrivate, "EC PRIVATE KEY": ecPrivate,
};
const LABELS = { "__proto__": null, "spki": ["PUBLIC KEY"], "pkcs8": ["PRIVATE KEY"], "sec1": ["EC PRIVATE KEY"] };

function readAs(label, bytes) {
  const reader = READERS[label];
  if (reader === undefined) {
    throw unsupported(label.startsWith("ENCRYPTED") ? "it is encrypted" : `nothing here reads a ${label}`);
  }
  try {
    return checked(reader(bytes));
  } catch (error) {
    throw error instanceof DerError ? unsupported(error.message) : error;
  }
}

/** A key from a text in PEM: the first part that is one. Others may come before it, as of a certificate's chain. */
export function readPem(text, isPrivate) {
  const parts = fromPem(text);
  if (parts.length === 0) throw unsupported("it is no PEM, or encrypted");
  const [secret, known] = [true, false].map((wanted) =>
    parts.find(({ label }) => label in READERS && label.endsWith("PRIVATE KEY") === wanted));
  const { label, bytes } = (isPrivate ? secret ?? known : known ?? secret) ?? parts[0];
  return readAs(label, bytes);
}

/** A key from DER of this type. */
export function readDer(bytes, type, isPrivate) {
  const label = type === "pkcs1" ? `RSA ${isPrivate ? "PRIVATE" : "PUBLIC"} KEY` : LABELS[type]?.[0];
  if (label === undefined) throw coded(TypeError, "ERR_INVALID_ARG_VALUE", `the type of a key in DER is not ${type}`);
  return readAs(label, bytes);
}

/** A key from a JSON Web Key. */
export function readJwk(jwk) {
  const number = (name) => numberOf(octets(jwk, name));
  const isPrivate = jwk.d !== undefined;
  const numbers = (...names) => Object.fromEntries(names.map((name) => [name, number(name)]));
  if (jwk.kty === "RSA") return checked({ kind: "rsa", ...numbers(...MEMBERS.slice(0, isPrivate ? undefined : 2)) });
  if (jwk.kty === "EC") {
    curveNamed(jwk.crv);
    return checked({ kind: "ec", curve: jwk.crv, ...numbers("x", "y", ...(isPrivate ? ["d"] : [])) });
  }
  if (jwk.kty !== "OKP" || jwk.crv !== "Ed25519") throw unsupported("it is for none of RSA, ECDSA and Ed25519");
  return checked(isPrivate ? edwardsPrivate(octets(jwk, "d")) : { kind: "ed25519", known: octets(jwk, "x") });
}

// Writing -----------------------------------------------------------------------------------------------------------

/** The public half. */
export function publicHalf({ kind, n, e, curve, x, y, known }) {
  if (kind === "rsa") return { kind, n, e };
  return kind === "ec" ? { kind, curve, x, y } : { kind, known };
}

const NONE = write(TAGS.none);
const algorithmOf = ({ kind, curve }) => {
  if (kind === "rsa") return writeSequence(writeOid(RSA), NONE);
  return kind === "ec" ? writeSequence(writeOid(EC), writeOid(CURVES[curve].oid)) : writeSequence(writeOid(ED25519));
};
const sec1 = (key, ...parameters) =>
  writeSequence(
    writeInteger(1n), write(TAGS.octets, bytesOfNumber(key.d, CURVES[key.curve].size)), ...parameters,
    write(0xa1, writeBits(pointOf(key))),
  );

const WRITERS = {
  __proto__: null,
  pkcs1(key, isPrivate) {
    if (key.kind !== "rsa") return null;
    if (!isPrivate) return ["RSA PUBLIC KEY", writeSequence(writeInteger(key.n), writeInteger(key.e))];
    return ["RSA PRIVATE KEY", writeSequence(writeInteger(0n), ...MEMBERS.map((name) => writeInteger(key[name])))];
  },
  spki(key, isPrivate) {
    if (isPrivate) return null;
    const content = key.kind === "rsa" ? WRITERS.pkcs1(key, false)[1] : (key.kind === "ec" ? pointOf(key) : key.known);
    return ["PUBLIC KEY", writeSequence(algorithmOf(key), writeBits(content))];
  },
  pkcs8(key, isPrivate) {
    if (!isPrivate) return null;
    const inner = key.kind === "rsa" ? WRITERS.pkcs1(key, true)[1]
      : key.kind === "ec" ? sec1(key) : write(TAGS.octets, key.seed);
    return ["PRIVATE KEY", writeSequence(writeInteger(0n), algorithmOf(key), write(TAGS.octets, inner))];
  },
  sec1(key, isPrivate) {
    if (!isPrivate || key.kind !== "ec") return null;
    return ["EC PRIVATE KEY", sec1(key, write(0xa0, writeOid(CURVES[key.curve].oid)))];
  },
};

/** A key as DER or PEM of this type. */
export function writeKey(key, type, format, isPrivate) {
  const made = WRITERS[type]?.(key, isPrivate) ?? null;
  if (made === null) {
    const what = isPrivate ? "private" : "public";
    throw coded(TypeError, "ERR_INVALID_ARG_VALUE", `a ${what} key of ${key.kind} has no type ${type}`);
  }
  return format === "pem" ? toPem(...made) : made[1];
}

export function writeJwk(key) {
  const text = (number, size = Math.ceil(bitsOf(number) / 8)) => base64url(bytesOfNumber(number, size));
  if (key.kind === "rsa") {
    const names = MEMBERS.filter((name) => key[name] !== undefined);
    return { kty: "RSA", ...Object.fromEntries(names.map((name) => [name, text(key[name])])) };
  }
  if (key.kind === "ec") {
    const { size } = CURVES[key.curve];
    const members = Object.fromEntries(["x", "y", "d"].filter((name) => key[name] !== undefined)
      .map((name) => [name, text(key[name], size)]));
    return { kty: "EC", ...members, crv: key.curve };
  }
  const secret = key.seed === undefined ? {} : { d: base64url(key.seed) };
  return { crv: "Ed25519", ...secret, x: base64url(key.known), kty: "OKP" };
}
