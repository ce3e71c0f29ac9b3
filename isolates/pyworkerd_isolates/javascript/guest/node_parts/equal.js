// Whether two values are deeply equal, as `assert.deepEqual` and `util.isDeepStrictEqual` mean it.

const TypedArray = Object.getPrototypeOf(Uint8Array);
const MAX_DEPTH = 200; // the end of the stack would be the isolate's

const isShown = Object.prototype.propertyIsEnumerable;
const tagOf = (value) => Object.prototype.toString.call(value);
const BOXED = [Number, String, Boolean, BigInt, Symbol];

/** `strict`: primitives by Object.is, and objects of one prototype; else by `==`. Throws a RangeError for what is too
 *  deep. */
export function isDeepEqual(one, other, strict) {
  return equal(one, other, { strict, pairs: new Map(), depth: 0 });
}

function equal(a, b, state) {
  if (a === b) return a !== 0 || !state.strict || Object.is(a, b);
  const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";
  if (!isObject(a) || !isObject(b)) {
    if (state.strict) return Object.is(a, b);
    return isObject(a) || isObject(b) ? false : a == b || (Number.isNaN(a) && Number.isNaN(b)); // loosely, on purpose
  }
  if (typeof a === "function" || typeof b === "function") return false;
  if (state.strict && Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false;
  if (tagOf(a) !== tagOf(b) || Array.isArray(a) !== Array.isArray(b)) return false;
  if (!sameInside(a, b, state)) return false;
  if (state.pairs.get(a) === b) return true; // a circle, which both go round
  if (state.depth >= MAX_DEPTH) throw new RangeError("the values are too deep to be compared");
  const before = state.pairs.get(a);
  state.pairs.set(a, b);
  state.depth += 1;
  const same = sameEntries(a, b, state) && sameKeys(a, b, state);
  state.depth -= 1;
  if (before === undefined) state.pairs.delete(a);
  else state.pairs.set(a, before);
  return same;
}

// What is neither property nor entry.
function sameInside(a, b, state) {
  if (a instanceof Date) return b instanceof Date && Object.is(a.getTime(), b.getTime());
  if (a instanceof RegExp) return b instanceof RegExp && `${a}` === `${b}` && a.lastIndex === b.lastIndex;
  if (a instanceof Error) {
    if (!(b instanceof Error) || a.message !== b.message || a.name !== b.name) return false;
    return equal(a.cause, b.cause, state) && equal(a.errors, b.errors, state);
  }
  if (ArrayBuffer.isView(a) || a instanceof ArrayBuffer) return sameBytes(a, b, state.strict);
  if (a instanceof WeakMap || a instanceof WeakSet || a instanceof Promise) return false;
  const kind = BOXED.find((each) => a instanceof each);
  if (kind === undefined) return true;
  const { valueOf } = kind.prototype;
  return b instanceof kind && Object.is(valueOf.call(a), valueOf.call(b));
}

function sameBytes(a, b, strict) {
  if (a.byteLength !== b.byteLength) return false;
  if (a instanceof TypedArray && (!strict || !(a instanceof Float32Array || a instanceof Float64Array))) {
    return a.length === b.length && a.every((each, i) => each === b[i] || (Number.isNaN(each) && Number.isNaN(b[i])));
  }
  const bytes = (value) => {
    if (value instanceof ArrayBuffer) return new Uint8Array(value);
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  };
  const other = bytes(b);
  return bytes(a).every((each, i) => each === other[i]);
}

function sameEntries(a, b, state) {
  if (a instanceof Set) return b instanceof Set && sameSets(a, b, state);
  if (a instanceof Map) return b instanceof Map && sameMaps(a, b, state);
  return true;
}

// What is not there as it is may be there as something equal.
function sameSets(a, b, state) {
  if (a.size !== b.size) return false;
  const rest = [...b].filter((each) => !a.has(each));
  return [...a].every((each) => b.has(each) || take(rest, (other) => equal(each, other, state)));
}

function sameMaps(a, b, state) {
  if (a.size !== b.size) return false;
  const rest = [...b].filter(([key]) => !a.has(key));
  return [...a].every(([key, value]) => {
    if (b.has(key)) return equal(value, b.get(key), state);
    return take(rest, ([otherKey, other]) => equal(key, otherKey, state) && equal(value, other, state));
  });
}

function take(list, fits) {
  const at = list.findIndex(fits);
  if (at >= 0) list.splice(at, 1);
  return at >= 0;
}

function keysOf(value, strict) {
  const keys = Object.keys(value);
  if (value instanceof TypedArray) keys.splice(0, value.length);
  if (strict) keys.push(...Object.getOwnPropertySymbols(value).filter((key) => isShown.call(value, key)));
  return keys;
}

function sameKeys(a, b, state) {
  if (Array.isArray(a) && a.length !== b.length) return false;
  const keys = keysOf(a, state.strict);
  if (keys.length !== keysOf(b, state.strict).length) return false;
  return keys.every((key) => isShown.call(b, key) && equal(a[key], b[key], state));
}
