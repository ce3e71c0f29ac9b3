// The module "node:assert" (https://nodejs.org/api/assert.html).

import { isDeepEqual } from "pyworkerd:node_parts/equal";
import { coded, invalidType, invalidValue, requireFunction } from "pyworkerd:node_parts/errors";
import { inspect } from "pyworkerd:web/inspect";

const WORDS = {
  strictEqual: "Expected values to be strictly equal:",
  deepStrictEqual: "Expected values to be strictly deep-equal:",
  deepEqual: "Expected values to be loosely deep-equal:",
  notStrictEqual: 'Expected "actual" to be strictly unequal to:',
  notDeepStrictEqual: 'Expected "actual" not to be strictly deep-equal to:',
  notDeepEqual: 'Expected "actual" not to be loosely deep-equal to:',
};

function wordsFor(actual, expected, operator) {
  const shown = inspect(actual);
  if (!Object.hasOwn(WORDS, operator)) return `${shown} ${operator} ${inspect(expected)}`;
  if (operator.startsWith("not")) return `${WORDS[operator]}\n\n${shown}`;
  return `${WORDS[operator]}\n\n${shown}\n\nshould equal\n\n${inspect(expected)}`;
}

export class AssertionError extends Error {
  constructor(options) {
    if (options === null || typeof options !== "object") throw invalidType("options", "of type object", options);
    const { message, actual, expected, operator } = options;
    super(message === undefined ? wordsFor(actual, expected, operator) : String(message));
    this.name = "AssertionError";
    this.code = "ERR_ASSERTION";
    this.generatedMessage = message === undefined;
    this.actual = actual;
    this.expected = expected;
    this.operator = operator;
  }

  toString() { return `${this.name} [${this.code}]: ${this.message}`; }
}

function failWith(actual, expected, message, operator) {
  if (message instanceof Error) throw message;
  throw new AssertionError({ message, actual, expected, operator });
}

export function ok(value, message = undefined) {
  if (arguments.length === 0) {
    const message = "No value argument passed to `assert.ok()`";
    throw new AssertionError({ message, actual: value, expected: true, operator: "==" });
  }
  if (value) return;
  if (message instanceof Error) throw message;
  const words = message ?? "The expression evaluated to a falsy value";
  const error = new AssertionError({ message: words, actual: value, expected: true, operator: "==" });
  error.generatedMessage = message === undefined;
  throw error;
}

export function assert(...values) {
  ok(...values);
}

export function fail(message = "Failed") {
  if (message instanceof Error) throw message;
  const error = new AssertionError({ message, operator: "fail" });
  error.generatedMessage = arguments.length === 0;
  throw error;
}

const comparison = (operator, holds) => {
  const check = (actual, expected, message = undefined) => {
    if (!holds(actual, expected)) failWith(actual, expected, message, operator);
  };
  return check;
};
const looselySame = (a, b) => a == b || (Number.isNaN(a) && Number.isNaN(b)); // loosely, on purpose

export const equal = comparison("==", looselySame);
export const notEqual = comparison("!=", (a, b) => !looselySame(a, b));
export const strictEqual = comparison("strictEqual", Object.is);
export const notStrictEqual = comparison("notStrictEqual", (a, b) => !Object.is(a, b));
export const deepEqual = comparison("deepEqual", (a, b) => isDeepEqual(a, b, false));
export const notDeepEqual = comparison("notDeepEqual", (a, b) => !isDeepEqual(a, b, false));
export const deepStrictEqual = comparison("deepStrictEqual", (a, b) => isDeepEqual(a, b, true));
export const notDeepStrictEqual = comparison("notDeepStrictEqual", (a, b) => !isDeepEqual(a, b, true));

export function ifError(value) {
  if (value === null || value === undefined) return;
  const shown = value instanceof Error ? value.message : inspect(value);
  throw new AssertionError({
    message: `ifError got unwanted exception: ${shown}`, actual: value, expected: null, operator: "ifError",
  });
}

function matching(operator, wanted, says) {
  return (text, pattern, message = undefined) => {
    if (!(pattern instanceof RegExp)) throw invalidType("regexp", "an instance of RegExp", pattern);
    if (typeof text === "string" && (RegExp.prototype.exec.call(pattern, text) !== null) === wanted) return;
    const words = typeof text === "string"
      ? `The input ${says} the regular expression ${inspect(pattern)}. Input:\n\n${inspect(text)}\n`
      : `The "string" argument must be of type string. Received ${inspect(text)}`;
    failWith(text, pattern, message ?? words, operator);
  };
}
export const match = matching("match", true, "did not match");
export const doesNotMatch = matching("doesNotMatch", false, "was expected to not match");

// Whether an error is what was expected. Throws an AssertionError that says how it is not.
function checkError(error, expected, message, operator) {
  if (expected === undefined) return;
  if (typeof expected === "function") {
    if (expected.prototype !== undefined && error instanceof expected) return;
    if (Object.prototype.isPrototypeOf.call(Error, expected)) {
      const got = error?.constructor?.name ?? inspect(error);
      const words = `The error is expected to be an instance of "${expected.name}". Received "${got}"`;
      failWith(error, expected, message ?? words, operator);
    }
    if (expected.call({}, error) === true) return;
    const words = 'The validation function is expected to return "true". Received false';
    failWith(error, expected, message ?? words, operator);
  }
  if (expected instanceof RegExp) {
    if (RegExp.prototype.exec.call(expected, String(error)) !== null) return;
    const words = `The input did not match the regular expression ${inspect(expected)}. Input:`;
    failWith(error, expected, message ?? `${words}\n\n${inspect(String(error))}\n`, operator);
  }
  const keys = Object.keys(expected);
  if (expected instanceof Error) keys.push("name", "message");
  else if (keys.length === 0) throw invalidValue("error", expected, "may not be an empty object");
  for (const key of keys) {
    const holds = expected[key] instanceof RegExp && typeof error?.[key] === "string"
      ? RegExp.prototype.exec.call(expected[key], error[key]) !== null
      : error !== null && error !== undefined && key in Object(error) && isDeepEqual(error[key], expected[key], true);
    if (!holds) {
      const words = `Expected "${key}" of the error to be ${inspect(expected[key])}. Received ${inspect(error?.[key])}`;
      failWith(error, expected, message ?? words, operator);
    }
  }
}

const none = (message) => (message === undefined ? "" : `: ${message}`);

function raised(caught, expected, message, operator, what) {
  let [wanted, words] = [expected, message];
  if (typeof wanted === "string") [wanted, words] = [undefined, wanted];
  if (caught === null) {
    const name = typeof wanted === "function" && wanted.name ? ` (${wanted.name})` : "";
    const says = words instanceof Error ? words : `Missing expected ${what}${name}${none(words) || "."}`;
    failWith(undefined, wanted, says, operator);
  }
  checkError(caught.error, wanted, words, operator);
}

function notRaised(caught, expected, message, operator, what) {
  if (caught === null) return;
  let [unwanted, words] = [expected, message];
  if (typeof unwanted === "string") [unwanted, words] = [undefined, unwanted];
  const { error } = caught;
  const isMeant = unwanted instanceof RegExp ? unwanted.test(String(error)) : error instanceof (unwanted ?? Object);
  if (unwanted !== undefined && !isMeant) throw error;
  failWith(error, unwanted, `Got unwanted ${what}${none(words) || "."}\nActual message: "${error?.message}"`, operator);
}

function attempt(call) {
  requireFunction(call, "fn");
  try {
    call();
  } catch (error) {
    return { error };
  }
  return null;
}

async function attemptPromise(promise) {
  let waited = promise;
  if (typeof promise === "function") {
    waited = promise();
    if (typeof waited?.then !== "function") {
      const message = 'Expected instance of Promise to be returned from the "promiseFn" function';
      throw coded(TypeError, "ERR_INVALID_RETURN_VALUE", message);
    }
  } else if (typeof promise?.then !== "function") {
    throw invalidType("promiseFn", "of type function or an instance of Promise", promise);
  }
  try {
    await waited;
  } catch (error) {
    return { error };
  }
  return null;
}

export function throws(call, expected = undefined, message = undefined) {
  raised(attempt(call), expected, message, "throws", "exception");
}

export function doesNotThrow(call, expected = undefined, message = undefined) {
  notRaised(attempt(call), expected, message, "doesNotThrow", "exception");
}

export async function rejects(promise, expected = undefined, message = undefined) {
  raised(await attemptPromise(promise), expected, message, "rejects", "rejection");
}

export async function doesNotReject(promise, expected = undefined, message = undefined) {
  notRaised(await attemptPromise(promise), expected, message, "doesNotReject", "rejection");
}

const COMMON = {
  AssertionError, ok, fail, strictEqual, notStrictEqual, deepStrictEqual, notDeepStrictEqual, ifError, match,
  doesNotMatch, throws, doesNotThrow, rejects, doesNotReject,
};

export function strict(...values) {
  ok(...values);
}

Object.assign(assert, COMMON, { equal, notEqual, deepEqual, notDeepEqual, assert, strict });
Object.assign(strict, COMMON, {
  equal: strictEqual, notEqual: notStrictEqual, deepEqual: deepStrictEqual, notDeepEqual: notDeepStrictEqual,
  assert: strict, strict,
});

export default assert;
