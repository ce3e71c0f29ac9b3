// The module "node:buffer" (https://nodejs.org/api/buffer.html). A Buffer is a Uint8Array; there is no pool.

import { addNumbers } from "pyworkerd:node_parts/buffer_numbers";
import { ENCODINGS, encodingNamed } from "pyworkerd:node_parts/encodings";
import { coded, invalidType, invalidValue, missing, outOfRange } from "pyworkerd:node_parts/errors";
import { Blob, File } from "pyworkerd:web/blob";

const MAX_LENGTH = 2 ** 31 - 1;
const CUSTOM = Symbol.for("nodejs.util.inspect.custom");
const {
  slice: copyOf, subarray: viewOf, fill: fillWith, set: setAll, indexOf: indexOfByte,
} = Uint8Array.prototype;

export const constants = { MAX_LENGTH, MAX_STRING_LENGTH: 2 ** 29 - 24 };
export const kMaxLength = MAX_LENGTH;
export const kStringMaxLength = constants.MAX_STRING_LENGTH;
export let INSPECT_MAX_BYTES = 50;

class FastBuffer extends Uint8Array {}

// A function and no class: it may be called without `new`, as programs of before 2016 do.
export function Buffer(value, encodingOrOffset = undefined, length = undefined) {
  return typeof value === "number" ? Buffer.alloc(value) : Buffer.from(value, encodingOrOffset, length);
}
Object.setPrototypeOf(Buffer, Uint8Array);
Buffer.prototype = FastBuffer.prototype;
Object.defineProperty(FastBuffer.prototype, "constructor", { value: Buffer, writable: true, configurable: true });
Object.defineProperty(Buffer, Symbol.species, { get: () => FastBuffer, configurable: true });

/** The bytes of a view as a Buffer, not copied. */
const wrap = (bytes) => new FastBuffer(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function encoderOf(encoding) {
  const name = encoding === undefined || encoding === null || encoding === "" ? "utf8" : encodingNamed(encoding);
  if (name === undefined) throw coded(TypeError, "ERR_UNKNOWN_ENCODING", `Unknown encoding: ${encoding}`);
  return ENCODINGS[name];
}

function checkSize(size) {
  if (typeof size !== "number") throw invalidType("size", "of type number", size);
  if (!(size >= 0 && size <= MAX_LENGTH)) throw outOfRange("size", `>= 0 && <= ${MAX_LENGTH}`, size);
}

function fromArrayLike(values) {
  const made = new FastBuffer(Math.max(0, Math.trunc(values.length) || 0));
  if (ArrayBuffer.isView(values) || Array.isArray(values)) setAll.call(made, values);
  else for (let i = 0; i < made.length; i += 1) made[i] = values[i];
  return made;
}

function bytesOf(value, name) {
  if (value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  throw invalidType(name, "an instance of Buffer or Uint8Array", value);
}

function bufferFrom(value, encodingOrOffset, length) {
  if (typeof value === "string") return wrap(encoderOf(encodingOrOffset).encode(value));
  if (value instanceof ArrayBuffer) {
    const offset = encodingOrOffset === undefined ? 0 : Math.trunc(encodingOrOffset) || 0;
    const most = value.byteLength - offset;
    if (most < 0) throw coded(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", '"offset" is outside of buffer bounds');
    const size = length === undefined ? most : Math.max(0, Math.trunc(length) || 0);
    if (size > most) throw coded(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", '"length" is outside of buffer bounds');
    return new FastBuffer(value, offset, size);
  }
  if (value !== null && typeof value === "object") {
    if (ArrayBuffer.isView(value) || Array.isArray(value)) return fromArrayLike(value);
    const primitive = value.valueOf?.();
    if (primitive !== null && primitive !== undefined && primitive !== value) {
      if (/string|object/.test(typeof primitive)) return Buffer.from(primitive, encodingOrOffset, length);
    }
    if (value.type === "Buffer" && Array.isArray(value.data)) return fromArrayLike(value.data);
    if (value.length !== undefined) return typeof value.length === "number" ? fromArrayLike(value) : new FastBuffer(0);
    if (typeof value[Symbol.toPrimitive] === "function") {
      const text = value[Symbol.toPrimitive]("string");
      if (typeof text === "string") return Buffer.from(text, encodingOrOffset);
    }
  }
  throw invalidType(
    "first argument",
    "of type string or an instance of Buffer, ArrayBuffer, or Array or an Array-like Object",
    value,
  );
}

const STATICS = {
  from: bufferFrom,

  alloc(size, fill = undefined, encoding = undefined) {
    checkSize(size);
    const made = new FastBuffer(size);
    return fill === undefined || fill === 0 || size === 0 ? made : made.fill(fill, encoding);
  },
  allocUnsafe(size) { return STATICS.alloc(size); },
  allocUnsafeSlow(size) { return STATICS.alloc(size); },

  byteLength(value, encoding = undefined) {
    if (typeof value === "string") {
      const name = encodingNamed(encoding) ?? "utf8";
      if (name === "latin1" || name === "ascii") return value.length;
      return name === "utf16le" ? 2 * value.length : ENCODINGS[name].encode(value).length;
    }
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return value.byteLength;
    throw invalidType("string", "of type string or an instance of Buffer or ArrayBuffer", value);
  },

  compare(one, other) {
    const a = bytesOf(one, "buf1");
    const b = bytesOf(other, "buf2");
    const size = Math.min(a.length, b.length);
    for (let i = 0; i < size; i += 1) if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
    return Math.sign(a.length - b.length);
  },

  concat(list, total = undefined) {
    if (!Array.isArray(list)) throw invalidType("list", "an instance of Array", list);
    const parts = list.map((each, i) => bytesOf(each, `list[${i}]`));
    const size = total ?? parts.reduce((sum, each) => sum + each.length, 0);
    const made = STATICS.alloc(size);
    let at = 0;
    for (const part of parts) {
      if (at >= size) break;
      setAll.call(made, at + part.length > size ? viewOf.call(part, 0, size - at) : part, at);
      at += part.length;
    }
    return made;
  },

  copyBytesFrom(view, offset = 0, length = undefined) {
    if (!ArrayBuffer.isView(view)) throw invalidType("view", "an instance of TypedArray", view);
    const part = view.subarray(offset, length === undefined ? undefined : offset + length);
    return wrap(copyOf.call(new Uint8Array(part.buffer, part.byteOffset, part.byteLength)));
  },

  isBuffer(value) { return value instanceof FastBuffer; },
  isEncoding(name) { return encodingNamed(name) !== undefined; },
};

// A place in a buffer as methods take it: a whole number within it, or from its end where `fromEnd`.
function place(value, size, otherwise, fromEnd = false) {
  if (value === undefined) return otherwise;
  const whole = Math.trunc(value) || 0;
  if (whole < 0) return fromEnd ? Math.max(0, size + whole) : 0;
  return Math.min(whole, size);
}

function find(buffer, wanted, from, encoding, backwards) {
  let offset = from;
  let kind = encoding;
  if (typeof offset === "string") [kind, offset] = [offset, undefined];
  let needle = wanted;
  if (typeof needle === "string") needle = encoderOf(kind).encode(needle);
  else if (typeof needle === "number") needle = Uint8Array.of(needle);
  else if (!(needle instanceof Uint8Array)) {
    throw invalidType("value", "one of type number or string or an instance of Buffer or Uint8Array", needle);
  }
  const start = Number(offset);
  const last = buffer.length - needle.length;
  if (!backwards) {
    const first = offset === undefined || Number.isNaN(start) ? 0 : place(start, buffer.length, 0, true);
    if (needle.length === 0) return first;
    for (let i = indexOfByte.call(buffer, needle[0], first); i >= 0 && i <= last; ) {
      if (matches(buffer, needle, i)) return i;
      i = indexOfByte.call(buffer, needle[0], i + 1);
    }
    return -1;
  }
  const end = offset === undefined || Number.isNaN(start) ? last : Math.trunc(start) + (start < 0 ? buffer.length : 0);
  for (let at = Math.min(end, last); at >= 0; at -= 1) if (matches(buffer, needle, at)) return at;
  return -1;
}

function matches(buffer, needle, at) {
  for (let i = 0; i < needle.length; i += 1) if (buffer[at + i] !== needle[i]) return false;
  return true;
}

function swap(buffer, size) {
  if (buffer.length % size !== 0) {
    throw coded(RangeError, "ERR_INVALID_BUFFER_SIZE", `Buffer size must be a multiple of ${8 * size}-bits`);
  }
  for (let i = 0; i < buffer.length; i += size) viewOf.call(buffer, i, i + size).reverse();
  return buffer;
}

const METHODS = {
  toString(encoding = undefined, start = undefined, end = undefined) {
    const { decode } = encoderOf(encoding);
    const from = place(start, this.length, 0);
    const to = place(end, this.length, this.length);
    return to <= from ? "" : decode(new Uint8Array(this.buffer, this.byteOffset + from, to - from));
  },

  toJSON() { return { type: "Buffer", data: Array.from(this) }; },

  equals(other) {
    if (!(other instanceof Uint8Array)) throw invalidType("otherBuffer", "an instance of Buffer or Uint8Array", other);
    return this === other || (this.length === other.length && STATICS.compare(this, other) === 0);
  },

  compare(other, targetStart = undefined, targetEnd = undefined, start = undefined, end = undefined) {
    const target = bytesOf(other, "target");
    for (const [name, value, most] of [
      ["targetStart", targetStart, Infinity], ["targetEnd", targetEnd, target.length],
      ["sourceStart", start, Infinity], ["sourceEnd", end, this.length],
    ]) {
      if (value !== undefined && !(value >= 0 && value <= most)) throw outOfRange(name, `>= 0 and <= ${most}`, value);
    }
    return STATICS.compare(viewOf.call(this, start, end), viewOf.call(target, targetStart, targetEnd));
  },

  // A view, unlike that of Uint8Array.
  slice(start = undefined, end = undefined) { return this.subarray(start, end); },

  copy(target, targetStart = 0, start = 0, end = this.length) {
    const to = bytesOf(target, "target");
    const at = Math.trunc(targetStart) || 0;
    const from = Math.trunc(start) || 0;
    if (at < 0) throw outOfRange("targetStart", ">= 0", targetStart);
    if (from < 0 || from > this.length) throw outOfRange("sourceStart", `>= 0 && <= ${this.length}`, start);
    if (end < 0) throw outOfRange("sourceEnd", ">= 0", end);
    const size = Math.min(place(end, this.length, this.length) - from, to.length - at);
    if (size <= 0) return 0;
    setAll.call(to, viewOf.call(this, from, from + size), at);
    return size;
  },

  write(text, offset = undefined, length = undefined, encoding = undefined) {
    let [at, size, kind] = [offset, length, encoding];
    if (typeof at === "string") [at, size, kind] = [undefined, undefined, at];
    else if (typeof size === "string") [size, kind] = [undefined, size];
    if (typeof text !== "string") throw invalidType("argument", "of type string", text);
    const start = at === undefined ? 0 : at;
    if (!(start >= 0 && start <= this.length)) throw outOfRange("offset", `>= 0 && <= ${this.length}`, at);
    const room = this.length - start;
    if (size !== undefined && !(size >= 0 && size <= room)) throw outOfRange("length", `>= 0 && <= ${room}`, size);
    const name = encodingNamed(kind ?? "utf8");
    const bytes = encoderOf(kind).encode(text);
    let most = Math.min(size ?? room, bytes.length);
    // No half of a character is written.
    if (name === "utf8") while (most < bytes.length && most > 0 && (bytes[most] & 0xc0) === 0x80) most -= 1;
    else if (name === "utf16le") most -= most % 2;
    setAll.call(this, viewOf.call(bytes, 0, most), start);
    return most;
  },

  fill(value, offset = undefined, end = undefined, encoding = undefined) {
    let [from, to, kind] = [offset, end, encoding];
    if (typeof from === "string") [from, to, kind] = [undefined, undefined, from];
    else if (typeof to === "string") [to, kind] = [undefined, to];
    const start = from ?? 0;
    const stop = to ?? this.length;
    if (!(start >= 0 && start <= this.length)) throw outOfRange("offset", `>= 0 && <= ${this.length}`, start);
    if (!(stop >= 0 && stop <= this.length)) throw outOfRange("end", `>= 0 && <= ${this.length}`, stop);
    if (typeof value !== "string" && !(value instanceof Uint8Array)) {
      return fillWith.call(this, Number(value) & 0xff, start, stop);
    }
    const pattern = typeof value === "string" ? encoderOf(kind).encode(value) : value;
    if (pattern.length === 0) {
      if (typeof value !== "string" || value !== "") throw invalidValue("value", value);
      return fillWith.call(this, 0, start, stop);
    }
    if (stop <= start) return this;
    // What is there is doubled until all is full.
    setAll.call(this, viewOf.call(pattern, 0, stop - start), start);
    for (let done = pattern.length; start + done < stop; done *= 2) {
      this.copyWithin(start + done, start, Math.min(start + done, stop - done));
    }
    return this;
  },

  indexOf(value, from = undefined, encoding = undefined) { return find(this, value, from, encoding, false); },
  lastIndexOf(value, from = undefined, encoding = undefined) { return find(this, value, from, encoding, true); },
  includes(value, from = undefined, encoding = undefined) { return find(this, value, from, encoding, false) >= 0; },

  swap16() { return swap(this, 2); },
  swap32() { return swap(this, 4); },
  swap64() { return swap(this, 8); },

  [CUSTOM]() {
    const shown = viewOf.call(this, 0, INSPECT_MAX_BYTES).toHex().replace(/(..)(?=.)/g, "$1 ");
    const more = this.length - INSPECT_MAX_BYTES;
    const name = this.constructor === Buffer ? "Buffer" : this.constructor?.name ?? "Buffer";
    return `<${name} ${shown}${more > 0 ? ` ... ${more} more byte${more > 1 ? "s" : ""}` : ""}>`;
  },
};
METHODS.toLocaleString = METHODS.toString;
METHODS.inspect = METHODS[CUSTOM];

for (const [prefix, name] of Object.entries({
  utf8: "utf8", hex: "hex", base64: "base64", base64url: "base64url", latin1: "latin1", ascii: "ascii",
  ucs2: "utf16le",
})) {
  METHODS[`${prefix}Slice`] = function (start, end) { return this.toString(name, start, end); };
  METHODS[`${prefix}Write`] = function (text, offset, length) { return this.write(text, offset, length, name); };
}

function define(holder, values) {
  for (const key of Reflect.ownKeys(values)) {
    Object.defineProperty(holder, key, { value: values[key], writable: true, enumerable: true, configurable: true });
  }
}
define(Buffer, STATICS);
define(FastBuffer.prototype, METHODS);
addNumbers(FastBuffer.prototype);
Object.defineProperty(FastBuffer.prototype, "parent", { get() { return this.buffer; }, enumerable: true });
Object.defineProperty(FastBuffer.prototype, "offset", { get() { return this.byteOffset; }, enumerable: true });
Buffer.poolSize = 8192;

export function SlowBuffer(size) {
  return STATICS.alloc(size);
}
Object.setPrototypeOf(SlowBuffer.prototype, Uint8Array.prototype);
Object.setPrototypeOf(SlowBuffer, Uint8Array);

/** Whether bytes are right UTF-8. */
export function isUtf8(input) {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytesOf(input, "input"));
    return true;
  } catch {
    return false;
  }
}

export function isAscii(input) {
  return bytesOf(input, "input").every((byte) => byte < 0x80);
}

export function transcode(source, from, to) {
  const bytes = bytesOf(source, "source");
  const [reader, writer] = [encodingNamed(from), encodingNamed(to)];
  const known = ["utf8", "utf16le", "latin1", "ascii"];
  if (!known.includes(reader) || !known.includes(writer)) {
    throw coded(Error, "U_ILLEGAL_ARGUMENT_ERROR", `Unable to transcode Buffer [U_ILLEGAL_ARGUMENT_ERROR]`);
  }
  const text = ENCODINGS[reader].decode(bytes);
  const narrow = writer === "ascii" ? /[^\0-\x7f]/gu : /[^\0-\xff]/gu;
  return wrap(ENCODINGS[writer].encode(writer === "ascii" || writer === "latin1" ? text.replace(narrow, "?") : text));
}

export function resolveObjectURL() {
  throw missing("resolveObjectURL");
}

const { atob: decodeBase64, btoa: encodeBase64 } = globalThis;
export { Blob, File, decodeBase64 as atob, encodeBase64 as btoa };

export default {
  Buffer, SlowBuffer, constants, kMaxLength, kStringMaxLength, Blob, File, atob: decodeBase64, btoa: encodeBase64,
  isUtf8, isAscii, transcode, resolveObjectURL,
  get INSPECT_MAX_BYTES() { return INSPECT_MAX_BYTES; },
  set INSPECT_MAX_BYTES(value) { INSPECT_MAX_BYTES = value; },
};
