// Iteration of "node:stream": over what a Readable gives, and a Readable of what there is to iterate over.

import { Buffer } from "pyworkerd:node/buffer";
import { coded, invalidType } from "pyworkerd:node_parts/errors";
import { Readable } from "pyworkerd:node_parts/readable";
import { finished } from "pyworkerd:node_parts/stream_end";
import { joinErrors, later } from "pyworkerd:node_parts/stream_state";

// No generator: what leaves the loop finds its stream destroyed at once.
class Chunks {
  #stream;
  #options;
  #error; // undefined: it goes on; null: it has ended
  #isOver = false;
  #waiting = [];
  #wake = () => { for (const resolve of this.#waiting.splice(0)) resolve(); };
  #stop;

  constructor(stream, options) {
    this.#stream = stream;
    this.#options = options;
    stream.on("readable", this.#wake);
    this.#stop = finished(stream, { writable: false }, (failure) => {
      this.#error = failure ? joinErrors(this.#error, failure) : null;
      this.#wake();
    });
  }

  async next() {
    while (!this.#isOver) {
      const chunk = this.#stream.destroyed ? null : this.#stream.read();
      if (chunk !== null) return { value: chunk, done: false };
      if (this.#error !== undefined) {
        const error = this.#error;
        this.#leave();
        if (error !== null) throw error;
      } else {
        await new Promise((resolve) => { this.#waiting.push(resolve); });
      }
    }
    return { value: undefined, done: true };
  }

  #leave() {
    if (this.#isOver) return;
    this.#isOver = true;
    const isWanted = this.#error || this.#options?.destroyOnReturn !== false;
    if (isWanted && (this.#error === undefined || this.#stream._readableState.autoDestroy)) {
      this.#stream.destroy();
    } else {
      this.#stream.off("readable", this.#wake);
      this.#stop();
    }
    this.#wake();
  }

  async return(value) {
    this.#leave();
    return { value, done: true };
  }

  async throw(error) {
    this.#error ??= error;
    this.#leave();
    throw error;
  }

  [Symbol.asyncIterator]() { return this; }
}

/** An asynchronous iterator of what a Readable gives. */
export const iterate = (stream, options = undefined) => new Chunks(stream, options);

/** A stream of what there is to iterate over. */
export function streamOf(iterable, options = undefined) {
  if (typeof iterable === "string" || iterable instanceof Buffer) {
    return new Readable({
      objectMode: true,
      ...options,
      read() {
        this.push(iterable);
        this.push(null);
      },
    });
  }
  const begin = iterable?.[Symbol.asyncIterator] ?? iterable?.[Symbol.iterator];
  if (begin === undefined) throw invalidType("iterable", "an instance of Iterable", iterable);
  const iterator = begin.call(iterable);
  const stream = new Readable({ objectMode: true, highWaterMark: 1, ...options });
  let isReading = false;
  stream._read = () => {
    if (isReading) return;
    isReading = true;
    next();
  };
  stream._destroy = (error, callback) => {
    close(error).then(() => later(() => callback(error)), (failure) => later(() => callback(failure || error)));
  };

  async function close(error) {
    const hasThrow = error !== undefined && error !== null && typeof iterator.throw === "function";
    if (hasThrow) {
      const { value, done } = await iterator.throw(error);
      await value;
      if (done) return;
    }
    if (typeof iterator.return === "function") await (await iterator.return()).value;
  }

  async function next() {
    try {
      for (;;) {
        const { value, done } = await iterator.next();
        if (done) {
          stream.push(null);
          return;
        }
        const chunk = typeof value?.then === "function" ? await value : value;
        if (chunk === null) {
          isReading = false;
          throw coded(TypeError, "ERR_STREAM_NULL_VALUES", "May not write null values to stream");
        }
        if (!stream.push(chunk)) {
          isReading = false;
          return;
        }
      }
    } catch (error) {
      stream.destroy(error);
    }
  }
  return stream;
}
