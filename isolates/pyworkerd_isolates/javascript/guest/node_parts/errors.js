// Errors as Node.js makes them: with a `code`, and a message that says what was given.

import { inspect } from "pyworkerd:web/inspect";

export function coded(Kind, code, message) {
  const error = new Kind(message);
  error.code = code;
  return error;
}

/** What a value is, for a message: `Received type number (5)`, `Received an instance of Map`. */
export function received(value) {
  if (value === null || value === undefined) return ` Received ${value}`;
  if (typeof value === "function") return ` Received function ${value.name}`;
  if (typeof value === "object") {
    const name = value.constructor?.name;
    return name ? ` Received an instance of ${name}` : ` Received ${inspect(value, { depth: -1 })}`;
  }
  const text = inspect(value);
  return ` Received type ${typeof value} (${text.length > 28 ? `${text.slice(0, 25)}...` : text})`;
}

/** `expected`: as it follows "must be", such as "of type string". */
export function invalidType(name, expected, value) {
  const what = name.includes(" ") ? `The ${name}` : `The "${name}" ${name.includes(".") ? "property" : "argument"}`;
  return coded(TypeError, "ERR_INVALID_ARG_TYPE", `${what} must be ${expected}.${received(value)}`);
}

export function invalidValue(name, value, reason = "is invalid") {
  const what = name.includes(".") ? "property" : "argument";
  return coded(TypeError, "ERR_INVALID_ARG_VALUE", `The ${what} '${name}' ${reason}. Received ${inspect(value)}`);
}

export function outOfRange(name, range, value) {
  const shown = Number.isInteger(value) && Math.abs(value) > 2 ** 32 ? grouped(String(value)) : inspect(value);
  const message = `The value of "${name}" is out of range. It must be ${range}. Received ${shown}`;
  return coded(RangeError, "ERR_OUT_OF_RANGE", message);
}

const grouped = (digits) => digits.replace(/\B(?=(\d{3})+$)/g, "_");

export function requireString(value, name) {
  if (typeof value !== "string") throw invalidType(name, "of type string", value);
}

export function requireFunction(value, name) {
  if (typeof value !== "function") throw invalidType(name, "of type function", value);
}

/** What Node.js has, and workers do not. */
export function missing(name) {
  return coded(Error, "ERR_METHOD_NOT_IMPLEMENTED", `${name}() is not there for workers`);
}
