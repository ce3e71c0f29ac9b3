// The assertions of testharness.js, as its documentation has them.

import { describe, format_value } from "./format.js";

export class AssertionError extends Error {
  get name() { return "AssertionError"; }
}

/** An assertion about what a specification leaves to choice: the test does not hold then, it does not fail. */
export class OptionalFeatureUnsupportedError extends AssertionError {}

function check(right, name, description, message) {
  if (right) return;
  throw new AssertionError(`${name}: ${description ? `${description} ` : ""}${message}`);
}

const show = format_value;

export function assert_true(actual, description) {
  check(actual === true, "assert_true", description, `expected true got ${show(actual)}`);
}

export function assert_false(actual, description) {
  check(actual === false, "assert_false", description, `expected false got ${show(actual)}`);
}

export function assert_equals(actual, expected, description) {
  check(typeof actual === typeof expected, "assert_equals", description,
    `expected (${typeof expected}) ${show(expected)} but got (${typeof actual}) ${show(actual)}`);
  check(Object.is(actual, expected), "assert_equals", description, `expected ${show(expected)} but got ${show(actual)}`);
}

export function assert_not_equals(actual, expected, description) {
  check(!Object.is(actual, expected), "assert_not_equals", description, `got disallowed value ${show(actual)}`);
}

export function assert_in_array(actual, expected, description) {
  check(expected.indexOf(actual) >= 0, "assert_in_array", description,
    `value ${show(actual)} not in array ${show(expected)}`);
}

export function assert_object_equals(actual, expected, description) {
  check(typeof actual === "object" && actual !== null, "assert_object_equals", description,
    `value is ${show(actual)}, expected object`);
  compare(actual, expected, []);

  function compare(one, other, seen) {
    for (const key in one) {
      check(Object.hasOwn(other, key), "assert_object_equals", description, `unexpected property ${show(key)}`);
      if (typeof one[key] === "object" && one[key] !== null) {
        if (!seen.includes(one[key])) compare(one[key], other[key], [...seen, one[key]]);
      } else {
        check(Object.is(one[key], other[key]), "assert_object_equals", description,
          `property ${show(key)} expected ${show(other[key])} got ${show(one[key])}`);
      }
    }
    for (const key in other) {
      check(Object.hasOwn(one, key), "assert_object_equals", description, `expected property ${show(key)} missing`);
    }
  }
}

function each(name, actual, expected, description, isRight) {
  check(typeof actual === "object" && actual !== null && "length" in actual, name, description,
    `value is ${show(actual)}, expected array`);
  check(actual.length === expected.length, name, description,
    `lengths differ, expected array ${show(expected)} length ${expected.length}, got ${show(actual)} length ` +
      actual.length);
  for (let i = 0; i < actual.length; i += 1) {
    check(Object.hasOwn(actual, i) === Object.hasOwn(expected, i), name, description,
      `property ${i}, expected to be ${Object.hasOwn(expected, i) ? "present" : "missing"}`);
    check(isRight(actual[i], expected[i]), name, description,
      `expected property ${i} to be ${show(expected[i])} but got ${show(actual[i])}`);
  }
}

export function assert_array_equals(actual, expected, description) {
  each("assert_array_equals", actual, expected, description, Object.is);
}

export function assert_array_approx_equals(actual, expected, epsilon, description) {
  each("assert_array_approx_equals", actual, expected, description,
    (one, other) => typeof one === "number" && (one === other || Math.abs(one - other) <= epsilon));
}

export function assert_approx_equals(actual, expected, epsilon, description) {
  const right = typeof actual === "number" && (Object.is(actual, expected) || Math.abs(actual - expected) <= epsilon);
  check(right, "assert_approx_equals", description,
    `expected ${show(expected)} +/- ${show(epsilon)} but got ${show(actual)}`);
}

// Comparisons of two numbers (or bigints), and what each is called.
const ORDERS = {
  assert_less_than: ["less than", (actual, bound) => actual < bound],
  assert_greater_than: ["greater than", (actual, bound) => actual > bound],
  assert_less_than_equal: ["less than or equal to", (actual, bound) => actual <= bound],
  assert_greater_than_equal: ["greater than or equal to", (actual, bound) => actual >= bound],
};

function order(name) {
  const [words, isRight] = ORDERS[name];
  return (actual, expected, description) => {
    check(typeof actual === typeof expected && ["number", "bigint"].includes(typeof actual), name, description,
      `expected a number but got a ${typeof actual}`);
    check(isRight(actual, expected), name, description,
      `expected a number ${words} ${show(expected)} but got ${show(actual)}`);
  };
}

export const assert_less_than = order("assert_less_than");
export const assert_greater_than = order("assert_greater_than");
export const assert_less_than_equal = order("assert_less_than_equal");
export const assert_greater_than_equal = order("assert_greater_than_equal");

export function assert_between_exclusive(actual, lower, upper, description) {
  assert_greater_than(actual, lower, description);
  assert_less_than(actual, upper, description);
}

export function assert_between_inclusive(actual, lower, upper, description) {
  assert_greater_than_equal(actual, lower, description);
  assert_less_than_equal(actual, upper, description);
}

export function assert_regexp_match(actual, expected, description) {
  check(expected.test(actual), "assert_regexp_match", description,
    `expected ${String(expected)} but got ${show(actual)}`);
}

export function assert_class_string(object, expected, description) {
  const actual = {}.toString.call(object);
  check(actual === `[object ${expected}]`, "assert_class_string", description,
    `expected "[object ${expected}]" but got ${show(actual)}`);
}

export function assert_own_property(object, name, description) {
  check(Object.hasOwn(object, name), "assert_own_property", description, `expected property ${show(name)} missing`);
}

export function assert_not_own_property(object, name, description) {
  check(!Object.hasOwn(object, name), "assert_not_own_property", description,
    `unexpected property ${show(name)} is found on object`);
}

function inherited(name) {
  return (object, property, description) => {
    check(object !== null && ["object", "function"].includes(typeof object), name, description,
      "provided value is not an object");
    check(!Object.hasOwn(object, property), name, description,
      `property ${show(property)} found on object expected in prototype chain`);
    check(property in object, name, description, `property ${show(property)} not found in prototype chain`);
  };
}

export const assert_inherits = inherited("assert_inherits");
export const assert_idl_attribute = inherited("assert_idl_attribute");

export function assert_readonly(object, property, description) {
  const before = object[property];
  try {
    object[property] = `${before}a`;
  } catch {
    return; // strict code is told so
  }
  check(Object.is(object[property], before), "assert_readonly", description,
    `changing property ${show(property)} succeeded`);
}

export function assert_unreached(description) {
  check(false, "assert_unreached", description, "Reached unreachable code");
}

export function assert_any(assertion, actual, expectations, ...rest) {
  const failures = [];
  for (const expected of expectations) {
    try {
      assertion(actual, expected, ...rest);
      return;
    } catch (error) {
      failures.push(error.message);
    }
  }
  check(false, "assert_any", rest[0], failures.join("\n"));
}

export function assert_implements(condition, description) {
  check(Boolean(condition), "assert_implements", description, "not implemented");
}

export function assert_implements_optional(condition, description) {
  if (!condition) throw new OptionalFeatureUnsupportedError(description);
}

// ---- what is thrown ----

// The codes of DOMExceptions that have one (https://webidl.spec.whatwg.org/#idl-DOMException-error-names).
const CODES = {
  IndexSizeError: 1, HierarchyRequestError: 3, WrongDocumentError: 4, InvalidCharacterError: 5,
  NoModificationAllowedError: 7, NotFoundError: 8, NotSupportedError: 9, InUseAttributeError: 10,
  InvalidStateError: 11, SyntaxError: 12, InvalidModificationError: 13, NamespaceError: 14, InvalidAccessError: 15,
  TypeMismatchError: 17, SecurityError: 18, NetworkError: 19, AbortError: 20, URLMismatchError: 21,
  QuotaExceededError: 22, TimeoutError: 23, InvalidNodeTypeError: 24, DataCloneError: 25, EncodingError: 0,
  NotReadableError: 0, UnknownError: 0, ConstraintError: 0, DataError: 0, TransactionInactiveError: 0,
  ReadOnlyError: 0, VersionError: 0, OperationError: 0, NotAllowedError: 0, OptOutError: 0,
};
// NOT_FOUND_ERR and its like mean the same, but for the two that were shortened.
const LEGACY = { INUSE_ATTRIBUTE_ERR: "InUseAttributeError", NO_MODIFICATION_ALLOWED_ERR: "NoModificationAllowedError" };

function exceptionName(type) {
  const fits = (name) => name.replace(/Error$/, "").toUpperCase() === type.replace(/_ERR$/, "").replaceAll("_", "");
  if (typeof type === "number") return Object.keys(CODES).find((name) => CODES[name] === type && type > 0);
  if (type in CODES) return type;
  return LEGACY[type] ?? (type.endsWith("_ERR") ? Object.keys(CODES).find(fits) : undefined);
}

function isError(name, description, thrown, constructor) {
  check(thrown !== null && typeof thrown === "object", name, description, `threw ${show(thrown)}, not an object`);
  check(thrown.constructor === constructor || thrown.name === constructor.name, name, description,
    `threw ${describe(thrown)}, expected ${constructor.name}`);
  check(thrown.constructor === constructor, name, description, `threw a ${constructor.name} from the wrong global`);
}

function isException(name, description, thrown, type, constructor) {
  const wanted = exceptionName(type);
  if (wanted === undefined) throw new AssertionError(`${name}: there is no DOMException of type ${show(type)}`);
  check(thrown !== null && typeof thrown === "object", name, description, `threw ${show(thrown)}, not an object`);
  check(thrown.name === wanted, name, description, `threw ${describe(thrown)}, expected a DOMException ${wanted}`);
  check(thrown.code === CODES[wanted], name, description,
    `threw a ${wanted} whose code is ${show(thrown.code)}, expected ${CODES[wanted]}`);
  check(thrown.constructor === constructor, name, description, "threw an exception from the wrong global");
}

function isQuota(name, description, thrown, requested, quota) {
  isException(name, description, thrown, "QuotaExceededError", globalThis.QuotaExceededError ?? DOMException);
  for (const [property, wanted] of Object.entries({ requested, quota })) {
    const right = typeof wanted === "function" ? wanted(thrown[property]) : thrown[property] === wanted;
    check(wanted === undefined || wanted === null || right, name, description, `${property} is ${show(thrown[property])}`);
  }
}

// A DOMException's constructor may be given between its type and the function.
const split = (rest) => (rest[0] === DOMException ? rest : [DOMException, ...rest]);

function thrownBy(call, name, description) {
  try {
    call();
  } catch (error) {
    if (error instanceof AssertionError) throw error;
    return error;
  }
  throw new AssertionError(`${name}: ${description ? `${description} ` : ""}${show(call)} did not throw`);
}

export function assert_throws_js(constructor, call, description) {
  isError("assert_throws_js", description, thrownBy(call, "assert_throws_js", description), constructor);
}

export function assert_throws_dom(type, ...rest) {
  const [constructor, call, description] = split(rest);
  isException("assert_throws_dom", description, thrownBy(call, "assert_throws_dom", description), type, constructor);
}

export function assert_throws_exactly(expected, call, description) {
  const thrown = thrownBy(call, "assert_throws_exactly", description);
  check(Object.is(thrown, expected), "assert_throws_exactly", description,
    `threw ${describe(thrown)}, expected ${describe(expected)}`);
}

export function assert_throws_quotaexceedederror(call, requested, quota, description) {
  const name = "assert_throws_quotaexceedederror";
  isQuota(name, description, thrownBy(call, name, description), requested, quota);
}

// Judges what a promise, or any thenable, is rejected with.
function rejection(promise, name, description, judge) {
  const kept = () => check(false, name, description, "Should have rejected: the promise was fulfilled");
  return Promise.resolve(promise).then(kept, judge);
}

export function promise_rejects_js(test, constructor, promise, description) {
  const name = "promise_rejects_js";
  return rejection(promise, name, description, (reason) => isError(name, description, reason, constructor));
}

export function promise_rejects_dom(test, type, ...rest) {
  const name = "promise_rejects_dom";
  const [constructor, promise, description] = split(rest);
  return rejection(promise, name, description, (reason) => isException(name, description, reason, type, constructor));
}

export function promise_rejects_exactly(test, expected, promise, description) {
  const name = "promise_rejects_exactly";
  return rejection(promise, name, description, (reason) =>
    check(Object.is(reason, expected), name, description,
      `rejected with ${describe(reason)}, expected ${describe(expected)}`),
  );
}

export function promise_rejects_quotaexceedederror(test, promise, requested, quota, description) {
  const name = "promise_rejects_quotaexceedederror";
  return rejection(promise, name, description, (reason) => isQuota(name, description, reason, requested, quota));
}
