// UTF-8 both ways, by what the engine does natively: a loop of bytecode takes 150 ns for a byte.

import { decode as decodeRight, encode as encodeRight } from "pyworkerd:system";

const MOST_ARGUMENTS = 8192; // the engine takes 65,535

/** The bytes of a text. Lone surrogates become U+FFFD. */
export const encode = (text) => encodeRight(text.isWellFormed() ? text : text.toWellFormed());

/** One array of the bytes of several. `size`: the sum of their lengths. */
export function concatenate(pieces, size) {
  if (pieces.length === 1) return pieces[0];
  const whole = new Uint8Array(size);
  let offset = 0;
  for (const piece of pieces) {
    whole.set(piece, offset);
    offset += piece.length;
  }
  return whole;
}

/** The text that bytes are as UTF-8, a byte order mark included. What is malformed becomes U+FFFD, or raises a
 *  TypeError where `fatal`. */
export function decode(bytes, fatal = false) {
  try {
    return decodeRight(bytes);
  } catch {
    if (fatal) throw new TypeError("The encoded data was not valid for encoding utf-8");
    return decodeLoosely(bytes);
  }
}

/** The characters whose codes an array holds. */
export function fromCodes(codes) {
  if (codes.length <= MOST_ARGUMENTS) return String.fromCharCode.apply(null, codes);
  const pieces = [];
  for (let i = 0; i < codes.length; i += MOST_ARGUMENTS) {
    pieces.push(String.fromCharCode.apply(null, codes.subarray(i, i + MOST_ARGUMENTS)));
  }
  return pieces.join("");
}

// How many bytes follow a first byte, and which the second may be (https://encoding.spec.whatwg.org/#utf-8-decoder).
function following(first) {
  if (first < 0xc2 || first > 0xf4) return 0;
  return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}
const lowest = (first) => (first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80);
const highest = (first) => (first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf);

function decodeLoosely(bytes) {
  const codes = new Uint16Array(bytes.length);
  let size = 0;
  for (let i = 0; i < bytes.length; ) {
    const first = bytes[i];
    i += 1;
    if (first < 0x80) {
      codes[size++] = first;
      continue;
    }
    let more = following(first);
    let code = more === 0 ? 0xfffd : first & (0x3f >> more);
    for (let low = lowest(first), high = highest(first); more > 0; more -= 1, low = 0x80, high = 0xbf) {
      const byte = bytes[i];
      if (!(byte >= low && byte <= high)) {
        code = 0xfffd;
        break;
      }
      code = (code << 6) | (byte & 0x3f);
      i += 1;
    }
    if (code > 0xffff) {
      codes[size++] = 0xd7c0 + (code >> 10);
      code = 0xdc00 | (code & 0x3ff);
    }
    codes[size++] = code;
  }
  return fromCodes(codes.subarray(0, size));
}

/** How many bytes at the end are the beginning of a character that the next piece may complete. */
export function incomplete(bytes) {
  const size = bytes.length;
  for (let back = 1; back <= Math.min(3, size); back += 1) {
    const first = bytes[size - back];
    if (first < 0x80) return 0;
    if (first < 0xc0) continue;
    if (following(first) < back) return 0;
    const second = bytes[size - back + 1];
    return back === 1 || (second >= lowest(first) && second <= highest(first)) ? back : 0;
  }
  return 0;
}
