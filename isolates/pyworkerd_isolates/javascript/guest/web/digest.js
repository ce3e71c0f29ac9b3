// SHA-1 and SHA-2 (FIPS 180-4), for as long as the host does not do it: some hundred nanoseconds for a byte.

// The constants are the first bits of the fractional parts of roots of primes (4.2 and 5.3), so they are computed.
function primes(count) {
  const found = [];
  for (let n = 2; found.length < count; n += 1) if (found.every((prime) => n % prime !== 0)) found.push(n);
  return found;
}

// 64 bits of the fraction of the root: an integer root of the number, shifted.
function fraction(prime, degree) {
  const target = BigInt(prime) << BigInt(64 * degree);
  let low = 0n;
  for (let bit = 1n << 68n; bit > 0n; bit >>= 1n) if ((low + bit) ** BigInt(degree) <= target) low += bit;
  return low & 0xffffffffffffffffn;
}

const cubes = primes(80).map((prime) => fraction(prime, 3));
const squares = primes(16).map((prime) => fraction(prime, 2));
const high = (value) => Number(value >> 32n) | 0;
const low = (value) => Number(value & 0xffffffffn) | 0;
const K_HIGH = Int32Array.from(cubes, high);
const K_LOW = Int32Array.from(cubes, low);
const START_256 = Int32Array.from(squares.slice(0, 8), high);
const START_384 = Int32Array.from(squares.slice(8).flatMap((value) => [high(value), low(value)]));
const START_512 = Int32Array.from(squares.slice(0, 8).flatMap((value) => [high(value), low(value)]));

// The message with a one, zeros and its length (5.1), as a view of whole blocks.
function padded(bytes, block) {
  const size = Math.ceil((bytes.length + 1 + block / 8) / block) * block;
  const whole = new Uint8Array(size);
  whole.set(bytes);
  whole[bytes.length] = 0x80;
  const view = new DataView(whole.buffer);
  view.setUint32(size - 8, Math.floor(bytes.length / 0x20000000));
  view.setUint32(size - 4, (bytes.length << 3) >>> 0);
  return view;
}

function written(words, size) {
  const view = new DataView(new ArrayBuffer(words.length * 4));
  for (let i = 0; i < words.length; i += 1) view.setInt32(4 * i, words[i]);
  return new Uint8Array(view.buffer, 0, size).slice();
}

function sha1(bytes) {
  const view = padded(bytes, 64);
  const w = new Int32Array(80);
  const h = Int32Array.of(0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0);
  for (let at = 0; at < view.byteLength; at += 64) {
    for (let t = 0; t < 16; t += 1) w[t] = view.getInt32(at + 4 * t);
    for (let t = 16; t < 80; t += 1) {
      const x = w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16];
      w[t] = (x << 1) | (x >>> 31);
    }
    let a = h[0];
    let b = h[1];
    let c = h[2];
    let d = h[3];
    let e = h[4];
    for (let t = 0; t < 80; t += 1) {
      const f =
        t < 20 ? ((b & c) | (~b & d)) + 0x5a827999
        : t < 40 ? (b ^ c ^ d) + 0x6ed9eba1
        : t < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc
        : (b ^ c ^ d) + 0xca62c1d6;
      const next = (((a << 5) | (a >>> 27)) + f + e + w[t]) | 0;
      e = d;
      d = c;
      c = (b << 30) | (b >>> 2);
      b = a;
      a = next;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
  }
  return written(h, 20);
}

function sha256(bytes) {
  const view = padded(bytes, 64);
  const w = new Int32Array(64);
  const h = START_256.slice();
  for (let at = 0; at < view.byteLength; at += 64) {
    for (let t = 0; t < 16; t += 1) w[t] = view.getInt32(at + 4 * t);
    for (let t = 16; t < 64; t += 1) {
      const x = w[t - 15];
      const y = w[t - 2];
      const s0 = ((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3);
      const s1 = ((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10);
      w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    let [a, b, c, d, e, f, g, k] = h;
    for (let t = 0; t < 64; t += 1) {
      const s1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7));
      const t1 = (k + s1 + ((e & f) ^ (~e & g)) + K_HIGH[t] + w[t]) | 0;
      const s0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10));
      const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      k = g;
      g = f;
      f = e;
      e = (d + t1) | 0;
      d = c;
      c = b;
      b = a;
      a = (t1 + t2) | 0;
    }
    const now = [a, b, c, d, e, f, g, k];
    for (let i = 0; i < 8; i += 1) h[i] += now[i];
  }
  return written(h, 32);
}

// Words of 64 bits as two of 32. `carry`: of the sum of low halves, as unsigned numbers.
const carry = (sum) => Math.floor(sum / 0x100000000);

function sha512(bytes, start, size) {
  const view = padded(bytes, 128);
  const wh = new Int32Array(80);
  const wl = new Int32Array(80);
  const h = start.slice();
  const s = new Int32Array(16); // a to h, high and low halves in turns
  for (let at = 0; at < view.byteLength; at += 128) {
    for (let t = 0; t < 16; t += 1) {
      wh[t] = view.getInt32(at + 8 * t);
      wl[t] = view.getInt32(at + 8 * t + 4);
    }
    for (let t = 16; t < 80; t += 1) {
      const xh = wh[t - 15];
      const xl = wl[t - 15];
      const yh = wh[t - 2];
      const yl = wl[t - 2];
      const s0h = ((xh >>> 1) | (xl << 31)) ^ ((xh >>> 8) | (xl << 24)) ^ (xh >>> 7);
      const s0l = ((xl >>> 1) | (xh << 31)) ^ ((xl >>> 8) | (xh << 24)) ^ ((xl >>> 7) | (xh << 25));
      const s1h = ((yh >>> 19) | (yl << 13)) ^ ((yl >>> 29) | (yh << 3)) ^ (yh >>> 6);
      const s1l = ((yl >>> 19) | (yh << 13)) ^ ((yh >>> 29) | (yl << 3)) ^ ((yl >>> 6) | (yh << 26));
      const sum = (wl[t - 16] >>> 0) + (s0l >>> 0) + (wl[t - 7] >>> 0) + (s1l >>> 0);
      wl[t] = sum;
      wh[t] = wh[t - 16] + s0h + wh[t - 7] + s1h + carry(sum);
    }
    s.set(h);
    for (let t = 0; t < 80; t += 1) {
      const eh = s[8];
      const el = s[9];
      const s1h = ((eh >>> 14) | (el << 18)) ^ ((eh >>> 18) | (el << 14)) ^ ((el >>> 9) | (eh << 23));
      const s1l = ((el >>> 14) | (eh << 18)) ^ ((el >>> 18) | (eh << 14)) ^ ((eh >>> 9) | (el << 23));
      const chl = (el & s[11]) ^ (~el & s[13]);
      const sum1 = (s[15] >>> 0) + (s1l >>> 0) + (chl >>> 0) + (K_LOW[t] >>> 0) + (wl[t] >>> 0);
      const t1h = (s[14] + s1h + ((eh & s[10]) ^ (~eh & s[12])) + K_HIGH[t] + wh[t] + carry(sum1)) | 0;
      const t1l = sum1 | 0;
      const ah = s[0];
      const al = s[1];
      const s0h = ((ah >>> 28) | (al << 4)) ^ ((al >>> 2) | (ah << 30)) ^ ((al >>> 7) | (ah << 25));
      const s0l = ((al >>> 28) | (ah << 4)) ^ ((ah >>> 2) | (al << 30)) ^ ((ah >>> 7) | (al << 25));
      const majl = (al & s[3]) ^ (al & s[5]) ^ (s[3] & s[5]);
      const majh = (ah & s[2]) ^ (ah & s[4]) ^ (s[2] & s[4]);
      const dl = s[7];
      const dh = s[6];
      s.copyWithin(2, 0, 14);
      const sumE = (dl >>> 0) + (t1l >>> 0);
      s[9] = sumE;
      s[8] = dh + t1h + carry(sumE);
      const sumA = (t1l >>> 0) + (s0l >>> 0) + (majl >>> 0);
      s[1] = sumA;
      s[0] = t1h + s0h + majh + carry(sumA);
    }
    for (let i = 0; i < 16; i += 2) {
      const sum = (h[i + 1] >>> 0) + (s[i + 1] >>> 0);
      h[i + 1] = sum;
      h[i] += s[i] + carry(sum);
    }
  }
  return written(h, size);
}

/** Digests of bytes, by the name of the algorithm. */
export const DIGESTS = {
  "__proto__": null,
  "SHA-1": sha1,
  "SHA-256": sha256,
  "SHA-384": (bytes) => sha512(bytes, START_384, 48),
  "SHA-512": (bytes) => sha512(bytes, START_512, 64),
};
