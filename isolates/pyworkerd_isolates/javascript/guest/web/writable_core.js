// What writable streams are inside (https://streams.spec.whatwg.org/#ws-abstract-ops).

import { makeSignal, abort } from "pyworkerd:web/abort";
import { detach, promiseOf, rejected, unwatched, upon } from "pyworkerd:web/promises";
import { Queue } from "pyworkerd:web/strategies";

const CLOSE = Symbol("the end of what is written");

/** A stream: "writable", "erroring" (what is under way has to end first), "errored" or "closed". */
export class Writable {
  constructor() {
    this.state = "writable";
    this.error = undefined;
    this.writer = null;
    this.controller = null;
    this.writes = []; // promises of what is queued
    this.writing = null;
    this.closeAsked = null;
    this.closingNow = null;
    this.aborting = null;
    this.backpressure = false;
  }
}
detach(Writable);

/** Whether it has been asked to close. */
export const isClosing = (stream) => stream.closeAsked !== null || stream.closingNow !== null;

const released = () => new TypeError("This WritableStream writer has been released.");

/** A lock on a stream. */
export class Writer {
  constructor(stream) {
    if (stream.writer !== null) throw new TypeError("This WritableStream is currently locked to a writer.");
    this.stream = stream;
    stream.writer = this;
    const { state } = stream;
    this.readyPending = null;
    this.closedPending = null;
    if (state === "writable" && !isClosing(stream) && stream.backpressure) this.#renewReady();
    else this.ready = state === "erroring" || state === "errored" ? rejected(stream.error) : Promise.resolve();
    if (state === "closed") {
      this.closed = Promise.resolve();
    } else if (state === "errored") {
      this.closed = rejected(stream.error);
    } else {
      this.closedPending = Promise.withResolvers();
      this.closed = unwatched(this.closedPending.promise);
    }
  }

  #renewReady() {
    this.readyPending = Promise.withResolvers();
    this.ready = unwatched(this.readyPending.promise);
  }

  setBackpressure(value) {
    if (value) {
      this.#renewReady();
    } else {
      this.readyPending?.resolve();
      this.readyPending = null;
    }
  }

  rejectReady(error) {
    if (this.readyPending !== null) this.readyPending.reject(error);
    else this.ready = rejected(error);
    this.readyPending = null;
  }

  rejectClosed(error) {
    if (this.closedPending !== null) this.closedPending.reject(error);
    else this.closed = rejected(error);
    this.closedPending = null;
  }

  resolveClosed() {
    this.closedPending?.resolve();
    this.closedPending = null;
  }

  desired() {
    const { stream } = this;
    if (stream.state === "errored" || stream.state === "erroring") return null;
    return stream.state === "closed" ? 0 : stream.controller.desired();
  }

  write(chunk) {
    const { stream } = this;
    const { controller } = stream;
    const size = controller.sizeOf(chunk);
    if (this.stream !== stream) return Promise.reject(released());
    if (stream.state === "errored") return Promise.reject(stream.error);
    if (isClosing(stream) || stream.state === "closed") {
      return Promise.reject(new TypeError("This WritableStream has been closed."));
    }
    if (stream.state === "erroring") return Promise.reject(stream.error);
    const pending = Promise.withResolvers();
    stream.writes.push(pending);
    controller.write(chunk, size);
    return pending.promise;
  }

  closeUnlessEnding() {
    const { stream } = this;
    if (isClosing(stream) || stream.state === "closed") return Promise.resolve();
    return stream.state === "errored" ? Promise.reject(stream.error) : closeStream(stream);
  }

  release() {
    const error = released();
    this.rejectReady(error);
    this.rejectClosed(error);
    this.stream.writer = null;
    this.stream = null;
  }
}
detach(Writer);

export function closeStream(stream) {
  if (stream.state === "closed" || stream.state === "errored") {
    return Promise.reject(new TypeError(`Cannot close a WritableStream that is ${stream.state}.`));
  }
  if (isClosing(stream)) return Promise.reject(new TypeError("This WritableStream is being closed already."));
  stream.closeAsked = Promise.withResolvers();
  const { promise } = stream.closeAsked;
  if (stream.backpressure && stream.state === "writable") stream.writer?.setBackpressure(false);
  stream.controller.queueClose();
  return promise;
}

export function abortStream(stream, reason) {
  if (stream.state === "closed" || stream.state === "errored") return Promise.resolve();
  abort(stream.controller.signal, reason);
  if (stream.state === "closed" || stream.state === "errored") return Promise.resolve();
  if (stream.aborting !== null) return stream.aborting.promise;
  const wasErroring = stream.state === "erroring";
  const pending = Promise.withResolvers();
  stream.aborting = { ...pending, reason: wasErroring ? undefined : reason, wasErroring };
  if (!wasErroring) startErroring(stream, reason);
  return pending.promise;
}

function startErroring(stream, reason) {
  stream.state = "erroring";
  stream.error = reason;
  stream.writer?.rejectReady(reason);
  if (stream.writing === null && stream.closingNow === null && stream.controller.started) finishErroring(stream);
}

function dealWithError(stream, error) {
  if (stream.state === "writable") startErroring(stream, error);
  else finishErroring(stream);
}

function finishErroring(stream) {
  stream.state = "errored";
  stream.controller.queue.reset();
  for (const pending of stream.writes) pending.reject(stream.error);
  stream.writes = [];
  const { aborting } = stream;
  stream.aborting = null;
  if (aborting === null) {
    rejectClosing(stream);
  } else if (aborting.wasErroring) {
    aborting.reject(stream.error);
    rejectClosing(stream);
  } else {
    const done = () => {
      aborting.resolve();
      rejectClosing(stream);
    };
    const failed = (error) => {
      aborting.reject(error);
      rejectClosing(stream);
    };
    upon(stream.controller.abort(aborting.reason), done, failed);
  }
}

function rejectClosing(stream) {
  stream.closeAsked?.reject(stream.error);
  stream.closeAsked = null;
  stream.writer?.rejectClosed(stream.error);
}

function updateBackpressure(stream) {
  const backpressure = stream.controller.desired() <= 0;
  if (backpressure !== stream.backpressure) stream.writer?.setBackpressure(backpressure);
  stream.backpressure = backpressure;
}

/** Inside: the queue before a sink. `writeTo(chunk)`, `closeTo()` and `abortTo(reason)` are the sink's. */
export class Controller {
  constructor(stream, mark, size) {
    this.stream = stream;
    this.queue = new Queue();
    this.started = false;
    this.mark = mark;
    this.size = size;
    this.writeTo = null;
    this.closeTo = null;
    this.abortTo = null;
    this.ownSignal = null;
    stream.controller = this;
    stream.backpressure = mark <= 0;
  }

  get signal() { return (this.ownSignal ??= makeSignal()); }

  begin(result) {
    const begun = () => {
      this.started = true;
      this.advance();
    };
    const failed = (error) => {
      this.started = true;
      dealWithError(this.stream, error);
    };
    upon(promiseOf(result), begun, failed);
  }

  desired() { return this.mark - this.queue.size; }

  sizeOf(chunk) {
    const { size } = this;
    if (size === undefined) return 1;
    try {
      return size(chunk);
    } catch (error) {
      this.errorIfWritable(error);
      return 1;
    }
  }

  write(chunk, size) {
    const { stream } = this;
    try {
      this.queue.push(chunk, size);
    } catch (error) {
      this.errorIfWritable(error);
      return;
    }
    if (!isClosing(stream) && stream.state === "writable") updateBackpressure(stream);
    this.advance();
  }

  queueClose() {
    this.queue.push(CLOSE, 0);
    this.advance();
  }

  errorIfWritable(error) {
    if (this.stream.state === "writable") this.error(error);
  }

  error(error) {
    this.forget();
    startErroring(this.stream, error);
  }

  abort(reason) {
    const result = this.abortTo === null ? undefined : this.abortTo(reason);
    this.forget();
    return result;
  }

  forget() {
    this.writeTo = this.closeTo = this.size = undefined;
    if (this.stream.state === "errored") this.abortTo = null;
  }

  advance() {
    const { stream, queue } = this;
    if (!this.started || stream.writing !== null || stream.closingNow !== null) return;
    if (stream.state === "erroring") {
      finishErroring(stream);
      return;
    }
    if (queue.length === 0 || stream.state !== "writable") return;
    if (queue.peek() === CLOSE) this.#close();
    else this.#write(queue.peek());
  }

  #write(chunk) {
    const { stream, queue } = this;
    stream.writing = stream.writes.shift();
    const done = () => {
      stream.writing.resolve();
      stream.writing = null;
      queue.shift();
      if (!isClosing(stream) && stream.state === "writable") updateBackpressure(stream);
      this.advance();
    };
    const failed = (error) => {
      if (stream.state === "writable") this.forget();
      stream.writing.reject(error);
      stream.writing = null;
      dealWithError(stream, error);
    };
    upon(this.writeTo ? this.writeTo(chunk) : undefined, done, failed);
  }

  #close() {
    const { stream } = this;
    stream.closingNow = stream.closeAsked;
    stream.closeAsked = null;
    this.queue.shift();
    const closing = this.closeTo ? this.closeTo() : undefined;
    this.forget();
    const done = () => {
      stream.closingNow.resolve();
      stream.closingNow = null;
      if (stream.state === "erroring") {
        stream.error = undefined;
        stream.aborting?.resolve();
        stream.aborting = null;
      }
      stream.state = "closed";
      stream.writer?.resolveClosed();
    };
    const failed = (error) => {
      stream.closingNow.reject(error);
      stream.closingNow = null;
      stream.aborting?.reject(error);
      stream.aborting = null;
      dealWithError(stream, error);
    };
    upon(closing, done, failed);
  }
}
detach(Controller);
