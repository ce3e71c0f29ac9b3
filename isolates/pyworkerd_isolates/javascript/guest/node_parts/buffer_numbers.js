// The methods of Buffer that read and write numbers.

import { coded, invalidType, outOfRange } from "pyworkerd:node_parts/errors";

// Name, bytes, the DataView's name for it, and what may be written: the smallest and the largest value, if it matters.
const KINDS = [
  ["Int8", 1, "Int8", -0x80, 0x7f],
  ["UInt8", 1, "Uint8", 0, 0xff],
  ["Int16", 2, "Int16", -0x8000, 0x7fff],
  ["UInt16", 2, "Uint16", 0, 0xffff],
  ["Int32", 4, "Int32", -0x80000000, 0x7fffffff],
  ["UInt32", 4, "Uint32", 0, 0xffffffff],
  ["BigInt64", 8, "BigInt64", -(1n << 63n), (1n << 63n) - 1n],
  ["BigUInt64", 8, "BigUint64", 0n, (1n << 64n) - 1n],
  ["Float", 4, "Float32", null, null],
  ["Double", 8, "Float64", null, null],
];
const MOST_BYTES = 6; // of a number that is read and written by its length

const viewOf = (buffer) => new DataView(buffer.buffer, buffer.byteOffset, buffer.byteLength);

function checkOffset(buffer, offset, size) {
  if (typeof offset !== "number") throw invalidType("offset", "of type number", offset);
  const most = buffer.length - size;
  if (Number.isInteger(offset) && offset >= 0 && offset <= most) return;
  if (!Number.isInteger(offset)) throw outOfRange("offset", "an integer", offset);
  if (most < 0) throw coded(RangeError, "ERR_BUFFER_OUT_OF_BOUNDS", "Attempt to access memory outside buffer bounds");
  throw outOfRange("offset", `>= 0 and <= ${most}`, offset);
}

function checkValue(value, least, most) {
  if (least === null || (value >= least && value <= most)) return;
  if (typeof least === "number" && Number.isNaN(value)) return; // is written as 0, as in Node.js
  const range = typeof least === "bigint" ? `>= ${least}n and <= ${most}n` : `>= ${least} and <= ${most}`;
  throw outOfRange("value", range, value);
}

function checkLength(size) {
  if (typeof size !== "number") throw invalidType("byteLength", "of type number", size);
  if (Number.isInteger(size) && size >= 1 && size <= MOST_BYTES) return;
  throw outOfRange("byteLength", Number.isInteger(size) ? `>= 1 and <= ${MOST_BYTES}` : "an integer", size);
}

function readWhole(buffer, offset, size, little) {
  checkLength(size);
  checkOffset(buffer, offset, size);
  let value = 0;
  for (let i = 0; i < size; i += 1) value = value * 256 + buffer[offset + (little ? size - 1 - i : i)];
  return value;
}

function writeWhole(buffer, value, offset, size, little) {
  checkOffset(buffer, offset, size);
  let rest = Math.trunc(value) || 0;
  if (rest < 0) rest += 2 ** (8 * size);
  for (let i = 0; i < size; i += 1) {
    buffer[offset + (little ? i : size - 1 - i)] = rest % 256;
    rest = Math.floor(rest / 256);
  }
  return offset + size;
}

const METHODS = {};

for (const [name, size, view, least, most] of KINDS) {
  for (const end of size === 1 ? [""] : ["LE", "BE"]) {
    METHODS[`read${name}${end}`] = function (offset = 0) {
      checkOffset(this, offset, size);
      return viewOf(this)[`get${view}`](offset, end === "LE");
    };
    METHODS[`write${name}${end}`] = function (value, offset = 0) {
      const number = typeof least === "bigint" ? value : Number(value);
      checkValue(number, least, most);
      checkOffset(this, offset, size);
      viewOf(this)[`set${view}`](offset, number, end === "LE");
      return offset + size;
    };
  }
}

for (const end of ["LE", "BE"]) {
  METHODS[`readUInt${end}`] = function (offset, size) {
    return readWhole(this, offset, size, end === "LE");
  };
  METHODS[`readInt${end}`] = function (offset, size) {
    const value = readWhole(this, offset, size, end === "LE");
    return value >= 2 ** (8 * size - 1) ? value - 2 ** (8 * size) : value;
  };
  METHODS[`writeUInt${end}`] = function (value, offset, size) {
    checkLength(size);
    checkValue(Number(value), 0, 2 ** (8 * size) - 1);
    return writeWhole(this, value, offset, size, end === "LE");
  };
  METHODS[`writeInt${end}`] = function (value, offset, size) {
    checkLength(size);
    checkValue(Number(value), -(2 ** (8 * size - 1)), 2 ** (8 * size - 1) - 1);
    return writeWhole(this, value, offset, size, end === "LE");
  };
}

/** Gives a prototype these methods, those with "UInt" also as "Uint". */
export function addNumbers(prototype) {
  for (const [name, value] of Object.entries(METHODS)) {
    for (const each of new Set([name, name.replace("UInt", "Uint")])) {
      Object.defineProperty(prototype, each, { value, writable: true, enumerable: true, configurable: true });
    }
  }
}
