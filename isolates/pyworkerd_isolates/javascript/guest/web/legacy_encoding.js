// Decoders of legacy encodings (https://encoding.spec.whatwg.org/#legacy-single-byte-encodings and what follows it).
// Their tables are the engine's: an isolate has a copy of one after a program has asked for its decoder.

import { table } from "pyworkerd:system";
import places from "pyworkerd:tables";
import { fromCodes } from "pyworkerd:web/utf8";

const indexes = new Map();

function bytesOf(name) {
  return table(...places[name]);
}

// What each pointer stands for; 0 where it stands for nothing.
function indexOf(name) {
  let found = indexes.get(name);
  if (found === undefined) {
    found = new Uint16Array(bytesOf(name).buffer);
    indexes.set(name, found);
  }
  return found;
}

const UNKNOWN = "\ufffd";
const ERROR = -1; // no character
const MORE = -2; // it may become one, with the bytes that follow

let taken = 0; // how many bytes the last call of a `next` has used

// A pair of bytes that stands for nothing: an ASCII character in second place is one of its own.
function neither(second) {
  taken = second < 0x80 ? 1 : 2;
  return ERROR;
}

function within(byte, low, high) {
  return byte >= low && byte <= high;
}

function nextBig5(index) {
  const plane2 = bytesOf("big5-plane-2");
  const pairs = new Map([[1133, 0xca_0304], [1135, 0xca_030c], [1164, 0xea_0304], [1166, 0xea_030c]]);
  return (bytes, at) => {
    taken = 1;
    if (!within(bytes[at], 0x81, 0xfe)) return ERROR;
    if (at + 1 === bytes.length) return MORE;
    taken = 2;
    const second = bytes[at + 1];
    if (!within(second, 0x40, 0x7e) && !within(second, 0xa1, 0xfe)) return neither(second);
    const pointer = (bytes[at] - 0x81) * 157 + second - (second < 0x7f ? 0x40 : 0x62);
    const code = index[pointer];
    if (code === 0) return pairs.get(pointer) ?? neither(second);
    return (plane2[pointer >> 3] >> (pointer & 7)) & 1 ? 0x20000 + code : code;
  };
}

function nextEucKr(index) {
  return (bytes, at) => {
    taken = 1;
    if (!within(bytes[at], 0x81, 0xfe)) return ERROR;
    if (at + 1 === bytes.length) return MORE;
    taken = 2;
    const second = bytes[at + 1];
    const code = within(second, 0x41, 0xfe) ? index[(bytes[at] - 0x81) * 190 + second - 0x41] : 0;
    return code || neither(second);
  };
}

function nextShiftJis(index) {
  return (bytes, at) => {
    const first = bytes[at];
    taken = 1;
    if (first === 0x80) return first;
    if (within(first, 0xa1, 0xdf)) return 0xff61 - 0xa1 + first;
    if (!within(first, 0x81, 0x9f) && !within(first, 0xe0, 0xfc)) return ERROR;
    if (at + 1 === bytes.length) return MORE;
    taken = 2;
    const second = bytes[at + 1];
    if (!within(second, 0x40, 0x7e) && !within(second, 0x80, 0xfc)) return neither(second);
    const pointer = (first - (first < 0xa0 ? 0x81 : 0xc1)) * 188 + second - (second < 0x7f ? 0x40 : 0x41);
    if (within(pointer, 8836, 10715)) return 0xe000 - 8836 + pointer;
    return index[pointer] || neither(second);
  };
}

function nextEucJp(index) {
  const more = indexOf("jis0212");
  return (bytes, at) => {
    let first = bytes[at];
    taken = 1;
    if (first !== 0x8e && first !== 0x8f && !within(first, 0xa1, 0xfe)) return ERROR;
    if (at + 1 === bytes.length) return MORE;
    taken = 2;
    let second = bytes[at + 1];
    if (first === 0x8e && within(second, 0xa1, 0xdf)) return 0xff61 - 0xa1 + second;
    let from = index;
    if (first === 0x8f && within(second, 0xa1, 0xfe)) {
      if (at + 2 === bytes.length) return MORE;
      [first, second, from] = [second, bytes[at + 2], more];
    }
    const isPair = within(first, 0xa1, 0xfe) && within(second, 0xa1, 0xfe);
    const code = isPair ? from[(first - 0xa1) * 94 + second - 0xa1] : 0;
    const known = code || neither(second);
    if (from === more) taken += 1;
    return known;
  };
}

// Four bytes of gb18030 (https://encoding.spec.whatwg.org/#index-gb18030-ranges-code-point).
function fourBytes(ranges, pointer) {
  if (pointer >= 189_000) return pointer > 1_237_575 ? ERROR : pointer - 189_000 + 0x10000;
  if (pointer > 39_419) return ERROR;
  if (pointer === 7457) return 0xe7c7;
  let low = 0;
  for (let high = ranges.length / 2; high - low > 1; ) {
    const middle = (low + high) >> 1;
    if (ranges[2 * middle] <= pointer) low = middle;
    else high = middle;
  }
  return ranges[2 * low + 1] + pointer - ranges[2 * low];
}

function nextGb18030(index) {
  const ranges = indexOf("gb18030-ranges");
  return (bytes, at) => {
    const first = bytes[at];
    taken = 1;
    if (first === 0x80) return 0x20ac;
    if (first === 0xff) return ERROR;
    if (at + 1 === bytes.length) return MORE;
    const second = bytes[at + 1];
    if (!within(second, 0x30, 0x39)) {
      taken = 2;
      if (!within(second, 0x40, 0x7e) && !within(second, 0x80, 0xfe)) return neither(second);
      return index[(first - 0x81) * 190 + second - (second < 0x7f ? 0x40 : 0x41)] || neither(second);
    }
    if (at + 2 === bytes.length) return MORE;
    const third = bytes[at + 2];
    if (!within(third, 0x81, 0xfe)) return ERROR;
    if (at + 3 === bytes.length) return MORE;
    const fourth = bytes[at + 3];
    if (!within(fourth, 0x30, 0x39)) return ERROR;
    taken = 4;
    return fourBytes(ranges, (((first - 0x81) * 10 + second - 0x30) * 126 + third - 0x81) * 10 + fourth - 0x30);
  };
}

// Escape sequences, and the set of characters that each begins. The last has two bytes for a character.
const ASCII = 0;
const ROMAN = 1;
const KATAKANA = 2;
const KANJI = 3;
const SETS = new Map([[0x2842, ASCII], [0x284a, ROMAN], [0x2849, KATAKANA], [0x2440, KANJI], [0x2442, KANJI]]);
const NOTHING = -3; // bytes that are right and stand for no character
const ESCAPE = 0x1b;

function nextIso2022Jp(index) {
  let set = ASCII;
  let escaped = false; // whether nothing came since the last escape sequence: two of them are an error
  const next = (bytes, at) => {
    const first = bytes[at];
    taken = 1;
    if (first === ESCAPE) return escape(bytes, at);
    escaped = false;
    if (set === KANJI) return kanji(bytes, at);
    if (set === KATAKANA) return within(first, 0x21, 0x5f) ? 0xff61 - 0x21 + first : ERROR;
    if (first > 0x7f || first === 0x0e || first === 0x0f) return ERROR;
    if (set === ROMAN && first === 0x5c) return 0xa5;
    return set === ROMAN && first === 0x7e ? 0x203e : first;
  };

  function escape(bytes, at) {
    const [one, two] = [bytes[at + 1], bytes[at + 2]];
    // Without the rest of it the sequence is none, if nothing follows: what is there of it are characters then.
    if (one === undefined || ((one === 0x24 || one === 0x28) && two === undefined)) return MORE;
    const found = SETS.get((one << 8) | two);
    if (found === undefined) {
      escaped = false;
      return ERROR;
    }
    taken = 3;
    set = found;
    if (escaped) return ERROR;
    escaped = true;
    return NOTHING;
  }

  function kanji(bytes, at) {
    const first = bytes[at];
    if (!within(first, 0x21, 0x7e)) return ERROR;
    if (at + 1 === bytes.length) return MORE;
    const second = bytes[at + 1];
    if (second === ESCAPE) return ERROR;
    taken = 2;
    return within(second, 0x21, 0x7e) ? index[(first - 0x21) * 94 + second - 0x21] || ERROR : ERROR;
  }

  next.reset = () => {
    set = ASCII;
    escaped = false;
  };
  return next;
}

function wrong(name) {
  return new TypeError(`The encoded data was not valid for encoding ${name}`);
}

function multiByte(name, next) {
  const reset = next.reset ?? (() => {});
  const isPlain = next.reset === undefined; // whether each byte of ASCII stands for itself

  return (bytes, fatal, stream) => {
    const codes = new Uint16Array(bytes.length);
    let size = 0;
    let at = 0;
    while (at < bytes.length) {
      if (isPlain && bytes[at] < 0x80) {
        codes[size++] = bytes[at++];
        continue;
      }
      let code = next(bytes, at);
      if (code === MORE) {
        if (stream) break;
        code = ERROR;
        if (isPlain) taken = bytes.length - at;
      }
      at += taken;
      if (code === NOTHING) continue;
      if (code === ERROR) {
        if (fatal) {
          reset();
          throw wrong(name);
        }
        code = 0xfffd;
      }
      if (code > 0x10ffff) {
        codes[size++] = code >> 16;
        code &= 0xffff;
      } else if (code > 0xffff) {
        codes[size++] = 0xd7c0 + (code >> 10);
        code = 0xdc00 | (code & 0x3ff);
      }
      codes[size++] = code;
    }
    if (!stream) reset();
    return { text: fromCodes(codes.subarray(0, size)), used: at };
  };
}

// `upper` has a character for each byte from 0x80 on.
function singleByte(name, upper) {
  const hasAll = !upper.includes(UNKNOWN);
  return (bytes, fatal) => {
    const text = atob(bytes.toBase64()).replace(/[\x80-\xff]/g, (c) => upper[c.charCodeAt(0) - 0x80]);
    if (fatal && !hasAll && text.includes(UNKNOWN)) throw wrong(name);
    return { text, used: bytes.length };
  };
}

// By encoding: its table, and what reads a character by it.
const MULTI_BYTE = {
  __proto__: null,
  "big5": ["big5", nextBig5],
  "euc-jp": ["jis0208", nextEucJp],
  "euc-kr": ["euc-kr", nextEucKr],
  "gb18030": ["gb18030", nextGb18030],
  "gbk": ["gb18030", nextGb18030],
  "iso-2022-jp": ["jis0208", nextIso2022Jp],
  "shift_jis": ["jis0208", nextShiftJis],
};

/** A decoder of one of these encodings: `(bytes, fatal, stream)` gives the text, and how many bytes are used; where
 *  `stream`, those that are not are the beginning of a character. Raises a TypeError for an error where `fatal`. */
export function legacyDecoder(name) {
  const found = MULTI_BYTE[name];
  if (found !== undefined) return multiByte(name, found[1](indexOf(found[0])));
  if (name === "x-user-defined") {
    return singleByte(name, fromCodes(Uint16Array.from({ length: 128 }, (_, place) => 0xf780 + place)));
  }
  const upper = fromCodes(indexOf(name === "iso-8859-8-i" ? "iso-8859-8" : name));
  return singleByte(name, upper.replaceAll("\0", UNKNOWN));
}
