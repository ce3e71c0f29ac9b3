// The module "node:util" (https://nodejs.org/api/util.html).

import types from "pyworkerd:node/util/types";
import { isDeepEqual } from "pyworkerd:node_parts/equal";
import { coded, invalidType, missing, requireFunction } from "pyworkerd:node_parts/errors";
import { onAbort } from "pyworkerd:web/abort";
import { formatLog } from "pyworkerd:web/console";
import { inspect as inspectValue } from "pyworkerd:web/inspect";

const CUSTOM_INSPECT = Symbol.for("nodejs.util.inspect.custom");
const CUSTOM_PROMISE = Symbol.for("nodejs.util.promisify.custom");
const { TextDecoder, TextEncoder } = globalThis;

/** Colours and widths are left out: only `depth` is heeded. */
export function inspect(value, options = undefined, depth = undefined) {
  return inspectValue(value, { depth: typeof options === "object" && options !== null ? options.depth : depth });
}
inspect.custom = CUSTOM_INSPECT;
inspect.defaultOptions = { depth: 2 };
inspect.colors = Object.create(null);
inspect.styles = Object.create(null);

export function format(...values) {
  return formatLog(values);
}

export function formatWithOptions(options, ...values) {
  if (options === null || typeof options !== "object") throw invalidType("inspectOptions", "of type object", options);
  return formatLog(values);
}

export function promisify(original) {
  requireFunction(original, "original");
  const custom = original[CUSTOM_PROMISE];
  if (custom !== undefined) {
    requireFunction(custom, "util.promisify.custom");
    return Object.defineProperty(custom, CUSTOM_PROMISE, { value: custom, configurable: true });
  }
  function promised(...values) {
    return new Promise((resolve, reject) => {
      Reflect.apply(original, this, [...values, (error, value) => (error ? reject(error) : resolve(value))]);
    });
  }
  Object.setPrototypeOf(promised, Object.getPrototypeOf(original));
  Object.defineProperty(promised, CUSTOM_PROMISE, { value: promised, configurable: true });
  return Object.defineProperties(promised, Object.getOwnPropertyDescriptors(original));
}
promisify.custom = CUSTOM_PROMISE;

export function callbackify(original) {
  requireFunction(original, "original");
  function withCallback(...values) {
    const callback = values.pop();
    requireFunction(callback, "last argument");
    Reflect.apply(original, this, values).then(
      (value) => queueMicrotask(() => callback(null, value)),
      (reason) => queueMicrotask(() => callback(reason || withoutReason(reason))),
    );
  }
  return Object.defineProperty(withCallback, "name", { value: `${original.name}Callbackified`, configurable: true });
}

function withoutReason(reason) {
  const error = coded(Error, "ERR_FALSY_VALUE_REJECTION", "Promise was rejected with falsy value");
  error.reason = reason;
  return error;
}

export function inherits(constructor, parent) {
  requireFunction(constructor, "ctor");
  requireFunction(parent, "superCtor");
  if (parent.prototype === undefined) throw invalidType("superCtor.prototype", "of type object", parent.prototype);
  Object.defineProperty(constructor, "super_", { value: parent, writable: true, configurable: true });
  Object.setPrototypeOf(constructor.prototype, parent.prototype);
}

const said = new Set();

/** A function that says once, when it is called, that it should not be. */
export function deprecate(original, message, code = undefined) {
  requireFunction(original, "fn");
  let told = false;
  function deprecated(...values) {
    if (!told && !(code !== undefined && said.has(code))) {
      told = true;
      if (code !== undefined) said.add(code);
      console.warn(`${code === undefined ? "" : `[${code}] `}DeprecationWarning: ${message}`);
    }
    return new.target ? Reflect.construct(original, values, new.target) : Reflect.apply(original, this, values);
  }
  Object.setPrototypeOf(deprecated, original);
  if (original.prototype) deprecated.prototype = original.prototype;
  return deprecated;
}

/** Says nothing: there is no NODE_DEBUG. */
export function debuglog() {
  return Object.defineProperty(() => {}, "enabled", { value: false });
}
export { debuglog as debug };

export function isDeepStrictEqual(one, other) {
  return isDeepEqual(one, other, true);
}

// ECMA-48: control sequences, and strings that a bell or a string terminator ends.
const ESCAPES = /\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[ -/]*[0-~]/g;

export function stripVTControlCharacters(text) {
  if (typeof text !== "string") throw invalidType("str", "of type string", text);
  return text.replace(ESCAPES, "");
}

export function toUSVString(text) {
  return `${text}`.toWellFormed();
}

/** A promise that is fulfilled when the signal is aborted. */
export async function aborted(signal) {
  if (!signal.aborted) await new Promise((resolve) => { onAbort(signal, resolve); });
}

// No log here has colours.
export function styleText(style, text) {
  if (typeof text !== "string") throw invalidType("text", "of type string", text);
  return text;
}

export function isArray(value) {
  return Array.isArray(value);
}

export function _extend(target, source) {
  return source !== null && typeof source === "object" ? Object.assign(target, source) : target;
}

const unavailable = (name) => () => { throw missing(`util.${name}`); };
export const parseArgs = unavailable("parseArgs");
export const parseEnv = unavailable("parseEnv");
export const getSystemErrorName = unavailable("getSystemErrorName");
export const getSystemErrorMap = unavailable("getSystemErrorMap");
export const getCallSites = unavailable("getCallSites");
export const transferableAbortController = unavailable("transferableAbortController");
export const transferableAbortSignal = unavailable("transferableAbortSignal");

export { TextDecoder, TextEncoder, types };

export default {
  inspect, format, formatWithOptions, promisify, callbackify, inherits, deprecate, debuglog, debug: debuglog,
  isDeepStrictEqual, stripVTControlCharacters, toUSVString, aborted, styleText, isArray, _extend, parseArgs, parseEnv,
  getSystemErrorName, getSystemErrorMap, getCallSites, transferableAbortController, transferableAbortSignal,
  TextDecoder, TextEncoder, types,
};
