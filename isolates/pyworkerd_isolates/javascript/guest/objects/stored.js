// Values as they are stored: the frame that RPC carries (`system/values`), so that what both know reads the same, with
// more tags for what only a structured clone has. Python reads those that it knows. What contains itself is refused.

import { DataCloneError, readWith, writeWith } from "pyworkerd:system/values";
import { structuredClone } from "pyworkerd:web/clone";

const VIEWS = {
  __proto__: null, Int8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float16Array,
  Float32Array, Float64Array, BigInt64Array, BigUint64Array, DataView,
};
const MAX_DEPTH = 200;

// What is written otherwise than in RPC.
class Special {
  constructor(tag, payload) {
    this.written = [tag, payload];
  }
}

// A clone in which such values are marked.
function marked(value, depth) {
  if (value === undefined) return new Special("u", null);
  if (value === 0n) return new Special("i", "0");
  if (Object.is(value, -0)) return new Special("f", "-0");
  if (typeof value !== "object" || value === null) return value;
  if (depth > MAX_DEPTH) throw new DataCloneError("the value is too deep to be stored, or contains itself");
  const more = (each) => marked(each, depth + 1);
  if (Array.isArray(value)) return Array.from(value, more);
  if (value instanceof ArrayBuffer) return new Special("a", ["", new Uint8Array(value)]);
  if (ArrayBuffer.isView(value)) {
    const { name } = value.constructor;
    if (!(name in VIEWS)) return value;
    return new Special("a", [name, new Uint8Array(value.buffer, value.byteOffset, value.byteLength)]);
  }
  if (value instanceof RegExp) return new Special("x", [value.source, value.flags]);
  if (value instanceof Map) return new Map(Array.from(value, ([key, each]) => [more(key), more(each)]));
  if (value instanceof Set) return new Set(Array.from(value, more));
  if (Object.getPrototypeOf(value) !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, more(each)]));
}

const READ = {
  __proto__: null,
  u: () => undefined,
  x: ([source, flags]) => new RegExp(source, flags),
  a: ([name, { buffer }]) => (name === "" ? buffer : new VIEWS[name](buffer)),
};

export function writeStored(value) {
  const isPlain = typeof value !== "object" && typeof value !== "function" && typeof value !== "symbol";
  const clone = isPlain || value === null ? value : structuredClone(value);
  return writeWith(marked(clone, 0), (each) => (each instanceof Special ? each.written : null));
}

export function readStored(frame) {
  return readWith(frame, READ);
}
