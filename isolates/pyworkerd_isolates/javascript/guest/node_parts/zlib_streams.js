// Compression of "node:zlib" as streams, over what CompressionStream is made of. Levels change nothing: there is one
// way.

import { Transform } from "pyworkerd:node_parts/duplex";
import { coded, invalidType, outOfRange } from "pyworkerd:node_parts/errors";
import { Deflater } from "pyworkerd:web/deflate";
import { Inflater } from "pyworkerd:web/inflate";

const NOTHING = new Uint8Array(0);
const MAX_LEVEL = 9;

function dataError(message, code = "Z_DATA_ERROR", errno = -3) {
  const error = coded(Error, code, message);
  error.errno = errno;
  return error;
}

const tooShort = () => dataError("unexpected end of file", "Z_BUF_ERROR", -5);

function checkOptions(options) {
  if (options !== undefined && options !== null && typeof options !== "object") {
    throw invalidType("options", "of type object", options);
  }
  const level = options?.level;
  if (level === undefined) return;
  if (typeof level !== "number") throw invalidType("options.level", "of type number", level);
  if (!(level >= -1 && level <= MAX_LEVEL)) throw outOfRange("options.level", `>= -1 and <= ${MAX_LEVEL}`, level);
}

// Each is `push(bytes)`, which gives pieces one by one, and `finish()`, which gives the last.

class Compressing {
  #deflater;

  constructor(format) {
    this.#deflater = new Deflater(format);
  }

  *push(bytes) {
    const made = this.#deflater.push(bytes);
    if (made.length > 0) yield made;
  }

  *finish() {
    yield this.#deflater.finish();
  }
}

class Decompressing {
  #format;
  #inflater = null;
  #isFresh = true;
  #head = NOTHING; // bytes that do not tell yet what it is
  #isOver = false;
  #isTolerant;

  constructor(format, options) {
    this.#format = format;
    this.#isTolerant = options?.finishFlush === SYNC_FLUSH;
    if (format !== "unzip") this.#inflater = new Inflater(format);
  }

  *push(given) {
    let bytes = given;
    if (this.#inflater === null) {
      bytes = Uint8Array.of(...this.#head, ...given.subarray(0, 2));
      const rest = given.subarray(2);
      if (bytes.length < 2) {
        this.#head = bytes;
        return;
      }
      this.#format = bytes[0] === 0x1f && bytes[1] === 0x8b ? "gzip" : "deflate";
      this.#inflater = new Inflater(this.#format);
      yield* this.#pieces(bytes);
      bytes = rest;
    }
    yield* this.#pieces(bytes);
  }

  *#pieces(bytes) {
    let rest = bytes;
    while (rest.length > 0 && !this.#isOver) {
      if (this.#inflater.ended) { // another member of a gzip
        this.#inflater = new Inflater(this.#format);
        this.#isFresh = true;
      }
      const inflater = this.#inflater;
      // The inflater has to have all of a header before it says so.
      if (this.#isFresh && this.#format === "gzip" && rest.length > 1 && (rest[0] !== 0x1f || rest[1] !== 0x8b)) {
        throw dataError("incorrect header check");
      }
      this.#isFresh = false;
      try {
        yield* inflater.push(rest);
        rest = NOTHING;
      } catch (error) {
        if (!inflater.ended) throw dataError(error.message);
        rest = rest.subarray(inflater.position);
      }
      // After the only member, or padding after the last, there is nothing that counts.
      if (inflater.ended && (this.#format !== "gzip" || rest[0] === 0)) this.#isOver = true;
    }
  }

  *finish() {
    if (this.#inflater?.ended || this.#isTolerant) return;
    throw tooShort();
  }
}

export const SYNC_FLUSH = 2;

class Zlib extends Transform {
  #work;
  #pieces = null;
  #callback = null;
  bytesWritten = 0;

  constructor(work, options) {
    super(options ?? {});
    this.#work = work;
  }

  _transform(chunk, encoding, callback) {
    this.bytesWritten += chunk.length;
    this.#begin(this.#work.push(chunk), callback);
  }

  _flush(callback) {
    this.#begin(this.#work.finish(), callback);
  }

  #begin(pieces, callback) {
    this.#pieces = pieces;
    this.#callback = callback;
    this.#goOn();
  }

  // A little may stand for much: it is made as fast as it is read.
  #goOn() {
    try {
      for (;;) {
        const { value, done } = this.#pieces.next();
        if (done) break;
        if (!this.push(value)) return;
      }
    } catch (error) {
      this.#pieces = null;
      this.#callback(error);
      return;
    }
    this.#pieces = null;
    this.#callback();
  }

  _read(size) {
    if (this.#pieces === null) super._read(size);
    else this.#goOn();
  }

  // What is compressed comes in blocks, and a block has its size.
  flush(...given) {
    const callback = given.at(-1);
    if (typeof callback === "function") queueMicrotask(callback);
  }

  close(callback = undefined) {
    if (typeof callback === "function") this.once("close", () => callback());
    this.destroy();
  }

  params(level, strategy, callback) {
    checkOptions({ level });
    queueMicrotask(() => callback());
  }

  reset() {}
}

const WORKS = {
  Gzip: () => new Compressing("gzip"),
  Deflate: () => new Compressing("deflate"),
  DeflateRaw: () => new Compressing("deflate-raw"),
  Gunzip: (options) => new Decompressing("gzip", options),
  Inflate: (options) => new Decompressing("deflate", options),
  InflateRaw: (options) => new Decompressing("deflate-raw", options),
  Unzip: (options) => new Decompressing("unzip", options),
};

/** What does the work of a class, by its name. */
export function workOf(name, options) {
  checkOptions(options);
  return WORKS[name](options);
}

const classOf = (name) => class extends Zlib {
  constructor(options = undefined) {
    super(workOf(name, options), options);
  }
  static name = name;
};

/** The classes, by their names. */
export const CLASSES = Object.fromEntries(Object.keys(WORKS).map((name) => [name, classOf(name)]));
