// Arithmetic with large numbers, for signatures of "node:crypto" that are made and checked at once.
//
// A BigInt takes a time that depends on the numbers. What is secret is therefore never computed with as it is: powers
// and multiples have a regular pattern of steps, and what goes into them has a random part that comes out again.

import { fill } from "pyworkerd:system";

export const numberOf = (bytes) => (bytes.length === 0 ? 0n : BigInt(`0x${bytes.toHex()}`));

/** So many bytes, the highest first. */
export const bytesOfNumber = (number, size) => Uint8Array.fromHex(number.toString(16).padStart(2 * size, "0"));

export const bitsOf = (number) => number.toString(2).length;

export const mod = (number, modulus) => {
  const rest = number % modulus;
  return rest < 0n ? rest + modulus : rest;
};

/** A random number of 1 to `below` - 1. */
export function randomBelow(below) {
  const bytes = new Uint8Array(Math.ceil(bitsOf(below) / 8) + 8); // 64 bits more: no number is likelier than another
  fill(bytes);
  return (numberOf(bytes) % (below - 1n)) + 1n;
}

/** The inverse. Raises RangeError where there is none. */
export function inverse(number, modulus) {
  let [low, high, x, y] = [mod(number, modulus), modulus, 1n, 0n];
  while (low > 1n) {
    const times = high / low;
    [high, low] = [low, high - times * low];
    [y, x] = [x, y - times * x];
  }
  if (low !== 1n) throw new RangeError("a number has no inverse");
  return mod(x, modulus);
}

const WINDOW = 4;

/** A power, by steps that are the same for all exponents of a length. */
export function power(base, exponent, modulus) {
  const table = [1n];
  for (let i = 1; i < 1 << WINDOW; i += 1) table.push((table[i - 1] * base) % modulus);
  let result = 1n;
  for (const digit of exponent.toString(16)) {
    for (let i = 0; i < WINDOW; i += 1) result = (result * result) % modulus;
    result = (result * table[Number.parseInt(digit, 16)]) % modulus;
  }
  return result;
}
