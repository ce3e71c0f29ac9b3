// Values as RPC carries them: a frame whose message is the value and whose blobs are its bytes. What JSON cannot say is
// an object with the single key `$`, whose value is `[tag, payload]`; the host's `wire.py` has the same tags.

import { decode, plainText, utf8 } from "pyworkerd:system/host";
import { parse } from "pyworkerd:system/json";
import { Message } from "pyworkerd:system/lending";
import { Streamed } from "pyworkerd:system/sending";

const { isArray } = Array;
const { isView } = ArrayBuffer;
const { defineProperty, getPrototypeOf, hasOwn, keys, prototype: common } = Object;
const { stringify } = JSON;
const MAX_DEPTH = 200;

export const ERRORS = { Error, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
// Those that keep their class on the way.

export class DataCloneError extends Error {}
Object.defineProperty(DataCloneError.prototype, "name", { value: "DataCloneError", configurable: true });

// How objects of the web platform cross, which `workers/crossing.js` says: `write`, and `readers`.
export const crossing = { write: null, readers: { __proto__: null } };
// And in `workers/stubs.js`: `lends` says what is lent and not copied, `targetOf` what that is, `numberOf` which stub
// something is, `readShared`
// reads a value with stubs, `disposable` and `dispose` are for those.

// A body that streams beside the value, by its place among what the value names.
class Place {
  constructor(number) {
    this.number = number;
  }
}

class Writer {
  blobs = [];
  #open = null; // objects that are being written

  write(value, depth) {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value;
      case "undefined":
        return null;
      case "number":
        return this.#number(value);
      case "bigint":
        return value === 0n ? 0 : { $: ["i", value.toString(16)] };
      case "object":
        return value === null ? null : this.#object(value, depth);
      case "function":
        if (this.special === crossing.write) return this.#lend(value);
      // falls through
      default:
        throw new DataCloneError(`a ${typeof value} cannot be sent to another worker`);
    }
  }

  #number(value) {
    if (Number.isFinite(value)) {
      // JSON would have the shortest digits that mean this number, which are those of another integer.
      return Number.isSafeInteger(value) || !Number.isInteger(value) ? value : { $: ["f", value.toExponential()] };
    }
    return { $: ["f", Number.isNaN(value) ? "nan" : value > 0 ? "inf" : "-inf"] };
  }

  #object(value, depth) {
    if (depth > MAX_DEPTH) throw new DataCloneError("the value is too deep to be sent to another worker");
    const open = (this.#open ??= new Set());
    if (open.has(value)) throw new DataCloneError("a value that contains itself cannot be sent");
    open.add(value);
    const written = this.#tagged(value, depth);
    open.delete(value);
    return written;
  }

  #tagged(value, depth) {
    if (isArray(value)) return this.#list(value, depth);
    const isBytes = isView(value);
    const prototype = getPrototypeOf(value);
    if (!isBytes && (prototype === common || prototype === null)) return this.#plain(value, depth);
    if (isBytes || value instanceof ArrayBuffer) {
      const bytes = isBytes ? bytesOf(value) : new Uint8Array(value);
      return { $: ["b", this.blobs.push(bytes) - 1] };
    }
    if (value instanceof Date) return { $: ["t", Math.round(value.getTime() * 1000)] };
    if (value instanceof Map) {
      const pairs = Array.from(value, ([key, each]) => [this.write(key, depth + 4), this.write(each, depth + 4)]);
      return { $: ["m", pairs] };
    }
    if (value instanceof Set) return { $: ["s", Array.from(value, (each) => this.write(each, depth + 3))] };
    if (value instanceof Error) return { $: ["e", [String(value.name), String(value.message)]] };
    return this.#instance(value, prototype, depth);
  }

  #list(value, depth) {
    const written = [];
    for (let i = 0; i < value.length; i++) written[i] = this.write(value[i], depth + 1);
    return written;
  }

  // An object of no class. One with a key of "$" is written in pairs, so that it is no tag.
  #plain(value, depth) {
    const names = keys(value);
    const pairs = hasOwn(value, "$") ? [] : null;
    const written = pairs === null ? {} : { $: ["m", pairs] };
    for (let i = 0; i < names.length; i++) {
      const name = names[i];
      const each = value[name];
      if (each === undefined) continue;
      const item = this.write(each, pairs === null ? depth + 1 : depth + 4);
      if (pairs !== null) pairs[pairs.length] = [name, item];
      else if (name === "__proto__") defineProperty(written, name, { value: item, enumerable: true });
      else written[name] = item;
    }
    return written;
  }

  // An object of a class.
  #instance(value, prototype, depth) {
    if (value instanceof Place) return { $: ["body", value.number] };
    const special = this.special?.(value, (body) => this.#stream(body), (target) => this.#name(target)) ?? null;
    if (special !== null) return { $: [special[0], this.write(special[1], depth + 2)] };
    if (this.special === crossing.write && crossing.lends(value)) return this.#lend(value);
    const name = prototype.constructor?.name || "object";
    throw new DataCloneError(
      `Could not serialize object of type "${name}". This type does not support serialization.`,
    );
  }

  #lend(target) {
    return { $: ["stub", this.#name(target)] };
  }

  #stream(body) {
    return new Place(this.#name(body instanceof Streamed ? body : new Streamed(body)));
  }

  #name(target) {
    return (this.named ??= []).push(crossing.targetOf(target)) - 1;
  }
}

// What most writers have: nothing is said of objects of classes, and nothing goes beside the value.
Object.assign(Writer.prototype, { special: null, named: null });

function bytesOf(view) {
  return view instanceof Uint8Array ? view : new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

// A value as bytes. Throws a DataCloneError for what has no meaning to somebody else.
export function writeValue(value) {
  return writeWith(value, null);
}

// The same, with what `special` says of objects of a class: tag and payload, or null.
export function writeWith(value, special) {
  const writer = new Writer();
  writer.special = special;
  return frameOf(stringify(writer.write(value, 0)), writer.blobs);
}

// A value as bytes, for a method's arguments or what it returned, or a `Message` if it lends something or if a body of
// it streams. Where it throws, whoever writes those bodies is told that nobody reads them.
export function writeMessage(value) {
  return messageOf(value, 0);
}

// The same, but JSON of which the engine makes bytes, where that is short and there is nothing beside it.
export function writeAnswer(value) {
  return messageOf(value, SHORT_ANSWER);
}

const SHORT_ANSWER = 65536;
// Characters.

function messageOf(value, short) {
  const writer = new Writer();
  writer.special = crossing.write;
  try {
    const text = stringify(writer.write(value, 0));
    if (text.length <= short && writer.named === null && writer.blobs.length === 0) return text;
    const bytes = frameOf(text, writer.blobs);
    return writer.named === null ? bytes : new Message(bytes, writer.named);
  } catch (error) {
    if (writer.named !== null) new Message(null, writer.named).cancel(error);
    throw error;
  }
}

function frameOf(text, blobs) {
  let lengths = "";
  let size = 0;
  for (let i = 0; i < blobs.length; i++) {
    lengths += i === 0 ? blobs[i].length : `,${blobs[i].length}`;
    size += blobs[i].length;
  }
  const header = utf8(`\0\0\0\0[[${lengths}],${text}]`);
  const length = header.length - 4;
  header[0] = length;
  header[1] = length >> 8;
  header[2] = length >> 16;
  header[3] = length >> 24;
  if (size === 0) return header;
  const frame = new Uint8Array(header.length + size);
  frame.set(header);
  let at = header.length;
  for (const each of blobs) {
    frame.set(each, at);
    at += each.length;
  }
  return frame;
}

class Reader {
  #readers;

  constructor(blobs, readers) {
    this.blobs = blobs;
    this.#readers = readers;
  }

  read(node) {
    if (node === null || typeof node !== "object") return node;
    if (Array.isArray(node)) {
      for (let i = 0; i < node.length; i++) {
        const each = node[i];
        if (each !== null && typeof each === "object") node[i] = this.read(each);
      }
      return node;
    }
    if (Object.hasOwn(node, "$")) return this.#tagged(...node.$);
    const keys = Object.keys(node);
    for (let i = 0; i < keys.length; i++) {
      const value = node[keys[i]];
      if (value !== null && typeof value === "object") node[keys[i]] = this.read(value);
    }
    return node;
  }

  #tagged(tag, payload) {
    switch (tag) {
      case "b": {
        const bytes = this.blobs[payload].slice();
        this.blobs[payload] = undefined; // who writes names each once: to copy one again and again takes all memory
        return bytes;
      }
      case "i": {
        const negative = payload.startsWith("-");
        const value = BigInt(`0x${negative ? payload.slice(1) : payload}`);
        return negative ? -value : value;
      }
      case "f":
        return payload === "nan" ? NaN : Number(payload.replace("inf", "Infinity"));
      case "t":
      case "n":
        return new Date(payload === null ? NaN : payload / 1000); // null: Python has no such instant
      case "s":
        return new Set(payload.map((each) => this.read(each)));
      case "m":
        return this.#mapping(payload);
      case "e": {
        const [name, message] = payload;
        if (Object.hasOwn(ERRORS, name)) return new ERRORS[name](message);
        const error = new Error(message);
        if (name !== "Error" && name !== "Exception") error.name = name;
        return error;
      }
      default: {
        const make = this.#readers[tag];
        if (make === undefined) throw new TypeError(`a ${tag} cannot be received here`);
        return make(this.read(payload));
      }
    }
  }

  // What was an object with a key of "$" is one again; what has other keys than texts is a Map.
  #mapping(pairs) {
    if (pairs.every(([key]) => typeof key === "string")) {
      const made = {};
      for (const [key, value] of pairs) {
        Object.defineProperty(made, key, {
          value: this.read(value), writable: true, enumerable: true, configurable: true,
        });
      }
      return made;
    }
    return new Map(pairs.map(([key, value]) => [this.read(key), this.read(value)]));
  }
}

// The value that `writeValue`, or the host, wrote. It keeps nothing of the frame.
export function readValue(frame) {
  const text = plainText(frame);
  if (text !== undefined) {
    const read = parse(text);
    if (isArray(read) && isArray(read[0]) && read[0].length === 0) return read[1];
  }
  return readWith(frame, crossing.readers);
}

// The same, with other readers of further tags.
export function readWith(frame, readers) {
  const end = 4 + (frame[0] | (frame[1] << 8) | (frame[2] << 16) | (frame[3] << 24));
  const read = JSON.parse(decode(frame.subarray(4, end)));
  if (!Array.isArray(read) || !Array.isArray(read[0])) throw new TypeError("this is no value");
  return new Reader(cut(read[0], frame, end), readers).read(read[1]);
}

// The blobs of a frame: views of what follows its header.
export function cut(lengths, bytes, at = 0) {
  for (let i = 0; i < lengths.length; i++) lengths[i] = bytes.subarray(at, (at += lengths[i]));
  return lengths;
}
