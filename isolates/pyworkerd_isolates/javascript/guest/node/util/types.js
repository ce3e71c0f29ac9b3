// The module "node:util/types": what a value really is, whatever its prototype says.

import { missing } from "pyworkerd:node_parts/errors";

const probe = (look) => (value) => {
  try {
    look(value);
    return true;
  } catch {
    return false;
  }
};
const getter = (kind, name) => Object.getOwnPropertyDescriptor(kind.prototype, name).get;
const probeGetter = (kind, name) => {
  const get = getter(kind, name);
  return probe((value) => get.call(value));
};
const TypedArray = Object.getPrototypeOf(Uint8Array);
const nameOf = getter(TypedArray, Symbol.toStringTag);
const isObject = (value) => (typeof value === "object" && value !== null) || typeof value === "function";
const prototypeOf = (make) => Object.getPrototypeOf(make());
const AsyncFunction = prototypeOf(() => async () => {});
const GeneratorFunction = prototypeOf(() => function* () {});
const AsyncGeneratorFunction = prototypeOf(() => async function* () {});
const inherits = (prototype) => (value) => isObject(value) && Object.prototype.isPrototypeOf.call(prototype, value);
const typed = (name) => (value) => isObject(value) && ArrayBuffer.isView(value) && nameOf.call(value) === name;
const boxed = (kind) => {
  const valueOf = kind.prototype.valueOf;
  return (value) => isObject(value) && probe((each) => valueOf.call(each))(value);
};
const iteratorOf = (made) => {
  const prototype = Object.getPrototypeOf(made);
  return (value) => isObject(value) && Object.getPrototypeOf(value) === prototype;
};

export const isDate = probe((value) => Date.prototype.getTime.call(value));
export const isRegExp = (value) => isObject(value) && value instanceof RegExp;
export const isMap = probeGetter(Map, "size");
export const isSet = probeGetter(Set, "size");
export const isWeakMap = probe((value) => WeakMap.prototype.has.call(value, isWeakMap));
export const isWeakSet = probe((value) => WeakSet.prototype.has.call(value, isWeakSet));
export const isArrayBuffer = probeGetter(ArrayBuffer, "byteLength");
export const isAnyArrayBuffer = isArrayBuffer;
export const isSharedArrayBuffer = () => false;
export const isArrayBufferView = ArrayBuffer.isView;
export const isDataView = probeGetter(DataView, "byteLength");
export const isTypedArray = (value) => isObject(value) && ArrayBuffer.isView(value) && nameOf.call(value) !== undefined;
export const isUint8Array = typed("Uint8Array");
export const isUint8ClampedArray = typed("Uint8ClampedArray");
export const isUint16Array = typed("Uint16Array");
export const isUint32Array = typed("Uint32Array");
export const isInt8Array = typed("Int8Array");
export const isInt16Array = typed("Int16Array");
export const isInt32Array = typed("Int32Array");
export const isFloat32Array = typed("Float32Array");
export const isFloat64Array = typed("Float64Array");
export const isBigInt64Array = typed("BigInt64Array");
export const isBigUint64Array = typed("BigUint64Array");
export const isPromise = (value) => isObject(value) && value instanceof Promise;
export const isNativeError = (value) => Error.isError?.(value) ?? value instanceof Error;
export const isAsyncFunction = (value) =>
  typeof value === "function" && (inherits(AsyncFunction)(value) || inherits(AsyncGeneratorFunction)(value));
export const isGeneratorFunction = (value) =>
  typeof value === "function" && (inherits(GeneratorFunction)(value) || inherits(AsyncGeneratorFunction)(value));
export const isGeneratorObject = (value) =>
  inherits(GeneratorFunction.prototype)(value) || inherits(AsyncGeneratorFunction.prototype)(value);
export const isNumberObject = boxed(Number);
export const isStringObject = boxed(String);
export const isBooleanObject = boxed(Boolean);
export const isBigIntObject = boxed(BigInt);
export const isSymbolObject = boxed(Symbol);
export const isBoxedPrimitive = (value) =>
  [isNumberObject, isStringObject, isBooleanObject, isBigIntObject, isSymbolObject].some((is) => is(value));
export const isMapIterator = iteratorOf(new Map().entries());
export const isSetIterator = iteratorOf(new Set().values());
export const isArgumentsObject = (value) =>
  isObject(value) && !(Symbol.toStringTag in value) && Object.prototype.toString.call(value) === "[object Arguments]";
export const isModuleNamespaceObject = (value) =>
  isObject(value) && Object.getPrototypeOf(value) === null && value[Symbol.toStringTag] === "Module";
export const isExternal = () => false;
export const isCryptoKey = (value) => Object.prototype.toString.call(value) === "[object CryptoKey]";
export const isKeyObject = () => false;

export function isProxy() {
  throw missing("util.types.isProxy");
}

export default {
  isDate, isRegExp, isMap, isSet, isWeakMap, isWeakSet, isArrayBuffer, isAnyArrayBuffer, isSharedArrayBuffer,
  isArrayBufferView, isDataView, isTypedArray, isUint8Array, isUint8ClampedArray, isUint16Array, isUint32Array,
  isInt8Array, isInt16Array, isInt32Array, isFloat32Array, isFloat64Array, isBigInt64Array, isBigUint64Array, isPromise,
  isNativeError, isAsyncFunction, isGeneratorFunction, isGeneratorObject, isNumberObject, isStringObject,
  isBooleanObject, isBigIntObject, isSymbolObject, isBoxedPrimitive, isMapIterator, isSetIterator, isArgumentsObject,
  isModuleNamespaceObject, isExternal, isCryptoKey, isKeyObject, isProxy,
};
