// What readable streams are inside (https://streams.spec.whatwg.org/#rs-abstract-ops). The objects here are plain and
// never given to a worker: what it holds are shells around them, so it cannot break what the host relies on.

import { after, detach, ignore, rejected, unwatched } from "pyworkerd:web/promises";

/** A stream. `controller` has `pull(request)`, `cancel(reason)` and `release()`. */
export class Readable {
  constructor() {
    this.state = "readable"; // or "closed", or "errored"
    this.reader = null;
    this.error = undefined;
    this.disturbed = false;
    this.controller = null;
    this.origin = undefined; // of a stream of the host's: where its bytes come from
  }
}
detach(Readable);

/** A lock on a stream, of either kind. `requests`: reads that wait, with methods `chunk`, `close` and `error`. */
export class Reader {
  constructor(stream, byob) {
    if (stream.reader !== null) throw new TypeError("This ReadableStream is currently locked to a reader.");
    this.stream = stream;
    this.byob = byob;
    this.requests = [];
    this.promise = null;
    this.pending = null;
    stream.reader = this;
  }

  /** The promise of the stream's end; seldom asked for, so made when it is. */
  closed() {
    if (this.promise === null) {
      const { stream } = this;
      if (stream === null) {
        this.promise = rejected(new TypeError("This ReadableStream reader has been released."));
      } else if (stream.state === "readable") {
        this.pending = Promise.withResolvers();
        this.promise = unwatched(this.pending.promise);
      } else {
        this.promise = stream.state === "closed" ? Promise.resolve() : rejected(stream.error);
      }
    }
    return this.promise;
  }

  release() {
    const { stream, requests } = this;
    const error = new TypeError("This ReadableStream reader has been released.");
    if (this.pending !== null) this.pending.reject(error);
    else this.promise = null;
    this.pending = null;
    stream.controller.release();
    stream.reader = null;
    this.stream = null;
    this.requests = [];
    for (const request of requests) request.error(error);
  }
}
detach(Reader);

/** A read that a promise stands for. */
export class PromisedRead {
  constructor() {
    const { promise, resolve, reject } = Promise.withResolvers();
    this.promise = promise;
    this.resolve = resolve;
    this.error = reject;
  }
  chunk(value) { this.resolve({ value, done: false }); }
  close(value) { this.resolve({ value, done: true }); }
}
detach(PromisedRead);

/** Reads: the request is answered at once where there is something, and later otherwise. */
export function read(reader, request) {
  const { stream } = reader;
  stream.disturbed = true;
  if (stream.state === "closed") request.close(undefined);
  else if (stream.state === "errored") request.error(stream.error);
  else stream.controller.pull(request);
}

export function closeStream(stream) {
  stream.state = "closed";
  const { reader } = stream;
  if (reader === null) return;
  reader.pending?.resolve();
  reader.pending = null;
  if (!reader.byob) {
    const { requests } = reader;
    reader.requests = [];
    for (const request of requests) request.close(undefined);
  }
}

export function errorStream(stream, error) {
  stream.state = "errored";
  stream.error = error;
  const { reader } = stream;
  if (reader === null) return;
  reader.pending?.reject(error);
  reader.pending = null;
  const { requests } = reader;
  reader.requests = [];
  for (const request of requests) request.error(error);
}

/** A promise of the cancelling. */
export function cancelStream(stream, reason) {
  stream.disturbed = true;
  if (stream.state === "closed") return Promise.resolve();
  if (stream.state === "errored") return Promise.reject(stream.error);
  closeStream(stream);
  const { reader } = stream;
  if (reader !== null && reader.byob) {
    const { requests } = reader;
    reader.requests = [];
    for (const request of requests) request.close(undefined);
  }
  return after(stream.controller.cancel(reason), ignore);
}

/** How many reads wait, for readers that take chunks as they come. */
export const waitingReads = ({ reader }) => (reader !== null && !reader.byob ? reader.requests.length : 0);

/** How many reads wait that brought a buffer. */
export const waitingFills = ({ reader }) => (reader !== null && reader.byob ? reader.requests.length : 0);
