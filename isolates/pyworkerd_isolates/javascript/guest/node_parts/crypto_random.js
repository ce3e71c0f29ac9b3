// Random values of "node:crypto". At the top level of a worker there are none.

import { Buffer } from "pyworkerd:node/buffer";
import { requireInteger, viewed } from "pyworkerd:node_parts/crypto_bytes";
import { invalidType, outOfRange, requireFunction } from "pyworkerd:node_parts/errors";
import { crypto } from "pyworkerd:web/crypto";
import { fill } from "pyworkerd:system";

const MAX_BYTES = 2 ** 31 - 1;
const MAX_SPAN = 2 ** 48 - 1;

/** Gives a value, or what was thrown, to the callback of a function that has one: after the caller has gone on. */
export function answer(callback, make) {
  let given;
  try {
    given = [null, make()];
  } catch (error) {
    given = [error];
  }
  queueMicrotask(() => callback(...given));
}

function drawn(size) {
  const made = Buffer.alloc(size);
  fill(made);
  return made;
}

export function randomBytes(size, callback = undefined) {
  requireInteger(size, "size", 0, MAX_BYTES);
  if (callback === undefined) return drawn(size);
  requireFunction(callback, "callback");
  return answer(callback, () => drawn(size));
}

function partOf(buffer, offset, size) {
  const bytes = viewed(buffer);
  if (bytes === undefined) throw invalidType("buf", "an instance of ArrayBuffer or ArrayBufferView", buffer);
  const width = buffer.BYTES_PER_ELEMENT ?? 1;
  const count = bytes.length / width;
  requireInteger(offset, "offset", 0, count);
  const most = size ?? count - offset;
  requireInteger(most, "size", 0, MAX_BYTES);
  if (offset + most > count) throw outOfRange("size + offset", `<= ${count}`, offset + most);
  return bytes.subarray(offset * width, (offset + most) * width);
}

export function randomFillSync(buffer, offset = 0, size = undefined) {
  fill(partOf(buffer, offset, size));
  return buffer;
}

export function randomFill(buffer, ...others) {
  const callback = others.pop();
  requireFunction(callback, "callback");
  const [offset = 0, size] = others;
  const part = partOf(buffer, offset, size);
  answer(callback, () => {
    fill(part);
    return buffer;
  });
}

function integerBelow(span) {
  const most = 2 ** 48 - (2 ** 48 % span); // above that some numbers would come more often than others
  for (;;) {
    const number = drawn(6).readUIntBE(0, 6);
    if (number < most) return number % span;
  }
}

export function randomInt(...given) {
  const callback = typeof given.at(-1) === "function" ? given.pop() : undefined;
  const isAlone = given.length < 2 || given[1] === undefined;
  const [min, max] = isAlone ? [0, given[0]] : given;
  if (!Number.isSafeInteger(min)) throw invalidType("min", "a safe integer", min);
  if (!Number.isSafeInteger(max)) throw invalidType("max", "a safe integer", max);
  if (max <= min) throw outOfRange("max", `greater than the value of "min" (${min})`, max);
  if (max - min > MAX_SPAN) throw outOfRange("max - min", `<= ${MAX_SPAN}`, max - min);
  if (callback === undefined) return min + integerBelow(max - min);
  return answer(callback, () => min + integerBelow(max - min));
}

export function randomUUID(options = undefined) {
  const disable = options?.disableEntropyCache;
  if (disable !== undefined && typeof disable !== "boolean") {
    throw invalidType("options.disableEntropyCache", "of type boolean", disable);
  }
  return crypto.randomUUID();
}

export function getRandomValues(array) {
  return crypto.getRandomValues(array);
}
