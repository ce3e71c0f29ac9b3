// ReadableStream (https://streams.spec.whatwg.org/#rs-class).

import { signalOf } from "pyworkerd:web/abort";
import { dictionary, enforceRange, expose, illegalInvocation, methodOf, requireArguments } from "pyworkerd:web/idl";
import { pipeTo } from "pyworkerd:web/piping";
import { ByteController, beginBytes } from "pyworkerd:web/readable_bytes";
import { PromisedRead, Readable, Reader, cancelStream, read } from "pyworkerd:web/readable_core";
import { DefaultController, beginDefault } from "pyworkerd:web/readable_default";
import { ReadableStreamBYOBReader, ReadableStreamDefaultReader } from "pyworkerd:web/readers";
import { after, callIfAny, promiseCall, unwatched } from "pyworkerd:web/promises";
import { highWaterMarkOf, sizeFunctionOf } from "pyworkerd:web/strategies";
import { tee } from "pyworkerd:web/tee";
import { WritableStream, writableOf } from "pyworkerd:web/writable";

const WHERE = "ReadableStream constructor";
const MAKING = Symbol("a stream is made here");

let innerOf, isReadable;

export class ReadableStream {
  #inner;

  constructor(underlyingSource = undefined, strategy = undefined) {
    if (underlyingSource === MAKING) {
      this.#inner = strategy;
      return;
    }
    if (underlyingSource === null) throw new TypeError(`${WHERE}: the source must be an object.`);
    const source = dictionary(underlyingSource, WHERE);
    const type = source.type === undefined ? undefined : `${source.type}`;
    if (type !== undefined && type !== "bytes") throw new TypeError(`${WHERE}: the type is not "bytes".`);
    const size = sizeFunctionOf(strategy, WHERE);
    const mark = highWaterMarkOf(strategy, type === "bytes" ? 0 : 1, WHERE);
    const start = methodOf(source, "start", WHERE);
    const pull = methodOf(source, "pull", WHERE);
    const cancel = methodOf(source, "cancel", WHERE);
    this.#inner = new Readable();
    let controller;
    if (type === "bytes") {
      if (size !== undefined) throw new RangeError(`${WHERE}: a strategy for bytes has no size function.`);
      const { autoAllocateChunkSize: chunk } = source;
      const allocate = chunk === undefined ? undefined : enforceRange(chunk, WHERE);
      if (allocate === 0) throw new TypeError(`${WHERE}: \`autoAllocateChunkSize\` must not be 0.`);
      controller = new ByteController(this.#inner, mark, allocate);
    } else {
      controller = new DefaultController(this.#inner, mark, size);
    }
    if (pull !== undefined) controller.pullFrom = () => promiseCall(pull, source, controller.facade);
    if (cancel !== undefined) controller.cancelFrom = (reason) => promiseCall(cancel, source, reason);
    controller.begin(callIfAny(start, source, controller.facade));
  }

  static {
    innerOf = (stream) => stream.#inner;
    isReadable = (value) => typeof value === "object" && value !== null && #inner in value;
  }

  /** A stream of what an iterable gives, asynchronous or not. */
  static from(asyncIterable) {
    requireArguments(arguments.length, 1, "'from' on 'ReadableStream'");
    return fromIterable(asyncIterable);
  }

  get locked() { return this.#inner.reader !== null; }

  cancel(reason = undefined) {
    if (!(#inner in Object(this))) return illegalInvocation();
    if (this.#inner.reader !== null) {
      return Promise.reject(new TypeError("This ReadableStream is currently locked to a reader."));
    }
    return cancelStream(this.#inner, reason);
  }

  getReader(options = undefined) {
    const { mode } = dictionary(options, "getReader");
    if (mode === undefined) return new ReadableStreamDefaultReader(this);
    if (`${mode}` !== "byob") throw new TypeError('getReader: `mode` must be "byob" or undefined.');
    return new ReadableStreamBYOBReader(this);
  }

  pipeThrough(transform, options = undefined) {
    requireArguments(arguments.length, 1, "'pipeThrough' on 'ReadableStream'");
    const { readable } = dictionary(transform, "pipeThrough");
    if (!isReadable(readable)) throw new TypeError("pipeThrough: `readable` must be a ReadableStream.");
    const { writable } = transform;
    if (!(writable instanceof WritableStream)) {
      throw new TypeError("pipeThrough: `writable` must be a WritableStream.");
    }
    const flags = pipeOptions(options, "pipeThrough");
    if (this.locked) throw new TypeError("pipeThrough: this ReadableStream is locked.");
    if (writable.locked) throw new TypeError("pipeThrough: the WritableStream is locked.");
    unwatched(pipeTo(this.#inner, writableOf(writable), flags));
    return readable;
  }

  pipeTo(destination, options = undefined) {
    try {
      const source = this.#inner;
      requireArguments(arguments.length, 1, "'pipeTo' on 'ReadableStream'");
      if (!(destination instanceof WritableStream)) {
        throw new TypeError("pipeTo: the argument must be a WritableStream.");
      }
      const flags = pipeOptions(options, "pipeTo");
      if (source.reader !== null) throw new TypeError("pipeTo: this ReadableStream is locked.");
      if (destination.locked) throw new TypeError("pipeTo: the WritableStream is locked.");
      return pipeTo(source, writableOf(destination), flags);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  tee() { return tee(this.#inner).map(wrap); }

  values(options = undefined) {
    const preventCancel = Boolean(dictionary(options, "values").preventCancel);
    return new StreamIterator(new Reader(this.#inner, false), preventCancel);
  }
}
Object.defineProperty(ReadableStream, "length", { value: 0, configurable: true });
expose(ReadableStream);
Object.defineProperty(ReadableStream.prototype, Symbol.asyncIterator, {
  value: ReadableStream.prototype.values,
  writable: true,
  configurable: true,
});

function pipeOptions(options, where) {
  const { preventAbort, preventCancel, preventClose, signal: given } = dictionary(options, where);
  if (given === null) throw new TypeError(`${where}: \`signal\` must be an AbortSignal.`);
  const signal = given === undefined ? null : signalOf({ signal: given }, where);
  return {
    preventAbort: Boolean(preventAbort),
    preventCancel: Boolean(preventCancel),
    preventClose: Boolean(preventClose),
    signal,
  };
}

const AsyncIteratorPrototype = Object.getPrototypeOf(
  Object.getPrototypeOf(async function* () {}.prototype),
);

// Calls that overlap wait for each other, as those of an asynchronous generator do.
class StreamIterator {
  #reader;
  #preventCancel;
  #last = null;
  #waiting = 0;
  #finished = false;

  constructor(reader, preventCancel) {
    this.#reader = reader;
    this.#preventCancel = preventCancel;
  }

  next() { return this.#after(() => this.#next()); }
  return(value) { return this.#after(() => this.#return(value)); }

  #after(step) {
    const result = this.#waiting === 0 ? step() : after(this.#last, step, step);
    this.#waiting += 1;
    this.#last = result;
    const settled = () => { this.#waiting -= 1; };
    after(result, settled, settled);
    return result;
  }

  #next() {
    if (this.#finished) return Promise.resolve({ value: undefined, done: true });
    const request = new PromisedRead();
    const end = () => {
      this.#finished = true;
      this.#reader.release();
    };
    read(this.#reader, {
      chunk: (value) => request.chunk(value),
      close: () => {
        end();
        request.close(undefined);
      },
      error: (reason) => {
        end();
        request.error(reason);
      },
    });
    return after(request.promise, (result) => result); // as WebIDL has it: one turn later than a reader's
  }

  async #return(value) {
    if (this.#finished) return { value, done: true };
    this.#finished = true;
    const reader = this.#reader;
    const cancelled = this.#preventCancel ? undefined : cancelStream(reader.stream, value);
    reader.release();
    await cancelled;
    return { value, done: true };
  }
}
delete StreamIterator.prototype.constructor;
Object.setPrototypeOf(StreamIterator.prototype, AsyncIteratorPrototype);
for (const name of ["next", "return"]) Object.defineProperty(StreamIterator.prototype, name, { enumerable: true });

function fromIterable(iterable) {
  const asynchronous = iterable[Symbol.asyncIterator];
  const make = asynchronous ?? iterable[Symbol.iterator];
  if (typeof make !== "function") throw new TypeError("ReadableStream.from: the argument is not iterable.");
  const iterator = make.call(iterable);
  const isAsync = asynchronous !== undefined && asynchronous !== null;
  if (typeof iterator !== "object" || iterator === null) throw new TypeError("ReadableStream.from: no iterator.");
  const inner = new Readable();
  const pull = async () => {
    const result = await iterator.next();
    if (typeof result !== "object" || result === null) throw new TypeError("The iterator gave something else.");
    if (result.done) inner.controller.close();
    else inner.controller.enqueue(isAsync ? result.value : await result.value);
  };
  const cancel = async (reason) => {
    const result = await iterator.return?.(reason);
    if (result !== undefined && (typeof result !== "object" || result === null)) {
      throw new TypeError("The iterator gave something else.");
    }
  };
  beginDefault(inner, 0, undefined, undefined, pull, cancel);
  return wrap(inner);
}

/** A stream around what is inside of it. */
export const wrap = (inner) => new ReadableStream(MAKING, inner);

/** What is inside a stream; a TypeError for anything else. */
export function readableOf(stream) {
  if (!isReadable(stream)) throw new TypeError("The argument must be a ReadableStream.");
  return innerOf(stream);
}

export { isReadable };

/** A stream of bytes that come from elsewhere. `pull()` is called when some are wanted, and may return a promise;
 *  `cancel(reason)` when no more are, and returns one. Gives [stream, controller]; the controller has
 *  `enqueue(bytes)`, `close()` and `error(reason)`, and the bytes are its own from then on. */
export function byteStream(pull, cancel, mark = 0) {
  const inner = new Readable();
  const controller = beginBytes(inner, mark, pull, cancel);
  return [wrap(inner), controller];
}
