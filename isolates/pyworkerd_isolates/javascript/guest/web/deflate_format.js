// What both directions of DEFLATE need: its codes (RFC 1951, 3.2.5 and 3.2.6), and the sums of zlib and gzip.

/** Smallest length and number of further bits, by code less 257. */
export const LENGTH_BASE = [];
export const LENGTH_BITS = [];
/** Smallest distance and number of further bits, by code. */
export const DISTANCE_BASE = [];
export const DISTANCE_BITS = [];

for (let code = 0, base = 3; code < 28; code += 1) {
  const bits = code < 8 ? 0 : (code >> 2) - 1;
  LENGTH_BASE.push(base);
  LENGTH_BITS.push(bits);
  base += 1 << bits;
}
LENGTH_BASE.push(258); // the longest has a code of its own
LENGTH_BITS.push(0);
for (let code = 0, base = 1; code < 30; code += 1) {
  const bits = code < 4 ? 0 : (code >> 1) - 1;
  DISTANCE_BASE.push(base);
  DISTANCE_BITS.push(bits);
  base += 1 << bits;
}

/** Lengths of the fixed codes, by symbol. */
export const FIXED_LITERALS = Uint8Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8));
export const FIXED_DISTANCES = new Uint8Array(30).fill(5);

/** The code words of canonical codes of such lengths (3.2.2), first bit lowest. */
export function codeWords(lengths) {
  const count = new Uint16Array(16);
  for (const length of lengths) count[length] += 1;
  count[0] = 0;
  const next = new Uint16Array(16);
  for (let bits = 1; bits < 16; bits += 1) next[bits] = (next[bits - 1] + count[bits - 1]) << 1;
  return Uint16Array.from(lengths, (length) => (length === 0 ? 0 : reversed(next[length]++, length)));
}

function reversed(code, length) {
  let result = 0;
  for (let i = 0; i < length; i += 1) result |= ((code >> i) & 1) << (length - 1 - i);
  return result;
}

const CRC = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let i = 0; i < 8; i += 1) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The CRC-32 (RFC 1952, 8) of bytes after others whose sum is given; 0 is that of none. */
export function crc32(bytes, before) {
  let value = ~before;
  for (let i = 0; i < bytes.length; i += 1) value = CRC[(value ^ bytes[i]) & 0xff] ^ (value >>> 8);
  return ~value >>> 0;
}

/** The Adler-32 (RFC 1950, 8.2) of bytes after others whose sum is given; 1 is that of none. */
export function adler32(bytes, before) {
  let a = before & 0xffff;
  let b = before >>> 16;
  for (let start = 0; start < bytes.length; start += 3800) {
    const end = Math.min(start + 3800, bytes.length); // so many sums stay below 2^31
    for (let i = start; i < end; i += 1) {
      a += bytes[i];
      b += a;
    }
    a %= 65521;
    b %= 65521;
  }
  return ((b << 16) | a) >>> 0;
}
