// WritableStream, its writer and its controller (https://streams.spec.whatwg.org/#ws-class).

import {
  dictionary, expose, illegalConstructor, illegalInvocation, methodOf, requireArguments,
} from "pyworkerd:web/idl";
import { callIfAny, promiseCall } from "pyworkerd:web/promises";
import { highWaterMarkOf, sizeFunctionOf } from "pyworkerd:web/strategies";
import { Controller, Writable, Writer, abortStream, closeStream, isClosing } from "pyworkerd:web/writable_core";

const WHERE = "WritableStream constructor";
const MAKING = Symbol("a stream is made here");

let innerOf;

export class WritableStream {
  #inner;

  constructor(underlyingSink = undefined, strategy = undefined) {
    if (underlyingSink === MAKING) {
      this.#inner = strategy;
      return;
    }
    if (underlyingSink === null) throw new TypeError(`${WHERE}: the sink must be an object.`);
    const sink = dictionary(underlyingSink, WHERE);
    if (sink.type !== undefined) throw new RangeError(`${WHERE}: \`type\` must be undefined.`);
    const size = sizeFunctionOf(strategy, WHERE);
    const mark = highWaterMarkOf(strategy, 1, WHERE);
    const start = methodOf(sink, "start", WHERE);
    const write = methodOf(sink, "write", WHERE);
    const close = methodOf(sink, "close", WHERE);
    const abort = methodOf(sink, "abort", WHERE);
    this.#inner = new Writable();
    const controller = new Controller(this.#inner, mark, size);
    const facade = new WritableStreamDefaultController(MAKING, controller);
    if (write !== undefined) controller.writeTo = (chunk) => promiseCall(write, sink, chunk, facade);
    if (close !== undefined) controller.closeTo = () => promiseCall(close, sink);
    if (abort !== undefined) controller.abortTo = (reason) => promiseCall(abort, sink, reason);
    controller.begin(callIfAny(start, sink, facade));
  }

  static {
    innerOf = (stream) => stream.#inner;
  }

  get locked() { return this.#inner.writer !== null; }

  abort(reason = undefined) {
    if (!(#inner in Object(this))) return illegalInvocation();
    return this.#inner.writer === null ? abortStream(this.#inner, reason) : Promise.reject(locked());
  }

  close() {
    if (!(#inner in Object(this))) return illegalInvocation();
    return this.#inner.writer === null ? closeStream(this.#inner) : Promise.reject(locked());
  }

  getWriter() { return new WritableStreamDefaultWriter(this); }
}
Object.defineProperty(WritableStream, "length", { value: 0, configurable: true });
expose(WritableStream);

const locked = () => new TypeError("This WritableStream is currently locked to a writer.");
const released = () => new TypeError("This WritableStream writer has been released.");

export class WritableStreamDefaultWriter {
  #writer;
  constructor(stream) {
    requireArguments(arguments.length, 1, "WritableStreamDefaultWriter constructor");
    if (!(stream instanceof WritableStream)) throw new TypeError("The argument must be a WritableStream.");
    this.#writer = new Writer(innerOf(stream));
  }

  get closed() { return #writer in Object(this) ? this.#writer.closed : illegalInvocation(); }
  get ready() { return #writer in Object(this) ? this.#writer.ready : illegalInvocation(); }
  get desiredSize() {
    if (this.#writer.stream === null) throw released();
    return this.#writer.desired();
  }

  abort(reason = undefined) {
    if (!(#writer in Object(this))) return illegalInvocation();
    const { stream } = this.#writer;
    return stream === null ? Promise.reject(released()) : abortStream(stream, reason);
  }

  close() {
    if (!(#writer in Object(this))) return illegalInvocation();
    const { stream } = this.#writer;
    if (stream === null) return Promise.reject(released());
    if (isClosing(stream)) return Promise.reject(new TypeError("This WritableStream is being closed already."));
    return closeStream(stream);
  }

  write(chunk = undefined) {
    if (!(#writer in Object(this))) return illegalInvocation();
    return this.#writer.stream === null ? Promise.reject(released()) : this.#writer.write(chunk);
  }

  releaseLock() {
    if (this.#writer.stream !== null) this.#writer.release();
  }
}
expose(WritableStreamDefaultWriter);

export class WritableStreamDefaultController {
  #inner;
  constructor(making, inner) {
    if (making !== MAKING) throw illegalConstructor();
    this.#inner = inner;
  }
  get signal() { return this.#inner.signal; }
  error(reason = undefined) { this.#inner.errorIfWritable(reason); }
}
Object.defineProperty(WritableStreamDefaultController, "length", { value: 0, configurable: true });
expose(WritableStreamDefaultController);

/** What is inside a stream. */
export const writableOf = (stream) => innerOf(stream);

/** A stream around what is inside of it. */
export const wrapWritable = (inner) => new WritableStream(MAKING, inner);

/** A stream into a sink of our own: `write(chunk)`, `close()` and `abort(reason)` return promises or nothing. */
export function makeWritable({ write, close, abort }, mark = 1, size = undefined, start = undefined) {
  const inner = new Writable();
  const controller = new Controller(inner, mark, size);
  controller.writeTo = write;
  controller.closeTo = close;
  controller.abortTo = abort;
  controller.begin(start);
  return wrapWritable(inner);
}
