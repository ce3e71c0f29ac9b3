// structuredClone (https://html.spec.whatwg.org/#structured-cloning).

import { Blob, File, blobBytes, makeBlob, makeFile } from "pyworkerd:web/blob";
import { CryptoKey, cloneKey } from "pyworkerd:web/crypto_key";
import { dictionary, platformName, requireArguments } from "pyworkerd:web/idl";
import { VIEWS } from "pyworkerd:web/readable_bytes";

const ERRORS = { __proto__: null, EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
const MAX_DEPTH = 500; // what a client sends may be deeper than the stack, whose end is the isolate's
const BOXES = [Boolean, Number, String, BigInt];

const cannot = (what) => new DOMException(`${what} could not be cloned.`, "DataCloneError");

export function structuredClone(value, options = undefined) {
  requireArguments(arguments.length, 1, "structuredClone");
  const { transfer = [] } = dictionary(options, "structuredClone");
  const list = [...transfer];
  for (const item of list) {
    if (!(item instanceof ArrayBuffer)) throw cannot("An object that is to be transferred and is no ArrayBuffer");
    if (item.detached) throw cannot("A detached ArrayBuffer");
  }
  if (new Set(list).size !== list.length) throw cannot("An ArrayBuffer that is to be transferred twice");
  if (list.length === 0) return clone(value, new Seen([]));
  // Nothing is taken away from a value that cannot be cloned: it is walked before buffers are moved.
  const first = new Seen(list.map((buffer) => [buffer, buffer]));
  clone(value, first);
  return clone(value, new Seen(list.map((buffer) => [buffer, buffer.transfer()]), first.views));
}
Object.defineProperty(structuredClone, "length", { value: 1 });

// Copies by what they are copies of, and what views were before their buffers were moved.
class Seen extends Map {
  constructor(copies, views = new Map()) {
    super(copies);
    this.views = views;
    this.depth = 0;
  }
}

function clone(value, seen) {
  if (typeof value === "function") throw cannot(`${value.name || "A function"}`);
  if (typeof value === "symbol") throw cannot(String(value));
  if (typeof value !== "object" || value === null) return value;
  const known = seen.get(value);
  if (known !== undefined) return known;
  if (seen.depth === MAX_DEPTH) throw cannot(`A value that is more than ${MAX_DEPTH} levels deep`);
  seen.depth += 1;
  const copy = copierOf(value)(value, seen);
  seen.depth -= 1;
  return copy;
}

function copierOf(value) {
  for (const [matches, copy] of KINDS) if (matches(value)) return copy;
  if (platformName(value) !== undefined) throw cannot(`${platformName(value)} object`);
  return cloneObject;
}

const cloneObject = (value, seen) => fill({}, value, seen);

// Properties one by one, those of the copy plain ones.
function fill(copy, value, seen) {
  seen.set(value, copy);
  for (const key of Object.keys(value)) {
    const item = clone(value[key], seen);
    Object.defineProperty(copy, key, { value: item, writable: true, enumerable: true, configurable: true });
  }
  return copy;
}

function remember(copy, value, seen) {
  seen.set(value, copy);
  return copy;
}

function cloneMap(value, seen) {
  const copy = remember(new Map(), value, seen);
  for (const [key, item] of [...Map.prototype.entries.call(value)]) copy.set(clone(key, seen), clone(item, seen));
  return copy;
}

function cloneSet(value, seen) {
  const copy = remember(new Set(), value, seen);
  for (const item of [...Set.prototype.values.call(value)]) copy.add(clone(item, seen));
  return copy;
}

const { keys: validated } = Object.getPrototypeOf(Uint8Array.prototype); // throws for one that is out of bounds
const { get: sizeOfView } = Object.getOwnPropertyDescriptor(DataView.prototype, "byteLength");

// A buffer may have become smaller than its view.
function requireBounds(view) {
  try {
    if (view instanceof DataView) sizeOfView.call(view);
    else validated.call(view);
  } catch {
    throw cannot("A view that is out of the bounds of its buffer");
  }
}

function cloneView(value, seen) {
  if (!seen.views.has(value)) {
    if (!value.buffer.detached) requireBounds(value);
    const size = value instanceof DataView ? value.byteLength : value.length;
    const Type = value instanceof DataView ? DataView : VIEWS[value[Symbol.toStringTag]];
    seen.views.set(value, [Type, value.byteOffset, size]);
  }
  const [Type, offset, size] = seen.views.get(value);
  return remember(new Type(clone(value.buffer, seen), offset, size), value, seen);
}

function cloneBuffer(value, seen) {
  if (value.detached) throw cannot("A detached ArrayBuffer");
  if (!value.resizable) return remember(value.slice(), value, seen);
  const copy = new ArrayBuffer(value.byteLength, { maxByteLength: value.maxByteLength });
  new Uint8Array(copy).set(new Uint8Array(value));
  return remember(copy, value, seen);
}

function cloneError(value, seen) {
  const own = (key) => Object.getOwnPropertyDescriptor(value, key);
  const Type = ERRORS[`${value.name}`] ?? Error;
  const message = own("message");
  const copy = remember(message === undefined ? new Type() : new Type(`${message.value}`), value, seen);
  if (own("stack") !== undefined) define(copy, "stack", `${value.stack}`);
  if (own("cause") !== undefined) define(copy, "cause", clone(value.cause, seen));
  return copy;
}

const define = (object, key, value) =>
  Object.defineProperty(object, key, { value, writable: true, enumerable: false, configurable: true });

function cloneException(value, seen) {
  return remember(new DOMException(value.message, value.name), value, seen);
}

function cloneBlob(value, seen) {
  const bytes = blobBytes(value);
  const { name, type, lastModified } = value;
  const copy = value instanceof File ? makeFile(bytes, name, type, lastModified) : makeBlob(bytes, type);
  return remember(copy, value, seen);
}

function cloneArray(value, seen) {
  return fill(new Array(value.length), value, seen);
}

const refuse = (value) => {
  throw cannot(`#<${value[Symbol.toStringTag] ?? "Object"}>`);
};

const isA = (type) => (value) => value instanceof type;

// The first row that fits.
const KINDS = [
  [Array.isArray, cloneArray],
  [isA(Date), (value, seen) => remember(new Date(Date.prototype.getTime.call(value)), value, seen)],
  [isA(RegExp), (value, seen) => remember(new RegExp(value.source, value.flags), value, seen)],
  [isA(Map), cloneMap],
  [isA(Set), cloneSet],
  [isA(ArrayBuffer), cloneBuffer],
  [ArrayBuffer.isView, cloneView],
  [isA(DOMException), cloneException],
  [isA(Error), cloneError],
  [isA(Blob), cloneBlob],
  [isA(CryptoKey), (value, seen) => remember(cloneKey(value), value, seen)],
  ...BOXES.map((box) => [isA(box), (value, seen) => remember(Object(box.prototype.valueOf.call(value)), value, seen)]),
  [isA(Symbol), refuse],
  [isA(Promise), refuse],
  [isA(WeakMap), refuse],
  [isA(WeakSet), refuse],
  [isA(WeakRef), refuse],
];
