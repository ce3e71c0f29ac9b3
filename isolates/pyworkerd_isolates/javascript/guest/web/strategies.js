// Queuing strategies (https://streams.spec.whatwg.org/#qs-api), and the queue that controllers keep.

import { dictionary, expose, methodOf, requireArguments } from "pyworkerd:web/idl";
import { detach } from "pyworkerd:web/promises";

const sizeOfBytes = { size: (chunk) => chunk.byteLength }.size;
const sizeOfOne = { size: () => 1 }.size;

export class ByteLengthQueuingStrategy {
  #highWaterMark;
  constructor(init) {
    this.#highWaterMark = markOf(init, "ByteLengthQueuingStrategy constructor");
  }
  get highWaterMark() { return this.#highWaterMark; }
  get size() { return (this.#highWaterMark, sizeOfBytes); }
}
expose(ByteLengthQueuingStrategy);

export class CountQueuingStrategy {
  #highWaterMark;
  constructor(init) {
    this.#highWaterMark = markOf(init, "CountQueuingStrategy constructor");
  }
  get highWaterMark() { return this.#highWaterMark; }
  get size() { return (this.#highWaterMark, sizeOfOne); }
}
expose(CountQueuingStrategy);

function markOf(init, where) {
  requireArguments(init === undefined ? 0 : 1, 1, where);
  const { highWaterMark } = dictionary(init, where);
  if (highWaterMark === undefined) throw new TypeError(`${where}: \`highWaterMark\` is required.`);
  return Number(highWaterMark);
}

/** The high water mark of a strategy that a worker gave. */
export function highWaterMarkOf(strategy, usual, where) {
  if (strategy === undefined) return usual;
  const { highWaterMark } = dictionary(strategy, where);
  const mark = highWaterMark === undefined ? usual : Number(highWaterMark);
  if (Number.isNaN(mark) || mark < 0) throw new RangeError(`${where}: \`highWaterMark\` must not be negative or NaN.`);
  return mark;
}

/** Its function of a chunk's size, or undefined. */
export function sizeFunctionOf(strategy, where) {
  return strategy === undefined ? undefined : methodOf(dictionary(strategy, where), "size", where);
}

/** Chunks with their sizes, first in, first out. */
export class Queue {
  constructor() {
    this.reset();
  }

  reset() {
    this.#empty();
    this.size = 0;
  }

  #empty() {
    this.chunks = [];
    this.sizes = [];
    this.first = 0;
  }

  get length() { return this.chunks.length - this.first; }

  push(chunk, size) {
    const weight = Number(size);
    if (!(weight >= 0 && weight < Infinity)) {
      throw new RangeError("The size of a chunk must be finite and not negative.");
    }
    this.chunks.push(chunk);
    this.sizes.push(weight);
    this.size += weight;
  }

  peek() { return this.chunks[this.first]; }

  shift() {
    const chunk = this.chunks[this.first];
    // Sums of fractions may end a little below zero.
    this.size = Math.max(0, this.size - this.sizes[this.first]);
    this.chunks[this.first] = undefined;
    this.first += 1;
    if (this.first === this.chunks.length) this.#empty(); // the size keeps what fractions have left of it
    else if (this.first > 64 && this.first * 2 > this.chunks.length) this.#compact();
    return chunk;
  }

  #compact() {
    this.chunks = this.chunks.slice(this.first);
    this.sizes = this.sizes.slice(this.first);
    this.first = 0;
  }
}
detach(Queue);
