// Signatures with elliptic curves, made and checked at once: ECDSA (FIPS 186-5, SEC 1) and Ed25519 (RFC 8032).

import { bitsOf, bytesOfNumber, inverse, mod, numberOf, power, randomBelow } from "pyworkerd:node_parts/numbers";
import { digest } from "pyworkerd:web/digest";
import { concatenate } from "pyworkerd:web/utf8";
import { fill } from "pyworkerd:system";

const hex = (text) => BigInt(`0x${text.replace(/\s/g, "")}`);

// y^2 = x^3 + ax + b over numbers modulo p, and a point of order n (SP 800-186, 3.2.1; SEC 2, 2.4.1).
class Curve {
  constructor(name, oid, p, a, b, n, x, y) {
    Object.assign(this, { name, oid, p, a, b, n });
    this.base = [x, y, 1n];
    this.size = Math.ceil(bitsOf(p) / 8);
  }

  /** Whether these are coordinates of a point of the curve. */
  has(x, y) {
    const { p, a, b } = this;
    return x >= 0n && y >= 0n && x < p && y < p && (y * y - (x * x * x + a * x + b)) % p === 0n;
  }

  // Points are [X, Y, Z] and mean (X / Z^2, Y / Z^3); where Z is 0, that at infinity.
  double([x, y, z]) {
    const { p, a } = this;
    if (z === 0n || y === 0n) return NOWHERE;
    const yy = (y * y) % p;
    const s = (4n * x * yy) % p;
    const zz = (z * z) % p;
    const m = (3n * x * x + a * ((zz * zz) % p)) % p;
    const x3 = mod(m * m - 2n * s, p);
    return [x3, mod(m * (s - x3) - 8n * yy * yy, p), (2n * y * z) % p];
  }

  add(one, other) {
    const { p } = this;
    const [x1, y1, z1] = one;
    const [x2, y2, z2] = other;
    if (z1 === 0n) return other;
    if (z2 === 0n) return one;
    const [zz1, zz2] = [(z1 * z1) % p, (z2 * z2) % p];
    const [u1, u2] = [(x1 * zz2) % p, (x2 * zz1) % p];
    const [s1, s2] = [(y1 * ((zz2 * z2) % p)) % p, (y2 * ((zz1 * z1) % p)) % p];
    const h = mod(u2 - u1, p);
    const r = mod(s2 - s1, p);
    if (h === 0n) return r === 0n ? this.double(one) : NOWHERE;
    const hh = (h * h) % p;
    const hhh = (h * hh) % p;
    const v = (u1 * hh) % p;
    const x3 = mod(r * r - hhh - 2n * v, p);
    return [x3, mod(r * (v - x3) - s1 * hhh, p), (((h * z1) % p) * z2) % p];
  }

  /** A multiple of the base point by a secret number: as many steps for each, from a random form of the point. */
  multiple(number) {
    const { p, n, base } = this;
    const length = bitsOf(n);
    let whole = number + n;
    if (bitsOf(whole) === length) whole += n; // of one length, whatever the number
    const z = randomBelow(p);
    const zz = (z * z) % p;
    const point = [(base[0] * zz) % p, (base[1] * ((zz * z) % p)) % p, z];
    const found = [point, point];
    for (const bit of whole.toString(2).slice(1)) {
      const doubled = this.double(found[0]);
      const added = this.add(doubled, point);
      found[0] = bit === "1" ? added : doubled;
    }
    return this.plain(found[0]);
  }

  /** The sum of multiples of two points that everybody knows. */
  sum(first, point, second, other) {
    const both = this.add(point, other);
    const length = Math.max(bitsOf(first), bitsOf(second));
    const [one, two] = [first.toString(2).padStart(length, "0"), second.toString(2).padStart(length, "0")];
    let found = NOWHERE;
    for (let i = 0; i < length; i += 1) {
      found = this.double(found);
      const next = one[i] === "1" ? (two[i] === "1" ? both : point) : (two[i] === "1" ? other : null);
      if (next !== null) found = this.add(found, next);
    }
    return found;
  }

  plain([x, y, z]) {
    if (z === 0n) return null;
    const { p } = this;
    const inverted = inverse(z, p);
    const squared = (inverted * inverted) % p;
    return [(x * squared) % p, (y * ((squared * inverted) % p)) % p];
  }

  // The leftmost bits of a digest.
  messageOf(hash, data) {
    const sum = digest(hash, data);
    const surplus = 8 * sum.length - bitsOf(this.n);
    return surplus > 0 ? numberOf(sum) >> BigInt(surplus) : numberOf(sum);
  }

  /** `r` and `s`, one behind the other. */
  sign(secret, hash, data) {
    const { n } = this;
    const message = this.messageOf(hash, data);
    for (;;) {
      const nonce = randomBelow(n);
      const r = this.multiple(nonce)[0] % n;
      const blind = randomBelow(n);
      // Each product has a random factor, which the inverse takes away again.
      const numerator = (((message * blind) % n) + ((r * ((secret * blind) % n)) % n)) % n;
      const s = (numerator * inverse((nonce * blind) % n, n)) % n;
      if (r === 0n || s === 0n) continue;
      const size = Math.ceil(bitsOf(n) / 8);
      return concatenate([bytesOfNumber(r, size), bytesOfNumber(s, size)], 2 * size);
    }
  }

  verify(x, y, hash, data, signature) {
    const { n, base } = this;
    const size = Math.ceil(bitsOf(n) / 8);
    if (signature.length !== 2 * size) return false;
    const [r, s] = [numberOf(signature.subarray(0, size)), numberOf(signature.subarray(size))];
    if (r <= 0n || r >= n || s <= 0n || s >= n) return false;
    const inverted = inverse(s, n);
    const [first, second] = [(this.messageOf(hash, data) * inverted) % n, (r * inverted) % n];
    const found = this.plain(this.sum(first, base, second, [x, y, 1n]));
    return found !== null && found[0] % n === r;
  }
}

const NOWHERE = [1n, 1n, 0n];

const P256 = hex("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
const P384 = hex("fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff");
const P521 = (1n << 521n) - 1n;
const K256 = (1n << 256n) - 0x1000003d1n;

/** By the names of JSON Web Keys; `oid` as hexadecimal, and what OpenSSL calls them. */
export const CURVES = {
  "__proto__": null,
  "P-256": new Curve(
    "prime256v1", "2a8648ce3d030107", P256, P256 - 3n,
    hex("5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"),
    hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
    hex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
    hex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
  ),
  "P-384": new Curve(
    "secp384r1", "2b81040022", P384, P384 - 3n,
    hex("b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef"),
    hex("ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973"),
    hex("aa87ca22be8b05378eb1c71ef320ad746e1d3b628ba79b9859f741e082542a385502f25dbf55296c3a545e3872760ab7"),
    hex("3617de4a96262c6f5d9e98bf9292dc29f8f41dbd289a147ce9da3113b5f0b8c00a60b1ce1d7e819d7a431d7c90ea0e5f"),
  ),
  "P-521": new Curve(
    "secp521r1", "2b81040023", P521, P521 - 3n,
    hex(`0051953eb9618e1c9a1f929a21a0b68540eea2da725b99b315f3b8b489918ef109e156193951ec7e937b1652c0bd3bb1bf07
         3573df883d2c34f1ef451fd46b503f00`),
    hex(`01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03
         bb5c9b8899c47aebb6fb71e91386409`),
    hex(`00c6858e06b70404e9cd9e3ecb662395b4429c648139053fb521f828af606b4d3dbaa14b5e77efe75928fe1dc127a2ffa8de
         3348b3c1856a429bf97e7e31c2e5bd66`),
    hex(`011839296a789a3bc0045c8a5fb42c7d1bd998f54449579b446817afbd17273e662c97ee72995ef42640c550b9013fad0761
         353c7086a272c24088be94769fd16650`),
  ),
  "secp256k1": new Curve(
    "secp256k1", "2b8104000a", K256, 0n, 7n,
    hex("fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141"),
    hex("79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"),
    hex("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8"),
  ),
};

/** A new private number and the point that belongs to it. */
export function generateOn(curve) {
  const d = randomBelow(curve.n);
  const [x, y] = curve.multiple(d);
  return { d, x, y };
}

/** The point that belongs to a private number. */
export const publicOf = (curve, d) => curve.multiple(d);

// Ed25519 -----------------------------------------------------------------------------------------------------------

const P = (1n << 255n) - 19n;
const ORDER = (1n << 252n) + 27742317777372353535851937790883648493n;
const D = mod(-121665n * inverse(121666n, P), P);
const ROOT = power(2n, (P - 1n) / 4n, P); // of -1

const little = (bytes) => numberOf(bytes.toReversed());
const littleBytes = (number) => bytesOfNumber(number, 32).reverse();

// Points are [X, Y, Z, T] and mean (X / Z, Y / Z), and T is XY / Z (RFC 8032, 5.1.4).
function addPoints([x1, y1, z1, t1], [x2, y2, z2, t2]) {
  const a = ((y1 - x1) * (y2 - x2)) % P;
  const b = ((y1 + x1) * (y2 + x2)) % P;
  const c = (2n * t1 * ((t2 * D) % P)) % P;
  const d = (2n * z1 * z2) % P;
  const [e, f, g, h] = [b - a, d - c, d + c, b + a];
  return [mod(e * f, P), mod(g * h, P), mod(f * g, P), mod(e * h, P)];
}

const ZERO = [0n, 1n, 1n, 0n];

// As many steps for each number: it may be a secret.
function times(number, point) {
  let found = ZERO;
  for (const bit of (number + (1n << 256n)).toString(2).slice(1)) {
    const doubled = addPoints(found, found);
    const added = addPoints(doubled, point);
    found = bit === "1" ? added : doubled;
  }
  return found;
}

function compressed([x, y, z]) {
  const inverted = inverse(z, P);
  const bytes = littleBytes((y * inverted) % P);
  if ((x * inverted) % P & 1n) bytes[31] |= 0x80;
  return bytes;
}

// The point that these 32 bytes are, or null (5.1.3).
function decompressed(bytes) {
  const copy = bytes.slice();
  const sign = copy[31] >> 7;
  copy[31] &= 0x7f;
  const y = little(copy);
  if (y >= P) return null;
  const [u, v] = [mod(y * y - 1n, P), mod(D * y * y + 1n, P)];
  const v3 = (v * v * v) % P;
  let x = (u * v3 * power((u * v3 * v3 * v) % P, (P - 5n) / 8n, P)) % P;
  const check = (v * x * x) % P;
  if (check === mod(-u, P)) x = (x * ROOT) % P;
  else if (check !== u) return null;
  if (x === 0n && sign === 1) return null;
  if (Number(x & 1n) !== sign) x = P - x;
  return [x, y, 1n, (x * y) % P];
}

const BASE = decompressed(littleBytes((4n * inverse(5n, P)) % P));

const hashed = (...parts) => {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  return little(digest("SHA-512", concatenate(parts, size))) % ORDER;
};

function expanded(seed) {
  const sum = digest("SHA-512", seed);
  const bytes = sum.slice(0, 32);
  bytes[0] &= 0xf8;
  bytes[31] = (bytes[31] & 0x7f) | 0x40;
  return { scalar: little(bytes), prefix: sum.slice(32) };
}

export const edwardsPublicOf = (seed) => compressed(times(expanded(seed).scalar, BASE));

export function edwardsSeed() {
  const seed = new Uint8Array(32);
  fill(seed);
  return seed;
}

export function edwardsSign(seed, known, data) {
  const { scalar, prefix } = expanded(seed);
  const r = hashed(prefix, data);
  const first = compressed(times(r, BASE));
  const s = (r + hashed(first, known, data) * scalar) % ORDER;
  return concatenate([first, littleBytes(s)], 64);
}

export function edwardsVerify(known, data, signature) {
  if (signature.length !== 64) return false;
  const [first, s] = [signature.subarray(0, 32), little(signature.subarray(32))];
  const [point, nonce] = [decompressed(known), decompressed(first)];
  if (point === null || nonce === null || s >= ORDER) return false;
  const right = addPoints(nonce, times(hashed(first, known, data), point));
  const [x1, y1, z1] = times(s, BASE);
  const [x2, y2, z2] = right;
  return mod(x1 * z2 - x2 * z1, P) === 0n && mod(y1 * z2 - y2 * z1, P) === 0n;
}
