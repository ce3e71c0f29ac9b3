// What a Readable of "node:stream" has of an array: `map`, `filter` and the others, one chunk after the other.

import { coded, invalidType, outOfRange, requireFunction } from "pyworkerd:node_parts/errors";
import { Readable } from "pyworkerd:node_parts/readable";
import { abortedBy } from "pyworkerd:node_parts/stream_state";
import { give } from "pyworkerd:node_parts/writable";

function countOf(value) {
  const count = Number(value);
  if (Number.isNaN(count) || count < 0) throw outOfRange("number", ">= 0", value);
  return count;
}

function requireCall(act) {
  if (typeof act !== "function") throw invalidType("fn", "of type function or an instance of AsyncFunction", act);
}

const check = (signal) => {
  if (signal?.aborted) throw abortedBy(signal);
};

// Up to `concurrency` calls run at once, and their results come in order.
async function* mapped(stream, act, { concurrency = 1, signal } = {}) {
  const running = [];
  for await (const chunk of stream) {
    check(signal);
    const made = Promise.resolve(act(chunk, { signal }));
    made.catch(() => {});
    running.push(made);
    if (running.length >= concurrency) yield await running.shift();
  }
  while (running.length > 0) yield await running.shift();
}

async function* filtered(stream, act, options) {
  const pairs = mapped(stream, async (chunk, given) => [await act(chunk, given), chunk], options);
  for await (const [isWanted, chunk] of pairs) if (isWanted) yield chunk;
}

async function* flat(stream, act, options) {
  for await (const each of mapped(stream, act, options)) yield* each;
}

async function* dropped(stream, count, signal) {
  let left = count;
  for await (const chunk of stream) {
    check(signal);
    if (left > 0) left -= 1;
    else yield chunk;
  }
}

async function* firstOnes(stream, count, signal) {
  let left = count;
  if (left <= 0) return;
  for await (const chunk of stream) {
    check(signal);
    yield chunk;
    left -= 1;
    if (left <= 0) return;
  }
}

const stream = (make) => function (act, options = undefined) {
  requireCall(act);
  return Readable.from(make(this, act, options));
};

const METHODS = {
  map: stream(mapped),
  filter: stream(filtered),
  flatMap: stream(flat),
  drop(count, options = undefined) { return Readable.from(dropped(this, countOf(count), options?.signal)); },
  take(count, options = undefined) { return Readable.from(firstOnes(this, countOf(count), options?.signal)); },

  async toArray(options = undefined) {
    const all = [];
    for await (const chunk of this) {
      check(options?.signal);
      all.push(chunk);
    }
    return all;
  },

  async forEach(act, options = undefined) {
    requireCall(act);
    for await (const _ of mapped(this, act, options));
  },

  async some(act, options = undefined) {
    requireCall(act);
    for await (const _ of filtered(this, act, options)) return true;
    return false;
  },

  async every(act, options = undefined) {
    requireCall(act);
    return !(await METHODS.some.call(this, async (...values) => !(await act(...values)), options));
  },

  async find(act, options = undefined) {
    requireCall(act);
    for await (const chunk of filtered(this, act, options)) return chunk;
    return undefined;
  },

  async reduce(act, ...given) {
    requireFunction(act, "reducer");
    let [value, options] = given;
    let hasValue = given.length > 0;
    for await (const chunk of this) {
      check(options?.signal);
      value = hasValue ? await act(value, chunk, { signal: options?.signal }) : chunk;
      hasValue = true;
    }
    if (!hasValue) {
      throw coded(TypeError, "ERR_MISSING_ARGS", "Reduce of an empty stream requires an initial value");
    }
    return value;
  },
};
give(Readable.prototype, METHODS, {});
