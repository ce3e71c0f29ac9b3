// Decompression: DEFLATE (RFC 1951), zlib (RFC 1950) and gzip (RFC 1952), in pieces of bounded size.

import {
  DISTANCE_BASE, DISTANCE_BITS, FIXED_DISTANCES, FIXED_LITERALS, LENGTH_BASE, LENGTH_BITS, adler32, codeWords, crc32,
} from "pyworkerd:web/deflate_format";

const WINDOW = 32768;
const PIECE = 65536;
const NOTHING = new Uint8Array(0);
const QUICK = 9; // bits of a code that are looked up at once
const ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]; // 3.2.7

const invalid = (what) => new TypeError(`The compressed data is not valid: ${what}.`);

// A code, for reading: short ones in a table, the others by their words.
function makeCode(lengths) {
  const words = codeWords(lengths);
  const quick = new Uint16Array(1 << QUICK); // symbol and length
  const slow = new Map();
  let room = 1 << 15;
  for (let symbol = 0; symbol < lengths.length; symbol += 1) {
    const length = lengths[symbol];
    if (length === 0) continue;
    room -= 1 << (15 - length);
    if (length > QUICK) slow.set((length << 16) | words[symbol], symbol);
    else for (let i = words[symbol]; i < quick.length; i += 1 << length) quick[i] = (symbol << 4) | length;
  }
  if (room < 0) throw invalid("a code has too many words");
  return { quick, slow };
}

const FIXED = [makeCode(FIXED_LITERALS), makeCode(FIXED_DISTANCES)];

/** Decompresses. `push(bytes)` gives the pieces that they make, one by one; `finish()` after the last. Both raise a
 *  TypeError for data that are not valid. */
export class Inflater {
  constructor(format) {
    this.input = NOTHING;
    this.position = 0;
    this.hold = 0;
    this.bits = 0;
    this.output = new Uint8Array(WINDOW + PIECE + 258);
    this.size = 0;
    this.given = 0;
    this.add = null; // how the sum of what is given goes on
    this.sum = 0;
    this.total = 0;
    this.ended = false;
    this.machine = FORMATS[format](this);
  }

  *push(bytes) {
    if (this.ended && bytes.length > 0) throw invalid("something follows its end");
    this.input = bytes;
    this.position = 0;
    for (;;) {
      const { value, done } = this.machine.next();
      if (done) this.ended = true;
      const piece = value ?? this.give();
      if (piece.length > 0) yield piece;
      if (done || value === undefined) break;
    }
    if (this.ended && this.position < this.input.length) throw invalid("something follows its end");
    this.input = NOTHING;
  }

  finish() {
    if (!this.ended) throw invalid("it ends too early");
  }

  // What has been made and not been given yet.
  give() {
    const piece = this.output.slice(this.given, this.size);
    this.given = this.size;
    if (this.add !== null) this.sum = this.add(piece, this.sum);
    this.total += piece.length;
    return piece;
  }

  sumUp(add, start) {
    this.add = add;
    this.sum = start;
  }

  // Makes room, where it is needed: a piece to be given, or undefined.
  makeRoom() {
    if (this.size < WINDOW + PIECE) return undefined;
    const piece = this.give();
    this.output.copyWithin(0, this.size - WINDOW, this.size);
    this.given = this.size = WINDOW;
    return piece;
  }

  // Whether there are so many bits, after taking bytes of the input.
  has(count) {
    while (this.bits < count) {
      if (this.position === this.input.length) return false;
      this.hold |= this.input[this.position] << this.bits;
      this.position += 1;
      this.bits += 8;
    }
    return true;
  }

  take(count) {
    const value = this.hold & ((1 << count) - 1);
    this.hold >>>= count;
    this.bits -= count;
    return value;
  }

  // A symbol, or -1 where bits are missing.
  symbol({ quick, slow }) {
    this.has(QUICK);
    const entry = quick[this.hold & ((1 << QUICK) - 1)];
    const length = entry & 15;
    if (entry !== 0) {
      if (length > this.bits) return -1;
      this.take(length);
      return entry >> 4;
    }
    for (let bits = QUICK + 1; bits < 16; bits += 1) {
      if (!this.has(bits)) return -1;
      const found = slow.get((bits << 16) | (this.hold & ((1 << bits) - 1)));
      if (found !== undefined) {
        this.take(bits);
        return found;
      }
    }
    throw invalid("a word is in no code");
  }
}

// Machines yield undefined where they need more input, and pieces where they have no more room.

function* bitsOf(state, count) {
  while (!state.has(count)) yield undefined;
  return state.take(count);
}

function* symbolOf(state, code) {
  let symbol;
  while ((symbol = state.symbol(code)) < 0) yield undefined;
  return symbol;
}

function* blocks(state) {
  for (;;) {
    const last = yield* bitsOf(state, 1);
    const type = yield* bitsOf(state, 2);
    if (type === 0) yield* stored(state);
    else if (type === 1) yield* compressed(state, FIXED[0], FIXED[1]);
    else if (type === 2) yield* compressed(state, ...(yield* readCodes(state)));
    else throw invalid("a block is of no type");
    if (last) return;
  }
}

function* stored(state) {
  state.take(state.bits & 7);
  let left = yield* bitsOf(state, 16);
  if ((left ^ (yield* bitsOf(state, 16))) !== 0xffff) throw invalid("the length of a stored block is wrong");
  while (left > 0) {
    const { input, output } = state;
    if (state.bits > 0) {
      output[state.size] = state.take(8);
      state.size += 1;
      left -= 1;
    } else if (state.position === input.length) {
      yield undefined;
    } else {
      const size = Math.min(left, input.length - state.position, output.length - state.size);
      output.set(input.subarray(state.position, state.position + size), state.size);
      state.position += size;
      state.size += size;
      left -= size;
    }
    const piece = state.makeRoom();
    if (piece !== undefined) yield piece;
  }
}

function* readCodes(state) {
  const literals = (yield* bitsOf(state, 5)) + 257;
  const distances = (yield* bitsOf(state, 5)) + 1;
  const count = (yield* bitsOf(state, 4)) + 4;
  if (literals > 286 || distances > 30) throw invalid("a block has too many codes");
  const lengths = new Uint8Array(19);
  for (let i = 0; i < count; i += 1) lengths[ORDER[i]] = yield* bitsOf(state, 3);
  const code = makeCode(lengths);
  const all = new Uint8Array(literals + distances);
  for (let i = 0; i < all.length; ) {
    const symbol = yield* symbolOf(state, code);
    if (symbol < 16) {
      all[i] = symbol;
      i += 1;
      continue;
    }
    if (symbol === 16 && i === 0) throw invalid("a block repeats a length before the first");
    const value = symbol === 16 ? all[i - 1] : 0;
    const times = yield* bitsOf(state, symbol === 16 ? 2 : symbol === 17 ? 3 : 7);
    const end = i + times + (symbol === 18 ? 11 : 3);
    if (end > all.length) throw invalid("a block has too many lengths");
    all.fill(value, i, end);
    i = end;
  }
  if (all[256] === 0) throw invalid("a block has no end");
  return [makeCode(all.subarray(0, literals)), makeCode(all.subarray(literals))];
}

function* compressed(state, literals, distances) {
  const { output } = state;
  for (;;) {
    let symbol;
    while ((symbol = state.symbol(literals)) < 0) yield undefined;
    if (symbol < 256) {
      output[state.size] = symbol;
      state.size += 1;
    } else if (symbol === 256) {
      return;
    } else {
      const index = symbol - 257;
      if (index > 28) throw invalid("a length has no meaning");
      while (!state.has(LENGTH_BITS[index])) yield undefined;
      const length = LENGTH_BASE[index] + state.take(LENGTH_BITS[index]);
      while ((symbol = state.symbol(distances)) < 0) yield undefined;
      if (symbol > 29) throw invalid("a distance has no meaning");
      while (!state.has(DISTANCE_BITS[symbol])) yield undefined;
      const distance = DISTANCE_BASE[symbol] + state.take(DISTANCE_BITS[symbol]);
      copy(state, distance, length);
    }
    const piece = state.makeRoom();
    if (piece !== undefined) yield piece;
  }
}

function copy(state, distance, length) {
  const { output, size } = state;
  if (distance > size) throw invalid("a distance reaches before the beginning");
  if (distance >= length) output.copyWithin(size, size - distance, size - distance + length);
  else if (distance === 1) output.fill(output[size - 1], size, size + length);
  else for (let i = 0; i < length; i += 1) output[size + i] = output[size + i - distance];
  state.size += length;
}

function* raw(state) {
  yield* blocks(state);
}

function* zlib(state) {
  const method = yield* bitsOf(state, 8);
  const flags = yield* bitsOf(state, 8);
  if ((method & 15) !== 8 || method >> 4 > 7 || (method * 256 + flags) % 31 !== 0) throw invalid("it is no zlib");
  if (flags & 32) throw invalid("it needs a dictionary");
  state.sumUp(adler32, 1);
  yield* blocks(state);
  yield state.give();
  const { sum } = state;
  state.take(state.bits & 7);
  let written = 0;
  for (let i = 0; i < 4; i += 1) written = written * 256 + (yield* bitsOf(state, 8));
  if (written !== sum) throw invalid("its sum is wrong");
}

function* gzip(state) {
  const head = [];
  for (let i = 0; i < 10; i += 1) head.push(yield* bitsOf(state, 8));
  const flags = head[3];
  if (head[0] !== 0x1f || head[1] !== 0x8b || head[2] !== 8 || flags & 0xe0) throw invalid("it is no gzip");
  if (flags & 4) for (let left = yield* bitsOf(state, 16); left > 0; left -= 1) yield* bitsOf(state, 8);
  for (const flag of [8, 16]) if (flags & flag) while ((yield* bitsOf(state, 8)) !== 0);
  if (flags & 2) yield* bitsOf(state, 16);
  state.sumUp(crc32, 0);
  yield* blocks(state);
  yield state.give();
  const { sum, total } = state;
  state.take(state.bits & 7);
  for (const wanted of [sum, total % 2 ** 32]) {
    let written = 0;
    for (let i = 0; i < 4; i += 1) written += (yield* bitsOf(state, 8)) * 256 ** i;
    if (written !== wanted) throw invalid("its sum or its length is wrong");
  }
}

const FORMATS = { "__proto__": null, "deflate-raw": raw, "deflate": zlib, gzip };
