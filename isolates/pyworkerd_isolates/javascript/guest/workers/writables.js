// WritableStreams over RPC. Whoever sends one lends what takes, once, all that is to be written: a stream of bytes. So
// what goes for a ReadableStream that is sent goes for what comes back.

import { Kept } from "pyworkerd:system/lending";
import { current, needed, run } from "pyworkerd:system/loop";
import { Streamed } from "pyworkerd:system/sending";
import { Outbound } from "pyworkerd:system/streams";
import { onAbort } from "pyworkerd:web/abort";
import { bytesOf } from "pyworkerd:web/encoding";
import { pipeTo } from "pyworkerd:web/piping";
import { after, ignore, unwatched, upon } from "pyworkerd:web/promises";
import { isReadable, readableOf } from "pyworkerd:web/readable";
import { makeWritable, WritableStreamDefaultWriter, writableOf } from "pyworkerd:web/writable";
import { abortStream } from "pyworkerd:web/writable_core";

const GONE = "whoever was to write to this stream has gone";
const BROKEN_OFF = "whoever wrote to this stream broke off";

// A stream of this isolate that somebody else writes to: what is lent of it, which locks it. Others do not get at what
// begins with `_`.
export class Sink extends Kept {
  #stream;
  #lock;

  constructor(stream) {
    super();
    this.#lock = new WritableStreamDefaultWriter(stream);
    this.#stream = stream;
  }

  // What its stub is called for.
  async pipe(bytes) {
    if (this.#lock === null || !isReadable(bytes)) throw new TypeError("a WritableStream takes one stream of bytes");
    const stream = writableOf(this._back());
    const writing = { end: () => this.#abort(new TypeError(GONE)), forsake() {} };
    const mine = needed().setOf("stubs");
    mine.add(writing);
    try {
      await pipeTo(readableOf(bytes), stream, { signal: null });
    } finally {
      mine.delete(writing);
    }
  }

  // The stream itself: it stays here.
  _back() {
    this.#lock.releaseLock();
    this.#lock = null;
    return this.#stream;
  }

  // Nobody holds it any more.
  [Symbol.dispose]() {
    if (this.#lock !== null) this.#abort(new TypeError(GONE));
  }

  _cancel(reason) {
    this.#abort(reason);
  }

  #abort(reason) {
    const abort = () => unwatched(abortStream(writableOf(this.#stream), reason));
    if (this.invocation === null || this.invocation === current) abort();
    else run(this.invocation, abort);
  }
}

// What is written to a stream of somebody else, as a body beside a value. It ends with the invocation.
export class Written extends Streamed {
  #invocation = null;
  #outbound = null;
  over = false;

  constructor() {
    super({ source: { cancel() {} } });
  }

  refer(invocation) {
    this.#invocation = invocation;
    this.#outbound = new Outbound(invocation);
    invocation.setOf("pumps").add(this.#outbound);
    return ["s", this.#outbound.number, null];
  }

  start() {}

  write(bytes) {
    if (this.#outbound === null) throw new TypeError("nobody takes what is written to this stream");
    return this.#outbound.write(bytes);
  }

  // Nothing follows; `failed` says that something is missing, where that is so.
  end(failed = null) {
    const outbound = this.#outbound;
    this.over = true;
    if (outbound === null) return;
    if (failed === null) outbound.finish();
    else outbound.fail(failed);
    outbound.stop();
    this.#invocation.pumps.delete(outbound);
  }
}

// What keeps an invocation from ending as what it sends does: not any more when its caller has gone.
class Held {
  #invocation;

  constructor(invocation) {
    this.#invocation = invocation;
    invocation.hold();
    invocation.setOf("pumps").add(this);
  }

  fail() {}

  stop() {
    if (this.#invocation.pumps.delete(this)) this.#invocation.release();
  }
}

const remotes = new WeakMap();

// A stream of somebody else, into what a stub leads to.
export class Remote {
  #lender;
  #invocation = null;
  #written = null;
  #taken = null;

  constructor(lender) {
    this.#lender = lender;
    this.stream = makeWritable({
      write: (chunk) => this.#hold(this.#write(chunk)),
      close: () => this.#hold(this.#close()),
      abort: () => this.#abort(),
    });
    remotes.set(this.stream, this);
  }

  // What somebody else has in its place, if nothing was written, and nothing will be from here; else null.
  handOn() {
    if (this.#written !== null || this.stream.locked || writableOf(this.stream).state !== "writable") return null;
    this.#lender.needed();
    const lock = new WritableStreamDefaultWriter(this.stream);
    return new HandedOn(this.#lender, () => {
      lock.releaseLock();
      return this.stream;
    });
  }

  #begin() {
    if (this.#written !== null) return;
    const { controller } = writableOf(this.stream);
    this.#invocation = needed();
    this.#written = new Written();
    onAbort(controller.signal, () => this.#written.end(BROKEN_OFF)); // also while a piece waits for its reader
    this.#taken = this.#lender.ask("pipe", false, [this.#written]);
    const over = () => this.#lender.dispose();
    after(this.#taken, over, (error) => {
      over();
      controller.errorIfWritable(error);
    });
  }

  // What is under way keeps the invocation from ending. Not so a stream that is neither written to nor closed.
  #hold(promise) {
    const invocation = this.#invocation;
    if (invocation === null) return promise;
    const held = new Held(invocation);
    // One turn later: then what was to be written after this is under way.
    const release = () => queueMicrotask(() => held.stop());
    upon(promise, release, release);
    return promise;
  }

  async #write(chunk) {
    try {
      bytesOf(chunk, "WritableStream");
    } catch (error) {
      unwatched(this.#abort());
      throw error;
    }
    this.#begin();
    try {
      await this.#written.write(bytesOf(chunk, "WritableStream"));
    } catch (error) {
      if (!this.#written.over) await this.#taken; // why nothing is taken, the other side says itself
      throw error;
    }
  }

  async #close() {
    this.#begin();
    this.#written.end();
    await this.#taken;
  }

  async #abort() {
    if (this.#written === null) {
      this.#lender.dispose();
      return;
    }
    this.#written.end(BROKEN_OFF);
    await after(this.#taken, ignore, ignore);
  }
}

// A stream of somebody else on its way to a third worker: who is in the middle holds nothing of it any more.
class HandedOn extends Streamed {
  #lender;

  constructor(lender, back) {
    super({ source: { cancel() {} } });
    this.#lender = lender;
    this._back = back;
  }

  refer() {
    return [false, this.#lender.needed()];
  }

  start() {
    this.#lender.dispose();
  }

  cancel() {
    this.#lender.dispose();
  }
}

// What is lent for a stream, or handed on.
export function sinkOf(stream) {
  return remotes.get(stream)?.handOn() ?? new Sink(stream);
}
