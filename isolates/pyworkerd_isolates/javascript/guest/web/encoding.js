// TextEncoder and TextDecoder (https://encoding.spec.whatwg.org/), with UTF-8, UTF-16 and windows-1252; other encodings
// are those of `legacy_encoding.js`.

import { dictionary, expose } from "pyworkerd:web/idl";
import { encodingOf } from "pyworkerd:web/labels";
import { legacyDecoder } from "pyworkerd:web/legacy_encoding";
import { concatenate, decode, encode, fromCodes, incomplete } from "pyworkerd:web/utf8";

// What windows-1252 has at 0x80 to 0x9f.
const WINDOWS_1252 =
  "\u20ac\x81\u201a\u0192\u201e\u2026\u2020\u2021\u02c6\u2030\u0160\u2039\u0152\x8d\u017d\x8f" +
  "\x90\u2018\u2019\u201c\u201d\u2022\u2013\u2014\u02dc\u2122\u0161\u203a\u0153\x9d\u017e\u0178";

/** The bytes of a BufferSource, not copied. */
export function bytesOf(source, where) {
  if (source instanceof Uint8Array) return source;
  if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  if (source instanceof ArrayBuffer) return new Uint8Array(source);
  throw new TypeError(`${where}: the argument must be an ArrayBuffer or a view of one.`);
}

export class TextEncoder {
  #encoding = "utf-8";
  get encoding() { return this.#encoding; }

  encode(input = "") {
    this.#encoding; // of another class: a TypeError
    return encode(`${input}`);
  }

  encodeInto(source, destination) {
    const text = `${source}`;
    if (!(destination instanceof Uint8Array)) {
      throw new TypeError("TextEncoder.encodeInto: the second argument must be a Uint8Array.");
    }
    const room = destination.length;
    // What cannot fit is not encoded: a character takes a byte at least.
    let read = Math.min(text.length, room);
    if (read < text.length && (text.charCodeAt(read - 1) & 0xfc00) === 0xd800) read -= 1;
    let bytes = encode(text.slice(0, read));
    if (bytes.length > room) {
      let written = room;
      while (written > 0 && (bytes[written] & 0xc0) === 0x80) written -= 1;
      bytes = bytes.subarray(0, written);
      read = decode(bytes).length;
    }
    destination.set(bytes);
    return { read, written: bytes.length };
  }
}
expose(TextEncoder);

export class TextDecoder {
  #encoding;
  #fatal;
  #ignoreBOM;
  #legacy; // the decoder of any other encoding than those in `DECODERS`
  #left = null; // bytes of a character that is not complete
  #begun = false; // whether the place of the byte order mark has passed

  constructor(label = "utf-8", options = undefined) {
    const encoding = encodingOf(`${label}`);
    if (encoding === undefined) throw new RangeError(`The encoding label provided ('${label}') is invalid.`);
    const { fatal, ignoreBOM } = dictionary(options, "TextDecoder constructor");
    this.#encoding = encoding;
    this.#legacy = DECODERS[encoding] === undefined ? legacyDecoder(encoding) : null;
    this.#fatal = Boolean(fatal);
    this.#ignoreBOM = Boolean(ignoreBOM);
  }

  get encoding() { return this.#encoding; }
  get fatal() { return this.#fatal; }
  get ignoreBOM() { return this.#ignoreBOM; }

  decode(input = undefined, options = undefined) {
    const stream = Boolean(dictionary(options, "TextDecoder.decode").stream);
    let bytes = input === undefined ? new Uint8Array(0) : bytesOf(input, "TextDecoder.decode");
    if (this.#left !== null) {
      bytes = concatenate([this.#left, bytes], this.#left.length + bytes.length);
      this.#left = null;
    }
    if (this.#legacy !== null) {
      const { text, used } = this.#legacy(bytes, this.#fatal, stream);
      if (used < bytes.length) this.#left = bytes.slice(used);
      return text;
    }
    if (stream) {
      const rest = bytes.length - REST[this.#encoding](bytes);
      if (rest < bytes.length) {
        this.#left = bytes.slice(rest);
        bytes = bytes.subarray(0, rest);
      }
    }
    const begun = this.#begun;
    this.#begun = stream && (begun || bytes.length > 0);
    let text;
    try {
      text = DECODERS[this.#encoding](bytes, this.#fatal);
    } catch (error) {
      this.#begun = false;
      this.#left = null;
      throw error;
    }
    const marked = !begun && !this.#ignoreBOM && this.#encoding !== "windows-1252" && text.charCodeAt(0) === 0xfeff;
    return marked ? text.slice(1) : text;
  }
}
expose(TextDecoder);

// How many bytes at the end have to wait for more.
const REST = {
  "utf-8": incomplete,
  "utf-16le": (bytes) => incompleteUnits(bytes, 1),
  "utf-16be": (bytes) => incompleteUnits(bytes, 0),
  "windows-1252": () => 0,
};

function incompleteUnits(bytes, high) {
  const odd = bytes.length & 1;
  const last = bytes.length - odd - 2;
  return last >= 0 && (bytes[last + high] & 0xfc) === 0xd8 ? odd + 2 : odd;
}

const DECODERS = {
  "utf-8": decode,
  "utf-16le": (bytes, fatal) => decodeUnits(bytes, fatal, true),
  "utf-16be": (bytes, fatal) => decodeUnits(bytes, fatal, false),
  "windows-1252": (bytes) =>
    atob(bytes.toBase64()).replace(/[\x80-\x9f]/g, (c) => WINDOWS_1252[c.charCodeAt(0) - 0x80]),
};

function decodeUnits(bytes, fatal, littleEndian) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const units = new Uint16Array((bytes.length + 1) >> 1);
  for (let i = 0; i < bytes.length >> 1; i += 1) units[i] = view.getUint16(2 * i, littleEndian);
  // Half a unit is as wrong as half a pair, and together they are one mistake.
  const afterHigh = units.length > 1 && (units[units.length - 2] & 0xfc00) === 0xd800;
  if (bytes.length & 1) units[units.length - 1] = 0xd800;
  const text = fromCodes(bytes.length & 1 && afterHigh ? units.subarray(0, -1) : units);
  if (text.isWellFormed()) return text;
  if (fatal) throw new TypeError(`The encoded data was not valid for encoding utf-16${littleEndian ? "le" : "be"}`);
  return text.toWellFormed();
}
