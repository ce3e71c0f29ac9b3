// Compression: DEFLATE with the fixed codes (RFC 1951), zlib and gzip. Less compact than what zlib makes, for there is
// no second pass over what was found.

import {
  DISTANCE_BASE, DISTANCE_BITS, FIXED_DISTANCES, FIXED_LITERALS, LENGTH_BASE, LENGTH_BITS, adler32, codeWords, crc32,
} from "pyworkerd:web/deflate_format";
import { concatenate } from "pyworkerd:web/utf8";

const WINDOW = 32768;
const BLOCK = 65536;
const HASHES = 8192;
const LONGEST = 258;
const TRIES = 8; // places that are looked at for a match

const WORDS = codeWords(FIXED_LITERALS);
const DISTANCE_WORDS = codeWords(FIXED_DISTANCES);

// Codes by length, and by distance: where it begins a code is found by halving.
const LENGTH_CODE = new Uint8Array(LONGEST + 1);
for (let code = 0; code < LENGTH_BASE.length; code += 1) LENGTH_CODE.fill(code, LENGTH_BASE[code]);

function distanceCode(distance) {
  let low = 0;
  for (let step = 16; step > 0; step >>= 1) if (low + step < 30 && DISTANCE_BASE[low + step] <= distance) low += step;
  return low;
}

const HEADS = {
  "__proto__": null,
  "deflate-raw": [],
  "deflate": [0x78, 0x9c],
  "gzip": [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255],
};

/** Compresses. `push(bytes)` gives bytes, often none; `finish()` gives the last. */
export class Deflater {
  constructor(format) {
    this.format = format;
    this.data = new Uint8Array(WINDOW + BLOCK); // what can be referred to, and what is to be written
    this.first = 0; // of what is to be written
    this.size = 0;
    this.heads = new Int32Array(HASHES).fill(-1); // last place of each hash
    this.before = new Int32Array(WINDOW + BLOCK); // the place before each place
    this.output = Uint8Array.from(HEADS[format]);
    this.length = this.output.length;
    this.hold = 0;
    this.bits = 0;
    this.sum = format === "deflate" ? 1 : 0;
    this.total = 0;
  }

  push(bytes) {
    if (this.format === "gzip") this.sum = crc32(bytes, this.sum);
    else if (this.format === "deflate") this.sum = adler32(bytes, this.sum);
    this.total += bytes.length;
    for (let start = 0; start < bytes.length; ) {
      const count = Math.min(this.data.length - this.size, bytes.length - start);
      this.data.set(bytes.subarray(start, start + count), this.size);
      this.size += count;
      start += count;
      if (this.size === this.data.length) this.#block(false);
    }
    return this.#taken();
  }

  finish() {
    this.#block(true);
    this.#write(0, (8 - (this.bits & 7)) & 7);
    if (this.format === "deflate") for (const shift of [24, 16, 8, 0]) this.#write((this.sum >>> shift) & 0xff, 8);
    if (this.format === "gzip") {
      for (const value of [this.sum, this.total % 2 ** 32]) {
        for (const shift of [0, 8, 16, 24]) this.#write((value >>> shift) & 0xff, 8);
      }
    }
    return this.#taken();
  }

  #taken() {
    const taken = this.output.slice(0, this.length);
    this.length = 0;
    return taken;
  }

  #write(value, count) {
    this.hold |= value << this.bits;
    this.bits += count;
    while (this.bits >= 8) {
      if (this.length === this.output.length) {
        this.output = concatenate([this.output, new Uint8Array(4096 + this.length)], 2 * this.length + 4096);
      }
      this.output[this.length] = this.hold & 0xff;
      this.length += 1;
      this.hold >>>= 8;
      this.bits -= 8;
    }
  }

  #block(last) {
    const { data } = this;
    this.#write(last ? 1 : 0, 1);
    this.#write(1, 2);
    let place = this.first;
    while (place < this.size) {
      const [length, distance] = this.#match(place);
      if (length < 3) {
        this.#write(WORDS[data[place]], FIXED_LITERALS[data[place]]);
        this.#remember(place);
        place += 1;
        continue;
      }
      const code = LENGTH_CODE[length];
      this.#write(WORDS[257 + code], FIXED_LITERALS[257 + code]);
      this.#write(length - LENGTH_BASE[code], LENGTH_BITS[code]);
      const far = distanceCode(distance);
      this.#write(DISTANCE_WORDS[far], 5);
      this.#write(distance - DISTANCE_BASE[far], DISTANCE_BITS[far]);
      for (const end = place + length; place < end; place += 1) this.#remember(place);
    }
    this.#write(WORDS[256], FIXED_LITERALS[256]);
    this.#slide();
  }

  #hash(place) {
    const { data } = this;
    return ((data[place] << 10) ^ (data[place + 1] << 5) ^ data[place + 2]) & (HASHES - 1);
  }

  #remember(place) {
    if (place + 2 >= this.size) return;
    const hash = this.#hash(place);
    this.before[place] = this.heads[hash];
    this.heads[hash] = place;
  }

  // The longest match that a few tries find.
  #match(place) {
    const { data, size } = this;
    const most = Math.min(LONGEST, size - place);
    if (most < 3) return NO_MATCH;
    let best = 2;
    let distance = 0;
    let candidate = this.heads[this.#hash(place)];
    for (let tries = TRIES; tries > 0 && candidate >= 0 && place - candidate <= WINDOW; tries -= 1) {
      if (data[candidate + best] === data[place + best]) {
        let length = 0;
        while (length < most && data[candidate + length] === data[place + length]) length += 1;
        if (length > best) {
          best = length;
          distance = place - candidate;
          if (length === most) break;
        }
      }
      candidate = this.before[candidate];
    }
    return distance === 0 ? NO_MATCH : [best, distance];
  }

  // Keeps what the next block may refer to.
  #slide() {
    const gone = Math.max(0, this.size - WINDOW);
    this.data.copyWithin(0, gone, this.size);
    this.size -= gone;
    this.first = this.size;
    const moved = (place) => (place >= gone ? place - gone : -1);
    this.heads = this.heads.map(moved);
    this.before = this.before.map((_, i) => moved(this.before[i + gone] ?? -1));
  }
}

const NO_MATCH = [0, 0];
