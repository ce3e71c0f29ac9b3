// Streams of anything: ReadableStreamDefaultController (https://streams.spec.whatwg.org/#rs-default-controller-class).

import { expose, illegalConstructor } from "pyworkerd:web/idl";
import { closeStream, errorStream, waitingReads } from "pyworkerd:web/readable_core";
import { detach, promiseOf, upon } from "pyworkerd:web/promises";
import { Queue } from "pyworkerd:web/strategies";

const MAKING = Symbol("a controller is made here");

/** Inside: the queue between a source and its reader. `pullFrom()` and `cancelFrom(reason)` are the source's. */
export class DefaultController {
  constructor(stream, mark, size) {
    this.stream = stream;
    this.queue = new Queue();
    this.started = false;
    this.closing = false; // asked to close, when what is queued has been read
    this.pulling = false;
    this.again = false;
    this.mark = mark;
    this.size = size;
    this.pullFrom = null;
    this.cancelFrom = null;
    this.shell = null;
    stream.controller = this;
  }

  get facade() { return (this.shell ??= new ReadableStreamDefaultController(MAKING, this)); }

  /** `result`: what the source's `start` returned. */
  begin(result) {
    const begun = () => {
      this.started = true;
      this.pullIfWanted();
    };
    upon(promiseOf(result), begun, (error) => this.error(error));
  }

  canEnqueue() { return !this.closing && this.stream.state === "readable"; }

  desired() {
    const { state } = this.stream;
    return state === "errored" ? null : state === "closed" ? 0 : this.mark - this.queue.size;
  }

  pullIfWanted() {
    if (!this.started || !this.canEnqueue() || this.pullFrom === null) return;
    if (waitingReads(this.stream) === 0 && this.desired() <= 0) return;
    if (this.pulling) {
      this.again = true;
      return;
    }
    this.pulling = true;
    const pulled = () => {
      this.pulling = false;
      if (this.again) {
        this.again = false;
        this.pullIfWanted();
      }
    };
    upon(this.pullFrom(), pulled, (error) => this.error(error));
  }

  enqueue(chunk) {
    if (!this.canEnqueue()) return;
    const { stream } = this;
    if (waitingReads(stream) > 0) {
      stream.reader.requests.shift().chunk(chunk);
    } else {
      try {
        const { size } = this;
        this.queue.push(chunk, size === undefined ? 1 : size(chunk));
      } catch (error) {
        this.error(error);
        throw error;
      }
    }
    this.pullIfWanted();
  }

  close() {
    if (!this.canEnqueue()) return;
    this.closing = true;
    if (this.queue.length === 0) this.#end();
  }

  #end() {
    this.forget();
    closeStream(this.stream);
  }

  error(reason) {
    if (this.stream.state !== "readable") return;
    this.queue.reset();
    this.forget();
    errorStream(this.stream, reason);
  }

  // What a source holds is let go of as soon as it is not called any more.
  forget() {
    this.pullFrom = this.cancelFrom = null;
    this.size = undefined;
  }

  pull(request) {
    if (this.queue.length === 0) {
      this.stream.reader.requests.push(request);
      this.pullIfWanted();
      return;
    }
    const chunk = this.queue.shift();
    if (this.closing && this.queue.length === 0) this.#end();
    else this.pullIfWanted();
    request.chunk(chunk);
  }

  cancel(reason) {
    this.queue.reset();
    const cancelled = this.cancelFrom === null ? Promise.resolve() : this.cancelFrom(reason);
    this.forget();
    return cancelled;
  }

  release() {}
}
detach(DefaultController);

export class ReadableStreamDefaultController {
  #inner;
  constructor(making, inner) {
    if (making !== MAKING) throw illegalConstructor();
    this.#inner = inner;
  }
  get desiredSize() { return this.#inner.desired(); }
  close() {
    if (!this.#inner.canEnqueue()) throw new TypeError("Unable to close: the stream is closed already, or has failed.");
    this.#inner.close();
  }
  enqueue(chunk = undefined) {
    if (!this.#inner.canEnqueue()) throw new TypeError("Unable to enqueue: the stream is closed, or has failed.");
    this.#inner.enqueue(chunk);
  }
  error(reason = undefined) { this.#inner.error(reason); }
}
Object.defineProperty(ReadableStreamDefaultController, "length", { value: 0, configurable: true });
expose(ReadableStreamDefaultController);

/** A controller for a stream of our own making, whose source began before. */
export function beginDefault(stream, mark, size, start, pull, cancel) {
  const controller = new DefaultController(stream, mark, size);
  controller.pullFrom = pull;
  controller.cancelFrom = cancel;
  controller.begin(start);
  return controller;
}
