// Two streams of one (https://streams.spec.whatwg.org/#abstract-opdef-readablestreamtee). The branches of a stream of
// bytes are streams of bytes, each with its own copy; a buffer that a reader of one of them brings goes to the source.

import { ByteController, beginBytes } from "pyworkerd:web/readable_bytes";
import { Readable, Reader, cancelStream, read } from "pyworkerd:web/readable_core";
import { beginDefault } from "pyworkerd:web/readable_default";
import { detach, upon } from "pyworkerd:web/promises";

// What the branches of both kinds of streams have in common.
class Tee {
  constructor(stream) {
    this.stream = stream;
    this.reader = null;
    this.branches = [new Readable(), new Readable()];
    this.cancelled = [false, false];
    this.reasons = [undefined, undefined];
    this.over = Promise.withResolvers();
    this.reading = false;
    this.again = -1; // a branch that has asked while something was being read
  }

  lock(byob) {
    this.reader?.release();
    const reader = new Reader(this.stream, byob);
    this.reader = reader;
    upon(reader.closed(), undefined, (error) => {
      if (reader === this.reader) this.fail(error);
    });
  }

  fail(error) {
    for (const branch of this.branches) branch.controller.error(error);
    this.finish(undefined);
  }

  finish(outcome) {
    if (!this.cancelled[0] || !this.cancelled[1]) this.over.resolve(outcome);
  }

  pull(from) {
    if (!this.reading) {
      this.reading = true;
      this.read(from);
    } else if (this.again !== 0) {
      this.again = from;
    }
    return Promise.resolve();
  }

  cancel(from, reason) {
    this.cancelled[from] = true;
    this.reasons[from] = reason;
    if (this.cancelled[0] && this.cancelled[1]) this.over.resolve(cancelStream(this.stream, this.reasons));
    return this.over.promise;
  }

  /** A request for a read. `hand(chunk)` gives it to the branches, in a turn of its own: an error of the stream that
   *  comes in the same turn has to be seen first. */
  request(hand, close) {
    const handOn = (chunk) => {
      this.again = -1;
      try {
        hand(chunk);
      } catch (error) {
        this.fail(error);
        this.over.resolve(cancelStream(this.stream, error));
        return;
      }
      this.reading = false;
      if (this.again >= 0) this.pull(this.again);
    };
    return {
      chunk: (value) => queueMicrotask(() => handOn(value)),
      close: (value) => {
        this.reading = false;
        close(value);
        this.finish(undefined);
      },
      error: () => { this.reading = false; },
    };
  }
}
detach(Tee);

function teeDefault(stream, copy) {
  const tee = new Tee(stream);
  tee.lock(false);
  const { branches, cancelled } = tee;
  const hand = (chunk) => {
    const other = cancelled[1] ? undefined : copy(chunk);
    if (!cancelled[0]) branches[0].controller.enqueue(chunk);
    if (!cancelled[1]) branches[1].controller.enqueue(other);
  };
  const close = () => branches.forEach((branch, i) => cancelled[i] || branch.controller.close());
  tee.read = () => read(tee.reader, tee.request(hand, close));
  branches.forEach((branch, i) => {
    beginDefault(branch, 1, undefined, undefined, () => tee.pull(i), (reason) => tee.cancel(i, reason));
  });
  return branches;
}

function teeBytes(stream) {
  const tee = new Tee(stream);
  tee.lock(false);
  const { branches, cancelled } = tee;
  const endFills = ({ controller }) => controller.fills.length > 0 && controller.respond(0);

  function readChunk() {
    if (tee.reader.byob) tee.lock(false);
    const hand = (chunk) => {
      const other = cancelled[0] || cancelled[1] ? chunk : chunk.slice();
      if (!cancelled[0]) branches[0].controller.enqueue(chunk);
      if (!cancelled[1]) branches[1].controller.enqueue(other);
    };
    const close = () => {
      branches.forEach((branch, i) => cancelled[i] || branch.controller.close());
      branches.forEach(endFills);
    };
    read(tee.reader, tee.request(hand, close));
  }

  function readInto(view, from) {
    if (!tee.reader.byob) tee.lock(true);
    const [mine, other] = [branches[from], branches[1 - from]];
    const hand = (chunk) => {
      const copy = cancelled[1 - from] ? undefined : chunk.slice();
      if (!cancelled[from]) mine.controller.respondWith(chunk);
      if (copy !== undefined) other.controller.enqueue(copy);
    };
    const close = (chunk) => {
      if (!cancelled[from]) mine.controller.close();
      if (!cancelled[1 - from]) other.controller.close();
      if (chunk === undefined) return;
      if (!cancelled[from]) mine.controller.respondWith(chunk);
      if (!cancelled[1 - from]) endFills(other);
    };
    stream.disturbed = true;
    const request = tee.request(hand, close);
    if (stream.state === "errored") request.error(stream.error);
    else stream.controller.pullInto(view, 1, request);
  }

  tee.read = (from) => {
    const view = branches[from].controller.firstFill();
    if (view === null) readChunk();
    else readInto(view, from);
  };
  branches.forEach((branch, i) => {
    beginBytes(branch, 0, () => tee.pull(i), (reason) => tee.cancel(i, reason));
  });
  return branches;
}

const same = (chunk) => chunk;

/** Two streams with what the given one has from now on. It is locked to them. `copy(chunk)` gives what the second one
 *  gets, where they are no bytes. */
export function tee(stream, copy = same) {
  return stream.controller instanceof ByteController ? teeBytes(stream) : teeDefault(stream, copy);
}
