// Blob and File (https://w3c.github.io/FileAPI/).

import { bytesOf } from "pyworkerd:web/encoding";
import { dictionary, expose, requireArguments, scalarString } from "pyworkerd:web/idl";
import { byteStream } from "pyworkerd:web/readable";
import { concatenate, decode, encode } from "pyworkerd:web/utf8";
import { now } from "pyworkerd:system";

const MAKING = Symbol("a blob is made here");

let bytesIn;

export class Blob {
  #bytes; // never given away: what is handed out is a copy
  #type;

  constructor(blobParts = undefined, options = undefined) {
    if (blobParts === MAKING) {
      [this.#bytes, this.#type] = options;
      return;
    }
    // In this order, as WebIDL has it: the parts, and of the options one by one.
    const parts = blobParts === undefined ? [] : partsOf(blobParts);
    const given = dictionary(options, "Blob constructor");
    const native = isNative(given.endings);
    const { type = "" } = given;
    this.#type = typeOf(type);
    this.#bytes = joinParts(parts, native);
  }

  static {
    bytesIn = (value) => (typeof value === "object" && value !== null && #bytes in value ? value.#bytes : undefined);
  }

  get size() { return this.#bytes.length; }
  get type() { return this.#type; }

  slice(start = 0, end = undefined, contentType = "") {
    const size = this.#bytes.length;
    const place = (value) => {
      const number = Math.trunc(Number(value)) || 0;
      return number < 0 ? Math.max(size + number, 0) : Math.min(number, size);
    };
    const from = place(start);
    const to = Math.max(from, end === undefined ? size : place(end));
    return new Blob(MAKING, [this.#bytes.subarray(from, to), typeOf(contentType)]);
  }

  async arrayBuffer() { return this.#bytes.slice().buffer; }
  async bytes() { return this.#bytes.slice(); }
  async text() {
    const text = decode(this.#bytes);
    return text.charCodeAt(0) === 0xfeff ? text.slice(1) : text;
  }

  stream() {
    const bytes = this.#bytes;
    let position = 0;
    const pull = () => {
      const piece = bytes.slice(position, position + PIECE);
      position += piece.length;
      if (piece.length > 0) controller.enqueue(piece);
      if (position === bytes.length) controller.close();
    };
    const [stream, controller] = byteStream(pull, null);
    if (bytes.length === 0) controller.close();
    return stream;
  }
}
Object.defineProperty(Blob, "length", { value: 0, configurable: true });
expose(Blob);

const PIECE = 65536;

const typeOf = (type) => {
  const text = `${type}`;
  return /^[\x20-\x7e]*$/.test(text) ? text.toLowerCase() : "";
};

function isNative(endings) {
  if (endings === undefined) return false;
  const text = `${endings}`;
  if (text === "native" || text === "transparent") return text === "native";
  throw new TypeError('Blob constructor: `endings` must be "transparent" or "native".');
}

// Texts, and bytes of buffers, views and Blobs: not copied.
function partsOf(given) {
  const iterate = typeof given === "object" && given !== null ? given[Symbol.iterator] : undefined;
  if (typeof iterate !== "function") throw new TypeError("Blob constructor: the parts must be iterable.");
  const parts = [];
  for (const part of { [Symbol.iterator]: () => iterate.call(given) }) parts.push(bytesIn(part) ?? partOf(part));
  return parts;
}

function partOf(part) {
  if (ArrayBuffer.isView(part) || part instanceof ArrayBuffer) return bytesOf(part, "Blob constructor");
  return scalarString(part);
}

function joinParts(parts, native) {
  const pieces = [];
  let size = 0;
  for (const part of parts) {
    const isText = typeof part === "string";
    const piece = isText ? encode(native ? part.replace(/\r\n?/g, "\n") : part) : part;
    pieces.push(piece);
    size += piece.length;
  }
  const whole = concatenate(pieces, size);
  return pieces.length === 1 && whole === parts[0] ? whole.slice() : whole;
}

export class File extends Blob {
  #name;
  #lastModified;

  constructor(fileBits, fileName, options = undefined) {
    requireArguments(arguments.length, 2, "File constructor");
    const { lastModified } = dictionary(options, "File constructor");
    if (fileBits === MAKING) super(MAKING, options.made);
    else super(fileBits, options);
    this.#name = scalarString(fileName);
    this.#lastModified = lastModified === undefined ? Math.trunc(now()) : Math.trunc(Number(lastModified)) || 0;
  }

  get name() { return this.#name; }
  get lastModified() { return this.#lastModified; }
}
expose(File);

/** The bytes of a Blob, not to be changed; undefined for anything else. */
export const blobBytes = (value) => bytesIn(value);

/** A Blob of bytes that nobody else will write to. */
export const makeBlob = (bytes, type) => new Blob(MAKING, [bytes, typeOf(type)]);

/** A File of bytes that nobody else will write to. */
export const makeFile = (bytes, name, type, lastModified = undefined) =>
  new File(MAKING, name, { made: [bytes, typeOf(type)], lastModified });
