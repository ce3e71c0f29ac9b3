// TransformStream (https://streams.spec.whatwg.org/#ts-class), and workerd's streams that hand on bytes.

import { bytesOf } from "pyworkerd:web/encoding";
import { dictionary, enforceRange, expose, illegalConstructor, methodOf, requireArguments } from "pyworkerd:web/idl";
import { wrap } from "pyworkerd:web/readable";
import { Readable } from "pyworkerd:web/readable_core";
import { beginDefault } from "pyworkerd:web/readable_default";
import { callIfAny, detach, promiseCall, upon } from "pyworkerd:web/promises";
import { highWaterMarkOf, sizeFunctionOf } from "pyworkerd:web/strategies";
import { makeWritable, writableOf } from "pyworkerd:web/writable";

const WHERE = "TransformStream constructor";
const MAKING = Symbol("a controller is made here");

// Both ends of a transformation. `transform(chunk)` and `flush()` use `enqueue`, `error` and `terminate` of it.
class Transform {
  constructor(start, writableMark, writableSize, readableMark, readableSize) {
    this.backpressure = true;
    this.change = Promise.withResolvers();
    this.transform = null;
    this.flush = null;
    this.cancel = null;
    this.finishing = null;
    this.inner = new Readable();
    const sink = {
      write: (chunk) => this.#write(chunk),
      close: () => this.#close(),
      abort: (reason) => this.#end(reason, false),
    };
    this.writable = makeWritable(sink, writableMark, writableSize, start);
    this.sink = writableOf(this.writable);
    const pull = () => {
      this.setBackpressure(false);
      return this.change.promise;
    };
    beginDefault(this.inner, readableMark, readableSize, start, pull, (reason) => this.#end(reason, true));
    this.readable = wrap(this.inner);
  }

  setBackpressure(value) {
    if (this.backpressure === value) return;
    this.change.resolve();
    this.change = Promise.withResolvers();
    this.backpressure = value;
  }

  async #write(chunk) {
    if (this.backpressure) {
      await this.change.promise;
      if (this.sink.state === "erroring") throw this.sink.error;
    }
    return this.#run(chunk);
  }

  async #run(chunk) {
    if (this.transform === null) {
      this.enqueue(chunk);
      return;
    }
    try {
      await this.transform(chunk);
    } catch (error) {
      this.error(error);
      throw error;
    }
  }

  #close() {
    if (this.finishing !== null) return this.finishing;
    this.finishing = (async () => {
      const { flush } = this;
      this.forget();
      try {
        await flush?.();
      } catch (error) {
        this.inner.controller.error(error);
        throw error;
      }
      if (this.inner.state === "errored") throw this.inner.error;
      this.inner.controller.close();
    })();
    return this.finishing;
  }

  // The writable end was aborted, or the readable one cancelled: the other one fails.
  #end(reason, isCancel) {
    if (this.finishing !== null) return this.finishing;
    const { promise, resolve, reject } = Promise.withResolvers();
    this.finishing = promise;
    const { cancel } = this;
    this.forget();
    const other = (error) => {
      if (isCancel) {
        this.sink.controller.errorIfWritable(error);
        this.setBackpressure(false);
      } else {
        this.inner.controller.error(error);
      }
    };
    const done = () => {
      const here = isCancel ? this.sink : this.inner;
      if (here.state === "errored") {
        reject(here.error);
      } else {
        other(reason);
        resolve();
      }
    };
    const failed = (error) => {
      other(error);
      reject(error);
    };
    upon(cancel?.(reason), done, failed);
    return promise;
  }

  forget() {
    this.transform = this.flush = this.cancel = null;
  }

  enqueue(chunk) {
    const { controller } = this.inner;
    if (!controller.canEnqueue()) throw new TypeError("Unable to enqueue: the readable end is closed, or has failed.");
    try {
      controller.enqueue(chunk);
    } catch (error) {
      this.#errorWritable(error);
      throw this.inner.error;
    }
    if (controller.desired() <= 0 && !wantsMore(controller)) this.setBackpressure(true);
  }

  error(reason) {
    this.inner.controller.error(reason);
    this.#errorWritable(reason);
  }

  #errorWritable(reason) {
    this.forget();
    this.sink.controller.errorIfWritable(reason);
    this.setBackpressure(false);
  }

  terminate() {
    this.inner.controller.close();
    this.#errorWritable(new TypeError("The readable end of this TransformStream was closed."));
  }
}
detach(Transform);

const wantsMore = ({ stream }) => stream.reader !== null && stream.reader.requests.length > 0;

export class TransformStream {
  #inner;

  constructor(transformer = undefined, writableStrategy = undefined, readableStrategy = undefined) {
    if (transformer === null) throw new TypeError(`${WHERE}: the transformer must be an object.`);
    const given = dictionary(transformer, WHERE);
    if (given.readableType !== undefined || given.writableType !== undefined) {
      throw new RangeError(`${WHERE}: \`readableType\` and \`writableType\` must be undefined.`);
    }
    const readableSize = sizeFunctionOf(readableStrategy, WHERE);
    const readableMark = highWaterMarkOf(readableStrategy, 0, WHERE);
    const writableSize = sizeFunctionOf(writableStrategy, WHERE);
    const writableMark = highWaterMarkOf(writableStrategy, 1, WHERE);
    const start = methodOf(given, "start", WHERE);
    const transform = methodOf(given, "transform", WHERE);
    const flush = methodOf(given, "flush", WHERE);
    const cancel = methodOf(given, "cancel", WHERE);
    const started = Promise.withResolvers();
    const inner = new Transform(started.promise, writableMark, writableSize, readableMark, readableSize);
    const facade = new TransformStreamDefaultController(MAKING, inner);
    if (transform !== undefined) inner.transform = (chunk) => promiseCall(transform, given, chunk, facade);
    if (flush !== undefined) inner.flush = () => promiseCall(flush, given, facade);
    if (cancel !== undefined) inner.cancel = (reason) => promiseCall(cancel, given, reason);
    this.#inner = inner;
    started.resolve(callIfAny(start, given, facade));
  }

  get readable() { return this.#inner.readable; }
  get writable() { return this.#inner.writable; }
}
Object.defineProperty(TransformStream, "length", { value: 0, configurable: true });
expose(TransformStream);

export class TransformStreamDefaultController {
  #inner;
  constructor(making, inner) {
    if (making !== MAKING) throw illegalConstructor();
    this.#inner = inner;
  }
  get desiredSize() { return this.#inner.inner.controller.desired(); }
  enqueue(chunk = undefined) { this.#inner.enqueue(chunk); }
  error(reason = undefined) { this.#inner.error(reason); }
  terminate() { this.#inner.terminate(); }
}
Object.defineProperty(TransformStreamDefaultController, "length", { value: 0, configurable: true });
expose(TransformStreamDefaultController);

/** A transformation of our own: `make(enqueue, room)` gives its `transform(chunk)` and `flush()`. `room()` promises
 *  that the readable end wants more, or is no more. */
export function makeTransform(make) {
  const inner = new Transform(undefined, 1, undefined, 0, undefined);
  const room = () => (inner.backpressure ? inner.change.promise : undefined);
  const { transform, flush } = make((chunk) => inner.enqueue(chunk), room);
  inner.transform = async (chunk) => transform(chunk);
  inner.flush = flush === undefined ? null : async () => flush();
  return inner;
}

/** workerd's: hands on bytes as they are. */
export class IdentityTransformStream extends TransformStream {
  constructor() {
    super({ transform: (chunk, controller) => controller.enqueue(copyOf(chunk, "IdentityTransformStream")) });
  }
}
expose(IdentityTransformStream);

const lengths = new WeakMap();

/** workerd's: hands on so many bytes exactly, which are the length of a body that it is. */
export class FixedLengthStream extends TransformStream {
  constructor(expectedLength) {
    requireArguments(arguments.length, 1, "FixedLengthStream constructor");
    const expected = enforceRange(expectedLength, "FixedLengthStream constructor");
    let left = expected;
    super({
      transform(chunk, controller) {
        const bytes = copyOf(chunk, "FixedLengthStream");
        if (bytes.length > left) throw new TypeError("FixedLengthStream: more bytes were written than expected.");
        left -= bytes.length;
        if (bytes.length > 0) controller.enqueue(bytes);
      },
      flush() {
        if (left > 0) throw new TypeError(`FixedLengthStream: ${left} bytes fewer were written than expected.`);
      },
    });
    lengths.set(this.readable, expected);
  }
}
expose(FixedLengthStream);

/** How many bytes a stream will give, where that is known; undefined otherwise. */
export const lengthOfReadable = (stream) => lengths.get(stream);

function copyOf(chunk, where) {
  return bytesOf(chunk, where).slice();
}
