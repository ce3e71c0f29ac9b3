// Streams of bytes: ReadableByteStreamController and ReadableStreamBYOBRequest
// (https://streams.spec.whatwg.org/#rbs-controller-class).

import { expose, illegalConstructor, requireArguments } from "pyworkerd:web/idl";
import { closeStream, errorStream, waitingFills, waitingReads } from "pyworkerd:web/readable_core";
import { detach, promiseOf, upon } from "pyworkerd:web/promises";

const MAKING = Symbol("a controller is made here");
const REASON_CLOSED = "the stream is closed, or has failed.";

/** Inside: bytes between a source and its reader, which may bring buffers of its own to be filled. */
export class ByteController {
  constructor(stream, mark, allocate = undefined) {
    this.stream = stream;
    this.pieces = []; // Uint8Arrays that are ours
    this.size = 0;
    this.fills = []; // buffers that wait to be filled
    this.started = false;
    this.closing = false;
    this.pulling = false;
    this.again = false;
    this.mark = mark;
    this.allocate = allocate;
    this.pullFrom = null;
    this.cancelFrom = null;
    this.shell = null;
    this.request = null;
    stream.controller = this;
  }

  get facade() { return (this.shell ??= new ReadableByteStreamController(MAKING, this)); }

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
    return state === "errored" ? null : state === "closed" ? 0 : this.mark - this.size;
  }

  pullIfWanted() {
    if (!this.started || !this.canEnqueue() || this.pullFrom === null) return;
    const { stream } = this;
    if (waitingReads(stream) === 0 && waitingFills(stream) === 0 && this.desired() <= 0) return;
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

  /** Takes bytes that nobody else will write to. */
  enqueue(bytes) {
    if (!this.canEnqueue()) return;
    const { stream, fills } = this;
    if (fills.length > 0) {
      this.invalidate();
      if (fills[0].buffer.detached) throw new TypeError("The buffer to be filled has been detached.");
      fills[0].buffer = fills[0].buffer.transfer();
      if (fills[0].kind === "none") this.#queueAbandoned();
    }
    if (waitingReads(stream) > 0) {
      // A read waits only while nothing is queued.
      this.#serveReads();
      if (waitingReads(stream) > 0) {
        if (fills.length > 0) fills.shift();
        stream.reader.requests.shift().chunk(bytes);
      } else {
        this.#queue(bytes);
      }
    } else {
      this.#queue(bytes);
      if (fills.length > 0) for (const fill of this.#fillFromQueue()) this.#commit(fill);
    }
    this.pullIfWanted();
  }

  #queue(bytes) {
    if (bytes.length === 0) return;
    this.pieces.push(bytes);
    this.size += bytes.length;
  }

  #serveReads() {
    while (waitingReads(this.stream) > 0 && this.size > 0) this.stream.reader.requests.shift().chunk(this.#take());
  }

  #take() {
    const bytes = this.pieces.shift();
    this.size -= bytes.length;
    this.#drained();
    return bytes;
  }

  #drained() {
    if (this.size === 0 && this.closing) {
      this.forget();
      closeStream(this.stream);
    } else {
      this.pullIfWanted();
    }
  }

  close() {
    if (!this.canEnqueue()) return;
    if (this.size > 0) {
      this.closing = true;
      return;
    }
    const [fill] = this.fills;
    if (fill !== undefined && fill.filled % fill.unit !== 0) {
      const error = new TypeError("The stream ends in the middle of an element.");
      this.error(error);
      throw error;
    }
    this.forget();
    closeStream(this.stream);
  }

  error(reason) {
    if (this.stream.state !== "readable") return;
    this.#drop();
    this.forget();
    errorStream(this.stream, reason);
  }

  #drop() {
    this.invalidate();
    this.fills = [];
    this.pieces = [];
    this.size = 0;
  }

  forget() {
    this.pullFrom = this.cancelFrom = null;
  }

  cancel(reason) {
    this.#drop();
    const cancelled = this.cancelFrom === null ? Promise.resolve() : this.cancelFrom(reason);
    this.forget();
    return cancelled;
  }

  release() {
    if (this.fills.length === 0) return;
    this.fills[0].kind = "none";
    this.fills.length = 1;
  }

  /** A read that takes what there is. */
  pull(request) {
    if (this.size > 0) {
      request.chunk(this.#take());
      return;
    }
    if (this.allocate !== undefined) {
      const size = this.allocate;
      let buffer;
      try {
        buffer = new ArrayBuffer(size);
      } catch (error) {
        request.error(error);
        return;
      }
      const unit = { least: 1, unit: 1, view: Uint8Array };
      this.fills.push({ buffer, whole: size, offset: 0, size, filled: 0, ...unit, kind: "default" });
    }
    this.stream.reader.requests.push(request);
    this.pullIfWanted();
  }

  /** A read that brings a view to be filled, with at least `least` elements. */
  pullInto(view, least, request) {
    const unit = view.BYTES_PER_ELEMENT ?? 1;
    const constructor = view instanceof DataView ? DataView : VIEWS[view[Symbol.toStringTag]];
    const { byteOffset: offset, byteLength: size } = view;
    const buffer = view.buffer.transfer();
    const whole = buffer.byteLength;
    const fill = { buffer, whole, offset, size, filled: 0, least: least * unit, unit, view: constructor, kind: "byob" };
    const { stream, fills } = this;
    const hadSome = this.size > 0;
    if (fills.length > 0) {
      fills.push(fill);
      stream.reader.requests.push(request);
    } else if (stream.state === "closed") {
      request.close(new constructor(buffer, offset, 0));
    } else if (hadSome && this.#fill(fill)) {
      const filled = viewOf(fill);
      this.#drained();
      request.chunk(filled);
    } else if (hadSome && this.closing) {
      const error = new TypeError("The stream ends in the middle of an element.");
      this.error(error);
      request.error(error);
    } else {
      fills.push(fill);
      stream.reader.requests.push(request);
      this.pullIfWanted();
    }
  }

  // Copies from the queue; whether the buffer has enough.
  #fill(fill) {
    const most = fill.filled + Math.min(this.size, fill.size - fill.filled);
    const whole = most - (most % fill.unit);
    const ready = whole >= fill.least;
    let left = (ready ? whole : most) - fill.filled;
    const target = new Uint8Array(fill.buffer, fill.offset, fill.size);
    while (left > 0) {
      const [head] = this.pieces;
      const size = Math.min(left, head.length);
      target.set(size === head.length ? head : head.subarray(0, size), fill.filled);
      if (size === head.length) this.pieces.shift();
      else this.pieces[0] = head.subarray(size);
      this.size -= size;
      fill.filled += size;
      left -= size;
    }
    return ready;
  }

  #fillFromQueue() {
    const done = [];
    while (this.fills.length > 0 && this.size > 0 && this.#fill(this.fills[0])) done.push(this.fills.shift());
    return done;
  }

  #commit(fill) {
    const { reader, state } = this.stream;
    const request = reader.requests.shift();
    if (state === "closed") request.close(viewOf(fill));
    else request.chunk(viewOf(fill));
  }

  #queueAbandoned() {
    const { buffer, offset, filled } = this.fills.shift();
    this.#queue(new Uint8Array(buffer, offset, filled).slice());
  }

  // The source has written so many bytes into the first buffer that waits.
  respond(size) {
    const [fill] = this.fills;
    const { stream } = this;
    this.invalidate();
    if (stream.state === "closed") {
      if (fill.kind === "none") this.fills.shift();
      while (waitingFills(stream) > 0) this.#commit(this.fills.shift());
      return;
    }
    fill.filled += size;
    if (fill.kind === "none") {
      this.#queueAbandoned();
      for (const done of this.#fillFromQueue()) this.#commit(done);
    } else if (fill.filled >= fill.least) {
      this.fills.shift();
      const rest = fill.filled % fill.unit;
      if (rest > 0) {
        const end = fill.offset + fill.filled;
        this.#queue(new Uint8Array(fill.buffer.slice(end - rest, end)));
        fill.filled -= rest;
      }
      const more = this.#fillFromQueue();
      this.#commit(fill);
      for (const done of more) this.#commit(done);
    }
    this.pullIfWanted();
  }

  /** The same with a view of the region that `firstFill` gave, which has gone over to another buffer. */
  respondWith(view) {
    this.fills[0].buffer = view.buffer;
    this.respond(view.byteLength);
  }

  /** What is to be filled of the first buffer that waits, or null. */
  firstFill() {
    if (this.fills.length === 0) return null;
    const { buffer, offset, size, filled } = this.fills[0];
    return new Uint8Array(buffer, offset + filled, size - filled);
  }

  byobRequest() {
    if (this.request === null && this.fills.length > 0) {
      this.request = new ReadableStreamBYOBRequest(MAKING, this, this.firstFill());
    }
    return this.request;
  }

  invalidate() {
    if (this.request === null) return;
    forgetRequest(this.request);
    this.request = null;
  }
}
detach(ByteController);

/** Types of views, by name. */
export const VIEWS = { __proto__: null };
for (const type of [
  Int8Array, Uint8Array, Uint8ClampedArray, Int16Array, Uint16Array, Int32Array, Uint32Array, Float16Array,
  Float32Array, Float64Array, BigInt64Array, BigUint64Array,
]) {
  VIEWS[type.name] = type;
}

const viewOf = ({ view: Type, buffer, offset, filled, unit }) => new Type(buffer.transfer(), offset, filled / unit);

let forgetRequest;

export class ReadableStreamBYOBRequest {
  #controller;
  #view;
  constructor(making, controller, view) {
    if (making !== MAKING) throw illegalConstructor();
    this.#controller = controller;
    this.#view = view;
  }
  static {
    forgetRequest = (request) => {
      request.#controller = null;
      request.#view = null;
    };
  }
  get view() { return this.#view; }
  respond(bytesWritten) {
    requireArguments(arguments.length, 1, "'respond' on 'ReadableStreamBYOBRequest'");
    const size = Math.trunc(Number(bytesWritten));
    if (!(size >= 0)) throw new TypeError("respond: the argument must be a number of bytes.");
    const controller = this.#usable(this.#view?.buffer);
    const [fill] = controller.fills;
    checkSize(controller, size);
    if (fill.filled + size > fill.size) throw new RangeError("respond: more bytes than the view has.");
    fill.buffer = fill.buffer.transfer();
    controller.respond(size);
  }
  respondWithNewView(view) {
    requireArguments(arguments.length, 1, "'respondWithNewView' on 'ReadableStreamBYOBRequest'");
    if (!ArrayBuffer.isView(view)) throw new TypeError("respondWithNewView: the argument must be a view.");
    const controller = this.#usable(view.buffer);
    const [fill] = controller.fills;
    const size = view.byteLength;
    checkSize(controller, size);
    if (fill.offset + fill.filled !== view.byteOffset || fill.whole !== view.buffer.byteLength) {
      throw new RangeError("respondWithNewView: the view is not of the same region.");
    }
    if (fill.filled + size > fill.size) throw new RangeError("respondWithNewView: more bytes than the view has.");
    fill.buffer = view.buffer.transfer();
    controller.respond(size);
  }
  #usable(buffer) {
    if (this.#controller === null) throw new TypeError("This BYOB request has been invalidated.");
    if (!(buffer instanceof ArrayBuffer) || buffer.detached) throw new TypeError("The view's buffer is detached.");
    return this.#controller;
  }
}
Object.defineProperty(ReadableStreamBYOBRequest, "length", { value: 0, configurable: true });
expose(ReadableStreamBYOBRequest);

function checkSize(controller, size) {
  const isClosed = controller.stream.state === "closed";
  if (isClosed && size !== 0) throw new TypeError("The stream is closed: no bytes can be added.");
  if (!isClosed && size === 0) throw new TypeError("No bytes are given, and the stream is not closed.");
}

export class ReadableByteStreamController {
  #inner;
  constructor(making, inner) {
    if (making !== MAKING) throw illegalConstructor();
    this.#inner = inner;
  }
  get byobRequest() { return this.#inner.byobRequest(); }
  get desiredSize() { return this.#inner.desired(); }
  close() {
    if (!this.#inner.canEnqueue()) throw new TypeError(`Unable to close: ${REASON_CLOSED}`);
    this.#inner.close();
  }
  enqueue(chunk) {
    requireArguments(arguments.length, 1, "'enqueue' on 'ReadableByteStreamController'");
    if (!ArrayBuffer.isView(chunk)) throw new TypeError("Unable to enqueue: the chunk is no view of an ArrayBuffer.");
    if (chunk.byteLength === 0) throw new TypeError("Unable to enqueue: the chunk is empty.");
    if (!this.#inner.canEnqueue()) throw new TypeError(`Unable to enqueue: ${REASON_CLOSED}`);
    const { byteOffset, byteLength } = chunk;
    this.#inner.enqueue(new Uint8Array(chunk.buffer.transfer(), byteOffset, byteLength));
  }
  error(reason = undefined) { this.#inner.error(reason); }
}
Object.defineProperty(ReadableByteStreamController, "length", { value: 0, configurable: true });
expose(ReadableByteStreamController);

/** A controller for a stream of bytes of our own making. `pull` and `cancel` may be null. */
export function beginBytes(stream, mark, pull, cancel) {
  const controller = new ByteController(stream, mark);
  controller.pullFrom = pull;
  controller.cancelFrom = cancel;
  controller.started = true;
  return controller;
}
